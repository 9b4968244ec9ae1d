"""A deployment with the timer that prices its steps, and what a run on it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim.deployment import Deployment, MemoryMap, arithmetic_type
from sim.deployment.deployment import FrontEndCosts
from sim.metrics import Fleet, PoolUse, SampledSteps, sample_steps, time_breakdown
from sim.metrics.row_batch import RowBatches
from sim.metrics.sampled_steps import Duration
from sim.models.accounting import active_params
from sim.serving.records import RunResult
from sim.serving.routers import RouterName
from sim.timing import Fidelity, PartsTimer, StepSurface, make_timer
from sim.timing.surface_protocol import Surface

if TYPE_CHECKING:
    from sim.timing.measured.tables import Measured


@dataclass(frozen=True, slots=True)
class Priced:
    """One pool: a deployment, the memory of its chips, its router, and the prices of its steps."""

    deployment: Deployment
    memory: MemoryMap
    router: RouterName
    timer: PartsTimer
    surface: StepSurface


def priced(
    deployment: Deployment,
    memory: MemoryMap,
    router: RouterName,
    fidelity: Fidelity,
    tables: "Sequence[Measured]" = (),
) -> Priced:
    """The deployment with prices at this fidelity; `tables` are measured ones that it goes by. At the
    speed of light no host takes any time."""
    if fidelity == "roofline":
        deployment = replace(deployment, host=replace(deployment.host, front_end=FrontEndCosts()))
    timer = make_timer(deployment, fidelity, tables=tables)
    return Priced(deployment, memory, router, timer, StepSurface(timer))


def sampled(result: RunResult, pool: Priced) -> SampledSteps:
    """A sample of the run's steps, operator by operator."""
    batches = RowBatches(pool.timer.windows, pool.deployment.lockstep_ranks, pool.deployment.queries)
    return sample_steps(result, pool.timer.breakdown, _decode_time(pool.surface), batches)


def pool_use(result: RunResult, pool: Priced, steps: SampledSteps) -> PoolUse:
    """What the pool's chips did in the run."""
    deployment = pool.deployment
    precision = deployment.precision
    fleet = Fleet(
        deployment.cluster,
        arithmetic_type(precision.weights, precision.activations),
        active_params(deployment.model),
    )
    return PoolUse(result, fleet, time_breakdown(result, steps))


def _decode_time(surface: Surface) -> Duration:
    """Seconds of a step of decodes alone, as the engine's surface prices it."""
    still = [0] * (1 + len(surface.windows))
    return lambda batch: surface.segment(batch.decodes, (batch.context, *batch.windowed), still)[0]
