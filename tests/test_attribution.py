"""A step's time divided by cause: it adds up, and each cause grows with what it names, with nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from sim.deployment.deployment import ExpertRouting
from sim.errors import UserError
from sim.hardware import load_cluster
from sim.hardware.schema import NOT_TIERS
from sim.metrics.request_time import OUTSIDE
from sim.operators import BatchShape
from sim.timing import make_timer
from sim.timing.attribution import CAUSES, attribution, by_cause
from sim.timing.step_timer import Fidelity
from sim.timing.timer import OperatorTime
from tests.chips import deployed
from tests.test_timing import DEPLOYMENTS, batches, timer

FIDELITIES: tuple[Fidelity, ...] = ("roofline", "analytic")


def causes(name: str, batch: BatchShape, fidelity: Fidelity = "analytic") -> dict[str, float]:
    return attribution(timer(name, fidelity).explain(batch).operators)


@pytest.mark.parametrize("fidelity", FIDELITIES)
@settings(max_examples=60, deadline=None)
@given(case=batches())
def test_the_causes_of_a_step_add_up_to_its_time(fidelity: Fidelity, case: tuple[str, BatchShape]) -> None:
    name, batch = case
    step = timer(name, fidelity).explain(batch)
    found = attribution(step.operators)
    assert sum(found.values()) == pytest.approx(step.total, rel=1e-12)
    assert min(found.values()) > 0
    for operator in step.operators:
        assert sum(operator.levels.values()) == pytest.approx(operator.parts.get("link", 0.0))
        assert sum(by_cause(operator).values()) == pytest.approx(operator.time)


@pytest.mark.parametrize("name", ["llama", "axk1", "servers", "stages", "ranks"])
def test_a_simulated_step_is_divided_by_the_same_causes_and_adds_up(name: str) -> None:
    batch = BatchShape(16, 16 * 1024)
    step = make_timer(DEPLOYMENTS[name](), "event").explain(batch)
    found, closed = attribution(step.operators), causes(name, batch)
    assert sum(found.values()) == pytest.approx(step.total, rel=1e-9)
    assert min(found.values()) > 0
    assert "link" not in found
    assert set(found) <= set(closed)
    share = closed.get("bubble", 0.0) / sum(closed.values())
    assert found.get("bubble", 0.0) / step.total == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_link_time_is_named_by_the_level_of_the_fabric_that_takes_it(fidelity: Fidelity) -> None:
    batch = BatchShape(64, 64 * 2048)
    inside, across = causes("axk1", batch, fidelity), causes("servers", batch, fidelity)
    assert "scale_up" in inside
    assert "scale_out" not in inside
    assert {"scale_up", "scale_out"} <= set(across)
    assert "link" not in inside | across


def test_a_faster_outer_fabric_takes_from_its_own_level_only() -> None:
    batch = BatchShape(chunks=((4096, 0),))
    slow = deployed("deepseek-v3", "h100-hgx-x4", "fp8", "fp8", dp=32, ep=32)
    tiers = slow.cluster.tiers
    fast = replace(slow, cluster=replace(slow.cluster, tiers=(*tiers[:-1], _faster(tiers[-1]))))
    before, after = (attribution(make_timer(d).explain(batch).operators) for d in (slow, fast))
    assert after["scale_out"] < 0.8 * before["scale_out"]
    for cause in ("compute", "hbm", "launch"):
        assert after[cause] == pytest.approx(before[cause], rel=0.02)


def _faster(tier):
    return replace(tier, bandwidth=2 * tier.bandwidth)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_one_rank_alone_waits_for_nobody_and_more_skew_means_more_waiting(fidelity: Fidelity) -> None:
    batch = BatchShape(64, 64 * 1024)
    alone = deployed("qwen3-235b-a22b", "h200-hgx", tp=8)
    assert "imbalance" not in attribution(make_timer(alone, fidelity).explain(batch).operators)
    spread = deployed("qwen3-235b-a22b", "h200-hgx", tp=2, dp=4, ep=8)
    waits = []
    for skew in (0.0, 0.6, 1.2):
        deployment = replace(spread, routing=ExpertRouting(skew=skew))
        waits.append(attribution(make_timer(deployment, fidelity).explain(batch).operators)["imbalance"])
    assert 0 < waits[0] < waits[1] < waits[2]


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_stages_without_a_micro_batch_are_the_bubble(fidelity: Fidelity) -> None:
    """Three stages: one sequence leaves two of them idle, two leave one, three none."""
    for sequences, idle in ((1, 2 / 3), (2, 1 / 3), (3, 0.0)):
        step = timer("stages", fidelity).explain(BatchShape(sequences, sequences * 500))
        found = attribution(step.operators)
        device = step.total - found.get("host", 0.0)
        assert found.get("bubble", 0.0) == pytest.approx(idle * device)


def test_a_time_without_parts_is_its_bounds_and_an_unnamed_link_stays_the_link() -> None:
    plain = OperatorTime("a", "g", 1, 2.0, 1.0, 0.0, 0.0, 0.0, "hbm", "test")
    link = replace(plain, bound="link", parts={"link": 1.5, "launch": 0.5}, levels={"rack": 1.0})
    assert by_cause(plain) == {"hbm": 2.0}
    assert by_cause(link) == {"rack": 1.0, "link": 0.5, "launch": 0.5}
    assert list(attribution([link, plain])) == ["hbm", "rack", "link", "launch"]
    assert set(CAUSES) >= {"hbm", "compute", "launch", "host", "imbalance", "bubble"}


def test_a_tier_cannot_take_the_name_of_another_cause_or_of_another_tier(tmp_path) -> None:
    assert {*CAUSES, *OUTSIDE} <= NOT_TIERS
    box = "name: box\nchip: h200\nchips: 8\noverhead_power: 150 W\ntiers:\n"
    tier = "  - {name: %s, domain: %d, fabric: nvlink4, bandwidth: 400 GB/s}\n"
    (tmp_path / "box.yaml").write_text(box + tier % ("board", 2) + tier % ("rack", 8))
    assert [t.name for t in load_cluster("./box.yaml", tmp_path)[0].tiers] == ["board", "rack"]
    for second, says in (("hbm", "no tier can be called 'hbm'"), ("board", "two tiers are called 'board'")):
        (tmp_path / "box.yaml").write_text(box + tier % ("board", 2) + tier % (second, 8))
        with pytest.raises(UserError, match=says):
            load_cluster("./box.yaml", tmp_path)
