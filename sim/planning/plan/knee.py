"""The knee: the highest load at which a replica still meets what is asked of it.

From a guess upwards or downwards in steps until one load meets and the next does not, then by halving the
ratio between the two until they are within the tolerance. All trials share a seed, hence lengths and the
pattern of arrivals, so that they differ by the load alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sim.planning.plan.trial import Replica, Trial, attempt

STEP = 1.3
FAR = 1e-3
"""Share of the guess below which a replica counts as one that serves nothing."""


@dataclass(frozen=True, slots=True)
class KneeTask:
    """A replica whose knee is looked for, from `guess` up to `most` requests/s."""

    replica: Replica
    guess: float
    most: float
    tolerance: float
    seed: int


@dataclass(frozen=True, slots=True)
class Knee:
    """Attributes:
    key: the replica's; rate: the highest load that met, requests/s (0: none); open: `most` was met.
    trials: every run, by rising load.
    """

    key: str
    rate: float
    open: bool
    trials: tuple[Trial, ...]


def find_knee(task: KneeTask) -> Knee:
    """The replica's knee."""
    trials: list[Trial] = []

    def meets(rate: float) -> bool:
        trials.append(attempt(task.replica, rate, task.seed))
        return trials[-1].meets

    rate, reached = bracketed(meets, min(task.guess, task.most), task.most, task.tolerance)
    trials.sort(key=lambda trial: trial.rate)
    return Knee(task.replica.task.key, rate, reached, tuple(trials))


def bracketed(
    meets: Callable[[float], bool], guess: float, most: float, tolerance: float
) -> tuple[float, bool]:
    """(the highest rate found that meets, whether that is `most`); 0 where none does.

    The answer is met and, unless it is `most`, the next rate above it by at most 1 + tolerance is not.
    """
    good, bad = (guess, 0.0) if meets(guess) else (0.0, guess)
    while good and not bad:
        if good >= most:
            return good, True
        rate = min(most, good * STEP)
        good, bad = (rate, 0.0) if meets(rate) else (good, rate)
    while not good:
        rate = bad / STEP**2
        if rate < FAR * guess:
            return 0.0, False
        good, bad = (rate, bad) if meets(rate) else (0.0, rate)
    while bad / good > 1.0 + tolerance:
        rate = (good * bad) ** 0.5
        good, bad = (rate, bad) if meets(rate) else (good, rate)
    return good, False
