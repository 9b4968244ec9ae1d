"""Classes of service: who sends, how urgent it is, its share of the fleet, what it is promised."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sim.documents import WRITTEN
from sim.errors import UserError, nearest
from sim.metrics import SloSpec
from sim.workload.choice import chosen
from sim.workload.priority import Priority
from sim.workload.requests import Requests
from sim.workload.streams import stream


class ServiceClass(BaseModel):
    """A client: a tenant, or a kind of use."""

    model_config = WRITTEN

    name: Annotated[str, Field(min_length=1, description="of the client")]
    share: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="of the requests, in any unit; left out where the workload names every request's client",
    )
    priority: Priority = Field(default=0, description="smaller is more urgent")
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=1.0, description="its part of the tokens under the gateway's `fair` order"
    )
    slo: SloSpec | None = Field(default=None, description="its own bounds; left out: the scenario's")


def with_classes(requests: Requests, classes: Sequence[ServiceClass], seed: int) -> Requests:
    """The requests with a client each: the workload's, which classes then name, or one drawn by share.

    Raises:
        UserError: naming the class that has a share too much or too little, or names nobody.
    """
    if not classes:
        return requests
    names = tuple(one.name for one in classes)
    if len(set(names)) < len(names):
        raise UserError(f"classes: a name occurs twice among {', '.join(names)}")
    if requests.clients:
        _check_names(classes, requests.clients)
    else:
        requests = replace(requests, client=_by_share(len(requests), classes, seed), clients=names)
    if not any(one.priority for one in classes):
        return requests
    if len(requests.priority):
        raise UserError("classes: priorities are given by the workload already")
    of = {one.name: one.priority for one in classes}
    priority = np.array([of.get(name, 0) for name in requests.clients], np.int64)
    client = requests.client if len(requests.client) else np.zeros(len(requests), np.int64)
    return replace(requests, priority=priority[client])


def weights_of(classes: Sequence[ServiceClass], clients: Sequence[str]) -> tuple[float, ...]:
    """The weight of each client, 1 without a class; of the one there is where the workload names none."""
    of = {one.name: one.weight for one in classes}
    return tuple(of.get(name, 1.0) for name in clients) or (1.0,)


def slos_of(
    classes: Sequence[ServiceClass], clients: Sequence[str], common: SloSpec | None
) -> tuple[SloSpec | None, ...]:
    """The bounds of each client: its class's, or those of all."""
    of = {one.name: one.slo for one in classes}
    return tuple(of.get(name) or common for name in clients)


def _check_names(classes: Sequence[ServiceClass], clients: Sequence[str]) -> None:
    for place, one in enumerate(classes):
        if one.name not in clients:
            raise UserError(
                f"classes.{place}.name: the workload has no client '{one.name}'{nearest(one.name, clients)} "
                f"(it has: {', '.join(clients)})"
            )
        if one.share is not None:
            raise UserError(f"classes.{place}.share: the workload says which requests are of {one.name}")


def _by_share(count: int, classes: Sequence[ServiceClass], seed: int) -> NDArray[np.int64]:
    for place, one in enumerate(classes):
        if one.share is None:
            raise UserError(
                f"classes.{place}.share: missing, and the workload names no requests of {one.name}"
            )
    shares = np.array([one.share for one in classes], np.float64)
    return chosen(shares, stream(seed, "classes").random(count))
