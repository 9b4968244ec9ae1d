"""Requests/s that a replica serves, from the timer alone: what ranks layouts before any is simulated.

    mean step(n) = step(n) + y · n / (decode steps of a request) · (step(n with a prompt) − step(n))
    tpot(n) = mean step(n) / y      y tokens per decode and step, 1 without drafts
    rate    = dp · n / (decode steps · tpot(n)),   n the most decodes per rank with tpot(n) ≤ the bound

Of a pool of its own: decodes without prompts between them; prompts at dp · k / step(k prompts), k as many as
a step has room for. Means only: queues, bursts and the spread of lengths are what simulation is for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

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
    """The replica's rate in its role; None where one decode is too slow already."""
    timer = make_timer(screened.deployment, fidelity)
    if screened.role == "prefill":
        return Estimate(min(prompt_rate(timer, load), screened.rate), 0, 0.0)
    admits = screened.role == "both"
    most = max(1, int(screened.decodes))
    low, high = 1, most
    if tpot(timer, load, 1, admits) > asked.tpot:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if tpot(timer, load, middle, admits) <= asked.tpot:
            low = middle
        else:
            high = middle - 1
    each = tpot(timer, load, low, admits)
    rate = screened.layout.parallel.dp * low / (load.decode_steps * each)
    return Estimate(min(rate, screened.rate), low, each)


def tpot(timer: PartsTimer, load: Traffic, decodes: int, admits: bool = True) -> float:
    """Mean seconds per output token with so many decodes per rank.

    Args:
        admits: prompts are taken in as requests finish; false where a pool of its own computes them.
    """

    def price(batch: BatchShape) -> float:
        return float(timer.durations(batch)[0])

    step = mean_step(timer, load, decodes, price) if admits else price(decode_batch(timer, load, decodes))
    return step / timer.deployment.mean_yield


def prompt_rate(timer: PartsTimer, load: Traffic) -> float:
    """Prompts/s of a replica that computes nothing else: steps full of prompts of mean length, or of the
    middle chunk of one."""
    prompt = max(1.0, load.mean_prompt)
    budget = timer.deployment.engine.max_num_batched_tokens
    chunk = max(1, min(round(prompt), budget))
    together = max(1, min(budget // chunk, timer.deployment.engine.max_num_seqs))
    chunks = ((chunk, round((prompt - chunk) / 2)),) * together
    step = float(timer.durations(BatchShape(chunks=chunks))[0])
    return timer.deployment.parallel.dp * together * (chunk / prompt) / step


def mean_step(timer: PartsTimer, load: Traffic, decodes: int, price: Callable[[BatchShape], float]) -> float:
    """Mean seconds of a step with so many decodes per rank, each step's seconds by `price`."""
    deployment = timer.deployment
    prompt = max(1.0, load.mean_prompt)
    chunk = max(1, min(round(prompt), deployment.engine.max_num_batched_tokens - decodes))
    batch = decode_batch(timer, load, decodes)
    alone, mixed = price(batch), price(replace(batch, chunks=((chunk, 0),)))
    admitted = deployment.mean_yield * decodes / load.decode_steps
    return alone + admitted * (prompt / chunk) * (mixed - alone)


def decode_batch(timer: PartsTimer, load: Traffic, decodes: int) -> BatchShape:
    """So many decodes at the traffic's mean context."""
    windowed = tuple(round(decodes * load.read(window)) for window in timer.windows)
    return BatchShape(decodes, round(decodes * load.context), windowed, queries=timer.deployment.queries)
