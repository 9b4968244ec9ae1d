"""How unevenly experts are chosen: a figure of the deployment that reaches loads and the time of a step."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.deployment import Deployment
from sim.deployment.deployment import ExpertRouting
from sim.deployment.schema import POPULARITY
from sim.operators import BatchShape, Experts, Routing, lower, sample_loads
from sim.timing import make_timer
from tests.chips import axk1, deployed, llama

EXAMPLES = Path(__file__).parents[1] / "examples"
AXK1, DENSE = EXAMPLES / "ax-k1-h200.yaml", EXAMPLES / "ax-k1-dense-h200.yaml"
SKEWS = (0.0, 0.3, 0.8, 1.2)


def skewed(deployment: Deployment, skew: float) -> Deployment:
    return replace(deployment, routing=ExpertRouting(skew=skew))


def experts(deployment: Deployment, decodes: int) -> Experts:
    operators = lower(deployment, BatchShape(decodes, 100 * decodes))
    return next(o for o in operators if isinstance(o, Experts))


def test_without_skew_every_rank_gets_its_even_share() -> None:
    pairs = experts(skewed(axk1(), 0.0), 200_000).loads.pairs
    assert pairs == pytest.approx(np.full_like(pairs, 200_000 * 8 / 8), rel=0.01)
    uneven = experts(axk1(), 200_000).loads.pairs
    assert uneven.max() > 1.1 * uneven.mean()


def test_a_deployment_has_the_popularity_of_its_figure() -> None:
    assert axk1().routing.skew == POPULARITY.value
    assert llama().routing.skew == 0.0


@pytest.mark.parametrize("tokens", [64, 512, 4096, 32_768])
def test_more_skew_never_gives_the_busiest_rank_less_work(tokens: int) -> None:
    work = [float(experts(skewed(axk1(), skew), tokens).flops[0]) for skew in SKEWS]
    for less, more in pairwise(work):
        assert more >= 0.98 * less  # few tokens move by whole pairs


@pytest.mark.parametrize("decodes", [1000, 4000])
def test_more_skew_never_makes_a_decode_step_that_touches_every_expert_cheaper(decodes: int) -> None:
    deployment = axk1()
    batch = BatchShape(decodes, 100 * decodes)
    times = [float(make_timer(skewed(deployment, s)).durations(batch, 1)[0]) for s in SKEWS]
    for less, more in pairwise(times):
        assert more >= 0.999 * less
    assert times[-1] > 1.05 * times[0]


def test_more_skew_makes_a_short_step_cheaper_only_by_weights_that_it_does_not_read() -> None:
    deployment = deployed("qwen3-30b-a3b", "h200-hgx")
    even, uneven = (experts(skewed(deployment, skew), 64) for skew in (0.0, 1.2))
    assert uneven.flops == pytest.approx(even.flops)
    unread = float((even.loads.active - uneven.loads.active).mean()) * even.expert_bytes
    assert even.hbm_bytes - uneven.hbm_bytes == pytest.approx(unread)
    batch = BatchShape(64, 6400)
    saved = (
        make_timer(skewed(deployment, 0.0)).explain(batch).total
        - make_timer(skewed(deployment, 1.2)).explain(batch).total
    )
    assert 0 < saved < 2 * even.count * unread / deployment.cluster.chip.memory.bandwidth


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 4.0), st.integers(1, 5000), st.sampled_from([(8, 2, 4), (128, 8, 8), (16, 16, 2)]))
def test_no_skew_loses_a_tokens_experts(skew: float, tokens: int, shape: tuple[int, int, int]) -> None:
    count, top_k, ep = shape
    routing = Routing(experts=count, top_k=top_k, ep=ep, skew=skew)
    assert sample_loads(routing, (tokens,)).pairs.sum(axis=2) == pytest.approx(
        np.full((1, 6), top_k * tokens), rel=0.02
    )


def test_a_run_rests_on_popularity_where_there_are_experts_and_only_there() -> None:
    found = {a.path: a for a in sim.explain(sim.load(AXK1)).assumptions}
    skew = found["deployment.routing.skew"]
    assert (skew.text, skew.basis) == ("0.8 (0.3 … 1.2)", "estimate")
    assert "deployment.routing.skew" not in {a.path for a in sim.explain(sim.load(DENSE)).assumptions}


def test_popularity_is_reached_from_the_command_line() -> None:
    scaled = sim.explain(sim.load(AXK1, sets=["deployment.routing.skew=x0.5"]), decode=64)
    stated = sim.explain(sim.load(AXK1, sets=["deployment.routing.skew=0.4"]), decode=64)
    assert scaled.step.total == stated.step.total != sim.explain(sim.load(AXK1), decode=64).step.total
    assert [a.path for a in stated.assumptions if a.source == "--set"] == ["deployment.routing.skew"]


@pytest.mark.parametrize(
    ("value", "says"),
    [("-1", "must not be negative"), ("7", "must not exceed 4"), ("much", "much"), ("0.8 s", "0.8 s")],
)
def test_an_impossible_popularity_is_refused_by_name(value: str, says: str) -> None:
    with pytest.raises(sim.UserError, match=r"deployment\.routing\.skew") as refused:
        sim.load(AXK1, sets=[f"deployment.routing.skew={value}"])
    assert says in str(refused.value)
