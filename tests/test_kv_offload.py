"""Stores below the KV cache: closed forms, equality with one endless cache, conservation, leaping."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.errors import UserError
from sim.serving import FleetConfig, RunResult, SchedulerConfig, serve_fleet
from sim.serving.invariants import InvariantError, check_store
from sim.serving.kv_cache import Path as Content
from sim.serving.tiers.channel import Channel, transfer
from sim.serving.tiers.config import TierConfig, TiersConfig
from sim.serving.tiers.store import TierStore
from sim.timing.linear_surface import LinearSurface
from sim.workload import Requests, WorkloadSpec, generate

STEP = LinearSurface(0.01, 1e-4, 0.0)
"""10 ms a step and 0.1 ms a computed token."""
BLOCK, BYTES = 16, 1600.0
ENDLESS = 1e30


def tier(blocks: int = 10_000, rate: float = ENDLESS, name: str = "dram", **changed: object) -> TierConfig:
    return TierConfig(name, blocks, rate, rate, ENDLESS, **changed)  # type: ignore[arg-type]


def fleet(*tiers: TierConfig, layerwise: bool = False, replicas: int = 1, **limits: object) -> FleetConfig:
    given_limits = {
        "block_size": BLOCK, "num_blocks": 60, "max_model_len": 1200, "max_num_scheduled_tokens": 1024,
        "max_num_batched_tokens": 1024, "max_num_seqs": 8, "async_scheduling": False,
        "tiers": TiersConfig(tiers, BYTES, layerwise) if tiers else None,
    } | limits  # fmt: skip
    return FleetConfig(SchedulerConfig(**given_limits), replicas=replicas)


def told(contents: list[int], gap: float = 10.0, tokens: int = 960, output: int = 1) -> Requests:
    """Prompts one after another; equal numbers are equal contents."""
    n = len(contents)
    return Requests(
        np.arange(n) * gap,
        np.full(n, tokens),
        np.full(n, output),
        pieces=tuple(((content, tokens),) for content in contents),
        output_segment=np.arange(1000, 1000 + n),
    )


def turns(count: int, seed: int = 0, rate: float = 0.8) -> Requests:
    """Sessions whose turns begin with what was said before."""
    spec = {
        "arrivals": {
            "process": "sessions",
            "starts": {"process": "poisson", "rate": rate},
            "turns": {"distribution": "uniform", "low": 1, "high": 6},
            "pause": {"mean": "3 s", "cv": 1.0},
            "context": 1000,
        },
        "prompt_tokens": {"distribution": "uniform", "low": 20, "high": 200},
        "output_tokens": {"distribution": "uniform", "low": 1, "high": 60},
        "num_requests": count,
    }
    return generate(WorkloadSpec.model_validate(spec), seed, Path())


def ttft(result: RunResult) -> np.ndarray:
    return result.requests.first_token - result.requests.arrival


def test_a_prompt_that_was_overwritten_is_loaded_at_the_tiers_rate_and_its_last_block_computed():
    """59 of 60 blocks: latency + bytes / rate, then one step of 16 tokens."""
    rate = 59 * BYTES / 0.5
    result = serve_fleet(told([1, 2, 1]), STEP, fleet(tier(rate=rate, latency=0.2)))
    assert ttft(result)[1] == pytest.approx(0.01 + 960 * 1e-4)
    assert ttft(result)[2] == pytest.approx(0.2 + 0.5 + 0.01 + 16 * 1e-4)
    assert result.requests.cached_tokens.tolist() == [0, 0, 944]


def test_layer_by_layer_the_step_and_the_load_take_the_longer_of_both():
    for seconds in (0.001, 0.5):
        config = fleet(tier(rate=59 * BYTES / seconds), layerwise=True)
        result = serve_fleet(told([1, 2, 1]), STEP, config)
        assert ttft(result)[2] == pytest.approx(max(seconds, 0.01 + 16 * 1e-4))
        assert result.requests.cached_tokens[2] == 944


def test_a_slow_store_holds_an_answers_blocks_until_they_are_written():
    """The next prompt does not fit beside blocks that are still being written: it waits for them."""
    slow = tier(rate=60 * BYTES / 5.0)
    waits = serve_fleet(told([1, 2], gap=1.0), STEP, fleet(slow))
    assert ttft(waits)[1] == pytest.approx(5.0 - 1.0 + 0.01 + 960 * 1e-4, rel=1e-6)
    later = serve_fleet(told([1, 2], gap=6.0), STEP, fleet(slow))
    assert ttft(later)[1] == pytest.approx(0.01 + 960 * 1e-4)


def test_transfers_share_a_link_and_never_beat_its_rate():
    link = Channel(100.0)
    assert transfer((link,), 50.0, 1.0, 0.25) == 1.75
    assert transfer((link, Channel(1e9)), 50.0, 1.0, 0.25) == 2.25
    assert transfer((link,), 50.0, 9.0, 0.0) == 9.5
    assert link.moved == 150.0


@pytest.mark.parametrize("policy", [False, True])
def test_with_endless_bandwidth_and_capacity_tiers_equal_an_endless_prefix_cache(policy: bool):
    """One prompt at a time, so that nobody waits for anybody: the same tokens are found again."""
    rng = np.random.default_rng(1)
    requests = told(rng.integers(0, 12, 60).tolist(), tokens=400, output=20)
    small = serve_fleet(requests, STEP, fleet(tier(write_back=policy), num_blocks=40))
    endless = serve_fleet(requests, STEP, fleet(num_blocks=100_000))
    assert small.requests.cached_tokens.tolist() == endless.requests.cached_tokens.tolist()
    assert small.requests.finish == pytest.approx(endless.requests.finish, rel=1e-9)
    none = serve_fleet(requests, STEP, fleet(num_blocks=40))
    assert none.requests.cached_tokens.sum() < endless.requests.cached_tokens.sum() / 2


def test_a_larger_store_finds_no_less_again():
    rng = np.random.default_rng(2)
    requests = told(rng.integers(0, 30, 120).tolist(), tokens=400, output=8)
    found = [
        int(serve_fleet(requests, STEP, fleet(tier(n), num_blocks=40)).requests.cached_tokens.sum())
        for n in (50, 150, 300, 600, 1200)
    ]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_what_memory_drops_is_found_on_the_drives():
    dram, drives = tier(130), tier(name="nvme", rate=59 * BYTES / 0.3, write_back=True)
    result = serve_fleet(told([1, 2, 3, 4, 1]), STEP, fleet(dram, drives))
    # three prompts fit nowhere above the drives; the fifth comes from there
    assert result.requests.cached_tokens[-1] == 944
    memory, disk = result.kv_tiers
    assert memory.loaded == 0
    assert disk.loaded == 944
    assert disk.written >= 944
    assert ttft(result)[-1] >= 0.3


def test_replicas_find_each_others_prompts_in_a_pool_and_not_in_their_own_memory():
    requests = told([1, 1])
    own = serve_fleet(requests, STEP, fleet(tier(), replicas=2))
    assert own.requests.cached_tokens.tolist() == [0, 0]
    shared = serve_fleet(requests, STEP, fleet(tier(name="pool", shared=True), replicas=2))
    assert shared.requests.replica.tolist() == [0, 1]
    assert shared.requests.cached_tokens.tolist() == [0, 944]


def test_content_is_found_only_when_its_transfer_has_ended():
    store = TierStore(tier(10), BLOCK)
    path = Content([(1, 160)], 2)
    store.expect(path, 0, 10, 3.0)
    assert store.reach(path, 0, 10, 2.9) == 0
    assert store.reach(path, 0, 10, 3.0) == 10
    assert store.reach(path, 4, 7, 3.0) == 7


def test_the_least_recently_used_prefix_goes_first_and_from_its_end():
    store = TierStore(tier(10), BLOCK)
    one, two, three = (Content([(segment, 160)], 9) for segment in (1, 2, 3))
    store.expect(one, 0, 4, 0.0)
    store.expect(two, 0, 4, 0.0)
    store.arrive(0.0)
    store.use(one, 0, 4)
    store.expect(three, 0, 4, 1.0)
    assert store.reach(three, 0, 10, 1.0) == 4
    assert store.reach(two, 0, 10, 1.0) == 2
    assert store.reach(one, 0, 10, 1.0) == 4
    assert (store.held, store.written, store.dropped) == (10, 12, 2)
    check_store(store)
    store.written += 1
    with pytest.raises(InvariantError, match="lost or made of nothing"):
        check_store(store)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    layerwise=st.booleans(),
    write_back=st.booleans(),
    two=st.booleans(),
    deep=st.booleans(),
    blocks=st.sampled_from([100, 300, 2000]),
    rate=st.sampled_from([BYTES * 100, BYTES * 2000, ENDLESS]),
)
def test_leaping_equals_taking_every_step(
    seed: int, layerwise: bool, write_back: bool, two: bool, deep: bool, blocks: int, rate: float
):
    """And nobody's answer depends on what the tiers hold: all get all their tokens (BANDWALL_CHECK is on)."""
    tiers = [tier(blocks, rate, write_back=write_back)]
    if two:
        tiers.append(tier(4 * blocks, rate / 3, name="nvme", write_back=not write_back, latency=0.01))
    config = fleet(*tiers, layerwise=layerwise, num_blocks=90, async_scheduling=deep)
    requests = turns(60, seed)
    leap, step = (serve_fleet(requests, STEP, config, step_by_step=each) for each in (False, True))
    for name in ("scheduled", "first_token", "finish"):
        assert getattr(leap.requests, name) == pytest.approx(getattr(step.requests, name), rel=1e-9)
    assert leap.requests.cached_tokens.tolist() == step.requests.cached_tokens.tolist()
    assert leap.requests.output_tokens.tolist() == requests.output_tokens.tolist()
    assert leap.kv_tiers == step.kv_tiers


