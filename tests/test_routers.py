"""Routers: who gets a request, on small fleets with a fixed price per token."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.serving import ROUTERS, FleetConfig, SchedulerConfig, serve_fleet
from sim.serving.book import RequestBook
from sim.serving.engine import Engine
from sim.serving.fleet_config import engine_of
from sim.serving.kv_cache import Path, Table
from sim.serving.operation.kv_events import KvEvents
from sim.serving.records import RequestTable
from sim.serving.routers import make_router
from sim.serving.routers.prefix_affinity import BALANCE_ABSOLUTE
from sim.serving.scheduler import Scheduler
from sim.serving.tape import RunTape
from sim.timing.linear_surface import LinearSurface
from sim.workload import Requests

LIMITS = SchedulerConfig(
    block_size=16, num_blocks=20, max_model_len=400, max_num_scheduled_tokens=512, max_num_batched_tokens=512,
    max_num_seqs=4,
)  # fmt: skip
SYSTEM, LENGTH = 1, 64
"""One system prompt that every prompt begins with: as in the Mooncake traces."""


def fleet(router: str, requests: Requests, replicas: int = 4) -> np.ndarray:
    """The replica of each request."""
    return served(router, requests, replicas).replica


def served(router: str, requests: Requests, replicas: int = 4) -> RequestTable:
    """The requests through a fleet with this router."""
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
    return serve_fleet(requests, LinearSurface(0.01, 1e-4, 1e-6), config).requests


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

    def held_tokens(self, request):
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


# -- what caches are known to hold -------------------------------------------------------------


def test_kv_aware_weighs_what_is_held_against_the_load():
    loads = Loads(300, 0, blocks=(256, 0))
    assert make_router("kv_aware", loads).choose(0) == 1
    loads.blocks = (301, 0)
    assert make_router("kv_aware", loads).choose(0) == 0


def test_kv_aware_finds_more_again_than_by_load_alone_and_leaves_no_replica_idle():
    requests = sessions(count=40, turns=6, gap=0.1)
    by_cache, by_load = (served(router, requests) for router in ("kv_aware", "shortest_tokens"))
    assert by_cache.cached_tokens.sum() > 1.05 * by_load.cached_tokens.sum()
    assert np.bincount(by_cache.replica, minlength=4).min() > 10


def events(staleness: float) -> tuple[KvEvents, Engine]:
    book = RequestBook([0.0], [1], [1])
    engine = engine_of([Scheduler(LIMITS, book)], LinearSurface(0.01, 0.0, 0.0), RunTape(), None)
    known = KvEvents(1, 16, staleness)
    known.watch(0, engine)
    return known, engine


def hold(engine: Engine, path: Path, blocks: int) -> None:
    """So many more blocks of a content are computed and let go."""
    cache = engine.scheduler.cache  # type: ignore[attr-defined]
    table = Table(path)
    cache.acquire(table, cache.look_up(path, blocks))
    cache.take(blocks - table.blocks)
    cache.register(table, blocks)
    cache.release(table, blocks)


def test_events_are_known_at_the_next_report_and_not_before():
    known, engine = events(staleness=0.5)
    path = Path(((7, 160),), 9)
    engine.now = 1.2
    hold(engine, path, 10)
    for now, tokens in ((1.2, 0), (1.49, 0), (1.5, 144)):
        known.report(now)
        assert known.overlap(path, 160) == [tokens]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 12)), min_size=1, max_size=40))
def test_with_reports_at_once_what_is_known_is_what_the_cache_holds(steps):
    """Contents with a common beginning, in a cache that holds 20 blocks."""
    known, engine = events(staleness=0.0)
    paths = [Path(((1, 40), (2 + number % 3, 60), (10 + number, 100)), 99) for number in range(6)]
    cache = engine.scheduler.cache
    for number, blocks in steps:
        hold(engine, paths[number], blocks)
        known.report(engine.now)
        for path in paths:
            assert known.overlap(path, 200) == [cache.look_up(path, 12).blocks * 16]


def test_what_was_known_of_a_replica_is_forgotten_with_its_caches():
    known, engine = events(staleness=0.5)
    path = Path(((7, 160),), 9)
    hold(engine, path, 10)
    known.report(1.0)
    hold(engine, Path(((8, 160),), 9), 10)
    known.forget(0)
    known.report(2.0)
    assert known.overlap(path, 160) == [0]
