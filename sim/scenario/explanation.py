"""Where one engine step's time goes.

tokens/s per user = y / step time, of a mixed step too: each decode gets y tokens, 1 without drafts
tokens/s per chip = y · decodes · dp / step time / chips of a replica
MFU = 2 · active parameters · tokens · dp / (dense peak of the arithmetic type · chips · step time)
MBU = HBM bytes of the slowest chip / (peak HBM bandwidth · step time)
energy of a step = step time · (overhead + idle + active) + Σ operators' energy, of one chip at full clock
"""

from dataclasses import asdict, dataclass

from sim.deployment import Deployment, MemoryMap, arithmetic_type
from sim.errors import UserError
from sim.figures import Assumption
from sim.hardware.cluster import Cluster
from sim.models.accounting import active_params
from sim.operators.batch import BatchShape
from sim.scenario.prepared import prepare
from sim.scenario.scenario import Scenario
from sim.timing import make_timer
from sim.timing.attribution import attribution
from sim.timing.timer import DramUse, StepBreakdown
from sim.units import BANDWIDTH, show
from sim.version import __version__


@dataclass(frozen=True, slots=True)
class Explanation:
    """One step of one scheduler (attention-dp rank), operator by operator.

    Attributes:
        context: tokens each decode reads, its own included.
        tokens_per_s_per_user: output tokens/s of one decoding sequence; 0 without decodes.
        tokens_per_s_per_chip: output tokens/s of a chip; 0 without decodes.
        mfu, mbu: share of the arithmetic and of the HBM peak, as in the module's docstring.
        energy: J of the step by state and work on one chip and its share of the box.
        attribution: s of the step by cause, summing to its time (sim.timing.attribution).
    """

    scenario: Scenario
    deployment: Deployment
    memory: MemoryMap
    context: int
    step: StepBreakdown
    tokens_per_s_per_user: float
    tokens_per_s_per_chip: float
    mfu: float
    mbu: float
    energy: dict[str, float]
    attribution: dict[str, float]
    assumptions: tuple[Assumption, ...]

    @property
    def joules_per_output_token(self) -> float:
        """J of all chips of the replica per token of the step's decodes; 0 without decodes."""
        each = self.tokens_per_s_per_chip * self.step.total
        return sum(self.energy.values()) / each if each else 0.0

    @property
    def dram_uses(self) -> dict[DramUse, tuple[str, ...]]:
        """The ways in which the step goes through memory, the one that takes most time first, each with the
        operators that go it."""
        names: dict[DramUse, list[str]] = {}
        for operator in sorted(self.step.operators, key=lambda o: -o.parts.get("hbm", 0.0)):
            if operator.dram is not None and operator.hbm_bytes:
                names.setdefault(operator.dram, []).append(operator.name)
        return {use: tuple(of) for use, of in names.items()}

    @property
    def vendor_ceiling(self) -> str:
        """What the vendor states to reach of the memory's peak, and whether it bounds ours; "" if nothing."""
        memory = self.deployment.cluster.chip.memory
        if not memory.ceiling:
            return ""
        applied = "applied" if memory.ceiling_applies else "shown, not applied (memory.ceiling_applies)"
        return (
            f"The vendor states {show(memory.ceiling, BANDWIDTH)} of {show(memory.bandwidth, BANDWIDTH)} as "
            f"reached: {applied}."
        )

    @property
    def priced_by(self) -> dict[str, float]:
        """Share of the step's time by what priced it."""
        shares: dict[str, float] = {}
        for operator in self.step.operators:
            shares[operator.source] = shares.get(operator.source, 0.0) + operator.time / self.step.total
        return shares

    def to_json(self) -> dict[str, object]:
        """Plain data: the batch, the totals (s), the operators, the figures."""
        step = self.step
        return {
            "schema": 1,
            "version": __version__,
            "model_id": self.deployment.model.name,
            "cluster": self.deployment.cluster.name,
            "fidelity": self.scenario.spec.fidelity,
            "batch": {"decodes": step.batch.decodes, "context": self.context, "chunks": step.batch.chunks},
            "total_s": step.total,
            "serial_s": step.serial,
            "light_s": step.light,
            "tokens_per_s_per_user": self.tokens_per_s_per_user,
            "tokens_per_s_per_chip": self.tokens_per_s_per_chip,
            "mfu": self.mfu,
            "mbu": self.mbu,
            "energy_j": self.energy,
            "joules_per_output_token": self.joules_per_output_token,
            "attribution_s": self.attribution,
            "operators": [asdict(operator) for operator in step.operators],
            "kernels": [asdict(kernel) for kernel in self.deployment.kernels],
            "assumptions": [asdict(a) for a in self.assumptions],
        }


