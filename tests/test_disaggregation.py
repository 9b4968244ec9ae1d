"""Prefill and decode in pools of their own: closed forms, back-pressure, shared links, leaping."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.errors import UserError
from sim.serving import FleetConfig, SchedulerConfig
from sim.serving.disaggregated import Pool, serve_disaggregated
from sim.serving.kv_transfer import KvTransfer
from sim.timing.linear_surface import LinearSurface
from sim.workload import Requests

PER_TOKEN = 1000.0
"""Bytes of KV cache of a token."""


def scheduler(**changed: object) -> SchedulerConfig:
    limits = {
        "block_size": 16, "num_blocks": 10_000, "max_model_len": 20_000, "max_num_scheduled_tokens": 8192,
        "max_num_batched_tokens": 8192, "max_num_seqs": 64, "async_scheduling": False,
    } | changed  # fmt: skip
    return SchedulerConfig(**limits)


def pool(surface: LinearSurface, replicas: int = 1, ranks: int = 1, **limits: object) -> Pool:
    config = FleetConfig(scheduler(**limits), replicas=replicas, ranks=ranks, router="least_outstanding")
    return Pool(config, surface, rank_chips=1)


def transfer(bandwidth: float = 1e6, **changed: object) -> KvTransfer:
    return KvTransfer(bandwidth, 0.0, lambda tokens: PER_TOKEN * tokens, layers=10, **changed)


PREFILL = LinearSurface(0.01, 1e-4, 0.0)
DECODE = LinearSurface(0.02, 0.0, 0.0)


def test_one_request_takes_prefill_transfer_and_every_decode_step():
    requests = Requests(np.array([1.0]), np.array([1000]), np.array([5]))
    table = serve_disaggregated(requests, pool(PREFILL), pool(DECODE), transfer()).whole.requests
    computed = 1.0 + 0.01 + 1000 * 1e-4
    moved = 1000 * PER_TOKEN / 1e6
    assert table.scheduled[0] == 1.0
    assert table.kv_transfer[0] == pytest.approx(moved, rel=1e-9)
    assert table.first_token[0] == pytest.approx(computed + moved + 0.02, rel=1e-9)
    assert table.finish[0] == pytest.approx(computed + moved + 5 * 0.02, rel=1e-9)


def test_layer_by_layer_only_what_the_prefill_does_not_hide_is_waited_for():
    """1 s of transfer beside 0.11 s of prefill: the first nine layers start with it, the last follows."""
    requests = Requests(np.array([0.0]), np.array([1000]), np.array([1]))
    for bandwidth in (1e6, 1e8):
        table = serve_disaggregated(
            requests, pool(PREFILL), pool(DECODE), transfer(bandwidth, layerwise=True)
        ).whole.requests
        whole = 1e6 / bandwidth
        ready = max(0.11, 0.9 * whole) + 0.1 * whole
        assert table.first_token[0] == pytest.approx(ready + 0.02, rel=1e-9)


def test_two_caches_out_of_one_engine_share_its_link():
    """Prefills end together after one step; both caches then take twice as long as one."""
    requests = Requests(np.zeros(2), np.array([1000, 1000]), np.array([1, 1]))
    one = serve_disaggregated(requests, pool(PREFILL), pool(DECODE, replicas=2), transfer()).whole.requests
    assert one.kv_transfer == pytest.approx([2.0, 2.0], rel=1e-9)
    two = serve_disaggregated(
        requests, pool(PREFILL, replicas=2), pool(DECODE, replicas=2), transfer()
    ).whole.requests
    assert two.kv_transfer == pytest.approx([1.0, 1.0], rel=1e-9)


def test_a_full_decode_pool_holds_back_transfers_and_with_them_prefills():
    """The decode engine holds one sequence, the prefill engine three prompts: the fourth prompt waits for the
    first answer, two answers before its own."""
    n = 5
    requests = Requests(np.zeros(n), np.full(n, 160), np.full(n, 32))
    decode = pool(DECODE, num_blocks=14, max_model_len=208)
    prefill = pool(PREFILL, num_blocks=33, max_model_len=208)
    table = serve_disaggregated(requests, prefill, decode, transfer(1e12)).whole.requests
    assert np.all(np.diff(table.finish) > 0.9 * 32 * 0.02)
    assert table.scheduled[:3] == pytest.approx(np.zeros(3))
    assert table.scheduled[3] == pytest.approx(table.first_token[0] - 0.02, abs=0.05)
    assert table.scheduled[4] >= table.finish[0]


def test_short_prompts_are_computed_where_they_are_answered():
    requests = Requests(np.zeros(2), np.array([100, 1000]), np.array([3, 3]))
    table = serve_disaggregated(
        requests, pool(PREFILL), pool(PREFILL), transfer(local_tokens=100)
    ).whole.requests
    assert np.isnan(table.kv_transfer[0])
    assert np.isfinite(table.kv_transfer[1])


def test_blocks_in_the_decode_engines_cache_are_not_moved():
    pieces = (((1, 1600), (2, 16)), ((1, 1600), (3, 16)))
    requests = Requests(
        np.array([0.0, 50.0]), np.array([1616, 1616]), np.array([2, 2]), pieces=pieces,
        output_segment=np.array([10, 11]),
    )  # fmt: skip
    table = serve_disaggregated(requests, pool(PREFILL), pool(DECODE), transfer()).whole.requests
    assert table.kv_transfer == pytest.approx([1.616, 0.016], rel=1e-6)


def test_a_closed_loop_lets_the_next_in_at_each_answer():
    requests = Requests(np.zeros(40), np.full(40, 300), np.full(40, 20), concurrency=4)
    table = serve_disaggregated(requests, pool(PREFILL, 2), pool(DECODE, 2), transfer(1e8)).whole.requests
    assert np.sum(table.arrival == 0.0) == 4
    assert np.isin(table.arrival[table.arrival > 0], table.finish).all()


def test_a_prompt_beyond_the_models_length_is_rejected_and_moves_nothing():
    requests = Requests(np.zeros(2), np.array([30_000, 50]), np.array([3, 3]))
    table = serve_disaggregated(requests, pool(PREFILL), pool(DECODE), transfer()).whole.requests
    assert table.status.tolist() == [1, 0]


@st.composite
def crowded(draw):
    """Small pools with little room: preemption, prefix hits, ranks, speculation, closed loops."""
    n = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    longest = draw(st.integers(60, 250))
    size = draw(st.sampled_from([1, 4, 16]))
    shared = draw(st.booleans())
    pieces = tuple(
        ((int(rng.integers(0, 3)), int(rng.integers(1, 40))), (100 + i, int(rng.integers(1, 30))))
        for i in range(n)
    )
    concurrency = draw(st.none() | st.integers(1, 8))
    gaps = rng.exponential(draw(st.sampled_from([0.0, 0.05, 0.4])), n)
    requests = Requests(
        arrival=np.cumsum(gaps) if concurrency is None else np.zeros(n),
        prompt_tokens=np.array([sum(length for _, length in parts) for parts in pieces]),
        output_tokens=rng.integers(1, 50, n),
        priority=rng.integers(0, 3, n),
        pieces=pieces if shared else None,
        output_segment=np.arange(n) + 1000,
        concurrency=concurrency,
    )

    def limits(most_spare: int) -> dict[str, object]:
        return {
            "block_size": size, "num_blocks": -(-longest // size) + 2 + draw(st.integers(0, most_spare)),
            "max_model_len": longest, "max_num_seqs": draw(st.integers(1, 8)),
            "max_num_scheduled_tokens": 300, "max_num_batched_tokens": 300,
            "async_scheduling": draw(st.booleans()), "enable_prefix_caching": draw(st.booleans()),
            "priority": draw(st.booleans()),
        }  # fmt: skip

    acceptance = draw(st.sampled_from([(), (0.6, 0.3)]))
    windows = draw(st.sampled_from([(), (33,)]))
    surface = LinearSurface(0.01, 1e-4, 3e-6, windows)
    ranks = draw(st.sampled_from([1, 2]))
    prefill = pool(surface, draw(st.integers(1, 2)), ranks, **limits(20))
    decode = pool(
        dataclasses.replace(surface, queries=1 + len(acceptance)),
        draw(st.integers(1, 2)),
        draw(st.sampled_from([1, 2])),
        **limits(20),
        acceptance=acceptance,
    )
    moves = transfer(
        draw(st.sampled_from([1e5, 1e7])),
        layerwise=draw(st.booleans()),
        local_tokens=draw(st.integers(0, 40)),
    )
    return requests, prefill, decode, moves


@settings(max_examples=120)
@given(crowded())
def test_leaping_gives_the_records_of_taking_every_step_and_nobody_is_lost(case):
    leap = serve_disaggregated(*case).whole
    step = serve_disaggregated(*case, step_by_step=True).whole
    assert leap.end_reason == "all_done"
    for field in dataclasses.fields(leap.requests):
        mine, theirs = (np.nan_to_num(getattr(run.requests, field.name), nan=-1.0) for run in (leap, step))
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12, err_msg=field.name)
    assert leap.segments.yielded.sum() == leap.requests.output_tokens.sum()


# -- what a user writes -----------------------------------------------------------------------------------

DEPLOYMENT = "{precision: {weights: fp8, activations: fp8}, parallel: {tp: 4, ep: 4}}"
SCENARIO = f"""\
pools:
  - {{name: p, role: prefill, model: qwen3-30b-a3b, cluster: h200-hgx, deployment: {DEPLOYMENT}}}
  - {{name: d, role: decode, model: qwen3-30b-a3b, cluster: rebel100-server, deployment: {DEPLOYMENT}}}
