"""A step as rows of operators, each with its time by resource and its own speed of light."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sim.hardware.cluster import Cluster
from sim.operators import BatchShape, Collective, ExpertExchange, Hop, Operator
from sim.operators.quantities import Array
from sim.timing.energy import compute_energy, link_energy
from sim.timing.links import link_time
from sim.timing.pricer import Pricer
from sim.timing.rates import Rates
from sim.timing.roofline import limits
from sim.timing.timer import Bound, OperatorTime, StepBreakdown

_RESOURCES: tuple[Bound, ...] = ("launch", "compute", "hbm", "link")

Key = TypeVar("Key", bound=str)


@dataclass(frozen=True, slots=True)
class Row:
    """One operator of a step and the least seconds it needs of each resource."""

    time: OperatorTime
    compute: float
    hbm: float
    link: float


def operator_rows(
    operators: Iterable[Operator],
    weights: Sequence[float],
    pricer: Pricer,
    rates: Rates,
    cluster: Cluster,
) -> list[Row]:
    """A row for each operator.

    Args:
        weights: what each case counts for; every figure of a row is the weighted sum over cases.
    """
    return [_row(operator, np.array(weights), pricer, rates, cluster) for operator in operators]


def _row(operator: Operator, weights: Array, pricer: Pricer, rates: Rates, cluster: Cluster) -> Row:
    priced, least = pricer.price(operator), limits(operator, rates, cluster)

    def total(by_case: Array | float) -> float:
        return operator.count * float((by_case * weights).sum())

    parts: dict[Bound, float] = {name: total(getattr(priced, name)) for name in _RESOURCES}
    if padding := total(pricer.padding(operator)):
        parts["compute"], parts["array"] = parts["compute"] - padding, padding
    if waiting := total(priced.imbalance):
        parts["imbalance"] = waiting
    levels: dict[str, float] = {}
    wire = flops = hbm = sending = 0.0
    if isinstance(operator, Collective | ExpertExchange | Hop):
        sent = link_time(operator, cluster, rates.link_taken)
        wire = total(sent.wire_bytes)
        sending = link_energy({tier: total(moved) for tier, moved in sent.carried.items()}, cluster)
        levels = _scaled({tier: total(taken) for tier, taken in sent.levels.items()}, parts["link"])
    else:
        flops, hbm = total(operator.flops), total(operator.hbm_bytes)
    time = OperatorTime(
        operator.name,
        operator.group,
        operator.count,
        sum(parts.values()),
        total(least.bound),
        flops,
        hbm,
        wire,
        max(parts, key=lambda name: parts[name]),
        pricer.priced_by(operator),
        parts,
        flops * compute_energy(operator, cluster.chip) + hbm * cluster.chip.power.pj_byte + sending,
        levels,
        pricer.dram(operator),
    )
    return Row(time, total(least.compute), total(least.hbm), total(least.link))


def _scaled(levels: Mapping[str, float], link: float) -> dict[str, float]:
    """The times by fabric level, in proportion to which `link` seconds are divided: at the speed of light a
    collective's link time is shorter than its algorithm's, and divided alike."""
    whole = sum(levels.values())
    return {tier: taken * link / whole for tier, taken in levels.items()} if whole > 0 else {}


def with_bubble(row: Row, idle: float) -> Row:
    """The row where a pipeline stage is without a micro-batch for a share `idle` of it: the stages work in
    turn, so each chip spends only 1 − idle of the operator's time on it."""
    time, busy = row.time, 1.0 - idle
    parts: dict[Bound, float] = {name: part * busy for name, part in time.parts.items()}
    levels = {tier: taken * busy for tier, taken in time.levels.items()}
    return replace(row, time=replace(time, parts=parts | {"bubble": time.time * idle}, levels=levels))


def times_row(row: Row, count: int) -> Row:
    """The row of `count` executions, from the row of one."""
    time = row.time
    parts: dict[Bound, float] = {name: part * count for name, part in time.parts.items()}
    many = replace(
        time,
        count=time.count * count,
        time=time.time * count,
        light=time.light * count,
        flops=time.flops * count,
        hbm_bytes=time.hbm_bytes * count,
        wire_bytes=time.wire_bytes * count,
        parts=parts,
        energy=time.energy * count,
        levels={tier: taken * count for tier, taken in time.levels.items()},
    )
    return Row(many, row.compute * count, row.hbm * count, row.link * count)


def host_row(name: str, seconds: float, source: str) -> Row:
    """Time of the host, which has no speed of light."""
    time = OperatorTime(name, "host", 1, seconds, 0.0, 0.0, 0.0, 0.0, "host", source, {"host": seconds})
    return Row(time, 0.0, 0.0, 0.0)


def step_breakdown(batch: BatchShape, rows: Sequence[Row]) -> StepBreakdown:
    """The step: operators by name, total, serial (sum of bounds) and light (the busiest resource's work)."""
    times = _merged([row.time for row in rows])
    by_resource = [sum(getattr(row, name) for row in rows) for name in ("compute", "hbm", "link")]
    return StepBreakdown(
        batch,
        tuple(times),
        sum(t.time for t in times),
        sum(t.light for t in times),
        max(by_resource, default=0.0),
    )


def _merged(times: Sequence[OperatorTime]) -> list[OperatorTime]:
    """Rows of the same operator (layers of different windows, stage hops) added up."""
    merged: dict[tuple[str, str], OperatorTime] = {}
    for time in times:
        key = time.name, time.group
        merged[key] = _add(merged[key], time) if key in merged else time
    return list(merged.values())


def _add(a: OperatorTime, b: OperatorTime) -> OperatorTime:
    parts, levels = _sum(a.parts, b.parts), _sum(a.levels, b.levels)
    return replace(
        a,
        count=a.count + b.count,
        time=a.time + b.time,
        light=a.light + b.light,
        flops=a.flops + b.flops,
        hbm_bytes=a.hbm_bytes + b.hbm_bytes,
        wire_bytes=a.wire_bytes + b.wire_bytes,
        bound=max(parts, key=lambda name: parts[name]),
        parts=parts,
        energy=a.energy + b.energy,
        levels=levels,
        source=a.source if a.source == b.source else f"{a.source}; {b.source}",
    )


def _sum(a: Mapping[Key, float], b: Mapping[Key, float]) -> dict[Key, float]:
    return {name: a.get(name, 0.0) + b.get(name, 0.0) for name in (*a, *b)}
