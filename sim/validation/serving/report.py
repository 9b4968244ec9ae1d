"""What validating serving found: rows, cells, ranking, distributions, and what was left out."""

import csv
import io
from collections import Counter
from dataclasses import dataclass

from sim.validation.serving.distributions import Distribution, OverTime
from sim.validation.serving.goals import Goal, goals
from sim.validation.serving.ranking import Ranking, ranking
from sim.validation.serving.row import KEYS, ServingRow
from sim.validation.serving.statistics import Cell, cells
from sim.version import __version__


@dataclass(frozen=True, slots=True)
class Skipped:
    """A case that did not run, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServingReport:
    """Every metric of every case that ran, and every case that did not.

    Attributes:
        cases: how many the catalogues hold.
    """

    cases: int
    rows: tuple[ServingRow, ...]
    distributions: tuple[Distribution, ...]
    over_time: tuple[OverTime, ...]
    skipped: tuple[Skipped, ...]

    @property
    def groups(self) -> tuple[Cell, ...]:
        """Cells by all keys, worst first."""
        return cells(self.rows, KEYS)

    def by(self, *names: str) -> tuple[Cell, ...]:
        """Cells by these keys, worst first."""
        return cells(self.rows, names)

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The cells that are asked for by name."""
        return goals(self.rows)

    @property
    def ranking(self) -> Ranking:
        """Which of two configurations is faster."""
        return ranking(self.rows)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why cases did not run, and how many, most first."""
        return Counter(skip.reason for skip in self.skipped).most_common()

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "kind": "serving",
            "cases": self.cases,
            "ran": self.cases - len(self.skipped),
            "overall": [c.to_json() for c in self.by("metric")],
            "goals": [goal.to_json() for goal in self.goals],
            "ranking": self.ranking.to_json(),
            "groups": [c.to_json() for c in self.groups],
            "rows": [row.to_json() for row in self.rows],
            "distributions": [d.to_json() for d in self.distributions],
            "over_time": [o.to_json() for o in self.over_time],
            "skipped": [{"reason": reason, "n": n} for reason, n in self.reasons],
            "skipped_cases": [{"id": skip.id, "reason": skip.reason} for skip in self.skipped],
        }

    def to_csv(self) -> str:
        """One line per row."""
        text = io.StringIO()
        columns = ("id", *KEYS, "quality", "measured", "simulated", "error")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([getattr(row, name) for name in columns] for row in self.rows)
        return text.getvalue()
