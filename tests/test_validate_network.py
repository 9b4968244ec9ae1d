"""`bandwall validate network`: measured tables, groups, what is left out, and the promised errors."""

import json
import os
import sys
from pathlib import Path

import pytest

import sim
from sim.cli import execute
from sim.errors import UserError

SHARED = Path(os.environ.get("BANDWALL_SHARED", Path(__file__).parents[1] / "../shared"))
TABLES = [SHARED / "opdata" / "open" / f"{name}.parquet" for name in ("comm", "moe_a2a")]
needs_tables = pytest.mark.skipif(not TABLES[0].is_file(), reason=f"no measured tables in {SHARED}")

COLLECTIVE = {
    "chip": "h100_sxm",
    "op": "all_reduce",
    "dtype": "half",
    "framework": "nccl",
    "version": "2.29.2",
    "kernel": "ccl",
    "num_gpus": 8,
    "bytes": 2**20,
    "latency_us": 25.4,
    "outlier": False,
}
EXCHANGE = {
    "chip": "h100_sxm",
    "op": "deepep_normal_dispatch",
    "dtype": "fp8",
    "framework": "sglang",
    "nodes": 2,
    "hidden_size": 7168,
    "topk": 8,
    "num_experts": 256,
    "num_tokens": 4096,
    "sms": 20,
    "latency_us": 893.0,
    "outlier": False,
}


def table(path: Path, *rows: dict[str, object]) -> Path:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def mean_error(report: sim.NetworkReport, chips: tuple[str, ...], operators: tuple[str, ...]) -> float:
    errors = [
        abs(row.error)
        for row in report.rows
        if row.keys["chip"] in chips and row.keys["operator"].startswith(operators)
    ]
    return sum(errors) / len(errors)


LIBRARY = ("all_reduce", "all_gather", "reduce_scatter", "alltoall")
FITTED = ("a100_sxm", "h100_sxm")


@needs_tables
def test_measured_collectives_and_exchanges_are_met_within_the_bounds_that_the_docs_state() -> None:
    pytest.importorskip("pyarrow")
    report = sim.validate_network(TABLES)
    assert mean_error(report, FITTED, LIBRARY) < 8
    assert mean_error(report, FITTED, ("custom",)) < 7.5
    assert mean_error(report, ("h100_sxm",), ("deepep",)) < 7
    assert mean_error(report, ("h200_sxm",), (*LIBRARY, "custom")) < 10
    assert mean_error(report, ("h200_sxm",), ("deepep",)) < 9
    assert mean_error(report, ("b200_sxm",), (*LIBRARY, "custom", "deepep")) < 14
    for group in report.overall:
        if group.keys["operator"].startswith("deepep"):
            assert group.mape < 14


@needs_tables
def test_each_number_of_nodes_is_met_by_every_exchange() -> None:
    """1-8 nodes of H100: bound by the cores that copy, by the network, by its core."""
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(TABLES[1]).to_pylist()
    report = sim.validate_network([TABLES[1]])
    nodes = {f"{TABLES[1].name}:{i}": row["nodes"] for i, row in enumerate(rows)}
    for count in (1, 2, 4, 8):
        errors = [abs(r.error) for r in report.rows if r.keys["chip"] == "h100_sxm" and nodes[r.id] == count]
        assert sum(errors) / len(errors) < 9


def test_a_row_is_priced_and_named_by_its_keys(tmp_path: Path) -> None:
    of = [table(tmp_path / "c.parquet", COLLECTIVE), table(tmp_path / "x.parquet", EXCHANGE)]
    report = sim.validate_network(of)
    one, other = report.rows
    assert one.keys == {"operator": "all_reduce", "chip": "h100_sxm", "dtype": "half", "stack": "nccl"}
    assert one.simulated == pytest.approx(25.4, rel=0.2)
    assert other.simulated == pytest.approx(893, rel=0.2)


def test_outliers_and_what_cannot_be_priced_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        COLLECTIVE,
        COLLECTIVE | {"outlier": True},
        COLLECTIVE | {"chip": "abacus"},
        COLLECTIVE | {"op": "gossip"},
        COLLECTIVE | {"num_gpus": 80},
    ]
    exchanges = [EXCHANGE, EXCHANGE | {"chip": "abacus"}, EXCHANGE | {"op": "pigeon_post"}]
    report = sim.validate_network(
        [table(tmp_path / "c.parquet", *rows), table(tmp_path / "x.parquet", *exchanges)]
    )
    assert len(report.rows) == 2
    assert report.skipped == {
        "flagged as outlier": 1,
        "no cluster of abacus in the catalogue": 2,
        "no collective 'gossip'": 1,
        "80 chips are more than h100-hgx has": 1,
        "no exchange 'pigeon_post'": 1,
    }


def test_a_kernel_outside_a_graph_takes_at_least_what_the_host_needs_to_start_it(tmp_path: Path) -> None:
    graph = COLLECTIVE | {"op": "custom_all_reduce", "framework": "vllm", "version": "0.14.0"}
    rows = [
        graph | {"kernel": kernel, "bytes": size}
        for kernel in ("vLLM_custom_graph", "vLLM_custom_eager")
        for size in (1024, 2**28)
    ]
    small, large, small_eager, large_eager = (
        row.simulated for row in sim.validate_network([table(tmp_path / "c.parquet", *rows)]).rows
    )
    assert small_eager == pytest.approx(21.3)
    assert small < 6
    assert large_eager - large == pytest.approx(3 + 2 * 2**28 / (0.9 * 3.35e6), rel=0.02)


def test_more_nodes_than_a_leaf_joins_collide_in_its_spine(tmp_path: Path) -> None:
    rows = [EXCHANGE | {"nodes": nodes, "num_tokens": 65536} for nodes in (1, 2, 4, 8)]
    times = [row.simulated for row in sim.validate_network([table(tmp_path / "x.parquet", *rows)]).rows]
    assert times == sorted(times)
    assert times[3] > 2.5 * times[2]


def test_a_superchip_rack_holds_many_nodes_of_four(tmp_path: Path) -> None:
    rows = [EXCHANGE | {"chip": "gb200", "nodes": nodes} for nodes in (1, 8)]
    one, eight = (row.simulated for row in sim.validate_network([table(tmp_path / "x.parquet", *rows)]).rows)
    assert eight < 3 * one


def test_a_table_of_another_kind_is_refused_with_the_columns_it_needs(tmp_path: Path) -> None:
    path = table(tmp_path / "gemm.parquet", {"chip": "h100_sxm", "m": 1})
    with pytest.raises(UserError, match=r"gemm\.parquet: no column 'op'; a table has chip, op"):
        sim.validate_network([path])
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match=r"text\.parquet: cannot be read as parquet"):
        sim.validate_network([tmp_path / "text.parquet"])
    with pytest.raises(UserError, match=r"absent\.parquet: cannot be read as parquet"):
        sim.validate_network([tmp_path / "absent.parquet"])


def test_without_pyarrow_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow: pip install 'bandwall\[parquet\]'"):
        sim.validate_network([Path("c.parquet")])


def test_the_command_prints_groups_and_writes_the_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path / "c.parquet", COLLECTIVE, COLLECTIVE | {"outlier": True})
    assert execute(["validate", "network", str(path), "--json", str(tmp_path / "r.json")]) == 0
    assert "Left out, 1 rows: flagged as outlier" in capsys.readouterr().out
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["kind"] == "network"
    assert record["groups"][0]["operator"] == "all_reduce"
    assert record["skipped"] == [{"reason": "flagged as outlier", "n": 1}]
