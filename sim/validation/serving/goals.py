"""The questions that a reader asks of whole engines first, each as one cell of rows.

Fixed concurrency: time per output token. Offline: output tokens/s. Closed loops and servers: TTFT by regime.
Recorded arrivals: the distributions of single requests. TTFT near saturation is shown once more without the
runs whose simulated deployment does not keep up with what arrives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim.validation.serving.measures import measure
from sim.validation.serving.row import ServingRow
from sim.validation.serving.statistics import Cell, cell

_GOOD = ("A", "B")


@dataclass(frozen=True, slots=True)
class Goal:
    """A cell that is asked for by name, and its part of quality A."""

    name: str
    all: Cell | None
    best: Cell | None

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "name": self.name,
            "cell": None if self.all is None else self.all.to_json(),
            "quality_a": None if self.best is None else self.best.to_json(),
        }


def goals(rows: Sequence[ServingRow]) -> tuple[Goal, ...]:
    """The named cells, over the cases of quality A and B."""
    good = [row for row in rows if row.quality in _GOOD]
    return tuple(_goal(name, [row for row in good if chosen(row)]) for name, chosen in _NAMED.items())


def _goal(name: str, rows: Sequence[ServingRow]) -> Goal:
    once = list({(row.id, _what(row)): row for row in reversed(rows)}.values())[::-1]
    best = [row for row in once if row.quality == "A"]
    return Goal(name, cell({}, once) if once else None, cell({}, best) if best else None)


def _what(row: ServingRow) -> str:
    """Per chip and in total a rate is one quantity; mean and median of a latency of a case count once."""
    known = measure(row.metric)
    return known.what if known else row.metric


def _of(labels: tuple[str, ...], what: tuple[str, ...], *statistics: str) -> Callable[[ServingRow], bool]:
    def chosen(row: ServingRow) -> bool:
        known = measure(row.metric)
        return (
            row.label[:2] in labels
            and known is not None
            and known.what in what
            and known.statistic in statistics
        )

    return chosen


def _loaded(chosen: Callable[[ServingRow], bool], *regimes: str) -> Callable[[ServingRow], bool]:
    return lambda row: row.regime in regimes and chosen(row)


_CENTRE = ("mean", "p50")
_TTFT = _of(("b1", "c3"), ("ttft",), *_CENTRE)
_NAMED: dict[str, Callable[[ServingRow], bool]] = {
    "TPOT, fixed concurrency": _of(("b1",), ("tpot",), *_CENTRE),
    "output throughput, offline": _of(("b2", "b4"), ("output_tps",), "mean"),
    "TTFT, low and middle load": _loaded(_TTFT, "low", "middle"),
    "TTFT, near saturation": _loaded(_TTFT, "near_saturation"),
    "TTFT, near saturation, kept up": lambda row: row.kept_up and _loaded(_TTFT, "near_saturation")(row),
    "recorded arrivals, mean TPOT": _of(("c1",), ("tpot",), "mean"),
    "recorded arrivals, mean TTFT": _of(("c1",), ("ttft",), "mean"),
    "recorded arrivals, P99 of TPOT and TTFT": _of(("c1",), ("ttft", "tpot"), "p99"),
    "steps": lambda row: row.label[:2] == "a1",
    "static batches": _of(("b3",), ("e2e",), *_CENTRE),
    "servers, TPOT": _of(("c3",), ("tpot",), *_CENTRE),
    "conversations, TPOT": _of(("c4",), ("tpot",), *_CENTRE),
    "conversations, TTFT": _of(("c4",), ("ttft",), *_CENTRE),
    "disaggregated and large EP, throughput": _of(("d1",), ("output_tps", "input_tps"), "mean"),
    "disaggregated, TPOT": _of(("d1",), ("tpot",), *_CENTRE),
    "disaggregated, TTFT": _of(("d1",), ("ttft",), *_CENTRE),
}
