"""What a run achieved: bandwidth and latencies of the requests after warm-up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.dram.simulation import Served


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run of `requests` after warm-up achieved.

    Attributes:
        begin, end: ticks between which they were completed; seconds: that time; fraction: of the peak.
        latency: of the reads, acceptance to the end of data, seconds, ascending.
        queued_latency: the same from arrival in front of the controller.
        acts_per_request: rows opened per request.
    """

    requests: int
    begin: int
    end: int
    seconds: float
    bandwidth: float
    fraction: float
    latency: NDArray[np.float64]
    queued_latency: NDArray[np.float64]
    acts_per_request: float

    @property
    def mean_latency(self) -> float:
        """Mean read latency, seconds; 0 without reads."""
        return float(self.latency.mean()) if self.latency.size else 0.0

    def latency_quantile(self, q: float) -> float:
        """The read latency that a share `q` of the reads stays below, seconds; 0 without reads."""
        return float(self.latency[int(q * self.latency.size)]) if self.latency.size else 0.0


def measure(served: Served, warm_up: int, requests: int) -> Measured:
    """Statistics of the first `requests` completions after `warm_up`, from tick to tick."""
    done = served.done
    order = np.sort(done[done > 0])
    begin = order[warm_up - 1] if warm_up else 0
    first = int(np.searchsorted(order, begin, "right"))
    end = order[min(first + requests, order.size) - 1]
    counted = (done > begin) & (done <= end)
    count, ticks = int(counted.sum()), int(end - begin)
    tick = served.system.device.tick_ns * 1e-9
    reads = counted & (served.write == 0)
    latency = np.sort((served.departed - served.accepted)[reads]).astype(np.float64) * tick
    queued = np.sort((served.departed - served.arrival)[reads]).astype(np.float64) * tick
    acts = served.acts[counted & (served.acts > 0)]
    size = served.system.device.organisation.transaction_bytes
    bandwidth = count * size / (ticks * tick)
    return Measured(
        requests=count,
        begin=int(begin),
        end=int(end),
        seconds=ticks * tick,
        bandwidth=bandwidth,
        fraction=bandwidth / served.system.peak,
        latency=latency,
        queued_latency=queued,
        acts_per_request=float(acts.max() - acts.min()) / count if acts.size else 0.0,
    )
