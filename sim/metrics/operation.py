"""What became of a fleet that is operated: its replicas, and the requests that were refused, lost or retried.

availability = time in which replicas serve / time in which they should: all but switched off or starting
mean_replicas_up = replica-seconds of service / duration
"""

import numpy as np
from numpy.typing import NDArray

from sim.metrics.record import Value
from sim.serving.records import Reason, RunResult

_TURNED_AWAY = {
    "rejected_rate_limit": Reason.RATE_LIMIT,
    "rejected_queue_full": Reason.QUEUE_FULL,
    "failed_deadline": Reason.DEADLINE,
    "failed_retries": Reason.RETRIES,
    "failed_no_replica": Reason.NO_REPLICA,
}
_OF_REPLICAS = (
    "availability",
    "mean_replicas_up",
    "most_replicas_up",
    "failures",
    "retries",
    "retried_requests",
    "weight_loads",
    "mean_weight_load_s",
)


def operation_fields(result: RunResult) -> dict[str, Value]:
    """The fields; all null where the fleet was not operated."""
    history, table = result.history, result.requests
    if history is None or not result.duration:
        return dict.fromkeys((*_OF_REPLICAS, *_TURNED_AWAY))
    spent = history.time_in(result.duration)
    serving = spent["up"] + spent["draining"]
    wanted = sum(spent.values()) - spent["off"] - spent["starting"]
    _, up = replicas_up(result)
    loads = [end - start for start, end in history.loads]
    fields: dict[str, Value] = {
        "availability": serving / wanted if wanted else None,
        "mean_replicas_up": serving / result.duration,
        "most_replicas_up": int(up.max()),
        "failures": len(history.failures),
        "retries": int(table.retries.sum()),
        "retried_requests": int(np.count_nonzero(table.retries)),
        "weight_loads": len(loads),
        "mean_weight_load_s": float(np.mean(loads)) if loads else None,
    }
    return fields | {
        name: int(np.count_nonzero(table.reason == reason)) for name, reason in _TURNED_AWAY.items()
    }


def replicas_up(result: RunResult) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(times, replicas that serve from each on)."""
    assert result.history is not None
    edges = [
        (time, by)
        for _, state, start, end in result.history.stays(result.duration)
        if state in ("up", "draining")
        for time, by in ((start, 1), (end, -1))
        if time < result.duration or by > 0
    ]
    times, changes = zip(*sorted(edges), strict=True) if edges else ((0.0,), (0,))
    moments, first = np.unique(np.array(times), return_index=True)
    reached = np.cumsum(np.array(changes, np.int64))
    return moments, reached[np.append(first[1:], len(reached)) - 1]