def explain(
    scenario: Scenario,
    *,
    decode: int = 1,
    context: int = 1024,
    prefill: int = 0,
    prefix: int = 0,
    whole_model: bool = False,
) -> Explanation:
    """Prices one step of each attention-dp rank: `decode` sequences that read `context` tokens each, beside
    one chunk of `prefill` new tokens after `prefix` computed ones.

    Args:
        whole_model: simulate every layer, where repeated ones would be simulated a few times and counted.
    Raises:
        UserError: for a step without work, a negative number, more than the engine or the KV cache allows, or
            the whole model at a fidelity that simulates nothing.
    """
    if whole_model and scenario.spec.fidelity != "event":
        raise UserError(f"--whole-model: fidelity {scenario.spec.fidelity} simulates no layer; give event")
    prepared = prepare(scenario)
    deployment = prepared.deployment
    _check(deployment, prepared.memory, decode, context, prefill, prefix)
    timer = make_timer(deployment, scenario.spec.fidelity, whole_model, prepared.tables)
    batch = BatchShape(
        decodes=decode,
        context=decode * context,
        windowed=tuple(decode * min(context, window) for window in timer.windows),
        chunks=((prefill, prefix),) if prefill else (),
        queries=deployment.queries,
    )
    step = timer.explain(batch)
    chip, chips = deployment.cluster.chip, deployment.parallel.chips
    ranks = deployment.parallel.dp
    each = deployment.mean_yield
    peak = chip.peak(arithmetic_type(deployment.precision.weights, deployment.precision.activations))
    flops = 2.0 * active_params(deployment.model) * batch.tokens * ranks
    touched = sum(operator.hbm_bytes for operator in step.operators)
    return Explanation(
        scenario=scenario,
        deployment=deployment,
        memory=prepared.memory,
        context=context,
        step=step,
        tokens_per_s_per_user=each / step.total if decode else 0.0,
        tokens_per_s_per_chip=each * decode * ranks / step.total / chips,
        mfu=flops / (peak * chips * step.total),
        mbu=touched / (chip.memory.bandwidth * step.total),
        energy=_energy(deployment.cluster, step),
        attribution=attribution(step.operators),
        assumptions=prepared.assumptions,
    )


def _energy(cluster: Cluster, step: StepBreakdown) -> dict[str, float]:
    power = cluster.chip.power
    at_rest = {"box": cluster.overhead_power, "idle": power.idle, "active": power.active}
    work = sum(operator.energy for operator in step.operators)
    return {state: watts * step.total for state, watts in at_rest.items()} | {"operators": work}


def _check(
    deployment: Deployment, memory: MemoryMap, decode: int, context: int, prefill: int, prefix: int
) -> None:
    for name, value in (("decode", decode), ("context", context), ("prefill", prefill), ("prefix", prefix)):
        if value < 0:
            raise UserError(f"--{name} {value}: must not be negative")
    if prefix and not prefill:
        raise UserError(f"--prefix {prefix}: belongs to a prefill chunk; give its new tokens with --prefill")
    if decode + prefill == 0:
        raise UserError("--decode 0 --prefill 0: a step needs at least one token to compute")
    if decode and context < 1:
        raise UserError(f"--context {context}: a decode reads at least its own token")
    engine = deployment.engine
    if decode + (1 if prefill else 0) > engine.max_num_seqs:
        raise UserError(
            f"--decode {decode}: the engine runs at most max_num_seqs {engine.max_num_seqs} sequences"
        )
    if decode + prefill > engine.max_num_batched_tokens:
        raise UserError(
            f"--decode {decode} --prefill {prefill}: a step has at most max_num_batched_tokens "
            f"{engine.max_num_batched_tokens} tokens"
        )
    needed, held = decode * context + prefill + prefix, memory.kv_blocks * memory.block_size
    if needed > held:
        raise UserError(f"--decode {decode} --context {context}: {needed:,} tokens of KV cache; {held:,} fit")