@pytest.mark.parametrize("rules", ["vllm", "sglang", "no-evict", "vllm-legacy", "separate"])
def test_every_scheduler_loads_layer_by_layer(rules: str):
    changed = {"rules": rules, "enable_chunked_prefill": rules != "vllm-legacy"}
    config = fleet(tier(), layerwise=True, **changed)
    result = serve_fleet(told([1, 2, 1], tokens=900), STEP, config)
    assert result.requests.cached_tokens.tolist() == [0, 0, 896]


def test_ranks_that_step_together_have_tiers_of_their_own():
    config = dataclasses.replace(fleet(tier()), ranks=2)
    result = serve_fleet(turns(80), STEP, config)
    (use,) = result.kv_tiers
    assert use.capacity == 2 * 10_000 * BLOCK
    assert use.loaded > 0


# -- in a scenario ---------------------------------------------------------------------------

SCENARIO = """\
schema: 1
model: llama-3.1-8b
cluster: h100-hgx
deployment:
  precision: {weights: fp8, activations: fp8}
  engine: {gpu_memory_utilization: 0.2, max_num_seqs: 16}
  kv_offload: {dram: {capacity: 60 GB}}
workload:
  arrivals:
    process: sessions
    starts: {process: poisson, rate: 0.6}
    turns: {distribution: constant, value: 4}
    pause: {mean: 20 s, cv: 0.3}
  prompt_tokens: {distribution: constant, value: 1500}
  output_tokens: {distribution: constant, value: 50}
  num_requests: 80
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "offload.yaml"
    path.write_text(SCENARIO)
    return path


def test_a_store_in_host_memory_saves_prefill_and_is_reported(scenario: Path):
    with_store = sim.simulate(sim.load(scenario))
    without = sim.simulate(sim.load(scenario, sets=["deployment.kv_offload=null"]))
    assert with_store.result.requests.cached_tokens.sum() > without.result.requests.cached_tokens.sum()
    (use,) = with_store.result.kv_tiers
    assert use.token_bytes == 2 * 32 * 8 * 128 * 2
    assert use.capacity == int(60e9 / use.token_bytes / 16) * 16
    record = with_store.to_json()
    assert record["kv_tiers"] == [dataclasses.asdict(use)]
    assert any("KV tier dram" in note for note in with_store.result.notes)
    assert "kv_tiers" not in without.to_json()
    paths = {assumption.path for assumption in with_store.summary.assumptions}
    assert {"deployment.kv_offload.link_share", "deployment.kv_offload.dram.read"} <= paths


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("deployment.kv_offload={}", "no store is given"),
        ("deployment.engine.enable_prefix_caching=false", "enable_prefix_caching true"),
        ("deployment.engine.family=sglang", "give layerwise"),
        ("deployment.kv_offload.link_share=1.5", "the whole link"),
        ("deployment.kv_offload.dram.rate=1 GB/s", "dram"),
    ],
)
def test_an_impossible_store_is_refused_in_one_sentence(scenario: Path, change: str, said: str):
    with pytest.raises(UserError, match=said):
        sim.simulate(sim.load(scenario, sets=[change]))


def test_stores_beside_a_pool_of_its_own_for_prompts_are_refused(tmp_path: Path):
    path = tmp_path / "pools.yaml"
    path.write_text(
        SCENARIO
        + "prefill:\n  cluster: h100-hgx\n  deployment: {precision: {weights: fp8, activations: fp8}}\n"
    )
    with pytest.raises(UserError, match=r"kv_offload: not yet with a pool of its own for prompts"):
        sim.simulate(sim.load(path))
