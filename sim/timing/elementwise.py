"""Analytic time of norms, activations, gates, quantisers and samplers.

T = t_k + bytes/(η·B_a): a streaming kernel. A quantiser of activations is n_q kernels which go q times
through what is read and written: n_q·t_q + max(q·bytes/(η·B_a), rows·t_row/n_c), n_q, q by the type it
writes; t_row is what a row takes a core. Intermediates are taken to come from HBM; a chip whose shared memory
keeps them does better at small batches, where launches rule anyway.
Vector arithmetic overlaps: the larger of the two counts.

Form and fit: docs/operators.md.
"""

import numpy as np

from sim.operators import Elementwise
from sim.operators.quantities import Array
from sim.timing.passes import Kernel, streamed
from sim.timing.priced import Priced
from sim.timing.rates import Rates, share


def price_elementwise(operator: Elementwise, rates: Rates) -> Priced:
    """Time of one streaming kernel over all cases."""
    launch, memory, compute = _times(operator, rates)
    zero = np.zeros_like(memory)
    bound = compute > memory
    return Priced(
        np.full_like(memory, launch),
        np.where(bound, compute, zero),
        np.where(bound, zero, memory),
        zero,
    )


def elementwise_passes(operator: Elementwise, rates: Rates) -> Kernel:
    """The same kernel as one pass."""
    launch, memory, compute = _times(operator, rates)
    hbm, idle = rates.kernels.elementwise_hbm * rates.activations, np.zeros_like(memory)
    return Kernel(np.full_like(memory, launch), (streamed(memory, hbm, rates.cores, idle, compute),))


def _times(operator: Elementwise, rates: Rates) -> tuple[float, Array, Array]:
    """(launch, memory, vector engines) seconds."""
    k = rates.kernels
    if not operator.produces:
        launch = k.elementwise_launch + rates.gap
        return launch, _memory(operator.hbm_bytes, rates), operator.flops / rates.vector
    launch = share(k.quant_kernels, operator.produces) * (k.quant_launch + rates.gap)
    moved = share(k.quant_passes, operator.produces) * operator.hbm_bytes
    by_row = operator.rows * (k.quant_row / rates.cores)
    return launch, _memory(moved, rates), np.maximum(operator.flops / rates.vector, by_row)


def _memory(moved: Array, rates: Rates) -> Array:
    """Seconds of the shared level and of HBM, the longer of the two."""
    eta = rates.kernels.elementwise_hbm
    return np.maximum(rates.from_hbm(moved, moved) / (eta * rates.activations), rates.streamed(moved))
