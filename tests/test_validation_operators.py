"""`validate operators`: tables read, priced, compared; gates on the analytic model against silicon."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import sim
from sim.errors import UserError
from sim.hardware import load_chip
from sim.timing.measured.bench import Bench
from sim.timing.measured.dense import price_gemms
from sim.timing.measured.experts import benchmark_loads
from sim.timing.measured.parameters import catalogue_name, parameters
from sim.timing.measured.rows import Rows
from sim.validation.agreement import Agreement
from sim.validation.operators import OperatorReport, validate_operators

SHARED = Path(os.environ.get("BANDWALL_SHARED", Path(__file__).parents[1] / "../shared"))
TABLES = SHARED / "opdata" / "open"
needs_tables = pytest.mark.skipif(not TABLES.is_dir(), reason=f"no operator tables in {TABLES}")

GEMM: dict[str, list[object]] = {
    "chip": ["h100_sxm"] * 4,
    "op": ["gemm"] * 4,
    "dtype": ["bfloat16"] * 4,
    "framework": ["trtllm"] * 4,
    "latency_us": [10.0, 20.0, 30.0, 40.0],
    "m": [1, 64, 512, 4096],
    "n": [4096] * 4,
    "k": [4096, 4096, 4096, 64],
    "outlier": [False, False, True, False],
}


def write(path: Path, columns: Mapping[str, list[object]]) -> Path:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table(dict(columns)), path)
    return path


@pytest.fixture(scope="module")
def compared() -> OperatorReport:
    pytest.importorskip("pyarrow")
    return validate_operators(sorted(TABLES.glob("*.parquet")), every=41)


def group(report: OperatorReport, operator: str, chip: str, dtype: str, stack: str) -> Agreement:
    keys = {"operator": operator, "chip": chip, "dtype": dtype, "stack": stack}
    return next(a for a in report.groups if a.keys == keys)


@needs_tables
@pytest.mark.parametrize(
    ("operator", "chip", "dtype", "stack", "bound"),
    [
        ("gemm", "h100", "bfloat16", "trtllm", 9),
        ("gemm", "a100", "bfloat16", "sglang", 12),
        ("gemm", "h100", "fp8", "trtllm", 7),
        ("gemm", "h100", "fp8", "vllm", 10),
        ("gemm", "h100", "fp8", "sglang", 12),
        ("gemm", "h100", "fp8_block", "sglang", 13),
        ("gemm", "h100", "fp8_block", "vllm", 9),
        ("mla_module_decode", "h100", "bfloat16/bfloat16", "vllm", 14),
        ("mla_module_prefill", "h100", "bfloat16/fp8", "vllm", 18),
        ("gemm", "a100", "int4_wo", "trtllm", 16),
        ("attn_prefill", "h100", "bfloat16/bfloat16", "vllm", 12),
        ("attn_prefill", "h100", "fp8/fp8", "trtllm", 14),
        ("attn_decode", "h100", "bfloat16/bfloat16", "vllm", 11),
        ("attn_decode", "h100", "bfloat16/fp8", "sglang", 14),
        ("mla_prefill", "h100", "bfloat16/bfloat16", "trtllm", 12),
        ("mla_decode", "h100", "bfloat16/bfloat16", "trtllm", 14),
        ("mla_decode", "a100", "bfloat16/bfloat16", "trtllm", 14),
        ("moe", "h100", "fp8_block", "trtllm", 14),
        ("moe", "h100", "fp8_block", "sglang", 14),
        ("moe", "a100", "bfloat16", "trtllm", 14),
    ],
)
def test_a_group_of_fitted_rows_stays_near_its_silicon(
    compared: OperatorReport, operator: str, chip: str, dtype: str, stack: str, bound: float
) -> None:
    assert group(compared, operator, chip, dtype, stack).mape < bound


@needs_tables
def test_swapping_the_datasheet_keeps_products_and_attention_near_silicon() -> None:
    pytest.importorskip("pyarrow")
    tables = [TABLES / f"{name}.parquet" for name in ("gemm", "attn_prefill", "mla_prefill")]
    report = validate_operators(tables, parameters_name="family:h100")
    swapped = [row for c in report.compared for row in zip(c.groups.tolist(), c.error.tolist(), strict=True)]
    for operator, bound in (("gemm", 16), ("attn_prefill", 22), ("mla_prefill", 14)):
        for chip in ("h200", "b200"):
            errors = [abs(e) for (o, c, _, s), e in swapped if (o, c, s) == (operator, chip, "trtllm")]
            assert np.mean(errors) < bound


@needs_tables
def test_worst_groups_come_first_and_the_json_is_plain(compared: OperatorReport) -> None:
    errors = [a.mape for a in compared.groups]
    assert errors == sorted(errors, reverse=True)
    found = json.loads(json.dumps(compared.to_json()))
    assert found["kind"] == "operators"
    assert len(found["rows"]) == compared.n
    assert {"id", "operator", "chip", "dtype", "stack", "measured", "simulated"} == set(found["rows"][0])
    assert sum(a.n for a in compared.overall) == sum(a.n for a in compared.groups) == compared.n


@needs_tables
def test_the_page_shows_every_operator_with_its_error(compared: OperatorReport) -> None:
    page = sim.html_operators(compared)
    for a in compared.overall:
        assert f'data-chart="{a.keys["operator"]}"' in page
    assert "flagged as an outlier" in page


@needs_tables
def test_one_row_beyond_a_full_tile_costs_what_it_costs_on_silicon_within_a_factor_of_two() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    filters = [
        ("chip", "==", "h100_sxm"), ("dtype", "==", "bfloat16"), ("outlier", "==", False),
        ("m", "in", [256, 257]), ("n", ">=", 128), ("k", ">=", 128), ("framework", "==", "trtllm"),
    ]  # fmt: skip
    table = parquet.read_table(TABLES / "gemm.parquet", filters=filters).to_pylist()
    rows = {(r["m"], r["n"], r["k"]): r["latency_us"] for r in table}
    shapes = [(n, k) for m, n, k in rows if m == 256 and (257, n, k) in rows]
    measured = np.median([rows[257, n, k] / rows[256, n, k] - 1 for n, k in shapes])

    def simulated(m: int) -> np.ndarray:
        columns = {"m": [m] * len(shapes), "n": [n for n, _ in shapes], "k": [k for _, k in shapes]}
        return price_gemms(gemm_rows(columns), Bench(load_chip("h100")[0]))

    jump = np.median(simulated(257) / simulated(256) - 1)
    assert measured / 2 <= jump <= measured * 2


def gemm_rows(shape: Mapping[str, list[int]], dtype: str = "bfloat16") -> Rows:
    n = len(shape["m"])
    words = {"dtype": dtype, "kv_dtype": "", "framework": "trtllm", "kernel": ""}
    columns = {name: np.array(values) for name, values in shape.items()}
    return Rows("gemm", columns | {name: np.full(n, word) for name, word in words.items()}, np.arange(n))


def test_outliers_and_rows_out_of_scope_are_left_out_and_counted(tmp_path: Path) -> None:
    report = validate_operators([write(tmp_path / "mine.parquet", GEMM)])
    assert report.n == 2
    assert report.skipped == {
        "flagged as an outlier of its series": 1,
        "gemm: product with n or k below 128": 1,
    }
    assert [row["id"] for row in report.to_json()["rows"]] == ["mine.parquet:0", "mine.parquet:1"]


def test_chips_without_profile_and_types_without_arithmetic_are_left_out(tmp_path: Path) -> None:
    chips = ["a30", "a100_sxm", "a100_sxm", "h100_sxm"]
    columns = GEMM | {"chip": chips, "dtype": ["bfloat16", "fp8", "bfloat16", "bfloat16"], "k": [4096] * 4}
    report = validate_operators([write(tmp_path / "mine.parquet", columns)])
    assert report.skipped["no profile of a chip called a30"] == 1
    assert report.skipped["a100 has no arithmetic for fp8"] == 1
    assert report.n == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"latency_us": [1.0, 2.0, 0.0, 3.0]}, "row 2: latency_us must be greater than 0, found 0"),
        ({"m": None}, "lacks the shape columns of any operator"),
        ({"framework": None}, "lacks the column 'framework'"),
    ],
)
def test_a_table_that_cannot_be_understood_is_one_sentence(
    tmp_path: Path, change: Mapping[str, list[object] | None], says: str
) -> None:
    columns = {name: values for name, values in (GEMM | dict(change)).items() if values is not None}
    with pytest.raises(UserError, match=says):
        validate_operators([write(tmp_path / "mine.parquet", columns)])


def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        validate_operators([tmp_path / "text.parquet"])
    with pytest.raises(UserError, match="there is no such file"):
        validate_operators([tmp_path / "none.parquet"])


def test_parameters_say_where_they_come_from() -> None:
    assert parameters("prior").text.startswith("family accelerator for every chip: ")
    assert "family nvidia-hopper of h100" in parameters("family:h100").text
    swapped = parameters("family:h100").bench("b200_sxm")
    assert swapped is not None
    assert swapped.chip.name == "b200"
    assert swapped.family.name == "nvidia-hopper"
    assert swapped.chip.kernels.name == "nvidia-blackwell"
    with pytest.raises(UserError, match="unknown parameters 'mine'"):
        parameters("mine")
    with pytest.raises(UserError, match="unknown chip 'h1000'; did you mean 'h100'"):
        parameters("family:h1000")


@pytest.mark.parametrize(
    ("named", "name"),
    [("h100_sxm", "h100"), ("rtx_pro_6000_server", "rtx-pro-6000"), ("gb200", "gb200"), ("a30", None)],
)
def test_chips_of_tables_are_found_in_the_catalogue(named: str, name: str | None) -> None:
    assert catalogue_name(named) == name


@pytest.mark.parametrize("distribution", ["balanced", "power_law_1.01", "power_law_1.2"])
def test_benchmark_loads_hold_their_pairs_and_give_no_expert_more_than_all_tokens(distribution: str) -> None:
    for tokens in (1, 7, 64, 4096):
        whole = benchmark_loads(distribution, 64, 8, 1, (tokens,))
        assert (whole.pairs == 8 * tokens).all()
        assert (whole.active <= min(64, 8 * tokens)).all()
        busiest = benchmark_loads(distribution, 64, 8, 8, (tokens,))
        assert (busiest.pairs >= tokens).all()
        assert busiest.all_pairs == 8 * tokens


def test_a_repeated_small_product_is_never_slower_than_a_cold_one() -> None:
    bench = Bench(load_chip("h100")[0])
    shape = {"m": [1, 16, 256], "n": [512, 512, 512], "k": [512, 512, 512]}
    repeated = price_gemms(gemm_rows(shape), bench)
    warm = bench.repeated("gemm", "bfloat16", "trtllm", "", 5)
    cold = bench.cold("gemm", "bfloat16", "trtllm", "")
    assert warm.residency is not None
    assert cold.residency is None
    assert (repeated > 0).all()
    moved = np.array([1e5, 1e9])
    assert (warm.from_hbm(moved, moved) <= cold.from_hbm(moved, moved)).all()
    assert warm.from_hbm(moved, moved)[0] == 0.0
