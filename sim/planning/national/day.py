"""The load of a day: what each service asks at every time, and when the whole asks most.

    λ_s(t) = users_s · requests per user_s / 86,400 s · curve_s(t)
    peaks    the times at which Σ λ_s · prompt tokens_s and Σ λ_s · output tokens_s are largest

Prompts cost compute and answers cost bandwidth, so a fleet has to stand either peak.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.planning.national.schema import DAY, NationalSpec
from sim.workload.requests import Requests

STEP = 300.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Day:
    """Rates by service (rows) and time of day (columns, every 5 minutes).

    Attributes:
        times: s; rates: requests/s; prompt, output: mean tokens of a request of each service.
    """

    times: Floats
    rates: Floats
    prompt: Floats
    output: Floats

    @property
    def peaks(self) -> tuple[float, ...]:
        """Times of day (s) of the most prompt tokens and of the most output tokens; one if they coincide."""
        places = {int(np.argmax(tokens @ self.rates)) for tokens in (self.prompt, self.output)}
        return tuple(float(self.times[place]) for place in sorted(places))

    def rate_at(self, time: float) -> float:
        """Requests/s of all services at a time of day."""
        return float(self.rates[:, int(time / STEP)].sum())


def day_of(spec: NationalSpec, sample: Requests) -> Day:
    """The day of these services.

    Args:
        sample: requests of all of them, as clients in their order, for the mean lengths.
    """
    times = np.arange(0, DAY, STEP)
    rates: list[Floats] = []
    for service in spec.services:
        at, factors = service.curve.points()
        rates.append(service.rate * np.interp(times, at, factors, period=DAY))
    return Day(times, np.array(rates), *_means(sample, len(spec.services)))


def _means(sample: Requests, services: int) -> tuple[Floats, Floats]:
    def mean(tokens: NDArray[np.int64], service: int) -> float:
        mine = tokens[sample.client == service]
        return float(mine.mean()) if len(mine) else 0.0

    columns: Sequence[NDArray[np.int64]] = (sample.prompt_tokens, sample.output_tokens)
    prompt, output = (np.array([mean(column, s) for s in range(services)]) for column in columns)
    return prompt, output
