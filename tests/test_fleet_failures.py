"""Failures, repairs, slow replicas, maintenance: what happens to replicas and to the requests in them."""

import numpy as np
import pytest
from fleet_cases import STEP, poisson, served, states
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.deployment.deployment import FrontEndCosts
from sim.serving.operation.admission.deadline import Deadline
from sim.serving.operation.admission.queue_limit import QueueLimit
from sim.serving.operation.admission.token_bucket import TokenBucket
from sim.serving.operation.autoscaling.queue import QueueScaling
from sim.serving.operation.autoscaling.slo import SloScaling
from sim.serving.operation.autoscaling.utilisation import UtilisationScaling
from sim.serving.operation.plan import Breakdown, Failures, Loading, Maintenance, Operation
from sim.serving.operation.slowdowns import Foreseen, Straggler, Throttling
from sim.serving.records import FAILED, FINISHED, Reason
from sim.serving.routers import ROUTERS
from sim.timing.linear_surface import LinearSurface
from sim.workload.requests import Requests

TIMES = {"interval": "2 s", "delay": "1 s", "stabilisation": "6 s"}


@st.composite
def operations(draw):
    """Everything that may be done with a fleet, at once, in a few seconds."""
    scaling = st.sampled_from(
        [
            None,
            QueueScaling(policy="queue", requests=6, **TIMES),
            UtilisationScaling(policy="utilisation", kv_used=0.3, first=2, **TIMES),
            SloScaling(policy="slo", ttft="100 ms", **TIMES),
        ]
    )
    admission = st.sampled_from(
        [
            None,
            TokenBucket(policy="token_bucket", rate=8.0, burst=4, per_client=True),
            QueueLimit(policy="queue_limit", requests=12),
            Deadline(policy="deadline", wait="500 ms"),
        ]
    )
    slow = [
        Straggler(kind="straggler", factor=1.5, share=0.4),
        Throttling(kind="throttling", factor=2.0, every="4 s", duration="1 s"),
        Foreseen(kind="foreseen", factor=3.0, replica=1, start="2 s", duration="3 s"),
    ]
    breakdowns = st.builds(
        Breakdown, st.floats(0, 20), st.sampled_from(["chip", "node", "link"]), st.integers(0, 1)
    )
    return Operation(
        staleness=draw(st.sampled_from([0.0, 0.05, 1.0])),
        limit=draw(st.sampled_from([None, 3, 20])),
        order=draw(st.sampled_from(["fcfs", "priority", "fair"])),
        client_weights=(1.0, 2.0),
        admission=draw(admission),
        autoscaling=draw(scaling),
        loading=Loading(size=1e9, storage=2e9, link=1e9, startup=draw(st.sampled_from([0.0, 0.5]))),
        failures=Failures(
            {"chip": draw(st.sampled_from([10.0, 100.0])), "node": 50.0},
            tuple(draw(st.lists(breakdowns, max_size=3))),
            detection=draw(st.sampled_from([0.0, 0.7])),
            repair=2.0,
            retries=draw(st.integers(0, 3)),
        ),
        slowdowns=tuple(draw(st.lists(st.sampled_from(slow), unique_by=id, max_size=3))),
        maintenance=draw(st.sampled_from([None, Maintenance(3.0, 1.0, 2)])),
        drain=draw(st.sampled_from([0.3, 100.0])),
        server=4,
    )


@st.composite
def loads(draw):
    """Poisson or closed-loop requests of two clients, some with shared beginnings."""
    n = 60
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    closed = draw(st.sampled_from([None, None, 10]))
    prompt = rng.integers(10, 300, n)
    return Requests(
        arrival=np.zeros(n) if closed else np.cumsum(rng.exponential(0.1, n)),
        prompt_tokens=prompt,
        output_tokens=rng.integers(1, 200, n),
        priority=rng.integers(0, 2, n),
        pieces=tuple(((int(rng.integers(3)), 9), (100 + i, int(prompt[i]) - 9)) for i in range(n)),
        output_segment=1000 + np.arange(n),
        client=rng.integers(0, 2, n),
        clients=("a", "b"),
        concurrency=closed,
    )


SERVER = {"front_end": FrontEndCosts(request=0.01, prompt_token=1e-4, stream=1e-4, latency=0.05)}
CROWDED = {"num_blocks": 60, "max_model_len": 600}
COLUMNS = ("arrival", "scheduled", "first_token", "finish", "replica", "status", "reason", "retries")


@settings(max_examples=60)
@given(
    operations(),
    loads(),
    st.sampled_from(ROUTERS),
    st.booleans(),
    st.sampled_from([{}, CROWDED, {"ranks": 2}, SERVER]),
    st.sampled_from([(), (), (0.8, 0.5)]),
)
def test_whatever_is_done_with_a_fleet_no_request_is_lost_and_leaping_changes_nothing(
    operation, requests, router, async_scheduling, limits, acceptance
):
    """The invariants are checked in every run: requests, tokens, blocks, bytes, Little's law."""
    of = {
        "router": router,
        "acceptance": acceptance,
        "async_scheduling": async_scheduling,
        "priority": operation.order == "priority",
    }
    leap = served(requests, operation, **of, **limits)
    assert np.all((leap.requests.status == FINISHED) | (leap.requests.reason > 0))
    step = served(requests, operation, step_by_step=True, **of, **limits)
    for name in COLUMNS:
        np.testing.assert_allclose(
            getattr(leap.requests, name), getattr(step.requests, name), rtol=1e-9, atol=1e-9, err_msg=name
        )
    assert leap.history is not None
    assert step.history is not None
    assert [change[1:] for change in leap.history.changes] == [change[1:] for change in step.history.changes]


