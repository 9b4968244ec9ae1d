"""A step's time divided by cause along its critical path.

    step = compute + array + hbm + each fabric level + launch + host + imbalance + bubble      exactly

compute, hbm     s of an operator that its arithmetic and its memory traffic take, shares of the merged time
                 where both overlap
fabric level     s of a communication on the links of one tier, under the tier's name (scale_up, scale_out …)
launch, host     fixed times of kernels and collectives; what the engine's host does not hide
array            what a rigid matrix array takes longer for tiles that do not fill it, in analytic prices
imbalance        the slowest expert rank's time beyond the mean rank's
bubble           a pipeline stage without a micro-batch

Every fidelity says of each operator what its time consists of (`OperatorTime.parts`, `.levels`); here they
are added up. Causes are named as `CAUSES` has them, fabric levels between them by their tier.
"""

from collections.abc import Iterable, Mapping

from sim.timing.timer import Bound, OperatorTime

CAUSES: tuple[Bound, ...] = ("hbm", "compute", "array", "link", "launch", "host", "imbalance", "bubble")
"""In the order in which they are shown; a fabric level stands in the place of the link."""


def by_cause(operator: OperatorTime) -> dict[str, float]:
    """Seconds of an operator by cause, summing to its time; only causes that take any time are listed.

    Link time that no level is named for stays `link`.
    """
    if not operator.parts:
        return {operator.bound: operator.time} if operator.time else {}
    causes: dict[str, float] = {}
    for cause in CAUSES:
        seconds = operator.parts.get(cause, 0.0)
        if cause == "link":
            causes |= {tier: taken for tier, taken in operator.levels.items() if taken}
            seconds -= sum(operator.levels.values())
            if seconds <= 1e-12 * operator.time:
                continue
        if seconds:
            causes[cause] = seconds
    return causes


def attribution(operators: Iterable[OperatorTime]) -> dict[str, float]:
    """Seconds of a step by cause, in the order of `CAUSES`; they sum to the operators' time."""
    return ordered(_added(by_cause(operator) for operator in operators))


def ordered(causes: Mapping[str, float]) -> dict[str, float]:
    """The causes in the order of `CAUSES`; fabric levels keep their own order in the link's place."""
    known: tuple[str, ...] = CAUSES

    def place(cause: str) -> int:
        return known.index(cause if cause in known else "link")

    return {cause: causes[cause] for cause in sorted(causes, key=place)}


def _added(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for causes in parts:
        for cause, seconds in causes.items():
            total[cause] = total.get(cause, 0.0) + seconds
    return total
