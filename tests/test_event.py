"""The event fidelity: a simulated step keeps the books of time and bytes, and overlaps what may overlap."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.deployment import Deployment
from sim.deployment.deployment import ExpertRouting, Overlap, Speculation
from sim.operators import BatchShape
from sim.timing import Conditions, PartsTimer, StepSurface, StepTimeline, make_timer
from sim.timing.event import EventTimer
from sim.timing.event.chip import Ran, SimulatedChip
from sim.timing.event.halves import halved
from sim.timing.event.hiding import CONTEXTS, HiddenTime
from sim.timing.event.job import HBM, Job, Sliced, Transfer
from sim.timing.event.repetition import repetition, simulated_layers
from tests.chips import axk1, deployed, llama


def ranks(overlap: Overlap = "none") -> Deployment:
    """DeepSeek-V3 with an attention rank on each of 32 chips."""
    plain = deployed("deepseek-v3", "h100-hgx-x4", "fp8", "fp8", dp=32, ep=32)
    return replace(plain, overlap=overlap, routing=ExpertRouting(skew=0.2))


def drafting() -> Deployment:
    plain = axk1()
    layer = replace(plain.model, layers=plain.model.layers[-1:])
    return replace(plain, speculation=Speculation((0.8, 0.6), layer, 1, shares_weights=True))


DEPLOYMENTS: dict[str, Callable[[], Deployment]] = {
    "llama": llama,
    "axk1": axk1,
    "windows": lambda: deployed("gpt-oss-120b", "h200-hgx", tp=2, ep=2),
    "recurrent": lambda: deployed("qwen3-next-80b-a3b", "h200-hgx", tp=2, ep=2),
    "sparse": lambda: deployed("deepseek-v3.2", "h200-hgx", "fp8", "fp8", tp=8, ep=8),
    "stages": lambda: deployed("llama-3.1-70b", "a100-hgx", tp=2, pp=3),
    "npu": lambda: deployed("ax-k1", "rebel100-server", "fp8", "fp8", tp=8, ep=8),
    "ranks": ranks,
    "drafts": drafting,
    "single-batch": lambda: ranks("single-batch"),
    "two-batch": lambda: ranks("two-batch"),
}
IN_ORDER = sorted(set(DEPLOYMENTS) - {"single-batch", "two-batch", "npu"})


def shortened(deployment: Deployment, layers: int) -> Deployment:
    """The deployment with the first layers of its model only."""
    return replace(deployment, model=replace(deployment.model, layers=deployment.model.layers[:layers]))


@cache
def timer(name: str) -> EventTimer:
    made = make_timer(DEPLOYMENTS[name](), "event")
    assert isinstance(made, EventTimer)
    return made


def batch_of(name: str, decodes: int, mean: int, chunks: tuple[tuple[int, int], ...] = ()) -> BatchShape:
    windowed = tuple(decodes * min(mean, w) for w in timer(name).windows)
    return BatchShape(decodes, decodes * mean, windowed, chunks, timer(name).queries)


@st.composite
def steps(draw: st.DrawFn, names: list[str]) -> tuple[str, BatchShape]:
    name = draw(st.sampled_from(names))
    decodes, mean = draw(st.integers(0, 200)), draw(st.integers(1, 8000))
    chunk = st.tuples(st.integers(1, 4096), st.integers(0, 8000))
    chunks = draw(st.lists(chunk, min_size=0 if decodes else 1, max_size=2))
    return name, batch_of(name, decodes, mean, tuple(chunks))


def shown(name: str, batch: BatchShape) -> StepTimeline:
    timeline = timer(name).explain(batch).timeline
    assert timeline is not None
    return timeline


def together(jobs: list[Job]) -> list[Ran]:
    """Jobs that all start at once."""
    env = simpy.Environment()
    chip = SimulatedChip(env, ("scale_up",))
    ran = [Ran(job, 0.0, env.event()) for job in jobs]
    for one in ran:
        env.process(chip.run(one))
    env.run()
    return ran


microseconds = st.floats(0.0, 1e-3).map(lambda t: t if t > 1e-9 else 0.0)


@given(st.integers(1, 12), microseconds, microseconds, microseconds, microseconds)
def test_a_kernel_alone_takes_what_its_closed_form_says(
    slices: int, launch: float, memory: float, matrix: float, vector: float
) -> None:
    job = Job("k", "g", launch, (Sliced(slices, memory, 0.8 * memory, matrix, vector),))
    (ran,) = together([job])
    assert ran.end == pytest.approx(job.alone, rel=1e-9, abs=1e-15)
    assert sum(ran.parts.values()) == pytest.approx(ran.end, rel=1e-9, abs=1e-15)


@given(st.lists(st.tuples(microseconds, microseconds, microseconds), min_size=1, max_size=4))
def test_kernels_that_run_together_keep_no_engine_busy_for_longer_than_they_take(
    kernels: list[tuple[float, float, float]],
) -> None:
    jobs = [Job("k", "g", 0.0, (Sliced(4, memory, memory, m, v),)) for memory, m, v in kernels]
    end = max(ran.end for ran in together(jobs))
    busiest = max(sum(times) for times in zip(*kernels, strict=True))
    assert busiest * (1 - 1e-9) <= end <= sum(job.alone for job in jobs) * (1 + 1e-9) + 1e-12


def test_a_collective_beside_a_kernel_takes_its_share_of_hbm():
    bound = Job("k", "g", 0.0, (Sliced(12, 1e-3, 1e-3, 0.0, 0.0),))
    collective = Job("c", "g", 0.0, transfer=Transfer(0.0, 1e-3, {"scale_up": 1.0, HBM: 0.5}))
    kernel, sent = together([bound, collective])
    assert kernel.end == pytest.approx(1.5e-3)
    assert sent.end == pytest.approx(1.0e-3)


def test_an_exchange_that_copies_on_cores_slows_what_computes_beside_it():
    bound = Job("k", "g", 0.0, (Sliced(12, 0.0, 0.0, 1e-3, 0.0),))
    collective = Job("c", "g", 0.0, transfer=Transfer(0.0, 1e-3, {"scale_up": 1.0, HBM: 0.1}, cores=0.2))
    kernel, sent = together([bound, collective])
    assert sent.end == pytest.approx(1.0e-3)
    assert kernel.end == pytest.approx(1.2e-3)


@settings(max_examples=20, deadline=None)
@given(steps(sorted(DEPLOYMENTS)))
def test_no_simulated_step_is_faster_than_light(case: tuple[str, BatchShape]) -> None:
    name, batch = case
    explained = timer(name).explain(batch)
    assert explained.total >= explained.light * (1 - 1e-9) > 0
    assert explained.total == pytest.approx(sum(o.time for o in explained.operators))
    for operator in explained.operators:
        assert sum(operator.parts.values()) == pytest.approx(operator.time, abs=1e-15)


@settings(max_examples=15, deadline=None)
@given(steps(IN_ORDER))
def test_in_one_stream_the_simulated_step_is_the_sum_of_its_kernels_alone(
    case: tuple[str, BatchShape],
) -> None:
    name, batch = case
    simulated, added = timer(name).explain(batch), timer(name).breakdown(batch)
    assert simulated.total == pytest.approx(added.total, rel=3e-3)
    assert simulated.total == pytest.approx(float(timer(name).durations(batch)[0]), rel=3e-3)
    assert simulated.serial == pytest.approx(added.serial)
    counts = [{(o.name, o.group): o.count for o in step.operators} for step in (simulated, added)]
    assert counts[0] == counts[1]


@settings(max_examples=15, deadline=None)
@given(steps(sorted(DEPLOYMENTS)))
def test_the_critical_path_has_no_gap_and_counts_up_to_the_step(case: tuple[str, BatchShape]) -> None:
    name, batch = case
    explained = timer(name).explain(batch)
    assert explained.timeline is not None
    spans = explained.timeline.critical
    assert spans[0].start == 0.0
    for before, after in pairwise(spans):
        assert after.start == pytest.approx(before.end, rel=1e-12)
    assert sum((s.end - s.start) * s.times for s in spans) == pytest.approx(explained.total)
    assert all(sum(s.parts.values()) == pytest.approx(s.end - s.start, abs=1e-15) for s in spans)


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
@pytest.mark.parametrize("batch", [(64, 2000, ()), (8, 500, ((700, 300),))])
def test_what_the_tracks_show_is_what_the_operators_move(
    name: str, batch: tuple[int, int, tuple[tuple[int, int], ...]]
) -> None:
    whole = EventTimer(shortened(DEPLOYMENTS[name](), 5), whole_model=True).explain(batch_of(name, *batch))
    assert whole.timeline is not None
    moved: Counter[str] = Counter()
    for event in whole.timeline.events:
        wire = event.operator if event.track == HBM and not event.flops else ""
        moved["flops"] += event.flops
        moved["wire"] += event.wire_bytes
        moved[f"hbm {wire}"] += event.hbm_bytes
    for operator in whole.operators:
        if operator.wire_bytes:
            assert moved[f"hbm {operator.name}"] == pytest.approx(2.0 * operator.wire_bytes)
        elif operator.hbm_bytes:
            assert moved[f"hbm {operator.name}"] == pytest.approx(operator.hbm_bytes)
    assert moved["flops"] == pytest.approx(sum(o.flops for o in whole.operators))
    assert moved["wire"] == pytest.approx(sum(o.wire_bytes for o in whole.operators))
    assert whole.timeline.simulated == whole.timeline.layers


@pytest.mark.parametrize("name", ["axk1", "two-batch"])
def test_an_engine_is_never_busy_beyond_its_capacity(name: str):
    timeline = shown(name, batch_of(name, 128, 2000))
    chip = timer(name).deployment.cluster.chip
    traffic = next(c for c in timeline.counters if c.name == "HBM traffic")
    assert max(traffic.values) <= chip.memory.bandwidth * (1 + 1e-9)
    matrix = next(c for c in timeline.counters if c.name == "matrix engines")
    assert max(matrix.values) <= max(chip.compute.peak.values()) * (1 + 1e-9)
    assert timeline.end <= timer(name).explain(batch_of(name, 128, 2000)).total


def test_streams_take_one_kernel_at_a_time_in_order():
    timeline = shown("two-batch", batch_of("two-batch", 128, 2000))
    for track in ("compute stream", "communication stream"):
        mine = [event for event in timeline.events if event.track == track]
        assert all(after.start >= before.end - 1e-15 for before, after in pairwise(mine))


@pytest.mark.parametrize("name", ["axk1", "single-batch", "two-batch", "windows"])
@pytest.mark.parametrize("batch", [(128, 2000, ()), (0, 1, ((4096, 0),))])
def test_repeated_layers_count_for_the_whole_model(
    name: str, batch: tuple[int, int, tuple[tuple[int, int], ...]]
) -> None:
    step = batch_of(name, *batch)
    whole = EventTimer(shortened(DEPLOYMENTS[name](), 12), whole_model=True).explain(step)
    some = EventTimer(shortened(DEPLOYMENTS[name](), 12)).explain(step)
    assert some.timeline is not None
    assert some.timeline.simulated < some.timeline.layers
    assert some.total == pytest.approx(whole.total, rel=5e-3)
    assert some.light == pytest.approx(whole.light)


def test_the_same_step_is_simulated_to_the_same_bits():
    step = batch_of("two-batch", 96, 1500, ((512, 0),))
    assert EventTimer(ranks("two-batch")).explain(step) == timer("two-batch").explain(step)


def test_two_batches_pay_twice_for_few_tokens_and_hide_the_exchange_of_many():
    plain, two = timer("ranks"), timer("two-batch")

    def gain(batch: BatchShape) -> float:
        return plain.explain(batch).total / two.explain(batch).total - 1.0

    assert gain(batch_of("ranks", 32, 2000)) < -0.1
    assert (
        gain(batch_of("ranks", 200, 2000))
        > gain(batch_of("ranks", 128, 2000))
        > gain(batch_of("ranks", 64, 2000))
    )
    assert gain(batch_of("ranks", 384, 2000)) > 0.05
    assert gain(batch_of("ranks", 0, 1, ((8192, 0),))) > 0.2


def test_shared_experts_hide_part_of_the_dispatch_of_one_batch():
    batch = batch_of("ranks", 128, 2000)
    plain, single = timer("ranks").explain(batch), timer("single-batch").explain(batch)
    times = {o.name: o.time for o in plain.operators}
    shared = sum(o.time for o in plain.operators if o.group == "shared_experts")
    assert plain.total - single.total == pytest.approx(min(shared, times["dispatch"]), rel=0.05)


def test_a_step_of_one_token_cannot_be_cut_in_two():
    one = batch_of("two-batch", 1, 1000)
    assert halved(one) is None
    assert {event.batch for event in shown("two-batch", one).events} == {0}


def test_a_chip_whose_cores_hold_two_pieces_of_work_draws_the_next_weights_early():
    batch = batch_of("npu", 32, 2000)
    explained, added = timer("npu").explain(batch), timer("npu").breakdown(batch)
    alone = PartsTimer.explain(timer("npu"), batch)
    assert explained == added
    assert explained.timeline is not None
    started: dict[tuple[int, str], float] = {}
    for event in explained.timeline.events:
        if event.track == "compute stream":
            started.setdefault((event.layer, event.operator), event.start)
    early = [
        e.operator
        for e in explained.timeline.events
        if e.track == HBM and e.start < started.get((e.layer, e.operator), 0.0)
    ]
    products = {o.name for o in alone.operators if o.group in ("attention", "shared_experts", "router")}
    assert early
    assert set(early) <= products | {"head", "ffn_up", "ffn_down"}
    assert alone.light < explained.total < alone.total


def test_traffic_of_others_slows_a_simulated_step():
    batch = batch_of("axk1", 64, 2000)
    calm = timer("axk1").explain(batch).total
    assert timer("axk1").explain(batch, Conditions(hbm_taken=0.3)).total > 1.1 * calm
    assert timer("axk1").explain(batch, Conditions(link_taken=0.3)).total > calm


@given(
    st.integers(0, 300),
    st.integers(1, 5000),
    st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 9000)), max_size=3),
)
def test_halves_hold_the_whole_and_nothing_twice(
    decodes: int, mean: int, chunks: list[tuple[int, int]]
) -> None:
    batch = BatchShape(decodes, decodes * mean, (decodes * min(mean, 128),), tuple(chunks))
    halves = halved(batch)
    if halves is None:
        assert batch.tokens < 2 or (decodes < 2 and all(new < 2 for new, _ in chunks))
        return
    for name in ("decodes", "context", "tokens"):
        assert sum(getattr(half, name) for half in halves) == getattr(batch, name)
    assert abs(halves[0].tokens - halves[1].tokens) <= 1 + len(chunks)
    ends = {past + new for half in halves for new, past in half.chunks}
    assert {past + new for new, past in chunks} <= ends


@given(st.text("ab", max_size=3), st.text("abc", min_size=1, max_size=4), st.integers(2, 9), st.text("cd"))
def test_a_repetition_is_found_and_leaves_out_only_what_repeats(
    before: str, cycle: str, times: int, after: str
) -> None:
    kinds = before + cycle * times + after
    found = repetition(kinds)
    assert (found.times - 1) * found.period >= (times - 1) * len(cycle)
    start, end = found.start, found.start + found.times * found.period
    assert kinds[start:end] == kinds[start : start + found.period] * found.times
    layers, left_out = simulated_layers(len(kinds), found, 1)
    assert len(layers) + left_out * found.period == len(kinds)


def test_hidden_time_is_exact_at_its_nodes_and_between_them_between_its_neighbours():
    asked: list[BatchShape] = []

    def hidden(batch: BatchShape) -> float:
        asked.append(batch)
        return batch.tokens * 1e-6 + batch.context * 1e-9

    grid = HiddenTime(hidden, (128,), 1, 4096)
    assert grid.decodes(16, CONTEXTS[1]) == hidden(BatchShape(16, 16 * 1024))
    assert hidden(BatchShape(16, 16 * 1024)) < grid.decodes(20, 2000) < hidden(BatchShape(23, 23 * 4096))
    assert grid.mixed(1 << 20) == grid.mixed(4096) == pytest.approx(4096e-6)
    before = len(asked)
    grid.decodes(20, 2000)
    assert len(asked) == before


@pytest.mark.parametrize("name", ["axk1", "two-batch"])
def test_a_surface_has_the_prices_of_its_timer(name: str):
    surface, of = StepSurface(timer(name)), timer(name)
    for decodes, mean in ((8, 700), (96, 3000)):
        batch = batch_of(name, decodes, mean)
        sums = [batch.context, *batch.windowed]
        first, slope, _ = surface.segment(decodes, sums, [decodes] * len(sums))
        seconds = of.durations(batch, 2)
        assert first == pytest.approx(seconds[0], rel=1e-3)
        assert first + slope == pytest.approx(seconds[1], rel=1e-3)
        chunks = ((1000, 24),)
        mixed = surface.mixed(decodes, sums, chunks)
        assert mixed == pytest.approx(of.durations(replace(batch, chunks=chunks))[0], rel=1e-3)


def test_what_a_surface_hides_is_near_what_a_simulation_of_the_step_hides():
    errors: list[float] = []
    for decodes, mean, chunks in (
        (40, 3000, ()),
        (150, 1200, ()),
        (0, 1, ((3000, 0),)),
        (60, 2000, ((2000, 0),)),
    ):
        batch = batch_of("two-batch", decodes, mean, chunks)
        simulated = timer("two-batch").explain(batch).total
        errors.append(float(timer("two-batch").durations(batch)[0]) / simulated - 1.0)
    assert np.abs(errors).max() < 0.05
