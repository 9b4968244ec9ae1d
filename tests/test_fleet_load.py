"""Who is let in, whose turn it is, how many replicas there are: admission, order, reports, autoscaling."""

import numpy as np
import pytest
from fleet_cases import poisson, served, states

from sim.serving.operation.admission.deadline import Deadline
from sim.serving.operation.admission.queue_limit import QueueLimit
from sim.serving.operation.admission.token_bucket import TokenBucket
from sim.serving.operation.autoscaling import Demand
from sim.serving.operation.autoscaling.queue import QueueScaling
from sim.serving.operation.autoscaling.slo import SloScaling
from sim.serving.operation.autoscaling.utilisation import UtilisationScaling
from sim.serving.operation.orders import Clients, make_order
from sim.serving.operation.plan import Failures, Loading, Operation
from sim.serving.operation.reported import ReportedReplicas
from sim.serving.operation.slowdowns import Foreseen
from sim.serving.records import FAILED, FINISHED, REJECTED, Reason
from sim.timing.linear_surface import LinearSurface
from sim.workload.requests import Requests

SEAT = LinearSurface(1.0, 0.0, 0.0)
"""A second a step, whatever is in it."""


def short(arrival: list[float], **columns: object) -> Requests:
    """Requests of one step each."""
    n = len(arrival)
    return Requests(np.array(arrival), np.full(n, 8), np.ones(n, np.int64), **columns)


# -- admission --------------------------------------------------------------------------------------------


def test_a_token_bucket_passes_its_burst_and_then_its_rate():
    operation = Operation(admission=TokenBucket(policy="token_bucket", rate=2.0, burst=5))
    table = served(poisson(2000, 50.0), operation).requests
    passed = table.arrival[table.status == FINISHED]
    span = table.arrival[-1] - table.arrival[0]
    assert len(passed) == pytest.approx(5 + 2.0 * span, abs=1.01)
    for start in passed[:-20:7]:
        assert np.sum((passed >= start) & (passed < start + 3.0)) <= 5 + 2.0 * 3.0
    assert np.all(table.reason[table.status == REJECTED] == Reason.RATE_LIMIT)


def test_each_client_may_have_a_bucket_of_its_own():
    client = np.tile([0, 0, 0, 1], 250)
    requests = poisson(1000, 20.0, client=client, clients=("loud", "quiet"))
    bucket = TokenBucket(policy="token_bucket", rate=6.0, burst=10, per_client=True)
    table = served(requests, Operation(admission=bucket)).requests
    refused = np.bincount(client[table.status == REJECTED], minlength=2)
    assert refused[0] > 300
    assert refused[1] < 20


def test_a_queue_limit_loses_what_erlang_says():
    """M/M/1/K by seats: one request of exponential length at a time, K in the system; loss
    (1 - ρ) ρ^K / (1 - ρ^(K + 1))."""
    rng = np.random.default_rng(1)
    n, rho, places = 30_000, 0.8, 4
    requests = Requests(
        np.cumsum(rng.exponential(1.0 / rho, n)),
        np.full(n, 8),
        np.maximum(1, rng.exponential(1000, n).astype(int)),
    )
    operation = Operation(limit=1, admission=QueueLimit(policy="queue_limit", requests=places))
    table = served(
        requests, operation, LinearSurface(1e-3, 0.0, 0.0), replicas=1, async_scheduling=False
    ).requests
    lost = np.mean(table.status == REJECTED)
    assert lost == pytest.approx((1 - rho) * rho**places / (1 - rho ** (places + 1)), rel=0.05)


def test_who_waits_beyond_the_deadline_is_given_up_and_the_others_are_in_time():
    operation = Operation(limit=1, admission=Deadline(policy="deadline", wait="2500 ms"))
    requests = short([0.0, 0.1, 0.2, 0.3, 0.4, 9.0])
    table = served(requests, operation, SEAT, replicas=1, async_scheduling=False).requests
    assert table.status.tolist() == [FINISHED] * 3 + [FAILED] * 2 + [FINISHED]
    assert table.reason[3:5].tolist() == [Reason.DEADLINE] * 2
    assert table.finish[3] == pytest.approx(3.0)


# -- order ------------------------------------------------------------------------------------------------


