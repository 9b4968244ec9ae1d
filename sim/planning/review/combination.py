"""The cheapest way to meet a target with several resources at once.

The search starts from the strongest of everything or, where that misses (money: a chip costs what is in it),
from where single steps lead that raise the margin most. Then, as long as the target is met, the resource
gives way a step at a time that saves most cost per margin lost; after that one a step stronger is tried with
others as much weaker as it allows, while that gets cheaper. The answer meets the target, and no single
resource of it can be one step weaker. A cheaper one further away cannot be excluded.
"""

from collections.abc import Callable, Mapping, Sequence

Choice = tuple[int, ...]
"""A place on each resource's grid."""

_LEAST_LOSS = 1e-6


def cheapest(
    grids: Mapping[str, Sequence[float]],
    cost: Callable[[Mapping[str, float]], float],
    margin: Callable[[Mapping[str, float]], float],
) -> tuple[dict[str, float], bool]:
    """(the strengths of the cheapest combination found, whether it meets); one that misses is the best found.

    Args:
        grids: ascending strengths of each resource; cost rises along each.
        margin: by how much the target is met, negative where it is not.
    """
    names = list(grids)
    known: dict[Choice, float] = {}

    def strengths(choice: Choice) -> dict[str, float]:
        return {name: grids[name][place] for name, place in zip(names, choice, strict=True)}

    def by_how_much(choice: Choice) -> float:
        if choice not in known:
            known[choice] = margin(strengths(choice))
        return known[choice]

    def price(choice: Choice) -> float:
        return cost(strengths(choice))

    tops = tuple(len(grids[name]) - 1 for name in names)
    at = tops
    if by_how_much(at) < 0:
        at = max((_climbed(start, tops, by_how_much) for start in (at, (0,) * len(at))), key=by_how_much)
    if by_how_much(at) < 0:
        return strengths(at), False
    at = _lowered(at, price, by_how_much)
    while (better := _exchanged(at, tops, price, by_how_much)) is not None:
        at = better
    return strengths(at), True


def _climbed(at: Choice, tops: Choice, margin: Callable[[Choice], float]) -> Choice:
    """Where steps that raise the margin most lead to; the first place that meets ends the way."""
    while margin(at) < 0:
        steps = [moved(at, i, by) for i, top in enumerate(tops) for by in (1, -1) if 0 <= at[i] + by <= top]
        best = max(steps, key=margin, default=at)
        if margin(best) <= margin(at):
            return at
        at = best
    return at


def _lowered(at: Choice, price: Callable[[Choice], float], margin: Callable[[Choice], float]) -> Choice:
    """One step weaker at a time, the one that saves most for what it loses, while the target is met."""
    while True:
        steps = [moved(at, i, -1) for i in range(len(at)) if at[i] > 0]
        steps = [step for step in steps if margin(step) >= 0]
        if not steps:
            return at
        here, worth = margin(at), price(at)
        at = max(steps, key=lambda step: (worth - price(step)) / max(here - margin(step), _LEAST_LOSS))


def _exchanged(
    at: Choice,
    tops: Choice,
    price: Callable[[Choice], float],
    margin: Callable[[Choice], float],
) -> Choice | None:
    """A cheaper choice in which one resource is a step stronger and others weaker; None if there is none."""
    for i in range(len(at)):
        if at[i] == tops[i]:
            continue
        found = _lowered(moved(at, i, 1), price, margin)
        if price(found) < price(at) * (1.0 - 1e-9):
            return found
    return None


def moved(choice: Choice, i: int, by: int) -> Choice:
    """The choice with resource i so many steps stronger."""
    return (*choice[:i], choice[i] + by, *choice[i + 1 :])
