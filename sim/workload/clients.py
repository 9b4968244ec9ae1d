"""Several kinds of users at once, each with its own arrivals, lengths, shared prompts and priority.

    rate given: every client's own rate times rate / Σ own rates

Each client draws from streams of its own, named after it: to add one leaves the others as they are.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sim.workload.arrivals import Burst, Diurnal, Gamma, Poisson, Synthetic
from sim.workload.arrivals.constant import ConstantRate
from sim.workload.arrivals.renewal import Policy, Rate
from sim.workload.arrivals.sessions import Sessions
from sim.workload.demand import Client


class Clients(Policy):
    """The sum of clients."""

    process: Literal["clients"]
    clients: Annotated[tuple[Client, ...], Field(min_length=1, description="the kinds of users")]
    rate: Rate | None = Field(
        default=None,
        description="starts per second of all together, in their own proportions; null: as given",
    )

    @model_validator(mode="after")
    def _clients_can_be_told_apart(self) -> Self:
        names = [client.name for client in self.clients]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"two clients are named '{twice}'")
        if self.rate is not None:
            for client in self.clients:
                if own_rate(client) is None:
                    raise ValueError(
                        f"'rate' cannot be given: {client.arrivals.process} arrivals of '{client.name}' have "
                        "no rate that could be scaled"
                    )
        return self

    def at_rate(self) -> tuple[Client, ...]:
        """The clients with `rate` applied."""
        if self.rate is None:
            return self.clients
        total = sum(own_rate(client) or 0.0 for client in self.clients)
        return tuple(faster(client, self.rate / total) for client in self.clients)


def own_rate(client: Client) -> float | None:
    """Starts (of requests, or of sessions) per second of a client on its own; None where nothing says it."""
    arrivals = client.arrivals.starts if isinstance(client.arrivals, Sessions) else client.arrivals
    if isinstance(arrivals, Burst):
        return arrivals.size / arrivals.every
    if isinstance(arrivals, Poisson | Gamma | Diurnal | ConstantRate | Synthetic):
        return arrivals.rate
    return None


def faster(client: Client, factor: float) -> Client:
    """The client with `factor` times as many starts per second; its rate has to be known."""
    arrivals = client.arrivals
    if isinstance(arrivals, Sessions):
        sped = arrivals.model_copy(update={"starts": _sped(arrivals.starts, factor)})
        return client.model_copy(update={"arrivals": sped})
    return client.model_copy(update={"arrivals": _sped(arrivals, factor)})


def _sped(arrivals: Policy, factor: float) -> Policy:
    if isinstance(arrivals, Burst):
        return arrivals.model_copy(update={"every": arrivals.every / factor})
    assert isinstance(arrivals, Poisson | Gamma | Diurnal | ConstantRate | Synthetic)
    assert arrivals.rate is not None
    return arrivals.model_copy(update={"rate": arrivals.rate * factor})
