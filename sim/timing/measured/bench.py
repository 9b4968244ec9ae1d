"""One chip as a table's benchmark sees it: the parameters that may be used, the stack, what stays on chip.

Tables time an operator by replaying it on the same operands, so that small ones are found in the shared
memory (sim.timing.residency); the stack's kernel decides the rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim.hardware.chip import Chip, KernelFamily
from sim.hardware.stacks import load_stack, stack_names
from sim.timing import CALM
from sim.timing.measured.rows import Places, Rows
from sim.timing.rates import Rates, rates
from sim.timing.residency import Residency

ARITHMETIC = {
    "bfloat16": ("bf16", "bf16", "bf16"),
    "float16": ("bf16", "bf16", "bf16"),
    "fp8": ("fp8", "fp8", "fp8"),
    "fp8_block": ("fp8", "fp8", "fp8"),
    "nvfp4": ("fp4", "fp4", "fp4"),
    "sq": ("int8", "int8", "int8"),
    "int8_wo": ("int8", "bf16", "bf16"),
    "int4_wo": ("int4", "bf16", "bf16"),
    "w4a16_mxfp4": ("fp4", "bf16", "bf16"),
    "w4a8_mxfp4_mxfp8": ("fp4", "fp8", "fp8"),
}
"""Weights, activations and arithmetic by the tables' names of types."""

CACHE = {"bfloat16": "bf16", "float16": "bf16", "fp8": "fp8", "": "bf16"}
"""Cache and attention types by the tables' names."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A chip to be measured in any stack.

    Attributes:
        swapped: the kernel parameters that take the place of its own, None for none.
    """

    chip: Chip
    swapped: KernelFamily | None = None

    @property
    def family(self) -> KernelFamily:
        """The kernel parameters before a stack's factors."""
        return self.swapped or self.chip.kernels

    def kernels(self, operator: str, dtype: str, stack: str, kernel: str) -> KernelFamily:
        """The parameters of a stack's kernel on this chip."""
        if stack not in stack_names():
            return self.family
        return load_stack(stack).measured(self.family, self.chip.kernels.name, operator, dtype, kernel)

    def eager(self, operator: str, dtype: str, stack: str, kernel: str) -> float:
        """s the host takes for each call where the stack's kernel was not measured in a graph, else 0."""
        if stack not in stack_names():
            return 0.0
        return load_stack(stack).eager(self.chip.kernels.name, operator, dtype, kernel)

    def cold(self, operator: str, dtype: str, stack: str, kernel: str) -> Rates:
        """Rates where nothing is found on the chip."""
        return replace(rates(self.chip, CALM), kernels=self.kernels(operator, dtype, stack, kernel))

    def repeated(self, operator: str, dtype: str, stack: str, kernel: str, copies: int = 1) -> Rates:
        """Rates of executions that follow one another over `copies` of the weights."""
        enough = self.chip.sram.shared if stack == "trtllm" else float("inf")
        sram = self.chip.sram
        residency = Residency(sram.shared, sram.bandwidth, copies, enough)
        return replace(self.cold(operator, dtype, stack, kernel), residency=residency)


def by_kernel(rows: Rows) -> Iterator[tuple[tuple[str, str, str], Rows, Places]]:
    """Rows of one type, stack and kernel: (dtype, stack, kernel), the rows, and which they are.

    The type of attention is "math/cache", as in "bfloat16/fp8".
    """
    for (dtype, cache, stack, kernel), places in rows.alike("dtype", "kv_dtype", "framework", "kernel"):
        name = f"{dtype}/{cache}" if cache else str(dtype)
        yield (name, str(stack), str(kernel)), rows.at(places), places