def test_the_same_seed_gives_the_same_records_and_another_one_other_failures():
    operation = Operation(failures=Failures({"chip": 30.0}, detection=0.5, repair=2.0))
    requests = poisson(200, 20.0)
    one, two = (served(requests, operation, replicas=3) for _ in range(2))
    assert one.history == two.history
    assert one.requests.finish.tobytes() == two.requests.finish.tobytes()


# -- failures ---------------------------------------------------------------------------------------------


def alone(output: int = 1000) -> Requests:
    return Requests(np.zeros(1), np.array([100]), np.array([output]))


def test_a_lost_request_is_computed_anew_elsewhere_and_keeps_its_tokens():
    """A failure at 3 s: detected 2 s later, prompt and answer so far are prefilled by another replica."""
    operation = Operation(failures=Failures({}, (Breakdown(3.0, "chip", 0),), detection=2.0, repair=50.0))
    surface = LinearSurface(0.01, 1e-4, 0.0)
    result = served(alone(), operation, surface, replicas=2, async_scheduling=False)
    table = result.requests
    prefill, decode = 0.01 + 100 * 1e-4, 0.01 + 1e-4
    before = int(np.ceil((3.0 - prefill) / decode))  # the step in flight is completed
    again = 0.01 + (100 + 1 + before) * 1e-4
    assert table.retries.tolist() == [1]
    assert table.replica.tolist() == [1]
    assert table.first_token[0] == pytest.approx(prefill)
    assert table.finish[0] == pytest.approx(5.0 + again + (1000 - before - 2) * decode, rel=1e-9)
    assert [state for _, state in states(result, 0)] == ["up", "dead", "repairing"]


def test_until_a_failure_is_detected_requests_go_into_the_void_and_are_sent_again():
    operation = Operation(failures=Failures({}, (Breakdown(0.5, "chip", 0),), detection=4.0, repair=1e3))
    requests = Requests(np.array([1.0, 2.0]), np.array([10, 10]), np.array([5, 5]))
    table = served(requests, operation, replicas=2, router="round_robin").requests
    assert table.retries.tolist() == [1, 0]
    assert table.scheduled[0] == pytest.approx(4.5)
    assert table.scheduled[1] == pytest.approx(2.0)


def test_a_request_that_is_lost_too_often_fails_with_a_reason():
    script = tuple(Breakdown(at, "chip", 0) for at in (1.0, 3.0, 5.0))
    operation = Operation(failures=Failures({}, script, detection=0.5, repair=0.5, retries=2))
    result = served(alone(5000), operation, replicas=1)
    assert result.requests.status.tolist() == [FAILED]
    assert result.requests.reason.tolist() == [Reason.RETRIES]
    assert result.requests.finish[0] == pytest.approx(5.5, abs=0.03)


def test_repair_and_reload_take_their_time_in_bytes():
    """Detection 2 s, repair 10 s, 30 GB of weights at 3 GB/s, 5 s of start-up."""
    failures = Failures({}, (Breakdown(1.0, "link", 1),), detection=2.0, repair=10.0)
    operation = Operation(failures=failures, loading=Loading(30e9, storage=100e9, link=3e9, startup=5.0))
    result = served(alone(4000), operation, replicas=1, async_scheduling=False)
    times = {state: time for time, state in states(result, 0)[1:]}
    assert times["dead"] == 1.0
    assert times["repairing"] == pytest.approx(3.0)
    assert times["reloading"] == pytest.approx(13.0)
    assert times["up"] == pytest.approx(28.0)
    assert result.requests.status.tolist() == [FINISHED]


def test_replicas_that_load_at_once_share_the_storage():
    """A server of four chips takes two replicas of two chips along: both load, at half the storage each."""
    operation = Operation(
        failures=Failures({}, (Breakdown(1.0, "node", 0),)),
        loading=Loading(10e9, storage=1e9, link=0.8e9),
        server=4,
    )
    result = served(alone(4000), operation, replicas=4)
    for replica in (0, 1):
        assert states(result, replica)[-1] == (pytest.approx(21.0, abs=0.03), "up")
    assert [len(states(result, replica)) for replica in (2, 3)] == [1, 1]


def test_failures_come_as_often_as_their_mtbf_says():
    """Σ rates = chips/MTBF + servers/MTBF; the count is Poisson."""
    operation = Operation(failures=Failures({"chip": 2000.0, "node": 500.0}), server=8)
    requests = Requests(np.array([0.0, 20_000.0]), np.array([10, 10]), np.array([1, 1]))
    history = served(requests, operation, replicas=8).history
    assert history is not None
    chips = sum(kind == "chip" for _, kind, _ in history.failures)
    expected = {"chip": 16 * 20_000 / 2000, "node": 2 * 20_000 / 500}
    assert chips == pytest.approx(expected["chip"], abs=4 * expected["chip"] ** 0.5)
    assert len(history.failures) - chips == pytest.approx(expected["node"], abs=4 * expected["node"] ** 0.5)


