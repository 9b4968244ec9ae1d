"""Whether what was measured lies where the model's own uncertainty puts it, row by row.

    band = 10 % … 90 % quantile over N draws of  time(every figure of the chip and its kernels) · e^(σ z)

Every figure with a range is drawn from it (those of one group together), σ z is the model's own error by
class of operators (hardware_profiles/model_error.yaml). A band that is as wide as it should be holds 80 % of
the rows.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sim.figures import Resolution
from sim.operators.quantities import Array
from sim.timing.measured.bench import Bench
from sim.timing.measured.parameters import Parameters
from sim.timing.measured.rows import Rows

OPERATOR_CLASSES: Mapping[str, str] = {
    "gemm": "gemm", "mla_bmm": "gemm", "elementwise": "elementwise", "moe": "experts",
    "attn_prefill": "prefill", "attn_decode": "decode",
    "mla_prefill": "latent_prefill", "mla_decode": "latent_decode",
}  # fmt: skip
"""Table → class of operators; whole attention modules are several operators and have none."""
QUANTILES = (0.1, 0.9)


class DrawnChip:
    """The chip that a table names, with every figure drawn a number of times.

    Args:
        draws: how often; chip: a name that `Parameters.bench` knows.
    """

    def __init__(self, chosen: Parameters, draws: int, chip: str) -> None:
        self._chosen = chosen
        self._chip = chip
        self._draws = draws

    @cached_property
    def benches(self) -> list[Bench]:
        """One for each draw; the same for the same chip."""
        every = Resolution(draw={})
        self._chosen.bench(self._chip, every)
        names = sorted({figure.group or path for path, figure in every.figures.items()})
        rng = np.random.default_rng([0, crc32(b"bands"), crc32(self._chip.encode())])
        drawn = (dict(zip(names, rng.random(len(names)).tolist(), strict=True)) for _ in range(self._draws))
        found = (self._chosen.bench(self._chip, Resolution(draw=draw)) for draw in drawn)
        return [bench for bench in found if bench is not None]

    def holds(self, rows: Rows, price: Callable[[Rows, Bench], Array], measured: Array) -> NDArray[np.bool_]:
        """Whether each measured time, s, lies in its band."""
        name = OPERATOR_CLASSES.get(rows.table, "")
        times = [price(rows, bench) * bench.chip.time_factors.get(name, 1.0) for bench in self.benches]
        low, high = np.quantile(np.stack(times), QUANTILES, axis=0)
        return (measured >= low) & (measured <= high)
