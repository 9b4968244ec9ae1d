"""Fidelity `tables`: measured operators override prices, inside their range and by their ratio beyond it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.cli import execute
from sim.deployment import Deployment
from sim.errors import UserError
from sim.hardware import load_chip
from sim.operators import BatchShape, DecodeAttention, Elementwise, Experts, Gemm, Operator, PrefillAttention
from sim.operators.chunks import chunk_work
from sim.operators.loads import Routing, sample_loads
from sim.operators.operators import Heads
from sim.operators.products import product, quantiser
from sim.timing import PartsTimer, StepSurface, make_timer
from sim.timing.attribution import attribution
from sim.timing.measured.ratios import Ratios
from sim.timing.measured.rows import Rows
from sim.timing.measured.tables import Measured, read_table, to_rows
from sim.timing.measured.timer import StepBench
from tests.chips import deployed
from tests.small_scenario import write_small

H100 = {"chip": "h100_sxm", "framework": "vllm"}
Sizes = Mapping[str, Sequence[float | str]]


def table(op: str, dtype: str, sizes: Sizes, latency_us: Sequence[float], **words: str) -> Measured:
    """A table of one operator, in the columns of measured ones."""
    n = len(latency_us)
    named = {name: np.full(n, word) for name, word in (H100 | {"op": op, "dtype": dtype} | words).items()}
    columns = {name: np.array(column) for name, column in sizes.items()}
    return to_rows(named | columns | {"latency_us": np.array(latency_us, np.float64)}, f"{op}.csv")


def products(latency_us: Sequence[float], rows: Sequence[float], dtype: str = "bfloat16") -> Measured:
    same = [4096.0] * len(rows)
    return table("gemm", dtype, {"m": rows, "n": same, "k": same}, latency_us)


def dense(**changes: str) -> Deployment:
    of = {"weights": "bf16", "activations": "bf16"} | changes
    return deployed("llama-3.1-8b", "h100-hgx", of["weights"], of["activations"])


def timed(tables: Sequence[Measured], deployment: Deployment | None = None) -> PartsTimer:
    return make_timer(deployment or dense(), "tables", tables=tables)


def price(timer: PartsTimer, *operators: Operator) -> float:
    """Microseconds of operators of one case."""
    return 1e6 * sum(float(timer.parts().pricer.price(operator).total[0]) for operator in operators)


def gemm(rows: float, dtype: str = "bf16", columns: int = 4096) -> Gemm:
    return Gemm("p", "", 1, np.array([rows]), 4096, columns, dtype, dtype, dtype)


def analytic(*operators: Operator) -> float:
    return price(make_timer(dense()), *operators)


GROUPED = Heads(32, 8, 128, 128, 2 * 8 * 128, "bf16", "bf16")
LATENT = Heads(16, 1, 576, 512, 576, "bf16", "bf16")
EXPANDED = Heads(16, 16, 192, 128, 16 * 320, "bf16", "bf16")
ATTENTION = {"kv_dtype": "bfloat16"}
GROUPED_SIZES: Sizes = {"num_heads": [32], "num_kv_heads": [8], "head_dim": [128], "window_size": [0]}

MEASURED: dict[str, tuple[Measured, list[Operator]]] = {
    "product": (products([77.0], [64]), [gemm(64)]),
    "product and quantiser": (
        products([77.0], [64], "fp8"),
        [gemm(64, "fp8"), quantiser(gemm(64, "fp8"))],
    ),
    "absorption": (
        table("mla_gen_pre", "bfloat16", {"num_tokens": [32], "num_heads": [16]}, [77.0]),
        [Gemm("absorb_q", "", 1, np.array([32.0]), 128, 512, "bf16", "bf16", "bf16", 16)],
    ),
    "decode": (
        table("attn_decode", "bfloat16", GROUPED_SIZES | {"batch_size": [8], "kv_len_past": [1023]}, [77.0],
              **ATTENTION),
        [DecodeAttention("d", "", 1, np.array([8.0]), np.array([8 * 1024.0]), GROUPED)],
    ),
    "latent decode": (
        table("mla_decode", "bfloat16", {"batch_size": [8], "kv_len_past": [1023], "num_heads": [16]}, [77.0],
              **ATTENTION),
        [DecodeAttention("d", "", 1, np.array([8.0]), np.array([8 * 1024.0]), LATENT, latent=True)],
    ),
    "prefill": (
        table("attn_prefill", "bfloat16", GROUPED_SIZES | {"batch_size": [2], "isl": [1024]}, [77.0],
              **ATTENTION),
        [PrefillAttention("p", "", 1, chunk_work([(1024, 0)] * 2), GROUPED)],
    ),
    "latent prefill": (
        table("mla_prefill", "bfloat16", {"batch_size": [1], "isl": [1024], "num_heads": [16]}, [77.0],
              **ATTENTION),
        [PrefillAttention("p", "", 1, chunk_work([(1024, 0)]), EXPANDED, expanded=True)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", MEASURED)
def test_where_a_row_was_measured_a_step_takes_what_was_measured(which: str) -> None:
    measured, operators = MEASURED[which]
    timer = timed([measured])
    assert price(timer, *operators) == pytest.approx(77.0, rel=1e-9)
    assert {timer.parts().pricer.priced_by(o) for o in operators} == {f"table {measured.name}"}
    if isinstance(operators[0], PrefillAttention):
        assert timer.parts().pricer.prefill(operators[0]) == pytest.approx(77e-6, rel=1e-9)


@given(st.floats(1.0, 6.0))
def test_between_two_points_the_ratio_lies_between_theirs(octaves: float) -> None:
    timer = timed([products([20.0, 900.0], [2, 64])])
    low, high = (price(timer, gemm(rows)) / analytic(gemm(rows)) for rows in (2.0, 64.0))
    between = price(timer, gemm(2.0**octaves)) / analytic(gemm(2.0**octaves))
    assert min(low, high) - 1e-9 <= between <= max(low, high) + 1e-9


def test_between_two_points_of_an_even_error_the_price_lies_between_theirs() -> None:
    timer = timed([products([20.0, 900.0], [2, 64])])
    assert 20.0 < price(timer, gemm(16)) < 900.0


@pytest.mark.parametrize(("rows", "columns"), [(1, 4096), (4096, 4096), (64, 1024), (8192, 65536)])
def test_beyond_what_was_measured_the_ratio_of_the_nearest_border_holds(rows: float, columns: int) -> None:
    timer = timed([products([20.0, 900.0], [8, 64])])
    border = gemm(8.0 if rows < 8 else 64.0)
    asked = gemm(rows, columns=columns)
    ratio = price(timer, border) / analytic(border)
    assert price(timer, asked) == pytest.approx(ratio * analytic(asked), rel=1e-9)
    assert timer.parts().pricer.priced_by(asked) == "border of gemm.csv"


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 4096), st.sampled_from([128, 1000, 4096]), st.floats(1e-2, 1e5)),
        min_size=1,
        max_size=30,
    ),
    st.integers(1, 100_000),
    st.integers(1, 100_000),
)
def test_a_price_never_leaves_the_ratios_that_were_measured(
    points: list[tuple[int, int, float]], rows: int, columns: int
) -> None:
    m, n, latency = (list(column) for column in zip(*points, strict=True))
    measured = table("gemm", "bfloat16", {"m": m, "n": n, "k": [4096] * len(m)}, latency)
    timer = timed([measured])
    found = price(timer, gemm(rows, columns=columns)) / analytic(gemm(rows, columns=columns))
    ratios = measured.rows.numbers("latency_us") * 1e-6 / _priced(measured.rows)
    assert ratios.min() * (1 - 1e-9) <= found <= ratios.max() * (1 + 1e-9)


def _priced(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return Ratios(rows, StepBench(load_chip("h100")[0], running=dense().kernels)).price(rows)


def test_of_several_kernels_that_measured_a_shape_the_fastest_counts() -> None:
    assert price(timed([products([90.0, 60.0, 70.0], [64, 64, 64])]), gemm(64)) == pytest.approx(60.0)


def test_a_shape_between_series_weighs_the_nearer_more() -> None:
    sizes = {"m": [64.0, 64.0], "n": [2048.0, 8192.0], "k": [4096.0, 4096.0]}
    fast, slow = 0.5e6 * _priced(table("gemm", "bfloat16", sizes, [1.0, 1.0]).rows)
    timer = timed([table("gemm", "bfloat16", sizes, [fast, 4 * slow])])
    near, far = (price(timer, gemm(64, columns=c)) / analytic(gemm(64, columns=c)) for c in (2300, 7000))
    assert 0.5 < near < 1.0 < far < 2.0


FOREIGN = {
    "an empty table": products([], []),
    "another chip": table("gemm", "bfloat16", {"m": [64], "n": [4096], "k": [4096]}, [77.0], chip="a100_sxm"),
    "another stack": table(
        "gemm", "bfloat16", {"m": [64], "n": [4096], "k": [4096]}, [77.0], framework="sglang"
    ),
    "links": table("all_reduce", "bfloat16", {"num_gpus": [2], "bytes": [1024]}, [77.0]),
}


@pytest.mark.parametrize("which", FOREIGN)
def test_tables_of_something_else_change_nothing(which: str) -> None:
    batch = BatchShape(8, 8 * 500, (), ((300, 100),))
    plain, tables = make_timer(dense()).explain(batch), timed([FOREIGN[which]]).explain(batch)
    assert tables.total == plain.total
    assert {operator.source for operator in tables.operators} == {"analytic", "tables"} - {"tables"}


def test_a_microbenchmark_stands_for_every_engine_and_a_chip_may_be_named_as_its_profile() -> None:
    own = table(
        "gemm", "bfloat16", {"m": [64], "n": [4096], "k": [4096]}, [77.0], framework="torch", chip="h100"
    )
    assert price(timed([own]), gemm(64)) == pytest.approx(77.0)


def test_two_files_of_one_operator_are_one_table() -> None:
    timer = timed([products([20.0], [8]), products([900.0], [64])])
    assert (price(timer, gemm(8)), price(timer, gemm(64))) == pytest.approx((20.0, 900.0))


def test_what_no_table_measures_is_priced_by_its_like_and_says_so() -> None:
    timer = timed([MEASURED["decode"][0], MEASURED["prefill"][0]])
    drafts = DecodeAttention("d", "", 1, np.array([8.0]), np.array([8 * 1024.0]), GROUPED, queries=2)
    cached = PrefillAttention("p", "", 1, chunk_work([(512, 512)]), GROUPED)
    assert timer.parts().pricer.priced_by(drafts) == "border of attn_decode.csv"
    assert timer.parts().pricer.priced_by(cached) == "border of attn_prefill.csv"


@pytest.mark.parametrize(
    "operator",
    [
        Elementwise("norm", "", 1, np.ones(1), 100.0, 100.0),
        Gemm("b", "", 1, np.ones(1), 64, 64, "bf16", "bf16", "bf16", 4),
        DecodeAttention("i", "", 1, np.ones(1), np.ones(1), Heads(64, 1, 128, 0, 128, "bf16", "bf16")),
        DecodeAttention("l", "", 1, np.ones(1), np.ones(1), Heads(64, 1, 96, 64, 96, "bf16", "bf16"), True),
        PrefillAttention("i", "", 1, chunk_work([(64, 0)]), Heads(64, 1, 128, 0, 128, "bf16", "bf16")),
    ],
)
def test_operators_that_no_table_has_stay_analytic(operator: Operator) -> None:
    timer = timed([measured for measured, _ in MEASURED.values()])
    assert timer.parts().pricer.priced_by(operator) == "analytic"
    assert price(timer, operator) == analytic(operator)


def experts(dp: bool, ep: int) -> Experts:
    loads = sample_loads(Routing(8, 2, ep), (64,))
    return Experts("e", "", 1, loads, 4096, 1024, True, "bf16", "bf16", "bf16", gathered=not dp)


def experts_table(kernel: str) -> Measured:
    sizes: Sizes = {
        "num_tokens": [64], "hidden_size": [4096], "inter_size": [1024], "topk": [2], "num_experts": [8],
        "moe_tp_size": [1], "moe_ep_size": [4], "distribution": ["balanced"], "kernel": [kernel],
    }  # fmt: skip
    return table("moe", "bfloat16", sizes, [500.0])


def test_experts_keep_their_own_loads_and_take_the_error_of_measured_ones() -> None:
    measured = experts_table("vllm_cutlass")
    ratio = 500e-6 / _priced(measured.rows)[0]
    for dp in (False, True):
        assert price(timed([measured]), experts(dp, 4)) == pytest.approx(ratio * analytic(experts(dp, 4)))


def test_kernels_that_go_through_all_ranks_pairs_say_nothing_of_tokens_that_were_sent() -> None:
    timer = timed([experts_table("vllm_unquantizedfusedmoe_triton_tritonexperts")])
    assert timer.parts().pricer.priced_by(experts(False, 4)) == "table moe.csv"
    assert timer.parts().pricer.priced_by(experts(True, 4)) == "analytic"


def test_experts_with_two_matrices_are_priced_by_their_kind_only() -> None:
    timer = timed([experts_table("moe_torch_flow_nongated")])
    assert timer.parts().pricer.priced_by(experts(False, 4)) == "analytic"


def test_of_two_fp8_tables_that_with_the_deployments_scales_counts() -> None:
    sizes: Sizes = {"m": [64], "n": [4096], "k": [4096]}
    both = [table("gemm", name, sizes, [us], framework="torch") for name, us in SCALED.items()]
    narrow = dense(weights="fp8", activations="fp8")
    of = product("p", "", 1, np.array([64.0]), 4096, 4096, "fp8", narrow.precision)
    for scales, us in (("tensor", 77.0), ("block", 99.0)):
        deployment = replace(narrow, precision=replace(narrow.precision, fp8_scales=scales))
        assert price(timed(both, deployment), *of) == pytest.approx(us)
        assert price(timed(both[:1], deployment), *of) == pytest.approx(77.0)


SCALED = {"fp8": 77.0, "fp8_block": 99.0}


def fine_table() -> Measured:
    """Products of many shapes whose error swings between half and double."""
    shapes = [(float(m), float(n), float(k)) for m in (1, 8, 60, 300, 2000, 9000) for n in (1000, 9000)
              for k in (3000, 20_000)]  # fmt: skip
    m, n, k = (list(column) for column in zip(*shapes, strict=True))
    rows = table("gemm", "bfloat16", {"m": m, "n": n, "k": k}, [1.0] * len(m)).rows
    swing = 2.0 ** np.cos(np.log(rows.numbers("m")) + np.log(rows.numbers("k")))
    return table("gemm", "bfloat16", {"m": m, "n": n, "k": k}, (1e6 * swing * _priced(rows)).tolist())


@settings(max_examples=30)
@given(st.integers(1, 256), st.integers(1, 20_000), st.integers(0, 4000))
def test_surface_and_breakdown_agree_with_the_timer_and_causes_sum_to_the_step(
    decodes: int, context: int, new: int
) -> None:
    timer, surface = FINE
    batch = BatchShape(decodes, decodes * context, (), ((new, 0),) if new else ())
    seconds = float(timer.durations(batch)[0])
    sums = (decodes * context,)
    tabled = surface.mixed(decodes, sums, batch.chunks) if new else surface.segment(decodes, sums, (0,))[0]
    assert tabled == pytest.approx(seconds, rel=2e-3)
    step = timer.explain(batch)
    assert step.total == pytest.approx(seconds, rel=1e-9)
    assert sum(attribution(step.operators).values()) == pytest.approx(step.total, rel=1e-9)


FINE = (timed([fine_table()]), StepSurface(timed([fine_table()])))

CSV = """\
chip,op,dtype,framework,m,n,k,latency_us,outlier
h100_sxm,gemm,fp8,vllm,1,4096,4096,9.0,false
h100_sxm,gemm,fp8,vllm,64,4096,4096,11.0,false
h100_sxm,gemm,fp8,vllm,64,4096,4096,1.0,true
"""


def scenario(folder: Path, **replaced: str) -> Path:
    (folder / "gemm.csv").write_text(CSV)
    path = write_small(folder)
    text = path.read_text() + "fidelity: tables\ntables: [gemm.csv]\n"
    for old, new in replaced.items():
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_a_run_says_what_share_of_its_time_the_tables_price(tmp_path: Path) -> None:
    outcome = sim.simulate(sim.load(scenario(tmp_path)))
    (note,) = (note for note in outcome.summary.notes if "tables" in note)
    assert note.startswith("Measured tables price ")
    assert outcome.summary.breakdown is not None
    shares = outcome.summary.breakdown.by_source
    assert set(shares) == {"analytic", "border of gemm.csv"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert outcome.summary.values["output_throughput"] != pytest.approx(
        sim.simulate(sim.load(scenario(tmp_path), ["fidelity=analytic"])).summary.values["output_throughput"]
    )


def test_a_run_says_so_where_no_row_fits(tmp_path: Path) -> None:
    outcome = sim.simulate(sim.load(scenario(tmp_path, h100="a100", fp8="bf16")))
    assert any(note.startswith("No row of the tables is of this chip") for note in outcome.summary.notes)


def test_the_resolved_scenario_finds_its_tables_from_where_it_lies(tmp_path: Path) -> None:
    loaded = sim.load(scenario(tmp_path), ["tables=[gemm.csv, 'aiconfigurator:h100_sxm']"])
    (tmp_path / "results").mkdir()
    loaded.write_resolved(tmp_path / "results" / "resolved.yaml")
    again = sim.load(tmp_path / "results" / "resolved.yaml")
    assert again.spec.tables == ("../gemm.csv", "aiconfigurator:h100_sxm")


def test_explain_names_the_source_of_every_operator(tmp_path: Path) -> None:
    step = sim.explain(sim.load(scenario(tmp_path)), decode=4, context=100)
    sources = {
        operator["name"]: operator["source"]
        for operator in json.loads(json.dumps(step.to_json()))["operators"]
    }
    assert sources["o"] == sources["o_quantise"] == "border of gemm.csv"
    assert sources["norm"] == sources["host"] == "analytic"
    assert sum(step.priced_by.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["tables=[]"], "small.yaml: fidelity: tables needs measured tables"),
        (["fidelity=event"], "tables: fidelity event simulates kernels"),
        (["tables=[absent.csv]"], "tables: cannot read"),
        (["tables=[absent.parquet]"], "absent.parquet"),
        (["tables=[small.yaml]"], "small.yaml"),
    ],
)
def test_a_mistake_with_tables_is_one_sentence(tmp_path: Path, sets: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        sim.explain(sim.load(scenario(tmp_path), sets))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no measured table, it lacks the column 'chip'"),
        (CSV.replace(",m,", ",rows,"), "it lacks the shape columns of any operator"),
        (CSV.replace("9.0", "fast"), "the column 'latency_us' must hold numbers, found 'fast'"),
        (CSV.replace("9.0", "-9"), "row 0: latency_us must be greater than 0"),
        (CSV + "1,2\n", "5: 9 columns are expected, found 2"),
        ("", "it lacks the column 'chip'"),
    ],
)
def test_a_table_of_other_columns_is_refused_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_table(tmp_path / "t.csv")


def test_csv_and_parquet_hold_the_same_table(tmp_path: Path) -> None:
    arrow, csv = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow.csv")
    (tmp_path / "t.csv").write_text(CSV)
    arrow.write_table(csv.read_csv(tmp_path / "t.csv"), tmp_path / "t.parquet")
    one, other = read_table(tmp_path / "t.csv"), read_table(tmp_path / "t.parquet")
    assert (one.outliers, one.rows.n) == (other.outliers, other.rows.n) == (1, 2)
    for name in ("m", "n", "k", "latency_us"):
        assert one.rows.numbers(name).tolist() == other.rows.numbers(name).tolist()
    assert one.rows.words("dtype").tolist() == other.rows.words("dtype").tolist()


def test_explain_prints_who_priced_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["explain", str(scenario(tmp_path)), "--decode", "4", "--context", "100"]) == 0
    printed = capsys.readouterr().out
    assert "priced" in printed
    assert "border" in printed
    assert "Measured tables price 0.0 % of the time inside what they measured" in " ".join(printed.split())
