"""A model laid out on a cluster, with the prices of its steps: what every number at step level comes from.

    tokens/s per user = y / decode step                 y tokens per decode and step, 1 without drafts
    prefill           = Σ steps of a prompt's chunks, one prompt on each attention-dp rank and nothing else
    tokens/s per chip = y · n · dp / mean step / chips  n decodes per rank; a step takes in as many prompts
                                                        as requests finish (`sim.planning.plan.estimate`)

A layout is priced whether it fits into memory or not, so that a chip that is too small still gets a review;
`Speed.fits` says which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim.deployment import Deployment, MemoryMap, arithmetic_type, laid_out, memory_map
from sim.errors import UserError
from sim.figures import Assumption, Figure, Resolution
from sim.hardware import resolve_cluster
from sim.models import build_model
from sim.operators import BatchShape, Elementwise, StateUpdate
from sim.planning.plan.estimate import mean_step
from sim.planning.review.point import Point
from sim.scenario.measured import measured_tables
from sim.scenario.scenario import Scenario
from sim.timing import PartsTimer, make_timer
from sim.timing.attribution import attribution
from sim.timing.timer import StepBreakdown


@dataclass(frozen=True, slots=True)
class Phase:
    """One decode step, or the prefill of one prompt.

    Attributes:
        seconds: how long it takes; light: its busiest resource alone, s.
        causes: s by resource, summing to `seconds`; compute is split into matrix and vector engines.
        energy: J of a chip above rest by group of operators.
    """

    seconds: float
    light: float
    causes: Mapping[str, float]
    energy: Mapping[str, float]

    @property
    def bound(self) -> str:
        """The resource that takes most of it."""
        return max(self.causes, key=lambda cause: self.causes[cause])

    def share(self, cause: str) -> float:
        """The part of it that a resource takes."""
        return self.causes.get(cause, 0.0) / self.seconds


@dataclass(frozen=True, slots=True)
class Speed:
    """A machine at a point. The `light_*` are the same at the speed of light: the busiest resource alone.

    Attributes:
        fits: weights and the caches of the whole batch fit into memory.
        decodes: sequences per attention-dp rank that throughput was taken at: the batch, or what fits.
    """

    fits: bool
    decode: Phase
    prefill: Phase
    decodes: int
    tokens_per_s_per_user: float
    tokens_per_s_per_chip: float
    prefill_tokens_per_s_per_chip: float
    light_per_user: float
    light_per_chip: float
    light_prefill_per_chip: float


@dataclass(frozen=True, slots=True)
class Machine:
    """A scenario's deployment, its memory, the timer of its steps, and the figures it rests on."""

    scenario: Scenario
    deployment: Deployment
    memory: MemoryMap
    timer: PartsTimer
    figures: Mapping[str, Figure]
    assumptions: tuple[Assumption, ...]

    @property
    def arithmetic(self) -> str:
        """The type in which matrices are multiplied."""
        precision = self.deployment.precision
        return arithmetic_type(precision.weights, precision.activations)

    def per_rank(self, batch: int) -> int:
        """Sequences of the fullest attention-dp rank."""
        return -(-batch // self.deployment.parallel.dp)

    def decode_step(self, batch: int, context: int) -> StepBreakdown:
        """A step in which the replica decodes `batch` sequences that read `context` tokens each."""
        n = self.per_rank(batch)
        windowed = tuple(n * min(context, window) for window in self.timer.windows)
        return self.timer.breakdown(BatchShape(n, n * context, windowed, queries=self.deployment.queries))

    def prefill_steps(self, prompt: int) -> tuple[StepBreakdown, ...]:
        """The steps of one prompt on every rank, in chunks of the engine's budget."""
        budget = self.deployment.engine.max_num_batched_tokens
        starts = range(0, prompt, budget)
        return tuple(
            self.timer.breakdown(BatchShape(chunks=((min(budget, prompt - start), start),)))
            for start in starts
        )

    def phase(self, steps: Sequence[StepBreakdown]) -> Phase:
        """Steps one after the other."""
        causes: dict[str, float] = {}
        energy: dict[str, float] = {}
        for step in steps:
            for cause, seconds in self._causes(step).items():
                causes[cause] = causes.get(cause, 0.0) + seconds
            for operator in step.operators:
                energy[operator.group] = energy.get(operator.group, 0.0) + operator.energy
        return Phase(sum(s.total for s in steps), sum(s.light for s in steps), causes, energy)

    def speed(self, point: Point) -> Speed:
        """Everything at a point."""
        decode = self.phase([self.decode_step(point.batch, point.context)])
        prefill = self.phase(self.prefill_steps(point.prompt))
        dp, chips = self.deployment.parallel.dp, self.deployment.parallel.chips
        each = self.timer.deployment.mean_yield
        most = self.largest_batch(point.context)
        n = self.per_rank(min(point.batch, most) if most else point.batch)
        steps: dict[BatchShape, StepBreakdown] = {}

        def step(batch: BatchShape) -> StepBreakdown:
            if batch not in steps:
                steps[batch] = self.timer.breakdown(batch)
            return steps[batch]

        mean = mean_step(self.timer, point.load, n, lambda batch: step(batch).total)
        light = mean_step(self.timer, point.load, n, lambda batch: step(batch).light)
        return Speed(
            fits=point.batch <= most,
            decode=decode,
            prefill=prefill,
            decodes=n,
            tokens_per_s_per_user=each / decode.seconds,
            tokens_per_s_per_chip=each * n * dp / mean / chips,
            prefill_tokens_per_s_per_chip=self.prompt_rate(point, prefill.seconds),
            light_per_user=each / decode.light,
            light_per_chip=each * n * dp / light / chips,
            light_prefill_per_chip=self.prompt_rate(point, prefill.light),
        )

    def prompt_rate(self, point: Point, seconds: float) -> float:
        """Prompt tokens/s of a chip where every attention-dp rank takes a prompt in so many seconds."""
        parallel = self.deployment.parallel
        return parallel.dp * point.prompt / seconds / parallel.chips

    def largest_batch(self, context: int) -> int:
        """Sequences of `context` tokens whose caches fit; 0 where not one does.

        One block of each rank's pool is the engine's null block.
        """
        memory = self.memory
        each = -(-context // memory.block_size) + memory.sequence_blocks
        if not memory.fits:
            return 0
        return self.deployment.parallel.dp * ((memory.kv_blocks - 1) // each)

    def _causes(self, step: StepBreakdown) -> dict[str, float]:
        """The step by cause, its compute split by the engine that does it."""
        listed = self.timer.operators(self.timer.micro_batch(step.batch), 0)
        on_vector = {
            operator.name for operators, _ in listed for operator in operators if _on_vector_engine(operator)
        }
        vector = sum(o.parts.get("compute", 0.0) for o in step.operators if o.name in on_vector)
        causes: dict[str, float] = {}
        for cause, seconds in attribution(step.operators).items():
            if cause == "compute":
                causes |= {"matrix": seconds - vector, "vector": vector}
            else:
                causes[cause] = seconds
        return causes


def machine(scenario: Scenario) -> Machine:
    """The scenario's figures resolved at its draw, laid out and priced.

    Raises:
        UserError: naming the scenario, for an uneven split, missing arithmetic or too few chips.
    """
    spec = scenario.spec
    hardware, engine = Resolution("cluster", scenario.draw), Resolution("deployment", scenario.draw)
    try:
        cluster = resolve_cluster(spec.cluster, hardware)
        deployment = laid_out(spec.deployment, build_model(spec.model), cluster, engine)
    except UserError as error:
        raise UserError(f"{scenario.place(str(error).partition(':')[0])}: {error}") from None
    return Machine(
        scenario,
        deployment,
        memory_map(deployment),
        make_timer(deployment, spec.fidelity, tables=measured_tables(scenario)),
        {**hardware.figures, **engine.figures},
        (*hardware.assumptions, *engine.assumptions),
    )


def _on_vector_engine(operator: object) -> bool:
    return isinstance(operator, Elementwise) or (isinstance(operator, StateUpdate) and not operator.chunked)
