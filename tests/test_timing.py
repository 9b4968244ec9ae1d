"""Timers: the invariants of both fidelities, and the mechanisms of the analytic one."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.deployment import Deployment
from sim.hardware.chip import Chip
from sim.models.accounting import active_params
from sim.operators import BatchShape, Gemm
from sim.timing import CALM, Conditions, PartsTimer, StepSurface, make_timer
from sim.timing.parts import LOAD_GRID
from sim.timing.products import price_gemm
from sim.timing.rates import rates
from tests.chips import axk1, cluster, deployed, llama

DEPLOYMENTS: dict[str, Callable[[], Deployment]] = {
    "llama": llama,
    "axk1": axk1,
    "windows": lambda: deployed("gpt-oss-120b", "h200-hgx", tp=2, ep=2),
    "recurrent": lambda: deployed("qwen3-next-80b-a3b", "h200-hgx", tp=2, ep=2),
    "sparse": lambda: deployed("deepseek-v3.2", "h200-hgx", "fp8", "fp8", tp=8, ep=8),
    "ranks": lambda: deployed("qwen3-235b-a22b", "h200-hgx", tp=2, dp=4, ep=8),
    "stages": lambda: deployed("llama-3.1-70b", "a100-hgx", tp=2, pp=3),
    "servers": lambda: deployed("deepseek-v3", "h100-hgx-x4", "fp8", "fp8", dp=32, ep=32),
    "npu": lambda: deployed("ax-k1", "rebel100-server", "fp8", "fp8", tp=8, ep=8),
    "context": lambda: deployed("ax-k1", "h200-hgx", "fp8", "fp8", tp=4, pcp=2, dcp=4, ep=8),
    "unpacked": lambda: deployed("llama-2-7b", "a100-hgx", "int4", "bf16"),
}
names = st.sampled_from(sorted(DEPLOYMENTS))


@cache
def timer(name: str, fidelity: str = "analytic") -> PartsTimer:
    return make_timer(DEPLOYMENTS[name](), "roofline" if fidelity == "roofline" else "analytic")


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, BatchShape]:
    name = draw(names)
    decodes, mean = draw(st.integers(0, 256)), draw(st.integers(1, 20_000))
    chunk = st.tuples(st.integers(1, 4096), st.integers(0, 20_000))
    chunks = draw(st.lists(chunk, min_size=0 if decodes else 1, max_size=3))
    windowed = tuple(decodes * min(mean, w) for w in timer(name).windows)
    return name, BatchShape(decodes, decodes * mean, windowed, tuple(chunks))


def seconds(of: PartsTimer, batch: BatchShape, conditions: Conditions = CALM) -> float:
    return float(of.durations(batch, 1, conditions)[0])


def on(chip: Chip, deployment: Deployment) -> Deployment:
    return replace(deployment, cluster=replace(deployment.cluster, chip=chip))


@settings(max_examples=120, deadline=None)
@given(batches())
def test_no_operator_and_no_step_is_faster_than_its_speed_of_light(case: tuple[str, BatchShape]) -> None:
    name, batch = case
    explained = timer(name).explain(batch)
    for operator in explained.operators:
        assert operator.time >= operator.light * (1 - 1e-9), operator
    assert explained.total >= explained.serial >= explained.light > 0


@settings(max_examples=60, deadline=None)
@given(batches())
def test_the_rooflines_step_is_the_analytic_timers_serial(case: tuple[str, BatchShape]) -> None:
    name, batch = case
    assert seconds(timer(name, "roofline"), batch) == pytest.approx(timer(name).explain(batch).serial)


@pytest.mark.parametrize("fidelity", ["analytic", "roofline"])
@settings(max_examples=60, deadline=None)
@given(case=batches())
def test_an_explanation_adds_up_to_the_duration_by_operator_and_by_resource(
    fidelity: str, case: tuple[str, BatchShape]
) -> None:
    name, batch = case
    explained = timer(name, fidelity).explain(batch)
    assert explained.total == pytest.approx(seconds(timer(name, fidelity), batch))
    for operator in explained.operators:
        assert sum(operator.parts.values()) == pytest.approx(operator.time)
        assert min(operator.parts.values()) >= -1e-12
    assert len({(o.name, o.group) for o in explained.operators}) == len(explained.operators)


@settings(max_examples=60, deadline=None)
@given(batches(), st.integers(1, 5000))
def test_a_longer_context_never_makes_a_decode_step_faster(case: tuple[str, BatchShape], longer: int) -> None:
    name, batch = case
    more = replace(
        batch,
        context=batch.context + longer * batch.decodes,
        windowed=tuple(
            min(w * batch.decodes, s + longer * batch.decodes)
            for w, s in zip(timer(name).windows, batch.windowed, strict=True)
        ),
    )
    for fidelity in ("analytic", "roofline"):
        assert seconds(timer(name, fidelity), more) >= seconds(timer(name, fidelity), batch) * (1 - 1e-12)


@settings(max_examples=60, deadline=None)
@given(names, st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 5000))
def test_a_longer_chunk_never_takes_less(name: str, new: int, more: int, past: int) -> None:
    short, long = BatchShape(chunks=((new, past),)), BatchShape(chunks=((new + more, past),))
    assert seconds(timer(name), long) >= seconds(timer(name), short) * 0.999


@settings(max_examples=40, deadline=None)
@given(batches(), st.sampled_from(["hbm", "peak", "links", "clock"]), st.floats(1.0, 3.0))
def test_faster_memory_arithmetic_or_links_never_slow_a_step(
    case: tuple[str, BatchShape], what: str, factor: float
) -> None:
    name, batch = case
    deployment = DEPLOYMENTS[name]()
    chip = deployment.cluster.chip
    faster = {
        "hbm": lambda: on(
            replace(chip, memory=replace(chip.memory, bandwidth=chip.memory.bandwidth * factor)), deployment
        ),
        "peak": lambda: on(
            replace(
                chip,
                compute=replace(chip.compute, peak={d: p * factor for d, p in chip.compute.peak.items()}),
            ),
            deployment,
        ),
        "links": lambda: replace(
            deployment,
            cluster=replace(
                deployment.cluster,
                tiers=tuple(
                    replace(t, bandwidth=t.bandwidth * factor, reduction=t.reduction * factor)
                    for t in deployment.cluster.tiers
                ),
            ),
        ),
        "clock": lambda: deployment,
    }[what]()
    conditions = Conditions(clock=factor) if what == "clock" else CALM
    for fidelity in ("analytic", "roofline"):
        improved = make_timer(faster, "roofline" if fidelity == "roofline" else "analytic")
        assert seconds(improved, batch, conditions) <= seconds(timer(name, fidelity), batch) * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(batches(), st.floats(0.0, 0.9))
def test_what_others_take_of_hbm_and_links_is_missing(case: tuple[str, BatchShape], taken: float) -> None:
    name, batch = case
    calm = seconds(timer(name), batch)
    assert seconds(timer(name), batch, Conditions(hbm_taken=taken)) >= calm
    assert seconds(timer(name), batch, Conditions(link_taken=taken)) >= calm


@settings(max_examples=30, deadline=None)
@given(batches(), st.integers(2, 40))
def test_later_steps_are_decode_steps_with_one_more_token_each(case: tuple[str, BatchShape], k: int) -> None:
    name, batch = case
    if not batch.decodes:
        return
    run = timer(name).durations(batch, k)
    last = replace(
        batch,
        context=batch.context + (k - 1) * batch.decodes,
        windowed=tuple(
            min(s + (k - 1) * batch.decodes, w * batch.decodes)
            for w, s in zip(timer(name).windows, batch.windowed, strict=True)
        ),
        chunks=(),
    )
    assert run[-1] == pytest.approx(seconds(timer(name), last))
    assert (np.diff(run[1:]) >= 0).all()


def test_a_decode_batch_is_padded_to_the_next_captured_graph() -> None:
    deployment = llama()
    padded = make_timer(replace(deployment, host=replace(deployment.host, graph_sizes=(4, 64))))
    exact = make_timer(replace(deployment, host=replace(deployment.host, graph_sizes=())))

    def projections(of: PartsTimer, decodes: int) -> float:
        rows = of.explain(BatchShape(decodes, decodes * 100)).operators
        return next(o.flops for o in rows if o.name == "ffn_up")

    assert projections(padded, 5) == projections(exact, 64)
    assert projections(padded, 65) == projections(exact, 65)


def test_the_host_costs_what_the_engine_says_and_the_roofline_has_none() -> None:
    deployment = llama()
    slow = replace(deployment, host=replace(deployment.host, fixed=1.0, per_sequence=0.5))
    batch = BatchShape(4, 400)
    host = next(o for o in make_timer(slow).explain(batch).operators if o.name == "host")
    assert host.time == 3.0
    assert seconds(make_timer(slow, "roofline"), batch) < 1.0


def test_prefill_flops_approach_two_per_active_weight_and_token() -> None:
    deployment = llama()
    explained = timer("llama").explain(BatchShape(chunks=((2048, 0),)))
    products = sum(o.flops for o in explained.operators if o.group in ("attention", "dense_ffn"))
    weights = active_params(deployment.model) - 2 * deployment.model.vocab * deployment.model.hidden
    assert products == pytest.approx(2 * 2048 * weights, rel=0.1)


def test_one_more_row_than_a_tile_holds_costs_a_step() -> None:
    """Measured on H100 (median over shapes): m 256 → 257 costs 5 %; here one shape within its spread."""
    chip = rates(cluster("h100-hgx").chip, CALM)
    rows = np.array([255.0, 256.0, 257.0])
    time = price_gemm(Gemm("x", "x", 1, rows, 8192, 8192, "bf16", "bf16", "bf16"), chip).total
    assert time[2] - time[1] > 5 * (time[1] - time[0])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 200), st.integers(1, 200))
def test_a_product_never_gets_faster_with_more_rows(rows: int, inner: int, columns: int) -> None:
    chip = rates(cluster("h100-hgx").chip, CALM)
    cases = np.array([rows, rows + 1.0, rows + 64.0])
    gemm = Gemm("x", "x", 1, cases, 64 * inner, 64 * columns, "fp8", "fp8", "fp8")
    assert (np.diff(price_gemm(gemm, chip).total) >= -1e-15).all()


def test_a_skinny_product_reads_its_weights_at_the_kernels_share_of_bandwidth() -> None:
    chip = rates(cluster("h100-hgx").chip, CALM)
    gemm = Gemm("x", "x", 1, np.array([1.0]), 16384, 16384, "bf16", "bf16", "bf16")
    time = price_gemm(gemm, chip).total[0] - chip.kernels.gemm_launch
    floor = gemm.hbm_bytes[0] / (chip.kernels.gemm_hbm * chip.hbm)
    assert floor <= time <= 1.15 * floor


def test_narrow_weights_unpacked_to_the_activations_type_cost_more_arithmetic_but_fewer_bytes() -> None:
    chip = rates(cluster("a100-hgx").chip, CALM)

    def time(rows: float, weights: str) -> float:
        gemm = Gemm("x", "x", 1, np.array([rows]), 8192, 8192, weights, "bf16", "bf16")
        return float(price_gemm(gemm, chip).total[0])

    assert time(1, "int4") < time(1, "bf16")
    assert time(8192, "int4") > time(8192, "bf16")


def test_expert_time_is_linear_between_the_nodes_of_its_grid() -> None:
    parts = timer("axk1").parts()
    low, high = LOAD_GRID[30], LOAD_GRID[31]
    middle = (low + high) // 2
    share = (middle - low) / (high - low)
    expected = (1 - share) * parts.shared(low) + share * parts.shared(high)
    assert parts.shared(middle) == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60_000), st.integers(1, 4000))
def test_more_tokens_never_make_the_experts_faster(tokens: int, more: int) -> None:
    for name in ("axk1", "ranks", "servers"):
        parts = timer(name).parts()
        assert parts.shared(tokens + more) >= parts.shared(tokens)


def test_skewed_draws_of_another_epoch_cost_something_else() -> None:
    batch = BatchShape(64, 6400)
    assert seconds(timer("axk1"), batch, Conditions(epoch=3)) != seconds(timer("axk1"), batch)


# Each figure of a family's kernels that no other test moves, made worse, and a deployment that shows it.
WORSE = {
    "tile_latency": ("axk1", 3.0),
    "gemm_core_hbm": ("axk1", 0.5),
    "gemm_step": ("llama", 10.0),
    "quant_row": ("axk1", 100.0),
    "core_fill": ("llama", 3.0),
    "moe_io_ops": ("unpacked experts", 3.0),
    "gemm_unpack": ("unpacked", 3.0),
    "moe_unpack": ("unpacked experts", 3.0),
    "prefill_tile_latency": ("llama", 3.0),
    "decode_core_hbm": ("llama", 0.5),
}


@pytest.mark.parametrize("figure", WORSE)
def test_a_worse_figure_of_the_kernels_slows_some_operator_and_speeds_up_none(figure: str) -> None:
    name, factor = WORSE[figure]
    experts = deployed("qwen3-30b-a3b", "h100-hgx", "int4", "bf16", tp=2, ep=2)
    deployment = experts if name == "unpacked experts" else DEPLOYMENTS[name]()
    chip = deployment.cluster.chip
    kernels = replace(chip.kernels, **{figure: factor * getattr(chip.kernels, figure)})
    better, worse = make_timer(deployment), make_timer(on(replace(chip, kernels=kernels), deployment))
    slower: set[str] = set()
    for batch in (BatchShape(1, 300), BatchShape(64, 64_000), BatchShape(chunks=((4000, 0),))):
        for one, other in zip(better.explain(batch).operators, worse.explain(batch).operators, strict=True):
            assert other.time >= one.time * (1 - 1e-12), one
            if other.time > one.time * 1.0001:
                slower.add(one.group)
    assert slower
    if figure.startswith("moe"):
        assert slower == {"experts"}


def test_a_timer_is_pure() -> None:
    batch = BatchShape(17, 20_000, (), ((300, 40), (2, 900)))
    first = seconds(timer("axk1"), batch)
    seconds(timer("axk1"), BatchShape(200, 100_000))
    assert seconds(timer("axk1"), batch) == first == seconds(make_timer(axk1()), batch)


@pytest.mark.parametrize(
    ("slower", "faster"), [("a100-hgx", "h100-hgx"), ("h100-hgx", "h200-hgx"), ("rngd-server", "h200-hgx")]
)
def test_a_better_chip_serves_the_same_step_faster(slower: str, faster: str) -> None:
    for batch in (BatchShape(32, 64_000), BatchShape(chunks=((2048, 0),))):
        assert seconds(make_timer(llama(faster)), batch) < seconds(make_timer(llama(slower)), batch)


def test_four_bit_weights_under_eight_bit_activations_are_unpacked_only_where_engines_do_not_mix_them() -> (
    None
):
    def slower_than_fp8(chip: Chip) -> bool:
        of = rates(chip, CALM)
        rows = np.array([4096.0])
        plain = Gemm("x", "x", 1, rows, 8192, 8192, "fp8", "fp8", "fp8")
        stored = replace(plain, weights="fp4")
        return bool(price_gemm(stored, of).total[0] > price_gemm(plain, of).total[0])

    assert slower_than_fp8(cluster("h100-hgx").chip)
    assert not slower_than_fp8(cluster("b200-hgx").chip)


def test_block_scaled_experts_halve_short_steps_but_not_long_ones() -> None:
    """Short steps read weights, of which fp8 has half; on long ones its quantisers go over every activation
    (measured on H100: 0.6 of bf16 at 64 to 256 tokens, 0.7 to 1.2 from 4,096 on)."""

    def experts(dtype: str, tokens: int) -> float:
        of = make_timer(deployed("qwen3-235b-a22b", "h200-hgx", dtype, dtype, tp=8, ep=8), "analytic")
        step = of.explain(BatchShape(chunks=((tokens, 0),)))
        return next(o.time for o in step.operators if o.name == "experts")

    short, long = (experts("fp8", tokens) / experts("bf16", tokens) for tokens in (128, 8192))
    assert 0.5 <= short < 0.7
    assert 0.7 < long < 1.4


def launched(of: Deployment, seconds: float, **host: object) -> PartsTimer:
    return make_timer(replace(of, host=replace(of.host, launch=seconds, **host)), "analytic")


def test_a_step_with_prefill_takes_no_less_than_the_launch_of_its_kernels() -> None:
    of = DEPLOYMENTS["recurrent"]()
    free, slow = launched(of, 0.0), launched(of, 100e-6)
    short, longer = (BatchShape(chunks=((tokens, 0),)) for tokens in (600, 1200))
    assert seconds(free, short) < seconds(free, longer) < seconds(slow, longer)
    assert seconds(slow, short) == seconds(slow, longer)
    assert seconds(slow, BatchShape(chunks=((400, 0),))) < seconds(slow, short), "pieces of it are captured"
    long = BatchShape(chunks=((16_384, 0),) * 8)
    assert seconds(slow, long) == seconds(free, long), "the device is slower than the host"


def test_a_step_with_prefill_launches_everything_where_no_pieces_are_captured() -> None:
    of, batch = llama(), BatchShape(4, 400, chunks=((64, 0),))
    pieces, whole = (launched(of, 100e-6, piecewise=piecewise) for piecewise in (True, False))
    assert seconds(whole, batch) > 2 * seconds(pieces, batch)
    alone = BatchShape(4, 400)
    assert seconds(whole, alone) == seconds(pieces, alone)


def test_decodes_that_replay_a_graph_launch_nothing_and_without_graphs_they_do() -> None:
    of = DEPLOYMENTS["recurrent"]()
    batch = BatchShape(8, 8 * 1000, tuple(8 * min(1000, w) for w in make_timer(of, "analytic").windows))
    assert seconds(launched(of, 100e-6), batch) == seconds(launched(of, 0.0), batch)
    without = launched(of, 100e-6, graph_sizes=())
    assert seconds(without, batch) > 2 * seconds(launched(of, 0.0, graph_sizes=()), batch)
    named = {o.name: o.time for o in without.explain(batch).operators}
    assert named["kernel_launches"] > 0
    assert sum(named.values()) == pytest.approx(seconds(without, batch))


def test_a_surface_follows_its_timer_where_the_host_is_slower() -> None:
    for name in ("recurrent", "ranks", "stages"):
        of = launched(DEPLOYMENTS[name](), 60e-6, graph_sizes=(1, 2, 4))
        surface = StepSurface(of)
        for decodes, context in ((2, 500), (6, 500), (64, 3000), (300, 8000)):
            sums = [decodes * context, *(decodes * min(context, w) for w in of.windows)]
            batch = BatchShape(decodes, sums[0], tuple(sums[1:]))
            first, slope, length = surface.segment(decodes, sums, [decodes] * len(sums))
            assert first == pytest.approx(seconds(of, batch), rel=1e-3)
            steps = min(length, 200)
            later = [s + (steps - 1) * decodes for s in sums[:1]]
            last = BatchShape(
                decodes, later[0], tuple(decodes * min(context + steps - 1, w) for w in of.windows)
            )
            assert first + slope * (steps - 1) == pytest.approx(seconds(of, last), rel=1e-3)
            mixed = BatchShape(decodes, sums[0], tuple(sums[1:]), ((700, 0),))
            assert surface.mixed(decodes, sums, mixed.chunks) == pytest.approx(seconds(of, mixed), rel=1e-3)
