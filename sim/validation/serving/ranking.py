"""Which of two configurations is faster: the question that a capacity planner asks.

Pairs: the same model under the same load (lengths, users or rate) from the same source, on other chips,
layouts, precisions or engines; compared by output tokens/s and by time per output token, where they are more
than 10 % apart. A pair is right if the simulation has the same one in front.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from sim.validation.serving.measures import measure
from sim.validation.serving.row import ServingRow

APART = 0.10
_METRICS = ("output_tps", "tpot")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Pairs compared and ranked right, over all models and by model."""

    pairs: int
    right: int
    by_model: dict[str, tuple[int, int]]

    @property
    def share(self) -> float | None:
        """Share ranked right, None without pairs."""
        return self.right / self.pairs if self.pairs else None

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        models = [
            {"model": name, "pairs": pairs, "right": right} for name, (pairs, right) in self.by_model.items()
        ]
        return {"pairs": self.pairs, "right": self.right, "share": self.share, "models": models}


def ranking(rows: Iterable[ServingRow]) -> Ranking:
    """Compares every pair."""
    groups: dict[tuple[str, str, str], dict[str, ServingRow]] = {}
    for row in rows:
        known = measure(row.metric)
        if known is None or known.statistic != "mean" or known.what not in _METRICS:
            continue
        if known.per_chips:
            continue
        groups.setdefault((row.group, row.source, known.what), {}).setdefault(row.id, row)
    by_model: dict[str, tuple[int, int]] = {}
    for group in groups.values():
        for one, other in combinations(group.values(), 2):
            if one.configuration == other.configuration:
                continue
            if abs(one.measured - other.measured) <= APART * min(one.measured, other.measured):
                continue
            pairs, right = by_model.get(one.model, (0, 0))
            same = (one.measured > other.measured) == (one.simulated > other.simulated)
            by_model[one.model] = (pairs + 1, right + same)
    counts = list(by_model.values())
    ordered = dict(sorted(by_model.items(), key=lambda item: item[1][1] / item[1][0]))
    return Ranking(sum(pairs for pairs, _ in counts), sum(right for _, right in counts), ordered)
