"""Routers: who gets a request, on small fleets with a fixed price per token."""

import numpy as np
import pytest

from sim.serving import ROUTERS, FleetConfig, SchedulerConfig, serve_fleet
from sim.serving.engine import Engine
from sim.serving.routers import Replicas, make_router
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


class Load:
    """An engine of which a router sees nothing but its load."""

    outstanding = Engine.outstanding

    def __init__(self, running: int, blocks: int = 0) -> None:
        self.scheduler = self
        self.inbox: list[tuple[float, int]] = []
        self.figures = (0, 0, running, 0, blocks)

    def load(self) -> tuple[int, int, int, int, int]:
        return self.figures


def replicas(*loads: Load, prompts: tuple[tuple[tuple[int, int], ...], ...] | None = None) -> Replicas:
    engines: list[Engine] = list(loads)  # type: ignore[arg-type]
    return Replicas(engines, prompts)


@pytest.mark.parametrize("name", ROUTERS)
def test_every_named_router_can_be_made_and_ties_go_to_the_first_replica(name):
    assert make_router(name, replicas(Load(3), Load(3))).choose(0) == 0


def test_round_robin_takes_turns_whatever_the_load():
    router = make_router("round_robin", replicas(Load(9), Load(0), Load(0)))
    assert [router.choose(i) for i in range(4)] == [0, 1, 2, 0]


def test_least_outstanding_goes_by_requests_and_least_kv_by_blocks():
    loads = Load(running=5, blocks=1), Load(running=2, blocks=9)
    assert make_router("least_outstanding", replicas(*loads)).choose(0) == 1
    assert make_router("least_kv", replicas(*loads)).choose(0) == 0


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
    prompts = (((7, 100),), ((7, 100),))
    busy, idle = Load(0), Load(1)
    router = make_router("prefix_affinity", replicas(busy, idle, prompts=prompts))
    assert router.choose(0) == 0
    busy.figures = (0, 0, BALANCE_ABSOLUTE, 0, 0)
    assert router.choose(1) == 0
    busy.figures = (0, 0, BALANCE_ABSOLUTE + 2, 0, 0)
    assert router.choose(1) == 1


def test_affinity_follows_the_longest_beginning():
    prompts = (((1, 50), (2, 50)), ((1, 50), (3, 50)), ((1, 50), (3, 50), (4, 10)))
    loads = Load(0), Load(1)
    router = make_router("prefix_affinity", replicas(*loads, prompts=prompts))
    assert router.choose(0) == 0
    loads[0].figures = (0, 0, 2, 0, 0)
    router.sent[1].add(1)  # both know the system prompt, so the idler one takes the second conversation
    assert router.choose(1) == 1
    loads[1].figures = (0, 0, 9, 0, 0)
    assert router.choose(2) == 1
