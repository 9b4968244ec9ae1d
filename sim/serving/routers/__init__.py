"""Which replica a new request goes to: a policy a file. Ties go to the replica with the smallest number."""

from typing import Literal, get_args

from sim.serving.routers.kv_aware import KvAware
from sim.serving.routers.least_kv import LeastKv
from sim.serving.routers.least_outstanding import LeastOutstanding
from sim.serving.routers.prefix_affinity import PrefixAffinity
from sim.serving.routers.round_robin import RoundRobin
from sim.serving.routers.router import PresentReplicas, Replicas, Router
from sim.serving.routers.shortest_tokens import ShortestTokens
from sim.serving.routers.two_choices import TwoChoices
from sim.serving.routers.weighted import Weighted

RouterName = Literal[
    "round_robin",
    "weighted",
    "least_outstanding",
    "shortest_tokens",
    "two_choices",
    "least_kv",
    "prefix_affinity",
    "kv_aware",
]
ROUTERS: tuple[RouterName, ...] = get_args(RouterName)

_BEHAVIOUR: dict[RouterName, type[Router]] = {
    "round_robin": RoundRobin,
    "weighted": Weighted,
    "least_outstanding": LeastOutstanding,
    "shortest_tokens": ShortestTokens,
    "two_choices": TwoChoices,
    "least_kv": LeastKv,
    "prefix_affinity": PrefixAffinity,
    "kv_aware": KvAware,
}


def make_router(name: RouterName, replicas: Replicas) -> Router:
    """The router of that name over these replicas."""
    return _BEHAVIOUR[name](replicas)


__all__ = ["ROUTERS", "PresentReplicas", "Replicas", "Router", "RouterName", "make_router"]
