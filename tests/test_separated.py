"""Attention and feed-forward blocks on chips of their own: nothing is lost, micro-batches hide the way."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import sim
from sim.deployment import Deployment, deploy, memory_map
from sim.deployment.schema import DeploymentSpec
from sim.errors import UserError
from sim.operators import BatchShape, Hop, Side, lower, side_of
from sim.timing import CALM, PartsTimer, StepSurface, make_timer
from sim.timing.breakdown import operator_rows
from tests.chips import cluster, deployed, model

BATCH = BatchShape(256, 256 * 4096)
FP8 = {"weights": "fp8", "activations": "fp8"}


def apart(
    micro_batches: int = 3, chips: int = 16, dp: int = 8, name: str = "deepseek-v3", **more: object
) -> Deployment:
    parallel = {"dp": dp, "ffn": {"chips": chips, "ep": chips, "micro_batches": micro_batches}}
    spec = {"precision": FP8, "parallel": parallel, "engine": {"max_num_seqs": 512}, **more}
    return deploy(DeploymentSpec.model_validate(spec), model(name), cluster("h800-hgx-x4"))


@cache
def timer(micro_batches: int = 3, chips: int = 16, dp: int = 8) -> PartsTimer:
    return make_timer(apart(micro_batches, chips, dp))


def sides(of: PartsTimer) -> tuple[dict[Side, float], float]:
    """Seconds of a micro-batch by what works, and of the host, operator by operator."""
    parts, seconds = of.parts(), defaultdict[Side, float](float)
    one = of.micro_batch(BATCH)
    for operators, weights in of.operators(one, 0):
        rates = of.rates(CALM)
        for row in operator_rows(operators, weights, parts.pricer, rates, of.deployment.cluster):
            seconds[side_of(row.time.name, row.time.group)] += row.time.time
    return seconds, float(parts.host(one.sequences)[0])


@pytest.mark.parametrize("micro_batches", [1, 2, 3, 5])
@pytest.mark.parametrize("dp", [4, 8, 16])
def test_a_step_is_the_busiest_side_or_one_micro_batch_going_round(micro_batches: int, dp: int) -> None:
    of = timer(micro_batches, dp=dp)
    seconds, host = sides(of)
    expected = host + max(micro_batches * max(seconds.values()), sum(seconds.values()))
    assert float(of.durations(BATCH)[0]) == pytest.approx(expected)


def test_one_micro_batch_waits_for_everything_and_three_hide_the_way_between_the_chips() -> None:
    alone, _ = sides(timer(1))
    assert float(timer(1).durations(BATCH)[0]) > sum(alone.values())
    seconds, host = sides(timer(3))
    busiest = max(seconds["attention"], seconds["feed_forward"])
    assert seconds["dispatch"] + seconds["combine"] < busiest
    assert float(timer(3).durations(BATCH)[0]) == pytest.approx(host + 3 * busiest)


def test_what_leaves_the_attention_chips_arrives_at_the_others() -> None:
    made = apart()
    tokens, hidden = 8 * BATCH.decodes, made.model.hidden
    hops = [o for o in lower(make_one(made), BATCH) if isinstance(o, Hop)]
    dense = next(o for o in hops if o.name == "dispatch" and o.count == 3)
    assert 8 * dense.message[0] == tokens * hidden
    back = next(o for o in hops if o.name == "combine" and o.count == 3)
    assert back.message[0] == 2 * dense.message[0]
    routed = next(o for o in hops if o.name == "dispatch" and o.count == 58)
    assert 1.0 < routed.message[0] / dense.message[0] <= 8.0


def make_one(made: Deployment) -> Deployment:
    """The same with one micro-batch, which holds the whole step."""
    return apart(1, made.parallel.feed_forward.chips, made.parallel.dp)


def test_the_weights_are_those_of_chips_that_do_both() -> None:
    attention, others = memory_map(apart(dp=16)).stages
    (both,) = memory_map(deployed("deepseek-v3", "h800-hgx-x4", "fp8", "fp8", dp=16, ep=16)).stages
    assert attention.weights | others.weights == pytest.approx(both.weights)
    assert not set(attention.weights) & set(others.weights)
    assert attention.block == both.block
    assert attention.free > both.free
    assert memory_map(apart(dp=16)).tightest == attention


def test_shown_operators_sum_to_the_step_and_to_the_work_of_all_chips() -> None:
    of = timer()
    step = of.explain(BATCH)
    assert step.total == pytest.approx(float(of.durations(BATCH)[0]))
    whole = sum(o.flops for o in step.operators) * of.deployment.parallel.chips
    one = timer(1)
    assert whole == pytest.approx(
        sum(o.flops for o in one.explain(BATCH).operators) * one.deployment.parallel.chips, rel=0.01
    )


def test_the_price_list_is_the_timers_with_and_without_prompts() -> None:
    of, surface = timer(), StepSurface(timer())
    for decodes in (7, 40, 256):
        first, _, _ = surface.segment(decodes, [decodes * 3000.0], [float(decodes)])
        assert first == pytest.approx(float(of.durations(BatchShape(decodes, decodes * 3000))[0]), rel=1e-3)
    chunks = ((2000, 100), (900, 0))
    mixed = float(of.durations(BatchShape(40, 120_000, (), chunks))[0])
    assert surface.mixed(40, [120_000.0], chunks) == pytest.approx(mixed, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("llama-3.1-8b", {}, "ffn: llama-3.1-8b has no experts to keep apart"),
        ("deepseek-v3", {"ep": 2}, "ep: 2 beside chips for feed-forward blocks"),
        ("deepseek-v3", {"pp": 2}, "pp: 2 beside chips for feed-forward blocks"),
        ("deepseek-v3", {"ffn": {"chips": 16, "ep": 5}}, "ffn.ep: 5 does not divide"),
        ("deepseek-v3", {"ffn": {"chips": 64, "ep": 64}}, "dp 8, ffn 64 on 72 chips"),
    ],
)
def test_layouts_that_are_not_apart_are_refused(name: str, change: dict[str, object], says: str) -> None:
    parallel = {"dp": 8, "ffn": {"chips": 16, "ep": 16}} | change
    with pytest.raises(UserError, match=says):
        apart(name=name, parallel=parallel)


@pytest.mark.parametrize(
    "more", [{"overlap": "two-batch"}, {"speculation": {"method": "mtp", "num_speculative_tokens": 1}}]
)
def test_other_ways_to_overlap_are_refused_beside_it(more: dict[str, object]) -> None:
    with pytest.raises(UserError, match="not with feed-forward blocks on chips of their own"):
        apart(**more)


SCENARIO = """\
model: deepseek-v3
cluster: h800-hgx-x4
deployment:
  precision: {weights: fp8, activations: fp8}
  parallel: {dp: 8, ffn: {chips: 16, ep: 16}}
workload:
  arrivals: {process: closed, concurrency: 64}
  prompt_tokens: {distribution: constant, value: 200}
  output_tokens: {distribution: constant, value: 20}
  num_requests: 128
"""


def test_a_scenario_with_chips_apart_serves_and_counts_all_its_chips(tmp_path: Path) -> None:
    path = tmp_path / "apart.yaml"
    path.write_text(SCENARIO)
    outcome = sim.simulate(sim.load(path))
    values = outcome.summary.values
    assert values["completed"] == 128
    assert outcome.deployment.parallel.chips == 24
    assert values["chips"] == 24
    with pytest.raises(UserError, match="fidelity event knows one kind of chip"):
        sim.simulate(sim.load(path, sets=["fidelity=event"]))