def test_the_urgent_go_first_at_the_gateway():
    requests = short([0.0, 0.1, 0.2, 0.3], priority=np.array([1, 1, 0, 0]))
    operation = Operation(limit=1, order="priority")
    table = served(requests, operation, SEAT, replicas=1, async_scheduling=False).requests
    assert np.argsort(table.scheduled).tolist() == [0, 2, 3, 1]


def test_the_urgent_take_the_blocks_of_others_in_an_engine():
    """Preemption is the engine's (`policy: priority`): blocks are short, the least urgent is recomputed."""
    requests = Requests(
        np.array([0.0, 1.0]), np.array([300, 300]), np.array([250, 250]), priority=np.array([1, 0])
    )
    limits = {"num_blocks": 50, "max_model_len": 600, "priority": True}
    table = served(requests, Operation(order="fcfs"), replicas=1, **limits).requests
    assert table.preemptions.tolist() == [1, 0]


def test_tenants_that_always_wait_share_tokens_by_weight():
    n = 6000
    rng = np.random.default_rng(2)
    client = rng.integers(0, 2, n)
    prompt = np.where(client == 0, 400, 50)
    requests = Requests(np.zeros(n), prompt, np.full(n, 20), client=client, clients=("a", "b"))
    operation = Operation(limit=4, order="fair", client_weights=(1.0, 3.0))
    table = served(requests, operation, replicas=2).requests
    until = 0.9 * table.finish[client == 1].max()  # both wait until then
    cost = (table.prompt_tokens + 2 * table.output_tokens) * (table.finish <= until)
    shares = np.bincount(client, cost)
    assert shares[1] / shares[0] == pytest.approx(3.0, rel=0.1)


def test_a_tenant_that_was_away_has_saved_nothing_up():
    clients = Clients([0] * 10 + [1] * 10, (1.0, 1.0), [0] * 20, [100] * 20, [0] * 20)
    fair = make_order("fair", clients)
    for request in range(8):
        fair.add(request)
    assert [fair.take() for _ in range(6)] == list(range(6))
    fair.add(10)
    fair.add(11)
    assert sorted(fair.take() for _ in range(4)) == [6, 7, 10, 11]
    assert len(fair) == 0


def test_fairness_holds_within_a_priority_and_the_urgent_go_first():
    clients = Clients([0, 0, 1, 1], (1.0, 1.0), [1, 0, 1, 1], [10] * 4, [0] * 4)
    fair = make_order("fair", clients)
    for request in (0, 2, 1, 3):
        fair.add(request)
    assert [fair.take() for _ in range(4)] == [1, 2, 0, 3]


# -- reports ----------------------------------------------------------------------------------------------


def test_what_ended_is_known_with_the_next_report_and_what_was_sent_at_once():
    view = ReportedReplicas(
        2, [10, 20, 30], 0.5, (), draw=lambda: 0.0, held=lambda: [0, 0], prompts=None, known=lambda _: []
    )
    view.sent(0, 1)
    view.sent(2, 1)
    view.ended(2, 1, 0.7)
    for now, count, tokens in ((0.7, 2, 40), (0.99, 2, 40), (1.0, 1, 10)):
        view.report(now)
        assert (view.outstanding()[1], view.prompt_tokens()[1]) == (count, tokens)
    view.lost(1)
    assert view.outstanding() == [0, 0]


def test_older_reports_balance_worse():
    """One replica is four times slower: the later the router knows, the more requests wait there."""
    slow = Foreseen(kind="foreseen", factor=4.0, replica=0, start="0 s", duration="1000 s")

    def latency(staleness: float) -> float:
        operation = Operation(staleness=staleness, slowdowns=(slow,))
        table = served(poisson(3000, 60.0, prompt=400, output=60), operation).requests
        return float((table.finish - table.arrival).mean())

    assert latency(0.0) < latency(2.0) < latency(20.0)
    assert latency(0.05) < 1.05 * latency(0.0)


# -- autoscaling ------------------------------------------------------------------------------------------

TIMES = {"interval": "1 s", "delay": "2 s", "stabilisation": "10 s"}


