"""The surface against its timer: the same prices, segment by segment."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.deployment import Deployment
from sim.operators import BatchShape
from sim.timing import PartsTimer, StepSurface, make_timer
from tests.chips import axk1, deployed, llama

TOLERANCE = 1e-3


@cache
def priced(which: str) -> tuple[PartsTimer, StepSurface]:
    """A timer and its surface, shared by the examples of a test."""
    name, fidelity = which.split(" ")
    timer = make_timer(DEPLOYMENTS[name](), "roofline" if fidelity == "roofline" else "analytic")
    return timer, StepSurface(timer)


def windowed_model() -> Deployment:
    return deployed("gpt-oss-120b", "h200-hgx", tp=2, ep=2)


def sparse_model() -> Deployment:
    return deployed("deepseek-v3.2", "h200-hgx", "fp8", "fp8", tp=8, ep=8)


def pipelined() -> Deployment:
    return deployed("llama-3.1-70b", "a100-hgx", tp=2, pp=3)


def attention_parallel() -> Deployment:
    return deployed("qwen3-235b-a22b", "h200-hgx", tp=2, dp=4, ep=8)


def on_an_npu() -> Deployment:
    return deployed("ax-k1", "rebel100-server", "fp8", "fp8", tp=8, ep=8)


DEPLOYMENTS = {
    "llama": llama,
    "axk1": axk1,
    "windows": windowed_model,
    "sparse": sparse_model,
    "stages": pipelined,
    "ranks": attention_parallel,
    "npu": on_an_npu,
}
CASES = [f"{name} analytic" for name in DEPLOYMENTS] + ["llama roofline", "axk1 roofline", "windows roofline"]


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """Contexts of the decodes and prefill chunks, at least one of either."""
    count = draw(st.integers(0, 300))
    mean = draw(st.integers(1, 30_000))
    seed = draw(st.integers(0, 1000))
    contexts = np.random.default_rng(seed).integers(1, 2 * mean + 1, count).tolist()
    chunk = st.tuples(st.integers(1, 4000), st.integers(0, 20_000))
    chunks = draw(st.lists(chunk, min_size=0 if count else 1, max_size=3))
    return contexts, tuple(chunks)


def sums_of(contexts: Sequence[int], windows: Sequence[int]) -> list[int]:
    return [sum(contexts), *(sum(min(c, w) for c in contexts) for w in windows)]


def growth_of(contexts: Sequence[int], windows: Sequence[int]) -> list[int]:
    return [len(contexts), *(sum(c < w for c in contexts) for w in windows)]


@pytest.mark.parametrize("which", CASES)
@settings(max_examples=40, deadline=None)
@given(step=steps())
def test_a_step_costs_what_its_timer_says_within_a_thousandth(
    which: str, step: tuple[list[int], tuple[tuple[int, int], ...]]
) -> None:
    timer, surface = priced(which)
    contexts, chunks = step
    sums = sums_of(contexts, timer.windows)
    batch = BatchShape(len(contexts), sums[0], tuple(sums[1:]), chunks)
    expected = timer.durations(batch)[0]
    if chunks:
        assert surface.mixed(len(contexts), sums, chunks) == pytest.approx(expected, rel=TOLERANCE)
    else:
        first, _, _ = surface.segment(len(contexts), sums, growth_of(contexts, timer.windows))
        assert first == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("which", ["llama analytic", "axk1 analytic", "stages analytic", "npu analytic"])
@settings(max_examples=40, deadline=None)
@given(decodes=st.integers(1, 300), mean=st.integers(1, 20_000))
def test_every_step_of_a_segment_costs_what_its_timer_says(which: str, decodes: int, mean: int) -> None:
    timer, surface = priced(which)
    context = decodes * mean
    first, slope, length = surface.segment(decodes, [context], [decodes])
    assert length >= 1
    shown = min(length, 500)
    expected = timer.durations(BatchShape(decodes, context), shown)
    assert first + slope * np.arange(shown) == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("which", ["llama analytic", "windows analytic", "sparse analytic"])
@settings(max_examples=40, deadline=None)
@given(step=steps())
def test_segments_meet_without_a_jump(
    which: str, step: tuple[list[int], tuple[tuple[int, int], ...]]
) -> None:
    timer, surface = priced(which)
    contexts = step[0] or [100]
    sums, growth = sums_of(contexts, timer.windows), growth_of(contexts, timer.windows)
    first, slope, length = surface.segment(len(contexts), sums, growth)
    if length > 1 << 40:
        return
    after = [s + length * g for s, g in zip(sums, growth, strict=True)]
    following, _, _ = surface.segment(len(contexts), after, growth)
    assert following == pytest.approx(first + slope * length, rel=TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(step=steps(), tokens=st.integers(1, 30_000))
def test_rank_and_shared_parts_add_up_to_the_step(
    step: tuple[list[int], tuple[tuple[int, int], ...]], tokens: int
) -> None:
    _, surface = priced("ranks analytic")
    contexts, chunks = step
    n, sums = len(contexts), sums_of(contexts, ())
    everyone = 4 * (n + sum(new for new, _ in chunks))
    if chunks:
        whole, rank = surface.mixed(n, sums, chunks), surface.rank_mixed(n, sums, chunks)
        assert whole == pytest.approx(rank + surface.shared(everyone))
    else:
        whole, rank = surface.segment(n, sums, [n]), surface.rank_segment(n, sums, [n])
        assert whole[0] == pytest.approx(rank[0] + surface.shared(everyone))
        assert whole[1:] == rank[1:]
    assert surface.shared(tokens + 1) >= surface.shared(tokens)


def test_a_dense_model_shares_nothing_between_ranks() -> None:
    _, surface = priced("llama analytic")
    assert surface.shared(5000) == 0.0


def test_prices_do_not_depend_on_the_order_in_which_they_are_asked() -> None:
    asked = [(n, [n * c], ((t, p),)) for n in (1, 40, 3) for c in (9, 4000) for t, p in ((700, 0), (3, 999))]
    one, other = StepSurface(make_timer(axk1())), StepSurface(make_timer(axk1()))
    forwards = [one.mixed(*a) for a in asked]
    backwards = [other.mixed(*a) for a in reversed(asked)]
    assert forwards == backwards[::-1]


def test_contexts_beyond_the_table_still_grow() -> None:
    _, surface = priced("llama analytic")
    first, slope, length = surface.segment(1, [1 << 23], [1])
    assert slope > 0
    assert length > 1_000_000
    assert surface.segment(1, [1 << 24], [1])[0] > first
