"""Measured tables in the place of prices: what of them fits a deployment, and what they make of an operator.

    seconds(operator) = priced(operator) · ratio(its shape)          sim.timing.measured.ratios

Rows fit where they name the deployment's chip, and its engine's stack or one that is no engine's (as a
microbenchmark's). Ratios are those to the step's own price of an operator, caches cold: where a row was
measured, a step takes what was measured. A product's row contains the quantisation of its activations, so
both operators have its ratio.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.deployment import engine_families
from sim.deployment.deployment import Deployment
from sim.hardware.stacks import stack_names
from sim.operators import Operator
from sim.operators.quantities import Array
from sim.timing.measured.asked import Asked, Kind, asked, experts_variant
from sim.timing.measured.bench import Bench
from sim.timing.measured.experts import UNGATED
from sim.timing.measured.parameters import catalogue_name
from sim.timing.measured.ratios import Mask, Ratio, Ratios
from sim.timing.measured.rows import Column, Rows
from sim.timing.measured.shapes import SIZES, VARIANT

Key = tuple[str, Kind]


@dataclass(frozen=True, slots=True)
class Override:
    """measured/priced of an operator, by case.

    Attributes:
        inside: which cases lie inside the measured range; source: the files that it comes from.
    """

    ratio: Array
    inside: Mask
    source: str


@dataclass(frozen=True, slots=True)
class Overrides:
    """What tables say of a deployment's operators.

    Attributes:
        ratios: by table and kind; sources: names of their files, by table.
        blocks: fp8 weights have a scale per block.
    """

    ratios: Mapping[Key, Ratios]
    sources: Mapping[str, str]
    blocks: bool

    def of(self, operator: Operator) -> Override | None:
        """What the tables say of an operator; None for nothing."""
        sought = asked(operator, self.blocks)
        found = None if sought is None else self.kind(sought)
        if sought is None or found is None:
            return None
        ratio = self.at(sought, found)
        return Override(ratio.value, ratio.inside, self.sources[sought.table])

    def kind(self, sought: Asked) -> Kind | None:
        """The first of the sought kinds that was measured."""
        return next((kind for kind in sought.kinds if (sought.table, kind) in self.ratios), None)

    def at(self, sought: Asked, kind: Kind) -> Ratio:
        """Ratios at the sought shapes."""
        ratio = self.ratios[sought.table, kind].at(sought.rows(kind))
        return Ratio(ratio.value, ratio.inside & (not sought.beyond))


def overrides(tables: Sequence[tuple[str, Rows]], deployment: Deployment, bench: Bench) -> Overrides:
    """What tables, each with the name of its file, say of a deployment whose prices a bench has."""
    tables = [(name, fitting(rows, deployment)) for name, rows in tables]
    ratios: dict[Key, Ratios] = {}
    sources: dict[str, str] = {}
    for table in dict.fromkeys(rows.table for _, rows in tables if rows.table in SIZES and rows.n):
        named = [(source, rows) for source, rows in tables if rows.table == table and rows.n]
        together = joined([rows for _, rows in named])
        for kind, rows in _kinds(together, bench):
            ratios[table, kind] = Ratios(rows, bench)
        sources[table] = ", ".join(dict.fromkeys(source for source, _ in named))
    return Overrides(ratios, sources, deployment.precision.fp8_scales == "block")


def fitting(rows: Rows, deployment: Deployment) -> Rows:
    """The rows of the deployment's chip under its engine's stack, or under what is no engine."""
    chip, engine = deployment.cluster.chip.name, deployment.engine
    chips = [c for c in _distinct(rows, "chip") if c == chip or catalogue_name(c) == chip]
    others = {*engine_families(), *stack_names()} - {engine.family, engine.stack}
    stacks = [s for s in _distinct(rows, "framework") if s not in others]
    return rows.at(np.isin(rows.words("chip"), chips) & np.isin(rows.words("framework"), stacks))


def joined(tables: Sequence[Rows]) -> Rows:
    """The rows of several tables of one kind as one."""
    if len(tables) == 1:
        return tables[0]
    columns: dict[str, Column] = {
        name: np.concatenate([rows.columns[name] for rows in tables]) for name in tables[0].columns
    }
    return Rows(tables[0].table, columns, np.concatenate([rows.places for rows in tables]))


def _kinds(rows: Rows, bench: Bench) -> Iterable[tuple[Kind, Rows]]:
    """Rows of one type and variant, without windows, which a step's own work already counts."""
    if "window_size" in rows.columns:
        rows = rows.at(rows.numbers("window_size") <= 0)
    variant = VARIANT.get(rows.table)
    for (dtype, cache, *more), places in rows.alike("dtype", "kv_dtype", *([variant] if variant else [])):
        some = rows.at(places)
        if rows.table == "moe":
            yield from _experts(some, str(dtype), str(more[0]), bench)
        else:
            yield (str(dtype), str(cache), str(more[0]) if more else ""), some


def _experts(rows: Rows, dtype: str, distribution: str, bench: Bench) -> Iterable[tuple[Kind, Rows]]:
    """Experts with two matrices apart from those with three, and again those of kernels that see a rank's own
    pairs only."""
    ungated = np.char.find(rows.words("kernel"), UNGATED) >= 0
    own = np.zeros(rows.n, np.bool_)
    for (stack, kernel), places in rows.alike("framework", "kernel"):
        own[places] = bench.kernels("moe", dtype, str(stack), str(kernel)).moe_own_pairs > 0
    for gated, form in ((True, ~ungated), (False, ungated)):
        for sent, mask in ((False, form), (True, form & own)):
            if mask.any():
                yield (dtype, "", experts_variant(distribution, gated, sent)), rows.at(mask)


def _distinct(rows: Rows, name: str) -> list[str]:
    return np.unique(rows.words(name)).tolist()