workload:
  arrivals: {{process: poisson, rate: 4.0}}
  prompt_tokens: {{distribution: constant, value: 700}}
  output_tokens: {{distribution: constant, value: 20}}
  num_requests: 30
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str = SCENARIO):
        path = tmp_path / "it.yaml"
        path.write_text(text)
        return path

    return write


def test_two_pools_are_a_prefill_pool_beside_the_scenarios_own(written, tmp_path):
    scenario = sim.load(written())
    assert scenario.spec.cluster.name == "rebel100-server"
    assert scenario.spec.prefill is not None
    assert scenario.spec.prefill.cluster.name == "h200-hgx"
    again = tmp_path / "again.yaml"
    scenario.write_resolved(again)
    assert sim.load(again).spec == scenario.spec


def test_a_run_in_two_pools_divides_its_latencies_and_counts_all_chips(written):
    outcome = sim.simulate(sim.load(written()))
    values, time = outcome.summary.values, outcome.summary.request_time
    assert time is not None
    assert time.ttft is not None
    assert time.tpot is not None
    assert 1e3 * time.ttft.mean == pytest.approx(values["mean_ttft_ms"], rel=1e-6)
    assert 1e3 * time.tpot.mean == pytest.approx(values["mean_tpot_ms"], rel=1e-6)
    assert values["chips"] == 8
    assert values["mean_kv_transfer_ms"] > 0
    assert values["joules"] > 0
    paths = {a.path.partition(".")[0] for a in outcome.summary.assumptions}
    assert {"prefill", "transfer", "cluster"} <= paths
    assert sum(outcome.summary.breakdown.by_resource.values()) == pytest.approx(1.0)