def test_policies_want_what_their_formulas_say():
    queue = QueueScaling(policy="queue", requests=8.0)
    assert [queue.wanted(Demand(3, n, 0.0, ())) for n in (0, 8, 9, 80)] == [0, 1, 2, 10]
    share = UtilisationScaling(policy="utilisation", kv_used=0.5)
    assert [share.wanted(Demand(4, 1, u, ())) for u in (0.0, 0.25, 0.46, 0.54, 0.75, 1.0)] == [
        0,
        2,
        4,
        4,
        6,
        8,
    ]
    slo = SloScaling(policy="slo", ttft="1 s", attainment=0.9, step=0.5)
    late, easy, tight = (2.0,) * 2 + (0.1,) * 8, (0.1,) * 10, (0.1,) * 9 + (0.9,)
    assert [slo.wanted(Demand(4, 9, 0.0, times)) for times in (late, easy, tight, ())] == [6, 3, 4, 4]
    assert slo.wanted(Demand(4, 0, 0.0, ())) == 3


def test_a_new_replica_serves_after_decision_delay_weights_and_startup():
    """Overload from 0 s: seen at 1 s, chips at 3 s, 4 GB at 1 GB/s (two share 2 GB/s), 1.5 s of start-up."""
    operation = Operation(
        autoscaling=QueueScaling(policy="queue", requests=5, **TIMES),
        loading=Loading(4e9, storage=2e9, link=10e9, startup=1.5),
        limit=5,
    )
    requests = Requests(np.zeros(15), np.full(15, 100), np.full(15, 1000))
    result = served(requests, operation, replicas=3)
    for replica in (1, 2):
        assert states(result, replica)[:3] == [
            (0.0, "off"),
            (1.0, "starting"),
            (pytest.approx(3.0 + 4.0 + 1.5), "up"),
        ]
    counts = np.bincount(result.requests.replica, minlength=3)
    assert counts.tolist() == [5, 5, 5]


@pytest.mark.parametrize(
    "scaling",
    [
        QueueScaling(policy="queue", requests=10, **TIMES),
        UtilisationScaling(policy="utilisation", kv_used=0.05, **TIMES),
        SloScaling(policy="slo", ttft="300 ms", attainment=0.9, **TIMES),
    ],
)
def test_the_fleet_follows_a_wave_of_load_and_costs_less_than_a_constant_one(scaling):
    calm, busy = poisson(100, 2.0, 1), poisson(2400, 60.0, 2)
    arrival = np.concatenate((calm.arrival, 60 + busy.arrival, 110 + calm.arrival))
    n = len(arrival)
    rng = np.random.default_rng(0)
    requests = Requests(np.sort(arrival), rng.integers(10, 400, n), rng.integers(1, 100, n))
    result = served(requests, Operation(autoscaling=scaling, loading=Loading(1e9, 1e9, 1e9)), replicas=8)
    assert result.history is not None
    assert np.all(result.requests.status == FINISHED)
    up = [stay for stay in result.history.stays(result.duration) if stay[1] in ("up", "draining")]

    def serving(time: float) -> int:
        return sum(start <= time < end for *_, start, end in up)

    assert serving(50.0) <= 3
    assert serving(95.0) > serving(50.0)
    assert serving(result.duration - 1.0) < serving(95.0)
    assert result.chip_seconds < 0.8 * result.chips * result.duration


def test_scaling_down_drains_and_loses_nothing():
    operation = Operation(autoscaling=QueueScaling(policy="queue", requests=4, first=4, **TIMES))
    result = served(poisson(200, 2.0, output=300), operation)
    assert result.requests.retries.sum() == 0
    assert any(state == "off" for replica in range(4) for _, state in states(result, replica)[1:])


def test_a_replica_that_is_being_repaired_is_replaced():
    operation = Operation(
        autoscaling=QueueScaling(policy="queue", requests=30, least=2, **TIMES),
        failures=Failures({"chip": 60.0}, detection=1.0, repair=500.0),
    )
    result = served(poisson(1500, 10.0), operation, replicas=8)
    assert result.history is not None
    assert len(result.history.failures) > 1
    assert np.all(result.requests.status == FINISHED)
    started = {replica for _, replica, state in result.history.changes if state == "starting"}
    assert started


def test_who_still_waits_when_no_replica_comes_back_fails_with_a_reason():
    operation = Operation(limit=1)
    requests = Requests(np.array([0.0, 1.0]), np.array([900, 10]), np.array([5, 5]))
    result = served(requests, operation, replicas=1, num_blocks=20, max_model_len=1000)
    assert result.end_reason == "stuck"
    assert result.requests.reason.tolist() == [Reason.NONE, Reason.NO_REPLICA]
