"""The timer of the fidelity `tables`: the analytic one, its operators corrected by what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from sim.deployment.deployment import Deployment, RunningKernel
from sim.hardware.cluster import Cluster
from sim.operators import Operator, PrefillAttention
from sim.operators.quantities import Array
from sim.timing.measured.bench import ARITHMETIC, CACHE, Bench
from sim.timing.measured.overrides import Overrides, overrides
from sim.timing.measured.tables import Measured
from sim.timing.priced import Priced
from sim.timing.pricer import AnalyticPricer, Pricer
from sim.timing.rates import Rates, rates
from sim.timing.step_timer import PartsTimer
from sim.timing.timer import CALM


@dataclass(frozen=True, slots=True)
class StepBench(Bench):
    """A bench whose operators meet what they meet in a step: the engine's kernels, nothing on the chip."""

    running: tuple[RunningKernel, ...] = ()

    def cold(self, operator: str, dtype: str, stack: str, kernel: str) -> Rates:
        """The step's rates, of the kernel that the engine runs for these types."""
        step = rates(self.chip, CALM, self.running)
        return step.running.get((operator, *_types(operator, dtype)), step)

    def repeated(self, operator: str, dtype: str, stack: str, kernel: str, copies: int = 1) -> Rates:
        """The same, however often it is repeated."""
        return self.cold(operator, dtype, stack, kernel)


class TablesPricer(AnalyticPricer):
    """Prices operators analytically, times measured/priced where a table has their like.

    Args:
        unmeasured: prices the others.
    """

    def __init__(self, chip: Rates, cluster: Cluster, measured: Overrides, unmeasured: Pricer) -> None:
        super().__init__(chip, cluster)
        self._measured = measured
        self._unmeasured = unmeasured

    def price(self, operator: Operator) -> Priced:
        """Seconds of one execution by cause, over all cases; every cause has the operator's ratio."""
        found = self._measured.of(operator)
        if found is None:
            return self._unmeasured.price(operator)
        return super().price(operator).scaled(found.ratio)

    def padding(self, operator: Operator) -> Array:
        """As much longer as the price."""
        found = self._measured.of(operator)
        if found is None:
            return self._unmeasured.padding(operator)
        return super().padding(operator) * found.ratio

    def prefill(self, attention: PrefillAttention) -> float:
        """Seconds of one prefill attention."""
        found = self._measured.of(attention)
        if found is None:
            return self._unmeasured.prefill(attention)
        return super().prefill(attention) * float(found.ratio[0])

    def priced_by(self, operator: Operator) -> str:
        """ "analytic", "table FILE" inside what was measured, "border of FILE" beyond it."""
        found = self._measured.of(operator)
        if found is None:
            return self.source
        return f"table {found.source}" if found.inside.all() else f"border of {found.source}"


class TablesTimer(PartsTimer):
    """Times the steps of one deployment with measured tables.

    Args:
        tables: as read, with the names of their files.
    """

    def __init__(self, deployment: Deployment, tables: Sequence[Measured]) -> None:
        super().__init__(deployment, "tables")
        bench = StepBench(deployment.cluster.chip, running=deployment.kernels)
        self.measured = overrides([(table.name, table.rows) for table in tables], deployment, bench)

    def pricer(self, chip: Rates) -> Pricer:
        """Corrected prices. Ratios are those at the chip's full rates, whatever others take of them now."""
        return TablesPricer(chip, self.deployment.cluster, self.measured, super().pricer(chip))


def _types(operator: str, dtype: str) -> tuple[str, str]:
    """The types that a kernel is chosen by (sim.timing.rates.kernel_key), from the tables' names."""
    if operator in ("gemm", "mla_bmm", "moe"):
        weights, _, arithmetic = ARITHMETIC[dtype]
        return weights, arithmetic
    math, _, cache = dtype.partition("/")
    return CACHE[math] if operator == "attn_prefill" else "bf16", CACHE[cache]
