"""`validate memory`: rows of a reference served again, and references that cannot be understood."""

import csv
import json
import os
from pathlib import Path

import pytest

from sim.dram import numba_installed
from sim.errors import UserError
from sim.validation.agreement import Compared, agreement
from sim.validation.memory import validate_memory
from sim.validation.memory_configs import read_system

SHARED = Path(os.environ.get("BANDWALL_SHARED", Path(__file__).parents[2] / "shared")) / "dram"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no reference results here")
needs_numba = pytest.mark.skipif(not numba_installed(), reason="the compiled loop needs numba")


@pytest.fixture
def rows() -> list[dict[str, str]]:
    with (SHARED / "reference.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


@needs_shared
@needs_numba
def test_rows_of_both_simulators_are_met_to_a_fraction_of_a_percent(
    tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    report = validate_memory([write(tmp_path / "some.csv", rows[3::47])], SHARED / "configs")
    assert {a.keys["metric"] for a in report.overall} == {"bandwidth", "mean_latency", "p99"}
    assert all(a.within == 1.0 for a in report.groups)
    for overall in report.overall:
        assert overall.mape < (0.3 if overall.keys["metric"] == "p99" else 0.1)
    assert len({row.keys["simulator"] for row in report.rows}) >= 2
    text = json.dumps(report.to_json())
    assert json.loads(text)["kind"] == "memory"


@needs_shared
@needs_numba
def test_rows_with_a_defect_of_the_reference_are_left_out_and_counted(
    tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    defective = [row for row in rows if "defect" in row["note"] or "blocks the whole" in row["note"]]
    report = validate_memory([write(tmp_path / "defects.csv", defective)], SHARED / "configs")
    assert report.rows == ()
    assert sum(report.skipped.values()) == len(defective)


@needs_shared
def test_every_configuration_of_the_reference_is_understood(rows: list[dict[str, str]]) -> None:
    for name in {row["config_id"] for row in rows}:
        system = read_system(SHARED / "configs" / f"{name}.json")
        assert system.name == name
        stated = json.loads((SHARED / "configs" / f"{name}.json").read_text())["peak_gb_s"]
        assert system.peak == pytest.approx(stated * 1e9)


@needs_shared
@needs_numba
@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("trace_hash", "0123456789abcdef", "not those of its trace_hash"),
        ("gen_args", '{"pat": "sideways", "lines": 4}', "unknown request pattern 'sideways'"),
        ("gen_args", "{", "cannot be understood"),
        ("gen_args", '{"pat": "seq", "lines": 4, "colour": 1}', "cannot be understood"),
        ("config_id", "none", "none.json"),
    ],
)
def test_a_row_that_cannot_be_understood_is_one_sentence(
    tmp_path: Path, rows: list[dict[str, str]], column: str, value: str, says: str
) -> None:
    path = write(tmp_path / "bad.csv", [rows[3] | {column: value}])
    with pytest.raises(UserError, match=says) as error:
        validate_memory([path], SHARED / "configs")
    assert "\n" not in str(error.value)


@needs_numba
def test_a_file_without_the_columns_of_a_reference_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"other\.csv: no column 'simulator'"):
        validate_memory([path], tmp_path)
    with pytest.raises(UserError, match=r"absent\.csv"):
        validate_memory([tmp_path / "absent.csv"], tmp_path)


@needs_shared
def test_a_configuration_that_lacks_a_field_is_refused_by_its_path(tmp_path: Path) -> None:
    name = "ram2__hbm3_6.4_pc__HX__q32__open__allbank"
    config = json.loads((SHARED / "configs" / f"{name}.json").read_text())
    (tmp_path / "device.json").write_text((SHARED / "configs" / config["device_file"]).read_text())
    config["device_file"] = "device.json"

    def refused(changed: dict[str, object], says: str) -> None:
        (tmp_path / "c.json").write_text(json.dumps(config | changed))
        with pytest.raises(UserError, match=says):
            read_system(tmp_path / "c.json")

    refused({"channels": "one"}, r"c\.json: 'channels' must be a whole number, found 'one'")
    refused({"queues": {"read_buffer": None}}, "read_transaction_queue")
    refused({"refresh": {"mode": "never", "detail": ""}}, "unknown refresh mode 'never'")
    refused({"mapping": {"spec_lsb_first": "co:9,ro:3"}}, "9 bits to 'co'")
    refused({"write_drain": {"enter_when": "soon", "leave_when": "later"}}, "write_drain.enter_when")


@needs_shared
@needs_numba
def test_a_row_whose_configuration_the_model_does_not_know_is_left_out_with_the_reason(
    tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    name = "ram2__hbm3_6.4_pc__HX__q32__open__allbank"
    config = json.loads((SHARED / "configs" / f"{name}.json").read_text())
    device = json.loads((SHARED / "configs" / config["device_file"]).read_text())
    device["constraints"][0]["level"] = "Module"
    (tmp_path / "device.json").write_text(json.dumps(device))
    (tmp_path / "odd.json").write_text(json.dumps(config | {"device_file": "device.json"}))
    path = write(tmp_path / "rows.csv", [rows[3] | {"config_id": "odd"}])
    report = validate_memory([path], tmp_path)
    assert not report.rows
    ((reason, count),) = report.skipped.items()
    assert count == 1
    assert "unknown level 'Module'" in reason


def test_agreement_is_by_group_and_worst_first() -> None:
    rows = [
        Compared("1", {"pattern": "a"}, 100.0, 101.0, tolerance=0.5),
        Compared("2", {"pattern": "a"}, 100.0, 97.0, tolerance=5.0),
        Compared("3", {"pattern": "b"}, 100.0, 110.0, tolerance=5.0),
    ]
    b, a = agreement(rows, ("pattern",))
    assert (b.keys["pattern"], b.n, b.mape, b.bias, b.within) == ("b", 1, 10.0, 10.0, 0.0)
    assert (a.mape, a.median_ape, a.bias, a.within) == (2.0, 2.0, -1.0, 0.5)
