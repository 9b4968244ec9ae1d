"""Context parallelism: ranks that share a sequence do together what one would, and pay for meeting."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sim.deployment import Deployment, deploy, memory_map, sequence_bytes
from sim.deployment.schema import DeploymentSpec
from sim.errors import UserError
from sim.operators import BatchShape, Collective, DecodeAttention, Gemm, PrefillAttention, chunk_work, lower
from sim.operators.quantities import Array
from sim.timing import PartsTimer, StepSurface, make_timer
from sim.timing.links import link_time
from tests.chips import cluster, deployed, model

MANY, LONG = 64, 100_000
LAYOUTS = [{"tp": 8, "dcp": 8}, {"tp": 4, "pcp": 2}, {"tp": 4, "pcp": 2, "dcp": 4}, {"tp": 8, "dcp": 2}]


@cache
def k1(name: str = "h200-hgx", fidelity: str = "analytic", **parallel: int) -> PartsTimer:
    made = deployed("ax-k1", name, "fp8", "fp8", ep=8, **parallel)
    return make_timer(made, "event" if fidelity == "event" else "analytic")


def decode_attention(deployment: Deployment, batch: BatchShape) -> DecodeAttention:
    return next(o for o in lower(deployment, batch) if isinstance(o, DecodeAttention))


@pytest.mark.parametrize("parallel", LAYOUTS)
def test_ranks_that_share_a_cache_score_every_pair_once_and_read_every_latent_once_per_copy(
    parallel: dict[str, int],
) -> None:
    made = k1(**parallel).deployment
    chips, copies = made.parallel.chips, made.parallel.tp // made.parallel.dcp
    one = decode_attention(made, BatchShape(decodes=MANY, context=MANY * LONG))
    alone = decode_attention(
        deployed("ax-k1", "h200-hgx-x4", "fp8", "fp8", dp=8, ep=8), BatchShape(MANY, MANY * LONG)
    )
    assert chips * one.flops[0] == pytest.approx(alone.flops[0])
    assert chips * one.read_bytes[0] == pytest.approx(copies * alone.read_bytes[0])
    appended = one.kept * one.heads.cache_bytes
    assert chips * appended == pytest.approx(copies * alone.heads.cache_bytes)


def test_grouped_heads_share_what_their_copies_would_read() -> None:
    batch = BatchShape(decodes=MANY, context=MANY * LONG)
    copied = decode_attention(deployed("llama-3.1-405b", "h200-hgx-x2", "fp8", "fp8", tp=16), batch)
    shared = decode_attention(deployed("llama-3.1-405b", "h200-hgx-x2", "fp8", "fp8", tp=16, dcp=2), batch)
    assert 2 * shared.read_bytes[0] == copied.read_bytes[0]
    assert shared.flops[0] == copied.flops[0]


def test_prompts_are_computed_once_between_prefill_ranks() -> None:
    whole, split = (
        deployed("llama-3.1-70b", "h200-hgx", tp=4),
        deployed("llama-3.1-70b", "h200-hgx", tp=4, pcp=2),
    )
    batch = BatchShape(chunks=((8192, 32_768),))

    def multiplied(made: Deployment) -> tuple[float, float]:
        operators = [o for o in lower(made, batch) if o.group != "head"]
        gemms = sum(o.count * float(o.flops[0]) for o in operators if isinstance(o, Gemm))
        return gemms, sum(o.count * o.flops for o in operators if isinstance(o, PrefillAttention))

    assert [2 * part for part in multiplied(split)] == pytest.approx(multiplied(whole))


def test_what_prefill_ranks_gather_is_what_each_lacks() -> None:
    made = deployed("llama-3.1-70b", "h200-hgx", tp=4, pcp=2)
    work = chunk_work([(8192, 32_768)])
    gather = next(o for o in lower(made, BatchShape(chunks=((8192, 32_768),))) if o.name == "cache_gather")
    assert isinstance(gather, Collective)
    per_token = 2 * 128 * 2 * (8 // 4)
    assert gather.message[0] == (work.new + 32_768) * per_token
    assert link_time(gather, made.cluster, 0.0).wire_bytes[0] == pytest.approx(gather.message[0] / 2)


@pytest.mark.parametrize(("parallel", "factor"), [({"tp": 8, "dcp": 8}, 8), ({"tp": 8, "dcp": 2}, 2)])
def test_a_divided_latent_makes_room_for_as_many_more_tokens(parallel: dict[str, int], factor: int) -> None:
    plain, divided = k1(tp=8).deployment, k1(**parallel).deployment
    before, after = memory_map(plain), memory_map(divided)
    assert after.kv_tokens == factor * before.kv_tokens
    assert after.block_size == factor * before.block_size
    assert sequence_bytes(divided, LONG) == pytest.approx(sequence_bytes(plain, LONG) / factor)


def test_prefill_ranks_hold_one_cache_between_them() -> None:
    one, two = (deployed("llama-3.1-70b", "h200-hgx", tp=4, **p) for p in ({}, {"pcp": 2}))
    assert sequence_bytes(two, LONG) == sequence_bytes(one, LONG)
    assert memory_map(two).kv_tokens >= 2 * memory_map(one).kv_tokens


def test_a_group_whose_chips_are_apart_meets_over_the_links_that_lie_between() -> None:
    made = deployed("llama-3.1-405b", "h200-hgx-x2", "fp8", "fp8", tp=8, pcp=2)
    gather = next(o for o in lower(made, BatchShape(chunks=((8192, 0),))) if o.name == "cache_gather")
    assert isinstance(gather, Collective)
    apart, beside = (link_time(replace(gather, stride=n), made.cluster, 0.0) for n in (8, 1))
    assert set(apart.levels) == {"scale_out"}
    assert set(beside.levels) == {"scale_up"}
    assert apart.transfer[0] > beside.transfer[0]


def seconds(timer: PartsTimer, batch: BatchShape) -> float:
    return float(timer.durations(batch)[0])


def test_dividing_the_cache_pays_for_long_contexts_and_costs_in_short_ones() -> None:
    plain, divided = k1(tp=8), k1(tp=8, dcp=8)
    long, short = (BatchShape(MANY, MANY * context) for context in (LONG, 128))
    assert seconds(divided, long) < 0.7 * seconds(plain, long)
    assert seconds(divided, short) > seconds(plain, short)


def test_sharing_a_prompt_between_ranks_makes_its_first_token_come_sooner() -> None:
    prompt = BatchShape(chunks=((8192, 65_536),))
    one, two, four = (
        make_timer(deployed("llama-3.1-70b", "h200-hgx", tp=2, pcp=pcp), "analytic") for pcp in (1, 2, 4)
    )
    assert seconds(one, prompt) > seconds(two, prompt) > seconds(four, prompt)
    assert seconds(four, prompt) > seconds(one, prompt) / 4


@pytest.mark.parametrize("fidelity", ["analytic", "event"])
def test_a_longer_context_never_makes_a_step_faster_on_ranks_that_share_it(fidelity: str) -> None:
    timer = k1(fidelity=fidelity, tp=4, pcp=2, dcp=4)
    decodes = [seconds(timer, BatchShape(8, 8 * context)) for context in (64, 1000, 20_000, LONG)]
    chunks = [seconds(timer, BatchShape(chunks=((2048, past),))) for past in (0, 1000, 20_000, LONG)]
    assert decodes == sorted(decodes)
    assert chunks == sorted(chunks)


def test_the_price_list_of_shared_contexts_is_the_timers() -> None:
    timer = k1(tp=4, pcp=2, dcp=4)
    surface = StepSurface(timer)
    chunks = ((3001, 500), (200, 7))
    priced = surface.mixed(5, [5000.0], chunks)
    assert priced == pytest.approx(seconds(timer, BatchShape(5, 5000, (), chunks)), rel=1e-3)
    first, slope, _ = surface.segment(9, [9.0 * LONG], [9.0])
    steps: Array = timer.durations(BatchShape(9, 9 * LONG), 2)
    assert [first, first + slope] == pytest.approx(list(np.asarray(steps)), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "parallel", "engine", "says"),
    [
        ("deepseek-v3.2", {"tp": 8, "dcp": 8}, {}, "dcp: 8 divides caches of which every token is read"),
        ("gpt-oss-120b", {"tp": 4, "pcp": 2}, {}, "pcp: 2 divides caches of which every token is read"),
        ("llama-3.1-8b", {"tp": 8, "dcp": 2}, {}, "dcp: 2 does not divide the 1 ranks that tp 8 leaves"),
        ("ax-k1", {"tp": 8, "dcp": 8}, {"expand_mla": True}, "deployment.engine.expand_mla: true"),
    ],
)
def test_caches_that_cannot_be_divided_are_refused(
    name: str, parallel: dict[str, int], engine: dict[str, object], says: str
) -> None:
    spec = {"parallel": parallel, "engine": engine, "precision": {"weights": "fp8", "activations": "fp8"}}
    with pytest.raises(UserError, match=says):
        deploy(DeploymentSpec.model_validate(spec), model(name), cluster("h200-hgx"))
