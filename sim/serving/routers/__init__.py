"""Which replica a new request goes to: a policy a file. Ties go to the replica with the smallest number."""

from typing import Literal, get_args

from sim.serving.routers.least_kv import LeastKv
from sim.serving.routers.least_outstanding import LeastOutstanding
from sim.serving.routers.prefix_affinity import PrefixAffinity
from sim.serving.routers.round_robin import RoundRobin
from sim.serving.routers.router import Replicas, Router

RouterName = Literal["round_robin", "least_outstanding", "least_kv", "prefix_affinity"]
ROUTERS: tuple[RouterName, ...] = get_args(RouterName)

_BEHAVIOUR: dict[RouterName, type[Router]] = {
    "round_robin": RoundRobin,
    "least_outstanding": LeastOutstanding,
    "least_kv": LeastKv,
    "prefix_affinity": PrefixAffinity,
}


def make_router(name: RouterName, replicas: Replicas) -> Router:
    """The router of that name over these replicas."""
    return _BEHAVIOUR[name](replicas)


__all__ = ["ROUTERS", "Replicas", "Router", "RouterName", "make_router"]
