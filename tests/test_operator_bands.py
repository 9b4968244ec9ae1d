"""Bands of `validate operators`, and tables of chips that nobody measured before."""

import math
from pathlib import Path

import numpy as np
import pytest

from sim.calibration import calibrate
from sim.errors import UserError
from sim.timing.measured.parameters import parameters
from sim.validation.operators import validate_operators
from sim.validation.operators.bands import DrawnChip

OWN_NPU = Path(__file__).parents[1] / "examples" / "own-npu" / "npu.yaml"
COLUMNS = "chip,op,dtype,framework,m,n,k,latency_us"


def products(path: Path, chip: str, times: list[float], dtype: str = "bfloat16") -> Path:
    """A table of products of 1 to 4,096 rows."""
    rows = [f"{chip},gemm,{dtype},x,{m},4096,4096,{t!r}" for m, t in zip((1, 64, 4096), times, strict=True)]
    path.write_text("\n".join([COLUMNS, *rows]))
    return path


def test_bands_hold_what_the_model_says_and_nothing_far_from_it(tmp_path: Path) -> None:
    def compared(times: list[float], samples: int = 16):
        return validate_operators([products(tmp_path / "mine.csv", "h100_sxm", times)], samples=samples)

    without = compared([10.0, 20.0, 30.0], samples=0)
    assert all(math.isnan(a.within) for a in without.overall)
    own = np.concatenate([1e6 * c.simulated for c in without.compared])
    assert [a.within for a in compared(own.tolist()).overall] == [1.0]
    assert [a.within for a in compared((20 * own).tolist()).overall] == [0.0]
    edges = (1.3 * own).tolist()
    assert compared(edges).to_json()["overall"] == compared(edges).to_json()["overall"]


@pytest.mark.parametrize("choice", ["prior", "family:h100"])
def test_kernels_of_others_are_drawn_from_their_own_ranges(choice: str) -> None:
    drawn = DrawnChip(parameters(choice), 4, "b200_sxm").benches
    assert len({bench.family.gemm_launch for bench in drawn}) == 4
    assert {bench.chip.name for bench in drawn} == {"b200"}


@pytest.mark.parametrize(
    ("named", "name"), [("b60", "arc-pro-b60"), ("mi300x", "mi300x"), ("tpu_v6e", "tpu-v6e")]
)
def test_chips_without_a_measured_family_are_compared_and_banded(
    tmp_path: Path, named: str, name: str
) -> None:
    report = validate_operators([products(tmp_path / "mine.csv", named, [9.0, 9.0, 400.0])], samples=8)
    assert {a.keys["chip"] for a in report.groups} == {name}
    assert all(0.0 <= a.within <= 1.0 for a in report.groups)


def test_a_chip_of_the_users_own_is_found_by_its_profile(tmp_path: Path) -> None:
    table = products(tmp_path / "mine.csv", "My_NPU", [9.0, 9.0, 400.0])
    assert validate_operators([table]).skipped["no profile of a chip called My_NPU"] == 3
    report = validate_operators([table], parameters_name=str(OWN_NPU), samples=8)
    assert {a.keys["chip"] for a in report.groups} == {"my-npu"}
    calibration, text = calibrate([table], str(OWN_NPU))
    assert calibration.chip == "my-npu"
    assert "basis: measured" in text


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("b60,gemm,bfloat16,x,1,4096,4096,", "latency_us"),
        ("b60,gemm,bfloat16,x,one,4096,4096,9.0", "the column 'm' must hold numbers, found 'one'"),
        ("b60,gemm,bfloat16,x,1,4096,4096", "8 columns are expected, found 7"),
    ],
)
def test_a_row_with_something_missing_is_one_sentence(tmp_path: Path, line: str, says: str) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(f"{COLUMNS}\n{line}\n")
    with pytest.raises(UserError, match=says) as caught:
        validate_operators([table])
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(UserError, match=says):
        calibrate([table], "arc-pro-b60")


def test_types_a_chip_does_not_compute_in_are_counted_and_calibrate_nothing(tmp_path: Path) -> None:
    table = products(tmp_path / "mine.csv", "b60", [9.0, 9.0, 400.0], dtype="nvfp4")
    report = validate_operators([table], samples=4)
    assert report.n == 0
    assert sum(report.skipped.values()) == 3
    with pytest.raises(UserError, match="no row of these tables can calibrate arc-pro-b60"):
        calibrate([table], "arc-pro-b60")
