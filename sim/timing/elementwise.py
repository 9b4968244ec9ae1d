"""Analytic time of norms, activations, gates, quantisers and samplers.

T = t_k + bytes/(η·B): a streaming kernel, with the quantiser's own launch time. Intermediates are taken to
come from HBM; a chip whose shared memory keeps them does better at small batches, where t_k rules anyway.
Vector arithmetic overlaps: the larger of the two counts.

Form and fit: docs/operators.md.
"""

import numpy as np

from sim.operators import Elementwise
from sim.timing.priced import Priced
from sim.timing.rates import Rates


def price_elementwise(operator: Elementwise, rates: Rates) -> Priced:
    """Time of one streaming kernel over all cases."""
    k = rates.kernels
    launch = k.quant_launch if operator.launch == "quantise" else k.elementwise_launch
    memory = operator.hbm_bytes / (k.elementwise_hbm * rates.hbm)
    compute = operator.flops / rates.vector
    zero = np.zeros_like(memory)
    bound = compute > memory
    return Priced(
        np.full_like(memory, launch + rates.gap),
        np.where(bound, compute, zero),
        np.where(bound, zero, memory),
        zero,
    )