def test_more_prefill_replicas_and_a_faster_link_shorten_first_tokens(written):
    path = written(SCENARIO.replace("rate: 4.0", "rate: 60.0").replace("700", "3000"))

    def ttft(*sets: str) -> float:
        return sim.simulate(sim.load(path, sets)).summary.values["mean_ttft_ms"]

    base = ttft()
    assert ttft("prefill.deployment.replicas=2") < base
    assert ttft("transfer.bandwidth=1 GB/s") > base
    assert ttft("transfer.layerwise=true") < base
    assert ttft("prefill.cluster=h100-hgx") != base


@pytest.mark.parametrize(
    ("found", "instead", "says"),
    [
        ("role: prefill", "role: decode", "one with role prefill and one with role decode"),
        ("p, role: prefill, model: qwen3-30b-a3b", "p, role: prefill, model: qwen3-32b", "the same model"),
        ("name: p", "nam: p", "did you mean 'name'"),
        ("workload:", "prefill: {cluster: h200-hgx}\nworkload:", "a second time"),
        ("  - {name: d", "  - 7\n  - {name: d", "a list of 3"),
    ],
)
def test_pools_that_do_not_fit_are_one_sentence(written, found, instead, says):
    with pytest.raises(UserError) as caught:
        sim.load(written(SCENARIO.replace(found, instead)))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("prefill.deployment.precision.kv_cache=fp8", "prefill.deployment.precision.kv_cache"),
        ("prefill.deployment.replicas=9", "prefill.deployment.replicas"),
        ("transfer.bandwith=1GB/s", "bandwidth"),
    ],
)
def test_what_is_wrong_with_a_pool_names_the_pool(written, override, says):
    with pytest.raises(UserError) as caught:
        sim.simulate(sim.load(written(), [override]))
    assert says in str(caught.value)


def test_another_engine_version_of_the_prefill_pool_brings_its_own_table(written):
    spec = sim.load(written(), ["prefill.deployment.engine.family=vllm"]).spec
    assert spec.prefill is not None
    assert spec.prefill.deployment.engine == spec.deployment.engine
