"""Requests/s that a replica serves, from the timer alone: what ranks layouts before any is simulated.

    mean step(n) = step(n) + y · n / (decode steps of a request) · (step(n with a prompt) − step(n))
    tpot(n) = mean step(n) / y      y tokens per decode and step, 1 without drafts
    rate    = dp · n / (decode steps · tpot(n)),   n the most decodes per rank with tpot(n) ≤ the bound

Means only: queues, bursts and the spread of lengths are what simulation is for.
"""

from collections.abc import Callable
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
    step = mean_step(timer, load, decodes, lambda batch: float(timer.durations(batch)[0]))
    return step / tokens_per_decode(timer)


def mean_step(timer: PartsTimer, load: Traffic, decodes: int, price: Callable[[BatchShape], float]) -> float:
    """Mean seconds of a step with so many decodes per rank, each step's seconds by `price`."""
    deployment = timer.deployment
    prompt = max(1.0, load.mean_prompt)
    chunk = max(1, min(round(prompt), deployment.engine.max_num_batched_tokens - decodes))
    windowed = tuple(round(decodes * load.read(window)) for window in timer.windows)
    context, queries = round(decodes * load.context), deployment.queries
    alone = price(BatchShape(decodes, context, windowed, queries=queries))
    mixed = price(BatchShape(decodes, context, windowed, ((chunk, 0),), queries))
    admitted = tokens_per_decode(timer) * decodes / load.decode_steps
    return alone + admitted * (prompt / chunk) * (mixed - alone)


def tokens_per_decode(timer: PartsTimer) -> float:
    """Tokens that a sequence gets per step: 1 without drafts."""
    drafts = timer.deployment.speculation
    return 1.0 if drafts is None else drafts.mean_yield
