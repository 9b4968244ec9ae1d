"""Popularity of experts, replicas placed by load, and what both do to ranks, memory and steps."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.deployment import DeploymentSpec, deploy, memory_map
from sim.deployment.deployment import Deployment
from sim.errors import UserError
from sim.figures import Resolution
from sim.hardware import load_cluster
from sim.models import load_model
from sim.operators import Balancing, BatchShape, Routing, sample_loads
from sim.operators.loads import distinct_ranks, fetched_experts
from sim.operators.placement import arrivals, balanced, in_order, replicas
from sim.timing import make_timer

WIDE = Routing(experts=256, top_k=8, ep=32, groups=8, top_groups=4, skew=0.8)
STILL = float("inf")
"""Steps of drift that no placement lives to see."""


def balanced_by(redundant: int, drift: float = STILL, interval: int = 3000) -> Routing:
    return replace(WIDE, balancing=Balancing(redundant, 1000, interval, drift))


def imbalance(routing: Routing, tokens: int = 100_000) -> float:
    """The busiest rank's pairs over the mean rank's."""
    pairs = sample_loads(routing, (tokens,)).pairs
    return float((pairs.max(axis=2) / pairs.mean(axis=2)).mean())


def deployed(**deployment: object) -> Deployment:
    parallel = {"tp": 1, "dp": 32, "ep": 32}
    fp8 = {"weights": "fp8", "activations": "fp8"}
    spec = DeploymentSpec.model_validate({"precision": fp8, "parallel": parallel} | deployment)
    return deploy(spec, load_model("deepseek-v3"), load_cluster("h800-hgx-x4")[0])


loads = st.lists(st.floats(0.01, 100.0), min_size=16, max_size=16).map(np.array)


@given(loads, st.sampled_from([0, 4, 16, 48]))
def test_every_expert_has_a_slot_and_every_rank_as_many(load: np.ndarray, redundant: int) -> None:
    routing = Routing(16, 2, 4, balancing=Balancing(redundant, 1, 1, STILL))
    placed = replicas(routing, balanced(routing, load))
    assert placed.copies.min() >= 1
    assert placed.copies.sum() == routing.slots == (placed.slots >= 0).sum()


@given(loads, st.sampled_from([4, 16]), st.integers(0, 1000))
def test_replicas_neither_lose_nor_invent_tokens(load: np.ndarray, redundant: int, tokens: int) -> None:
    routing = Routing(16, 2, 4, balancing=Balancing(redundant, 1, 1, STILL))
    placed = replicas(routing, balanced(routing, load))
    counts = np.arange(16.0) * tokens
    held = placed.loads(counts)
    for expert in range(16):
        shares = held[placed.slots.ravel() == expert]
        assert shares.sum() == counts[expert]
        assert shares.max() - shares.min() <= 1.0


@given(loads)
def test_more_replicas_never_leave_a_replica_with_more_load(load: np.ndarray) -> None:
    heaviest: list[float] = []
    for redundant in (0, 4, 8, 16):
        routing = Routing(16, 2, 4, balancing=Balancing(redundant, 1, 1, STILL))
        copies = replicas(routing, balanced(routing, load)).copies
        heaviest.append(float((load / copies).max()))
    assert all(more <= less for less, more in pairwise(heaviest))


def test_more_replicas_balance_ranks_better() -> None:
    ratios = [imbalance(WIDE), *(imbalance(balanced_by(r)) for r in (0, 32, 64, 96))]
    assert all(
        more < less + 2e-3 for less, more in pairwise(ratios)
    )  # what a draw's tokens scatter by remains
    assert ratios[0] > 1.5 > 1.2 > ratios[1] > 1.05 > ratios[2]


def test_faster_drift_never_makes_a_placement_better() -> None:
    ratios = [imbalance(balanced_by(32, drift)) for drift in (STILL, 100_000.0, 20_000.0, 2_000.0, 1.0)]
    assert all(less <= more * 1.005 for less, more in pairwise(ratios))
    assert ratios[-1] > 1.3


def test_balanced_routing_gives_every_rank_its_even_share_and_uniform_nearly() -> None:
    even = sample_loads(replace(WIDE, popularity="balanced"), (4096, 40_000)).pairs
    assert (even.max(axis=2) - even.min(axis=2)).max() <= 8
    assert even.sum(axis=2) == pytest.approx(8 * np.array([[4096.0], [40_000.0]]) * np.ones((1, 6)))
    assert imbalance(replace(WIDE, skew=0.0)) == pytest.approx(1.0, abs=0.03)


@given(st.floats(0.0, 2.0), st.sampled_from(["lognormal", "zipf", "balanced"]), st.integers(0, 5))
def test_odds_are_a_distribution_that_follows_popularity(skew: float, law: str, draw: int) -> None:
    routing = replace(WIDE, skew=skew, popularity=law)
    z = np.random.default_rng(1).standard_normal(256)
    odds = routing.odds(z, draw)
    assert odds.sum() == pytest.approx(1.0)
    assert (np.diff(odds[np.argsort(z)]) >= 0).all()


def test_zipf_with_exponent_one_gives_the_second_expert_half_of_the_first() -> None:
    odds = np.sort(replace(WIDE, skew=1.0, popularity="zipf").odds(np.arange(256.0), 0))[::-1]
    assert odds[0] / odds[1] == pytest.approx(2.0)
    assert odds[0] / odds[9] == pytest.approx(10.0)


def test_layers_that_differ_spread_the_imbalance_of_the_draws() -> None:
    def spread(routing: Routing) -> float:
        pairs = sample_loads(routing, (100_000,)).pairs[0]
        return float(np.ptp(pairs.max(axis=1) / pairs.mean(axis=1)))

    assert spread(replace(WIDE, spread=0.5)) > spread(WIDE)


def test_groups_stay_within_servers_where_they_divide_them() -> None:
    routing = replace(balanced_by(32), servers=4)
    slots = balanced(routing, np.random.default_rng(2).random(256))
    for group in range(8):
        servers = {rank // 8 for rank, expert in zip(*np.nonzero(slots // 32 == group), strict=True)}
        assert len(servers) == 1
    assert distinct_ranks(routing, 4) < distinct_ranks(balanced_by(32), 4)


def test_slots_that_ranks_do_not_divide_differ_by_one() -> None:
    held = (in_order(Routing(experts=10, top_k=2, ep=4)) >= 0).sum(axis=1)
    assert sorted(held.tolist()) == [2, 2, 3, 3]


def test_a_placement_that_stays_moves_nothing_and_fast_drift_moves_nearly_all() -> None:
    same = in_order(WIDE)
    assert arrivals(same, same) == 0
    assert fetched_experts(WIDE) == 0.0
    assert fetched_experts(balanced_by(32)) == 0.0
    assert fetched_experts(balanced_by(32, drift=1.0)) > 6


def test_replicas_take_their_memory() -> None:
    plain = memory_map(deployed()).stages[0].weights["experts"]
    more = memory_map(deployed(eplb={"num_redundant_experts": 32})).stages[0].weights["experts"]
    assert more == pytest.approx(plain * 288 / 256)


def test_replicas_take_the_wait_out_of_a_prefill_step_and_show_what_moving_them_costs() -> None:
    batch = BatchShape(0, 0, chunks=((8192, 0),))
    plain, even = (
        make_timer(d).explain(batch) for d in (deployed(), deployed(eplb={"num_redundant_experts": 32}))
    )
    waits = [sum(o.parts.get("imbalance", 0.0) for o in step.operators) for step in (plain, even)]
    assert waits[1] < 0.5 * waits[0]
    assert even.total < plain.total
    moved = {o.name: o.wire_bytes for o in even.operators}["expert_replacement"]
    assert moved > 0
    rarer = deployed(eplb={"num_redundant_experts": 32, "step_interval": 30_000})
    seldom = {o.name: o.wire_bytes for o in make_timer(rarer).explain(batch).operators}
    assert seldom["expert_replacement"] < moved


def test_balanced_routing_rests_on_no_figure_and_drift_counts_only_with_replicas() -> None:
    def figures(**deployment: object) -> set[str]:
        taken = Resolution("deployment")
        spec = DeploymentSpec.model_validate({"parallel": {"tp": 8, "ep": 8}} | deployment)
        deploy(spec, load_model("qwen3-30b-a3b"), load_cluster("h200-hgx")[0], taken)
        return {path for path in taken.figures if ".routing." in path}

    skewed = {"deployment.routing.skew", "deployment.routing.layer_spread"}
    assert figures() == skewed
    assert figures(eplb={}) == skewed | {"deployment.routing.drift"}
    assert figures(routing={"popularity": "balanced"}) == set()


def test_experts_that_ranks_do_not_divide_are_refused_with_the_replicas_that_fill_them_up() -> None:
    spec = DeploymentSpec.model_validate({"parallel": {"dp": 72, "ep": 72}})
    cluster = replace(load_cluster("h800-hgx-x4")[0], chips=72)
    with pytest.raises(UserError, match=r"or eplb\.num_redundant_experts 32"):
        deploy(spec, load_model("deepseek-v3"), cluster)


@pytest.mark.parametrize("drift", [0, {"value": 5, "low": 0, "high": 10}])
def test_a_drift_of_no_steps_is_refused(drift: object) -> None:
    with pytest.raises(ValueError, match="must be above 0 steps"):
        DeploymentSpec.model_validate({"routing": {"drift": drift}})
