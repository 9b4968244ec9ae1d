"""The engine's promises: leaping changes nothing, nothing is lost, and queues behave as theory says."""

import dataclasses
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.serving import FleetConfig, RunResult, SchedulerConfig, serve_fleet
from sim.serving.batch import SchedulerRules
from sim.serving.routers import ROUTERS
from sim.timing.linear_surface import LinearSurface
from sim.workload.requests import Requests


@dataclasses.dataclass(frozen=True)
class KinkedSurface(LinearSurface):
    """A linear price whose context part is steeper beyond a kink, and prices windows as well."""

    kink: int = 700
    per_window: float = 0.0

    def segment(self, decodes, sums, growth):
        first, slope, length = super().segment(decodes, sums, growth)
        over = max(0, sums[0] - self.kink)
        first += self.per_context * over + self.per_window * sum(sums[1:])
        slope += self.per_window * sum(growth[1:])
        if over:
            return first, slope + self.per_context * growth[0], length
        if growth[0]:
            length = int((self.kink - sums[0]) // growth[0]) + 1
        return first, slope, length

    def mixed(self, decodes, sums, chunks):
        over = max(0, sums[0] - self.kink)
        extra = self.per_context * over + self.per_window * sum(sums[1:])
        return super().mixed(decodes, sums, chunks) + extra


RULES = get_args(SchedulerRules)


@st.composite
def scenarios(draw):
    """Small, crowded fleets: shared prefixes, follow-up turns, preemption, windows, ranks, routers."""
    n = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1, 4, 16]))
    longest = draw(st.integers(40, 300))
    caching = draw(st.booleans())
    chunked = draw(st.booleans())
    budget = draw(st.integers(8, 200)) if chunked else longest + draw(st.integers(0, 100))
    pieces, prompt, output = [], [], []
    shared = draw(st.booleans())
    for i in range(n):
        parts = [(int(rng.integers(0, 4)), int(rng.integers(1, 40))), (100 + i, int(rng.integers(1, 30)))]
        if i and shared and rng.random() < 0.4:
            j = int(rng.integers(0, i))
            parts = [*pieces[j], (1000 + j, output[j]), (100 + i, int(rng.integers(1, 9)))]
        pieces.append(tuple(parts))
        prompt.append(sum(length for _, length in parts))
        output.append(int(rng.integers(1, 60)))
    concurrency = draw(st.none() | st.integers(1, 12))
    gaps = rng.exponential(draw(st.sampled_from([0.0, 0.02, 0.3])), n) * (rng.random(n) < 0.8)
    requests = Requests(
        arrival=np.cumsum(gaps) if concurrency is None else np.zeros(n),
        prompt_tokens=np.array(prompt),
        output_tokens=np.array(output),
        priority=rng.integers(0, 3, n),
        pieces=tuple(pieces) if shared else None,
        output_segment=np.arange(n) + 1000,
        concurrency=concurrency,
    )
    blocks = -(-longest // size) + 2 + draw(st.integers(0, 60))
    scheduler = SchedulerConfig(
        block_size=size,
        num_blocks=blocks,
        max_model_len=longest,
        max_num_scheduled_tokens=budget,
        max_num_batched_tokens=budget,
        max_num_seqs=draw(st.integers(1, 16)),
        enable_chunked_prefill=chunked,
        enable_prefix_caching=caching,
        async_scheduling=draw(st.booleans()),
        priority=draw(st.booleans()),
        scheduler_reserve_full_isl=draw(st.booleans()),
        long_prefill_token_threshold=draw(st.sampled_from([0, 0, 20])),
        sequence_blocks=draw(st.sampled_from([0, 0, 2])),
        acceptance=draw(st.sampled_from([(), (), (0.7,), (0.9, 0.5, 0.2), (1.0, 1.0)])),
        recompute_last_block=draw(st.booleans()),
        rules=draw(st.sampled_from(RULES)),
        recv_interval=draw(st.sampled_from([1, 1, 7])),
        max_prefills=draw(st.sampled_from([None, 1, 2])),
        batch_wait_iters=draw(st.sampled_from([0, 0, 5])),
        batch_wait_tokens=60.0,
    )
    windows = draw(st.sampled_from([(), (), (33,), (10, 64)]))
    surface = KinkedSurface(0.01, 1e-4, 3e-6, windows, scheduler.queries, per_window=1e-5)
    config = FleetConfig(
        scheduler,
        replicas=draw(st.integers(1, 3)),
        ranks=draw(st.sampled_from([1, 1, 3])),
        router=draw(st.sampled_from(ROUTERS)),
    )
    return requests, surface, config


def columns(result: RunResult):
    """The per-request columns of a run, NaN as -1."""
    table = result.requests
    return {f.name: np.nan_to_num(getattr(table, f.name), nan=-1.0) for f in dataclasses.fields(table)}


@settings(max_examples=200, deadline=None)
@given(scenarios())
def test_leaping_gives_the_records_of_taking_every_step(scenario):
    requests, surface, config = scenario
    leap = columns(serve_fleet(requests, surface, config))
    step = columns(serve_fleet(requests, surface, config, step_by_step=True))
    for name, values in leap.items():
        np.testing.assert_allclose(values, step[name], rtol=1e-9, atol=1e-12, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_every_request_finishes_once_or_is_accounted_for(scenario):
    requests, surface, config = scenario
    result = serve_fleet(requests, surface, config)
    table = result.requests
    refused = requests.prompt_tokens >= config.scheduler.max_model_len
    assert np.array_equal(table.status == 1, refused)
    if result.end_reason == "all_done":
        assert np.all(table.status[~refused] == 0)
        wanted = np.minimum(requests.output_tokens, config.scheduler.max_model_len - requests.prompt_tokens)
        assert np.array_equal(table.output_tokens[~refused], wanted[~refused])


def lone(scheduler: dict[str, object] | None = None, replicas: int = 1, ranks: int = 1) -> FleetConfig:
    limits = {
        "block_size": 16, "num_blocks": 100_000, "max_model_len": 100_000, "max_num_scheduled_tokens": 8192,
        "max_num_batched_tokens": 8192, "max_num_seqs": 1024, "async_scheduling": False,
    } | (scheduler or {})  # fmt: skip
    return FleetConfig(SchedulerConfig(**limits), replicas=replicas, ranks=ranks)


def test_one_request_alone_takes_the_sum_of_its_steps():
    surface = LinearSurface(0.01, 1e-4, 1e-6)
    requests = Requests(np.array([1.0]), np.array([1000]), np.array([50]))
    table = serve_fleet(requests, surface, lone()).requests
    prefill = 0.01 + 1000 * 1e-4 + 1000 * 1e-6
    decodes = sum(0.01 + 1e-4 + (1000 + j) * 1e-6 for j in range(1, 50))
    assert table.first_token[0] == pytest.approx(1.0 + prefill, rel=1e-12)
    assert table.finish[0] == pytest.approx(1.0 + prefill + decodes, rel=1e-12)


def test_one_seat_and_constant_service_is_the_md1_queue():
    """Mean wait of M/D/1: rho·s / (2(1 - rho))."""
    service, rho = 0.1, 0.7
    rng = np.random.default_rng(1)
    n = 60_000
    arrival = np.cumsum(rng.exponential(service / rho, n))
    requests = Requests(arrival, np.full(n, 8), np.full(n, 1))
    result = serve_fleet(requests, LinearSurface(service, 0.0, 0.0), lone({"max_num_seqs": 1}))
    wait = (result.requests.scheduled - arrival).mean()
    assert wait == pytest.approx(rho * service / (2 * (1 - rho)), rel=0.05)


def test_littles_law_holds_over_the_run():
    rng = np.random.default_rng(2)
    n = 3000
    arrival = np.cumsum(rng.exponential(0.2, n))
    requests = Requests(arrival, rng.integers(10, 400, n), rng.integers(2, 100, n))
    result = serve_fleet(requests, LinearSurface(0.01, 1e-5, 1e-7), lone())
    inside = (result.series.running + result.series.waiting).mean()
    latency = (result.requests.finish - arrival).sum()
    assert inside == pytest.approx(latency / result.duration, rel=0.03)


def test_closed_loop_keeps_exactly_its_concurrency_in_the_system():
    n, users = 300, 7
    rng = np.random.default_rng(3)
    requests = Requests(np.zeros(n), rng.integers(5, 50, n), rng.integers(2, 40, n), concurrency=users)
    for replicas in (1, 3):
        table = serve_fleet(requests, LinearSurface(0.01, 1e-5, 1e-7), lone(replicas=replicas)).requests
        times = np.sort(np.concatenate((table.arrival, table.finish)))
        for t in times[users:-users:50]:
            inside = np.sum((table.arrival <= t) & (table.finish > t))
            assert inside <= users
        assert np.sum(table.arrival == 0.0) == users
        assert np.isin(table.arrival[table.arrival > 0], table.finish).all()


def test_lockstep_ranks_step_at_the_pace_of_the_slowest():
    surface = LinearSurface(0.01, 1e-4, 1e-6)
    requests = Requests(np.zeros(2), np.array([4000, 10]), np.array([20, 20]))
    together = serve_fleet(requests, surface, lone(ranks=2)).requests
    alone = serve_fleet(Requests(np.zeros(1), np.array([4000]), np.array([20])), surface, lone()).requests
    assert together.finish[0] == pytest.approx(alone.finish[0], rel=1e-12)
    assert together.finish[1] == pytest.approx(alone.finish[0], rel=1e-12)


def test_a_second_identical_prompt_is_served_from_the_prefix_cache():
    pieces = (((1, 160), (2, 8)), ((1, 160), (3, 8)))
    requests = Requests(
        np.array([0.0, 50.0]), np.array([168, 168]), np.array([4, 4]), pieces=pieces,
        output_segment=np.array([10, 11]),
    )  # fmt: skip
    table = serve_fleet(requests, LinearSurface(0.01, 1e-4, 0.0), lone()).requests
    assert table.cached_tokens.tolist() == [0, 160]
    ttft = table.first_token - table.arrival
    assert ttft[1] < ttft[0]


def test_least_outstanding_never_sends_to_a_busier_replica():
    arrival = np.array([0.0, 0.001, 0.002, 0.003])
    requests = Requests(arrival, np.array([5000, 5, 5, 5]), np.array([400, 2, 2, 2]))
    config = dataclasses.replace(lone(replicas=2), router="least_outstanding")
    table = serve_fleet(requests, LinearSurface(0.001, 1e-5, 0.0), config).requests
    assert table.replica[0] == 0
    assert table.replica[1] == 1


def started(scheduler: dict[str, object]) -> float:
    """When a request that comes at 0.505 s, while another decodes in steps of 10 ms, is first in a step."""
    requests = Requests(np.array([0.0, 0.505]), np.array([100, 100]), np.array([200, 5]))
    result = serve_fleet(requests, LinearSurface(0.01, 0.0, 0.0), lone(scheduler))
    return float(result.requests.scheduled[1])


def test_an_inbox_looked_at_every_few_steps_keeps_an_arrival_waiting():
    """Looks fall every 8 decode steps after the prefill step: at 0.01 + 0.08·k."""
    assert started({"rules": "sglang"}) == pytest.approx(0.51)
    assert started({"rules": "sglang", "recv_interval": 8}) == pytest.approx(0.57)


def test_a_held_back_prompt_starts_after_its_steps_or_when_enough_tokens_wait():
    held = {"rules": "no-evict", "batch_wait_iters": 20}
    assert started({"rules": "no-evict"}) == pytest.approx(0.51)
    assert started(held | {"batch_wait_tokens": 5000.0}) == pytest.approx(0.71)
    assert started(held | {"batch_wait_tokens": 50.0}) == pytest.approx(0.51)


def test_without_eviction_nobody_starts_who_could_be_interrupted():
    few = {"num_blocks": 20, "block_size": 16, "max_model_len": 320}
    requests = Requests(np.zeros(6), np.full(6, 64), np.full(6, 90))
    surface = LinearSurface(0.01, 1e-4, 0.0)
    assert serve_fleet(requests, surface, lone(few)).requests.preemptions.sum() > 0
    table = serve_fleet(requests, surface, lone(few | {"rules": "no-evict"})).requests
    assert table.preemptions.sum() == 0
    assert np.isfinite(table.finish).all()


def test_a_step_must_hold_a_prompt_but_not_its_answer_where_nobody_is_recomputed():
    whole = {"rules": "no-evict", "enable_chunked_prefill": False, "max_num_batched_tokens": 100}
    requests = Requests(np.zeros(2), np.array([90, 110]), np.array([300, 10]))
    served = serve_fleet(requests, LinearSurface(0.01, 1e-4, 0.0), lone(whole)).requests
    assert served.output_tokens[0] == 300
    assert np.isfinite(served.finish).tolist() == [True, False]
