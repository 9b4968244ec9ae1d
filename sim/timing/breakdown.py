"""A step as rows of operators, each with its time by resource and its own speed of light."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.hardware.cluster import Cluster
from sim.operators import BatchShape, Collective, ExpertExchange, Hop, Operator
from sim.operators.quantities import Array
from sim.timing.links import link_time
from sim.timing.pricer import Pricer
from sim.timing.rates import Rates
from sim.timing.roofline import limits
from sim.timing.timer import Bound, OperatorTime, StepBreakdown

_RESOURCES: tuple[Bound, ...] = ("launch", "compute", "hbm", "link")


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
        if isinstance(by_case, float):
            return operator.count * by_case * float(weights.sum())
        return operator.count * float(by_case @ weights)

    parts: dict[Bound, float] = {name: total(getattr(priced, name)) for name in _RESOURCES}
    wire = flops = hbm = 0.0
    if isinstance(operator, Collective | ExpertExchange | Hop):
        wire = total(link_time(operator, cluster, rates.link_taken).wire_bytes)
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
        pricer.source,
        parts,
        flops * cluster.chip.power.pj_flop + hbm * cluster.chip.power.pj_byte,
    )
    return Row(time, total(least.compute), total(least.hbm), total(least.link))


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
    parts = {name: a.parts.get(name, 0.0) + b.parts.get(name, 0.0) for name in (*a.parts, *b.parts)}
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
    )