def test_availability_is_mtbf_over_mtbf_and_time_to_repair():
    """Alternating renewal: up / (up + down) = M / (M + R), M the mean time between failures of a replica."""
    failures = Failures({"chip": 400.0}, detection=5.0, repair=45.0)
    requests = Requests(np.array([0.0, 60_000.0]), np.array([10, 10]), np.array([1, 1]))
    result = served(requests, Operation(failures=failures), replicas=8)
    assert result.history is not None
    spent = result.history.time_in(result.duration)
    mean = 400.0 / 2
    assert spent["up"] / sum(spent.values()) == pytest.approx(mean / (mean + 50.0), abs=0.02)


def test_a_replica_that_fails_while_it_loads_starts_over():
    script = (Breakdown(1.0, "chip", 0), Breakdown(6.0, "chip", 0))
    operation = Operation(failures=Failures({}, script), loading=Loading(10e9, storage=1e9, link=1e9))
    result = served(alone(4000), operation, replicas=1)
    assert states(result, 0)[-1] == (pytest.approx(16.0), "up")


# -- slow replicas ----------------------------------------------------------------------------------------


def test_a_slow_replica_takes_its_factor_longer_from_the_next_step_on():
    slow = Foreseen(kind="foreseen", factor=2.0, replica=0, start="3 s", duration="4 s")
    surface = LinearSurface(0.01, 0.0, 0.0)
    result = served(alone(1001), Operation(slowdowns=(slow,)), surface, replicas=1, async_scheduling=False)
    assert result.requests.finish[0] == pytest.approx(10.01 + 2.0, abs=0.03)


def test_slowdowns_multiply_and_end():
    slow = tuple(
        Foreseen(kind="foreseen", factor=f, replica=0, start=s, duration=d)
        for f, s, d in ((2.0, "1 s", "6 s"), (3.0, "3 s", "6 s"))
    )
    surface = LinearSurface(0.01, 0.0, 0.0)
    result = served(alone(1001), Operation(slowdowns=slow), surface, replicas=1, async_scheduling=False)
    # 1 s at 1, 2 s at 2, 4 s at 6, 2 s at 3 give 1 + 1 + 2/3 + 2/3 s of work
    work = 1 + 1 + 4 / 6 + 2 / 3
    assert result.requests.finish[0] == pytest.approx(9.0 + 10.01 - work, abs=0.08)


def test_stragglers_are_a_share_of_the_replicas_and_serve_fewer_requests():
    operation = Operation(slowdowns=(Straggler(kind="straggler", factor=4.0, share=0.5),))
    result = served(poisson(800, 60.0), operation, replicas=8)
    counts = np.bincount(result.requests.replica, minlength=8)
    slow = np.array([result.segments.first[result.segments.replica == r].min() > 0.03 for r in range(8)])
    assert 1 <= slow.sum() <= 7
    assert counts[slow].mean() < 0.7 * counts[~slow].mean()


# -- maintenance ------------------------------------------------------------------------------------------


def test_rolling_maintenance_takes_every_replica_out_once_and_no_more_than_asked_at_a_time():
    operation = Operation(maintenance=Maintenance(2.0, 3.0, at_once=2), loading=Loading(1e9, 1e9, 1e9))
    result = served(poisson(900, 30.0), operation, replicas=5)
    assert result.history is not None
    out = [stay for stay in result.history.stays(result.duration) if stay[1] == "maintenance"]
    assert sorted(replica for replica, *_ in out) == [0, 1, 2, 3, 4]
    edges = sorted([(start, 1) for *_, start, _ in out] + [(end, -1) for *_, end in out])
    assert max(np.cumsum([by for _, by in edges])) <= 2
    assert np.all(result.requests.status == FINISHED)
    assert result.requests.retries.sum() == 0


def test_a_drained_replica_finishes_what_it_has_unless_that_takes_too_long():
    patient = served(alone(2000), Operation(maintenance=Maintenance(1.0, 1.0)), replicas=2)
    assert patient.requests.replica.tolist() == [0]
    assert patient.requests.retries.tolist() == [0]
    hasty = served(alone(2000), Operation(maintenance=Maintenance(1.0, 1.0), drain=2.0), replicas=2)
    assert hasty.requests.retries.tolist() == [2]  # the other replica has its turn too
    assert states(hasty, 0)[2] == (pytest.approx(3.0, abs=0.03), "maintenance")


def test_lost_tokens_cost_a_recomputation_that_the_records_show():
    operation = Operation(failures=Failures({}, (Breakdown(3.0, "chip", 0),), detection=1.0, repair=50.0))
    result = served(alone(), operation, STEP, replicas=2)
    assert result.recomputes.request.tolist() == [0]
    assert result.recomputes.start[0] == pytest.approx(3.0, abs=0.03)
