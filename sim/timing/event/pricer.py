"""An operator alone on the chip, as the simulation would time it: nothing else on engines, memory and links.

What runs alone needs no simulation: its slices go through the engines one behind the other, and the
makespan is known (sim.timing.passes). A test holds the two equal.
"""

import numpy as np

from sim.operators import Collective, ExpertExchange, Hop, Operator, PrefillAttention
from sim.operators.quantities import Array
from sim.timing.attention import prefill_work
from sim.timing.event.job import kernel, transfer_seconds
from sim.timing.links import link_time
from sim.timing.passes import SLICES, Alone, Pass
from sim.timing.priced import Priced
from sim.timing.pricer import KernelPricer


class EventPricer(KernelPricer):
    """Prices operators as they run alone."""

    source = "event"

    def price(self, operator: Operator) -> Priced:
        """Seconds of one execution by the engine on its critical path, over all cases."""
        if isinstance(operator, Collective | ExpertExchange | Hop):
            sent = link_time(operator, self._cluster, self._rates.link_taken)
            zero = np.zeros_like(sent.transfer)
            moved = transfer_seconds(sent.transfer, sent.wire_bytes, self._rates)
            return Priced(sent.launch, zero, zero, sent.latency + moved)
        work = kernel(operator, self._rates)
        slowest = _alone(work.passes)
        mean = _alone(work.balanced) if work.balanced else slowest
        waiting = np.maximum(slowest.total - mean.total, 0.0)
        return Priced(work.launch, mean.compute, mean.memory, np.zeros_like(waiting), waiting)

    def prefill(self, attention: PrefillAttention) -> float:
        """Seconds of one prefill attention, in plain floats."""
        rates = self._rates.of(attention)
        work = prefill_work(attention, rates)
        matrix = work.multiply + work.starts
        n = min(max(np.ceil(work.steps), 1.0), SLICES)
        longest = max(matrix, work.softmax, work.memory)
        attend = (matrix + work.softmax + work.memory + (n - 1.0) * longest) / n
        return float(rates.kernels.prefill_launch + rates.gap + attend + work.passes + work.on_chip)


def _alone(passes: tuple[Pass, ...]) -> Alone:
    compute: Array = np.zeros(1)
    memory: Array = np.zeros(1)
    for one in passes:
        lone = one.alone
        compute, memory = compute + lone.compute, memory + lone.memory
    return Alone(compute, memory)
