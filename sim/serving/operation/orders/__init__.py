"""Whose turn it is at the gateway: a policy a file."""

from typing import Literal

from sim.serving.operation.orders.fair import Fair
from sim.serving.operation.orders.fcfs import Fcfs
from sim.serving.operation.orders.order import Clients, Order
from sim.serving.operation.orders.priority import Priority

OrderName = Literal["fcfs", "priority", "fair"]

_BEHAVIOUR: dict[OrderName, type[Order]] = {"fcfs": Fcfs, "priority": Priority, "fair": Fair}


def make_order(name: OrderName, clients: Clients) -> Order:
    """An empty queue of that order."""
    return _BEHAVIOUR[name](clients)


__all__ = ["Clients", "Order", "OrderName", "make_order"]
