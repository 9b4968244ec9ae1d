"""Which arithmetic a matrix multiplication runs in, and which types a chip can be asked for.

Arithmetic runs at the wider of weight and activation type; of two types equally wide (int8 weights
under fp8 activations) at the activations' type, since weights can be converted on their way to the
matrix engine. A storage type the chip cannot multiply is dequantised; an activation type it cannot
multiply is refused.
"""

from collections.abc import Iterable

from sim.deployment.deployment import Precision
from sim.errors import UserError
from sim.hardware.chip import Chip

WIDTH_BITS = {"bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4, "int4": 4}


def arithmetic_type(weights: str, activations: str) -> str:
    """The type a multiplication of such weights and activations runs in."""
    return weights if WIDTH_BITS[weights] > WIDTH_BITS[activations] else activations


def multiplied_types(peaks: Iterable[str]) -> list[str]:
    """The types a chip with these peaks multiplies, sorted; fp16 comes with bf16."""
    has = {*peaks} & {*WIDTH_BITS}
    if "bf16" in has:
        has.add("fp16")
    return sorted(has)


def check_arithmetic(precision: Precision, chip: Chip) -> None:
    """Refuse activations, or weights wider than them, that need arithmetic the chip lacks.

    Raises:
        UserError: naming the types it has.
    """
    has = multiplied_types(chip.compute.peak)
    listed = ", ".join(has)
    if precision.activations not in has:
        raise UserError(
            f"deployment.precision.activations: chip {chip.name} has no {precision.activations} arithmetic "
            f"(it has: {listed})"
        )
    for kind in ("weights", "attention", "dense_ffn", "experts", "shared_experts", "head", "router"):
        stored: str | None = getattr(precision, kind)
        if stored is None:
            continue
        needed = arithmetic_type(stored, precision.activations)
        if needed not in has:
            raise UserError(
                f"deployment.precision.{kind}: {stored} under {precision.activations} activations is "
                f"multiplied in {needed}, which chip {chip.name} has no arithmetic for (it has: {listed})"
            )
