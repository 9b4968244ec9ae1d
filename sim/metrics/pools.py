"""The time of several pools together, each weighing with the time in which its replicas are busy."""

from collections.abc import Sequence

from sim.metrics.bottleneck import OperatorShare, TimeBreakdown, add
from sim.serving.records import RunResult
from sim.timing.attribution import ordered
from sim.timing.timer import Bound


def merged(parts: Sequence[tuple[RunResult, TimeBreakdown]]) -> TimeBreakdown:
    """One breakdown of the pools' results; operators of one name and group count together."""
    spans = [result.duration * result.replicas for result, _ in parts]
    busy = [part.busy * span for (_, part), span in zip(parts, spans, strict=True)]
    total = sum(busy)
    if total <= 0:
        return parts[0][1]
    resources: dict[Bound, float] = {}
    causes: dict[str, float] = {}
    sources: dict[str, float] = {}
    amounts: dict[tuple[str, str], list[float]] = {}
    by_resource: dict[tuple[str, str], dict[Bound, float]] = {}
    for (_, part), time in zip(parts, busy, strict=True):
        weight = time / total
        add(resources, part.by_resource, weight)
        add(causes, part.by_cause, weight)
        add(sources, part.by_source, weight)
        for o in part.by_operator:
            sums = amounts.setdefault((o.name, o.group), [0.0] * 6)
            for i, amount in enumerate((o.share, o.light, o.flops, o.hbm_bytes, o.wire_bytes, o.energy)):
                sums[i] += weight * amount
            add(by_resource.setdefault((o.name, o.group), {}), o.parts, weight)
    operators = [OperatorShare(*key, *sums, parts=by_resource[key]) for key, sums in amounts.items()]
    return TimeBreakdown(
        busy=total / sum(spans),
        by_resource=dict(sorted(resources.items(), key=lambda item: (-item[1], item[0]))),
        by_cause=ordered(causes),
        by_operator=tuple(sorted(operators, key=lambda o: (-o.share, o.name))),
        by_source=sources,
        light=sum(operator.light for operator in operators),
        samples=sum(part.samples for _, part in parts),
    )
