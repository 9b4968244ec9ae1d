"""The service-level objective: what a request must meet, and how many of all requests must meet it."""

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.metrics.latency import Latencies
from sim.units import Seconds

PositiveSeconds = Annotated[Seconds, Field(gt=0)]


class Bounds(BaseModel):
    """Bounds on one request, all to be met together, and the fraction of all arrivals that must meet them.

    A bound that is absent is not asked for. Names and meaning are those of vLLM's `--goodput`
    (ttft, tpot, e2el), so that goodput compares with measured files.
    """

    model_config = WRITTEN

    ttft: PositiveSeconds | None = Field(None, description="longest time to the first token")
    tpot: PositiveSeconds | None = Field(
        None, description="longest mean gap after the first token, 0 for a one-token answer"
    )
    e2el: PositiveSeconds | None = Field(None, description="longest time from arrival to the last token")
    attainment: float = Field(
        default=0.99,
        gt=0,
        le=1,
        description="fraction of all arrivals, also rejected and unfinished, that must meet every bound",
    )

    @property
    def asks(self) -> bool:
        """Whether any bound is given."""
        return self.ttft is not None or self.tpot is not None or self.e2el is not None

    def met(self, latencies: Latencies) -> NDArray[np.bool_]:
        """For each arrival, whether it finished within every bound."""
        met = latencies.finished.copy()
        if self.ttft is not None:
            met &= latencies.ttft <= self.ttft
        if self.tpot is not None:
            met &= np.nan_to_num(latencies.tpot, nan=0.0) <= self.tpot
        if self.e2el is not None:
            met &= latencies.e2el <= self.e2el
        return met


class SloSpec(Bounds):
    """Bounds on everybody's requests; a client named in `clients` has those instead."""

    clients: dict[str, Bounds] = Field(
        default_factory=dict[str, Bounds], description="bounds of single clients, by name, in place of these"
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not any(bounds.asks for bounds in (self, *self.clients.values())):
            raise ValueError("an slo needs at least one of ttft, tpot, e2el")
        return self

    def of(self, client: str) -> Bounds:
        """The bounds of a client's requests."""
        return self.clients.get(client, self)

    def met_by(
        self, latencies: Latencies, client: NDArray[np.int64], clients: Sequence[str]
    ) -> NDArray[np.bool_]:
        """For each arrival, whether it finished within every bound of its client.

        Args:
            client: place of each arrival's client in `clients`.
        """
        met = self.met(latencies)
        for place, name in enumerate(clients):
            if name in self.clients:
                mine = client == place
                met[mine] = self.clients[name].met(latencies)[mine]
        return met
