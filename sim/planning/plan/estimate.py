"""Requests/s that a replica serves, from the timer alone: what ranks layouts before any is simulated.

    tpot(n) = step(n) + n / (decode steps of a request) · (step(n with a prompt) − step(n))
    rate    = dp · n / (decode steps · tpot(n)),   n the most decodes per rank with tpot(n) ≤ the bound

Means only: queues, bursts and the spread of lengths are what simulation is for.
"""

from dataclasses import dataclass

from sim.operators.batch import BatchShape
from sim.planning.plan.space import Bounds, Screened
from sim.planning.plan.traffic import Traffic
from sim.timing import PartsTimer, make_timer
from sim.timing.step_timer import Fidelity


@dataclass(frozen=True, slots=True)
class Estimate:
    """Requests/s of a replica with `decodes` per attention-dp rank; `tpot`: mean time per token, s."""

    rate: float
    decodes: int
    tpot: float


def estimate(
    screened: Screened, load: Traffic, asked: Bounds, fidelity: Fidelity = "analytic"
) -> Estimate | None:
    """The replica's rate; None where one decode is too slow already."""
    timer = make_timer(screened.deployment, fidelity)
    most = max(1, int(screened.decodes))
    low, high = 1, most
    if tpot(timer, load, 1) > asked.tpot:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if tpot(timer, load, middle) <= asked.tpot:
            low = middle
        else:
            high = middle - 1
    each = tpot(timer, load, low)
    rate = screened.layout.parallel.dp * low / (load.decode_steps * each)
    return Estimate(min(rate, screened.rate), low, each)


def tpot(timer: PartsTimer, load: Traffic, decodes: int) -> float:
    """Mean seconds per output token with so many decodes per rank, prompts taken in as requests finish."""
    budget = timer.deployment.engine.max_num_batched_tokens
    prompt = max(1.0, load.mean_prompt)
    chunk = max(1, min(round(prompt), budget - decodes))
    windowed = tuple(round(decodes * load.read(window)) for window in timer.windows)
    context = round(decodes * load.context)
    alone = float(timer.durations(BatchShape(decodes, context, windowed))[0])
    mixed = float(timer.durations(BatchShape(decodes, context, windowed, ((chunk, 0),)))[0])
    return alone + decodes / load.decode_steps * (prompt / chunk) * (mixed - alone)
