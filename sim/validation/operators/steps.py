"""Sums over a step: whole steps of known models, composed of measured operators and of priced ones.

    measured  = Σ count · priced · ratio         ratio: measured/priced where tables have the operator
    simulated = Σ count · priced

over the operators of a step whose shapes lie inside what the tables of one chip and stack measured; both
sides leave out the others (norms, collectives). Prices are those of the tables' benchmark, as for single
rows, so the two sides differ by what the model errs at each operator, and random errors cancel as in a step.
Between measured shapes the measured side is interpolated (sim.timing.measured.ratios).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.deployment import Deployment
from sim.deployment.deploy import laid_out
from sim.deployment.schema import DeploymentSpec
from sim.errors import UserError
from sim.hardware.stacks import stack_names
from sim.models import load_model
from sim.operators import BatchShape, Collective, Elementwise, ExpertExchange, Hop, Operator
from sim.operators.quantities import Array
from sim.timing import PartsTimer, make_timer
from sim.timing.measured.asked import asked
from sim.timing.measured.overrides import Overrides, overrides
from sim.timing.measured.parameters import Parameters
from sim.timing.measured.rows import Rows
from sim.validation.agreement import Agreement, statistics
from sim.validation.network_clusters import box_of

KEYS = ("chip", "model", "dtype", "stack", "phase")
LEAST_COVERED = 0.6
"""Steps of which tables cover less are left out: share of their computing operators' analytic time."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A model of the catalogue on so many chips, its matrices in one type."""

    model: str
    dtype: str
    tp: int
    ep: int = 1


LAYOUTS = (
    *(Layout("llama-3.1-70b", dtype, 4) for dtype in ("bf16", "fp8")),
    Layout("llama-3.1-405b", "fp8", 8),
    *(Layout("qwen3-235b-a22b", dtype, 4, 4) for dtype in ("bf16", "fp8")),
    *(Layout("deepseek-v3", dtype, 8, 8) for dtype in ("bf16", "fp8")),
)
"""Dense with grouped-query attention, experts with it, experts with latent attention."""

DECODES = [(n, context) for n in (1, 8, 32, 128) for context in (1024, 4096, 16_384)]
PROMPTS = (1024, 4096, 8192)


@dataclass(frozen=True, slots=True)
class StepSum:
    """One step: seconds of its operators that tables cover, and their share of its analytic time."""

    id: str
    keys: Mapping[str, str]
    measured: float
    simulated: float
    covered: float

    @property
    def error(self) -> float:
        """Signed error, percent."""
        return 100.0 * (self.simulated - self.measured) / self.measured

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        sums = {"measured": self.measured, "simulated": self.simulated, "covered": self.covered}
        return {"id": self.id, **self.keys, **sums}


def step_sums(tables: Sequence[Rows], chosen: Parameters) -> list[StepSum]:
    """Every step of `LAYOUTS` on every chip and in every stack of the tables that covers it."""
    by_chip: defaultdict[tuple[str, str], list[Rows]] = defaultdict(list)
    for rows in tables:
        for (chip, stack), places in rows.alike("chip", "framework"):
            by_chip[str(chip), str(stack)].append(rows.at(places))
    found: list[StepSum] = []
    for (chip, stack), own in by_chip.items():
        if stack in stack_names():
            found += _of_stack(chip, stack, own, chosen)
    return found


def step_agreement(sums: Sequence[StepSum], names: Sequence[str] = KEYS) -> tuple[Agreement, ...]:
    """Errors by some of `KEYS`, the largest mean first."""
    groups: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    for one in sums:
        groups[tuple(one.keys[name] for name in names)].append(one.error)
    found = [
        statistics(dict(zip(names, key, strict=True)), np.array(errors), float("nan"))
        for key, errors in groups.items()
    ]
    return tuple(sorted(found, key=lambda a: -a.mape))


def _of_stack(chip: str, stack: str, tables: Sequence[Rows], chosen: Parameters) -> Iterator[StepSum]:
    bench = chosen.bench(chip)
    if bench is None:
        return
    named = [(rows.table, rows) for rows in tables]
    shared: Overrides | None = None
    for layout in LAYOUTS:
        deployment = _deployment(layout, bench.chip.name, stack)
        if deployment is None:
            continue
        shared = overrides(named, deployment, bench) if shared is None else shared
        measured = replace(shared, blocks=deployment.precision.fp8_scales == "block")
        yield from _of_layout(layout, deployment, measured)


def _deployment(layout: Layout, chip: str, stack: str) -> Deployment | None:
    """The layout on the catalogue's box of a chip; None where there is none, or it has not the arithmetic."""
    box = box_of(chip)
    if box is None:
        return None
    tree = {
        "precision": {"weights": layout.dtype, "activations": layout.dtype},
        "parallel": {"tp": layout.tp, "ep": layout.ep},
        "engine": {"family": stack},
    }
    try:
        return laid_out(DeploymentSpec.model_validate(tree), load_model(layout.model), box)
    except UserError:
        return None


def _of_layout(layout: Layout, deployment: Deployment, measured: Overrides) -> Iterator[StepSum]:
    timer = make_timer(deployment)
    batches = {f"decode {n} × {length}": BatchShape(n, n * length) for n, length in DECODES}
    batches |= {f"prefill {length}": BatchShape(chunks=((length, 0),)) for length in PROMPTS}
    keys = {"chip": deployment.cluster.chip.name, "model": layout.model, "dtype": layout.dtype}
    keys |= {"stack": deployment.engine.stack}
    for name, batch in batches.items():
        sums = np.zeros(2)
        covered = whole = 0.0
        for operator, weights in _computing(timer, batch):
            analytic = timer.parts().pricer.price(operator).total
            whole += operator.count * float((weights * analytic).sum())
            both = _both(operator, measured)
            if both is not None:
                covered += operator.count * float((weights * analytic).sum())
                sums += operator.count * (weights * both).sum(axis=1)
        if covered >= LEAST_COVERED * whole:
            own = keys | {"phase": name.partition(" ")[0]}
            yield StepSum(
                " ".join((*keys.values(), name)), own, float(sums[0]), float(sums[1]), covered / whole
            )


def _computing(timer: PartsTimer, batch: BatchShape) -> Iterator[tuple[Operator, Array]]:
    """The operators of a step that are no communication, with the weights of their cases."""
    for part, weights in timer.operators(timer.micro_batch(batch), 0):
        for operator in part:
            if not isinstance(operator, Collective | ExpertExchange | Hop):
                yield operator, np.array(weights)


def _both(operator: Operator, measured: Overrides) -> Array | None:
    """(measured, simulated) seconds of an operator by case; a quantiser's are in its product's. None where
    the tables do not have its shape."""
    sought = asked(operator, measured.blocks)
    kind = None if sought is None else measured.kind(sought)
    if sought is None or kind is None:
        return None
    found = measured.at(sought, kind)
    if not found.inside.all():
        return None
    if isinstance(operator, Elementwise):
        return np.zeros((2, len(found.value)))
    ratios = measured.ratios[sought.table, kind]
    priced = ratios.price(ratios.like(sought.rows(kind)))
    return np.stack([priced * found.value, priced])
