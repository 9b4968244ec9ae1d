"""Requests of several models, each with a number of its own wherever it is answered."""

import numpy as np
from numpy.typing import NDArray

from sim.metrics.latency import Latencies
from sim.workload.requests import Requests

Places = NDArray[np.int64]


class Ledger:
    """Every request of every model, by number: when it came and what became of it, wherever it was answered.

    Attributes:
        by: place of the pool that answered, -1 for none.
    """

    def __init__(self, requests: int) -> None:
        self.by = np.full(requests, -1)
        self.finished = np.zeros(requests, np.bool_)
        self.ttft, self.tpot, self.e2el = (np.full(requests, np.nan) for _ in range(3))

    def note(self, numbers: Places, found: Latencies, rows: Places, by: int) -> None:
        """The latencies of these rows are those of these requests."""
        self.by[numbers] = by
        self.finished[numbers] = found.finished[rows]
        for mine, theirs in ((self.ttft, found.ttft), (self.tpot, found.tpot), (self.e2el, found.e2el)):
            mine[numbers] = theirs[rows]

    def of(self, numbers: Places) -> Latencies:
        """Latencies of these requests."""
        return Latencies(self.finished[numbers], self.ttft[numbers], self.tpot[numbers], self.e2el[numbers])


def together(parts: list[tuple[Places, Requests]]) -> tuple[Places, Requests]:
    """The requests of all parts in the order of their arrival, with their numbers."""
    numbers = np.concatenate([numbers for numbers, _ in parts])
    arrival = np.concatenate([requests.arrival for _, requests in parts])
    order = np.argsort(arrival, kind="stable")
    prompt = np.concatenate([requests.prompt_tokens for _, requests in parts])
    output = np.concatenate([requests.output_tokens for _, requests in parts])
    return numbers[order], Requests(arrival[order], prompt[order], output[order])


def some(requests: Requests, chosen: NDArray[np.bool_]) -> Requests:
    """The chosen ones."""
    return Requests(requests.arrival[chosen], requests.prompt_tokens[chosen], requests.output_tokens[chosen])
