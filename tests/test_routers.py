"""Routers: who gets a request, on small fleets with a fixed price per token."""

import numpy as np
import pytest

from sim.serving import ROUTERS, FleetConfig, SchedulerConfig, serve_fleet
from sim.serving.routers import make_router
from sim.serving.routers.prefix_affinity import BALANCE_ABSOLUTE
from sim.timing.linear_surface import LinearSurface
from sim.workload import Requests

SYSTEM, LENGTH = 1, 64
"""One system prompt that every prompt begins with: as in the Mooncake traces."""


def fleet(router: str, requests: Requests, replicas: int = 4) -> np.ndarray:
    """The replica of each request."""
    scheduler = SchedulerConfig(
        block_size=16,
        num_blocks=4000,
        max_model_len=4096,
        max_num_scheduled_tokens=2048,
        max_num_batched_tokens=2048,
        max_num_seqs=64,
        enable_prefix_caching=True,
    )
    config = FleetConfig(scheduler, replicas=replicas, router=router)  # type: ignore[arg-type]
    return serve_fleet(requests, LinearSurface(0.01, 1e-4, 1e-6), config).requests.replica


def sessions(count: int, turns: int, gap: float) -> Requests:
    """`count` conversations, each turn the one before and a new piece, all behind one system prompt."""
    rng = np.random.default_rng(0)
    history: list[list[tuple[int, int]]] = [[(SYSTEM, LENGTH)] for _ in range(count)]
    pieces, session = [], []
    order = np.concatenate([rng.permutation(count) for _ in range(turns)])
    for number, who in enumerate(order.tolist()):
        history[who] = [*history[who], (100 + number, 200)]
        pieces.append(tuple(history[who]))
        session.append(who)
    n = len(order)
    return Requests(
        arrival=np.arange(n) * gap,
        prompt_tokens=np.array([sum(length for _, length in p) for p in pieces]),
        output_tokens=np.full(n, 20),
        pieces=tuple(pieces),
        output_segment=10**6 + np.arange(n),
        session=np.array(session),
    )


class Loads:
    """Replicas of which a router sees these loads."""

    def __init__(self, *requests: int, blocks: tuple[int, ...] = (), prompts=None, weights=(), draws=()):
        self.requests = list(requests)
        self.blocks = blocks or (0,) * len(requests)
        self.prompts = prompts
        self.weights = weights
        self.draw = iter(draws or [0.0] * 10).__next__
        self.among = list(range(len(requests)))

    def open(self):
        return self.among

    def outstanding(self):
        return self.requests

    prompt_tokens = outstanding

    def kv_blocks(self):
        return self.blocks


@pytest.mark.parametrize("name", ROUTERS)
def test_every_named_router_can_be_made_and_ties_go_to_the_first_replica(name):
    assert make_router(name, Loads(3, 3)).choose(0) == 0


@pytest.mark.parametrize("name", ROUTERS)
def test_no_router_sends_to_a_replica_that_is_closed(name):
    loads = Loads(1, 1, 1, 1, draws=[0.999] * 40, prompts=(((7, 100),),) * 12)
    router = make_router(name, loads)
    router.choose(0)
    loads.among = [1, 3]
    assert {router.choose(i) for i in range(1, 12)} <= {1, 3}
    router.forget(1)
    loads.among = [2]
    assert router.choose(0) == 2


def test_round_robin_takes_turns_whatever_the_load():
    router = make_router("round_robin", Loads(9, 0, 0))
    assert [router.choose(i) for i in range(4)] == [0, 1, 2, 0]


def test_weighted_gives_each_replica_its_share_evenly_spread():
    router = make_router("weighted", Loads(0, 0, 0, weights=(5, 1, 1)))
    assert [router.choose(i) for i in range(7)] == [0, 0, 1, 0, 2, 0, 0]


def test_two_choices_takes_the_less_loaded_of_two_different_replicas():
    router = make_router("two_choices", Loads(3, 2, 1, draws=[0.0, 0.0, 0.9, 0.9]))
    assert router.choose(0) == 1  # of 0 and 1
    assert router.choose(1) == 2  # of 2 and 1


def test_two_choices_balances_better_than_chance():
    """The fullest of n replicas with n requests: about log log n instead of log n / log log n."""
    n, draws = 4096, np.random.default_rng(0)
    loads = Loads(*[0] * n)
    loads.draw = draws.random
    router = make_router("two_choices", loads)
    for request in range(n):
        loads.requests[router.choose(request)] += 1
    assert max(loads.requests) <= 4 < np.bincount(draws.integers(0, n, n)).max()


def test_least_outstanding_goes_by_requests_and_least_kv_by_blocks():
    loads = Loads(5, 2, blocks=(1, 9))
    assert make_router("least_outstanding", loads).choose(0) == 1
    assert make_router("least_kv", loads).choose(0) == 0


def test_the_shortest_token_queue_is_joined_whatever_the_number_of_requests():
    """One long prompt on the first replica, two short ones on the second: the second is shorter."""
    requests = Requests(np.array([0.0, 0.1, 0.2, 0.3]), np.array([3000, 10, 10, 10]), np.full(4, 200))
    assert fleet("shortest_tokens", requests, 2).tolist() == [0, 1, 1, 1]
    assert fleet("least_outstanding", requests, 2).tolist() == [0, 1, 0, 1]


def test_affinity_keeps_a_conversation_on_one_replica():
    requests = sessions(count=40, turns=6, gap=0.5)
    replica = fleet("prefix_affinity", requests)
    later = np.arange(40, 240)
    first = {int(s): int(r) for s, r in zip(requests.session[:40], replica[:40], strict=True)}
    stayed = np.mean([replica[i] == first[int(requests.session[i])] for i in later])
    assert stayed > 0.95
    assert np.mean(fleet("round_robin", requests)[40:] == replica[40:]) < 0.5


def test_one_system_prompt_in_front_of_everything_does_not_send_everything_to_one_replica():
    requests = sessions(count=400, turns=1, gap=0.01)
    counts = np.bincount(fleet("prefix_affinity", requests), minlength=4)
    assert counts.min() > 50


def test_affinity_gives_way_where_the_load_gets_lopsided():
    loads = Loads(0, 1, prompts=(((7, 100),), ((7, 100),)))
    router = make_router("prefix_affinity", loads)
    assert router.choose(0) == 0
    loads.requests[0] = BALANCE_ABSOLUTE
    assert router.choose(1) == 0
    loads.requests[0] = BALANCE_ABSOLUTE + 2
    assert router.choose(1) == 1


def test_affinity_follows_the_longest_beginning():
    prompts = (((1, 50), (2, 50)), ((1, 50), (3, 50)), ((1, 50), (3, 50), (4, 10)))
    loads = Loads(0, 1, prompts=prompts)
    router = make_router("prefix_affinity", loads)
    assert router.choose(0) == 0
    loads.requests[0] = 2
    router.sent[1].add(1)  # both know the system prompt, so the idler one takes the second conversation
    assert router.choose(1) == 1
    loads.requests[1] = 9
    assert router.choose(2) == 1


def test_affinity_forgets_a_replica_whose_caches_are_lost():
    loads = Loads(0, 1, prompts=(((7, 100),),) * 3)
    router = make_router("prefix_affinity", loads)
    assert router.choose(0) == 0
    loads.requests[0] = 5
    assert router.choose(1) == 0
    router.forget(0)
    assert router.choose(2) == 1
