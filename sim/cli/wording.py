"""How numbers and layouts are worded in tables; an absent number is a dash."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.deployment import Deployment

ABSENT = "–"


def percent(share: object) -> str:
    """0.123 as '12.3 %'."""
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else ABSENT


def significant(value: float) -> str:
    """Three significant digits, thousands separated, never in scientific notation; NaN is absent."""
    if math.isnan(value):
        return ABSENT
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def amount(size: float) -> str:
    """Bytes as GB (10⁹), as datasheets and parameter counts have it."""
    return f"{size / 1e9:,.1f} GB"


def layout(deployment: "Deployment") -> str:
    """'ax-k1 on h200-hgx, 1 replica of 8 chips (tp 8, ep 8), fp8 weights, fp8 activations, bf16 KV'."""
    parallel, precision = deployment.parallel, deployment.precision
    inside = f" ({', '.join(parallel.sizes)})" if parallel.sizes else ""
    return (
        f"{deployment.model.name} on {deployment.cluster.name}, {_count(deployment.replicas, 'replica')} of "
        f"{_count(parallel.chips, 'chip')}{inside}, {precision.weights} weights, "
        f"{precision.activations} activations, {precision.kv_cache} KV"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
