"""The server in front of an engine: what it adds to a request, and that it adds nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.deployment.deployment import FrontEndCosts
from sim.serving import FleetConfig, SchedulerConfig, serve_fleet
from sim.serving.front_end import FrontEnd
from sim.timing.linear_surface import LinearSurface
from sim.workload import Requests
from tests.small_scenario import SMALL

SURFACE = LinearSurface(0.01, 1e-4, 1e-6)
COSTS = FrontEndCosts(latency=0.02, request=0.001, prompt_token=1e-5, stream=0.0005)


def config(front_end: FrontEndCosts | None, **fields: object) -> FleetConfig:
    scheduler = SchedulerConfig(
        block_size=16,
        num_blocks=4000,
        max_model_len=4096,
        max_num_scheduled_tokens=2048,
        max_num_batched_tokens=2048,
        max_num_seqs=64,
    )
    return FleetConfig(scheduler, front_end=front_end, **fields)  # type: ignore[arg-type]


def requests(arrival: list[float], prompt: int = 100, output: int = 20, users: int | None = None) -> Requests:
    n = len(arrival)
    return Requests(np.array(arrival), np.full(n, prompt), np.full(n, output), concurrency=users)


def test_a_lone_request_is_later_by_latency_acceptance_and_tokenisation():
    bare, served = (serve_fleet(requests([1.0]), SURFACE, config(c)).requests for c in (None, COSTS))
    assert served.arrival[0] == bare.arrival[0] == 1.0
    assert served.received[0] - 1.0 == pytest.approx(0.02 + 0.001 + 100 * 1e-5)
    later = served.first_token - bare.first_token
    assert later[0] == pytest.approx(served.received[0] - 1.0)
    assert (served.finish - served.first_token)[0] == pytest.approx((bare.finish - bare.first_token)[0])


def test_requests_that_come_together_are_taken_one_after_another():
    table = serve_fleet(requests([0.0] * 5), SURFACE, config(replace(COSTS, stream=0.0))).requests
    each = 0.001 + 100 * 1e-5
    assert table.received == pytest.approx(0.02 + each * np.arange(1, 6))


def test_several_servers_take_as_many_requests_at_once():
    several = config(replace(COSTS, stream=0.0), servers=3)
    table = serve_fleet(requests([0.0] * 6), SURFACE, several).requests
    each = 0.001 + 100 * 1e-5
    assert table.received == pytest.approx(0.02 + each * np.array([1, 1, 1, 2, 2, 2]))


def test_running_sequences_delay_a_newcomer():
    times = [0.0] * 10 + [0.5]
    table = serve_fleet(requests(times, output=200), SURFACE, config(COSTS)).requests
    alone = serve_fleet(requests([0.5]), SURFACE, config(COSTS)).requests
    assert (table.received - table.arrival)[-1] == pytest.approx(
        (alone.received - alone.arrival)[0] + 10 * 0.0005
    )


def test_no_costs_are_no_front_end():
    arrival = np.cumsum(np.random.default_rng(0).exponential(0.02, 200)).tolist()
    bare, free = (
        serve_fleet(requests(arrival), SURFACE, config(c)).requests for c in (None, FrontEndCosts())
    )
    assert (bare.finish == free.finish).all()
    assert (free.received == free.arrival).all()


@given(
    st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5000), st.integers(0, 500)), min_size=1, max_size=40)
)
def test_nobody_overtakes_and_nobody_is_handed_over_before_he_came(visits):
    front, last, clock = FrontEnd(COSTS), 0.0, 0.0
    for gap, prompt, running in visits:
        clock += gap
        front.take(7, clock, prompt)
        ready, request = front.hand_over(running)
        assert request == 7
        least = COSTS.latency + COSTS.request + COSTS.prompt_token * prompt + COSTS.stream * running
        assert ready >= max(last, clock + least - 1e-12)
        last = ready


@pytest.mark.parametrize("router", ["round_robin", "least_outstanding"])
@pytest.mark.parametrize("users", [None, 24])
def test_leaps_and_steps_give_the_same_records_behind_a_front_end(router, users):
    rng = np.random.default_rng(1)
    arrival = [0.0] * 150 if users else np.cumsum(rng.exponential(0.01, 150)).tolist()
    asked = replace(requests(arrival, users=users), output_tokens=rng.integers(1, 60, 150))
    behind = config(COSTS, replicas=3, router=router)
    leap, step = (serve_fleet(asked, SURFACE, behind, step_by_step=s).requests for s in (False, True))
    for name in ("arrival", "received", "scheduled", "first_token", "finish"):
        np.testing.assert_allclose(getattr(leap, name), getattr(step, name), rtol=1e-9)
    assert (leap.replica == step.replica).all()


def test_a_router_counts_requests_that_are_still_in_the_front_end():
    slow = replace(COSTS, latency=10.0)
    behind = config(slow, replicas=2, router="least_outstanding")
    table = serve_fleet(requests([0.0, 0.1, 0.2, 0.3]), SURFACE, behind).requests
    assert sorted(table.replica.tolist()) == [0, 0, 1, 1]


def test_a_closed_loop_keeps_its_users_and_is_slower_by_what_the_front_end_takes():
    bare, served = (serve_fleet(requests([0.0] * 40, users=1), SURFACE, config(c)) for c in (None, COSTS))
    each = COSTS.latency + COSTS.request + 100 * COSTS.prompt_token
    assert served.duration == pytest.approx(bare.duration + 40 * each, rel=1e-9)


def test_ttft_is_divided_into_front_end_and_queueing_and_the_speed_of_light_has_neither_host(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(SMALL, "utf-8")
    real, ideal = (sim.simulate(sim.load(path, [f"fidelity={f}"])).summary for f in ("analytic", "roofline"))
    assert real.request_time is not None
    parts = real.request_time.ttft
    assert parts is not None
    assert parts.phases["front_end"] > 0.01
    assert math.fsum(parts.phases.values()) == pytest.approx(1e-3 * real.values["mean_ttft_ms"], rel=1e-6)
    assert ideal.request_time is not None
    assert ideal.request_time.ttft is not None
    assert ideal.request_time.ttft.phases["front_end"] == 0.0
