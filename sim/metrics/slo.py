"""The service-level objective: what a request must meet, and how many of all requests must meet it."""

from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.metrics.latency import Latencies
from sim.units import Seconds

PositiveSeconds = Annotated[Seconds, Field(gt=0)]


class SloSpec(BaseModel):
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

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.ttft is None and self.tpot is None and self.e2el is None:
            raise ValueError("an slo needs at least one of ttft, tpot, e2el")
        return self

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


@dataclass(frozen=True, slots=True)
class Objectives:
    """The bounds of every request: those of its client, by index, or those of all (`common`)."""

    common: SloSpec | None
    by_client: tuple[SloSpec | None, ...] = ()

    def met(self, latencies: Latencies, client: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """For each arrival, whether it finished within its bounds; one without bounds, whether it finished.
        None where nobody has any."""
        if all(slo is self.common for slo in self.by_client):
            return None if self.common is None else self.common.met(latencies)
        met = latencies.finished.copy()
        for index, slo in enumerate(self.by_client):
            if slo is not None:
                met &= slo.met(latencies) | (client != index)
        return met

    def attained(self, met: NDArray[np.bool_], chosen: NDArray[np.bool_], client: NDArray[np.int64]) -> bool:
        """Whether enough of the chosen arrivals met their bounds: of every client with its own, or of all."""
        parts = [(self.common, chosen)]
        if not all(slo is self.common for slo in self.by_client):
            parts = [(slo, chosen & (client == index)) for index, slo in enumerate(self.by_client)]
        asked = [(slo, part) for slo, part in parts if slo is not None and part.any()]
        return all(met[part].mean() >= slo.attainment for slo, part in asked)
