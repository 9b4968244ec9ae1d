"""The steady part of a run, and whether the run was steady at all.

Window. A run starts with an empty system and ends draining; neither is what the service does all day.
With S the mean time in service (finish - scheduled) and arrivals between a₀ and a₁:

    start = max(10 % quantile of arrivals, a₀ + S)
    end   = min(90 % quantile of arrivals, a₁ - S)

The number of running requests takes one time in service to build up after the first arrival and decays
after the last one (Little: running = rate · S); a tenth of the arrivals on either side covers the long
answers, which take several S. S leaves out the time spent waiting, so an overloaded run keeps its window.
Where start ≥ end (a burst, or too short a run) there is no window.

Saturation. Over the second half of the arrival time a straight line is fitted to the number of requests in
the system (waiting + running) and to those waiting. A line grows if it rises by more than 2 % of the arrivals
of that half (2 of 100 requests find no service) and by more than 2·√arrivals (two standard deviations of a
Poisson count: chance alone would not do it). Where the system grows the run has not settled; where the queue
itself grows it is saturated, and would not settle if it were longer.
"""

from dataclasses import dataclass

import numpy as np

from sim.metrics.latency import Floats
from sim.serving.records import FINISHED, REJECTED, RunResult, Series

TRIM = 0.1
GROWTH = 0.02
DEVIATIONS = 2.0


@dataclass(frozen=True, slots=True)
class Window:
    """The steady part of a run (s). Latencies are of requests that arrive in it; throughput counts the
    requests that finish, and the tokens that are produced, in it."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """s."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Backlog:
    """How the number of requests in the system went.

    Attributes:
        growth: requests by which it rose over the second half of the arrivals (negative: fell).
        share: `growth` per arrival of that half; NaN where nothing arrived in it.
        settled: it did not grow; otherwise latencies are those of this run's length, not of the service.
        saturated: the queue grew.
        littles_law: (time mean in the system · duration) / Σ time in the system per request; 1 in a
            consistent run.
    """

    growth: float
    share: float
    settled: bool
    saturated: bool
    littles_law: float


def steady_window(result: RunResult) -> Window | None:
    """The run's window, None where it has none."""
    requests = result.requests
    arrival = requests.arrival[requests.status != REJECTED]
    if not len(arrival):
        return None
    done = requests.status == FINISHED
    if not done.any():
        return None
    service = float((requests.finish[done] - requests.scheduled[done]).mean())
    # order statistics, not interpolation: a window starts and ends with a request
    ordered = np.sort(arrival)
    last = len(ordered) - 1
    start = max(float(ordered[int(TRIM * last)]), float(ordered[0]) + service)
    end = min(float(ordered[last - int(TRIM * last)]), float(ordered[last]) - service)
    return Window(start, end) if end > start else None


def tokens_between(result: RunResult, window: Window) -> tuple[float, int]:
    """(output tokens produced, prompt tokens of requests that got their first token) in the window.

    Decode steps of a row that lies partly inside count by the share of its time.
    """
    requests, rows = result.requests, result.segments
    time = rows.time
    inside = np.minimum(rows.start + time, window.end) - np.maximum(rows.start, window.start)
    share = np.divide(np.maximum(inside, 0.0), time, out=np.zeros_like(time), where=time > 0)
    answered = (requests.first_token >= window.start) & (requests.first_token < window.end)
    decoded = float((share * (rows.steps * rows.decodes)).sum())
    return decoded + int(np.count_nonzero(answered)), int(requests.prompt_tokens[answered].sum())


def backlog(result: RunResult) -> Backlog:
    """Growth of the number in the system, and Little's law, over the run."""
    series, requests = result.series, result.requests
    in_system = series.running + series.waiting
    rise, arrivals = _second_half(requests.arrival, series, in_system)
    queue, _ = _second_half(requests.arrival, series, series.waiting)
    taken = requests.status != REJECTED
    left = np.where(np.isnan(requests.finish), result.duration, requests.finish)
    sojourn = float((left - requests.arrival)[taken].sum())
    mass = float(in_system.sum()) * series.width
    return Backlog(
        growth=rise,
        share=rise / arrivals if arrivals else float("nan"),
        settled=not _grows(rise, arrivals),
        saturated=_grows(queue, arrivals),
        littles_law=mass / sojourn if sojourn > 0 else float("nan"),
    )


def _grows(rise: float, arrivals: int) -> bool:
    return rise > GROWTH * arrivals and rise > DEVIATIONS * arrivals**0.5


def _second_half(arrival: Floats, series: Series, in_system: Floats) -> tuple[float, int]:
    """(rise of the fitted line, arrivals) over the second half of the arrival time."""
    if not len(arrival):
        return 0.0, 0
    first, last = float(arrival.min()), float(arrival.max())
    middle = 0.5 * (first + last)
    chosen = (series.time >= middle) & (series.time + series.width <= last)
    time = series.time[chosen]
    if len(time) < 3:
        return 0.0, 0
    away = time - time.mean()
    slope = float((away * in_system[chosen]).sum() / (away * away).sum())
    return slope * (last - middle), int((arrival > middle).sum())
