"""Bytes of one stored value by type.

`BYTES_PER_VALUE` includes the block scales where a type cannot do without them:
- fp4: 4 bits + one 8-bit scale per 16 values (NVFP4), 0.5625 B. MXFP4 has one per 32 (0.53125 B); the
  larger of the two is taken, so that a model which fits here fits in either.
- int4: 4 bits + one fp16 scale per group of 128 (GPTQ, AWQ), 0.515625 B.
Source: OCP Microscaling Formats v1.0 (MX), NVIDIA NVFP4 format description, AWQ/GPTQ group size 128.

Weights in fp8 also carry one fp32 scale per 128·128 block (DeepSeek-V3 report, section 3.3), which a KV
cache does not; `weight_bytes_per_value` adds it. int8 weights have one scale per output channel, below
0.1 % at any width in use, and counted as nothing.
"""

from typing import Final, Literal

from sim.errors import unknown

Dtype = Literal["bf16", "fp16", "fp8", "int8", "fp4", "int4"]

BYTES_PER_VALUE: Final[dict[str, float]] = {
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    "fp4": 0.5 + 1 / 16,
    "int4": 0.5 + 2 / 128,
}

SCALE_BLOCK: Final[dict[str, int]] = {"fp8": 128, "fp4": 16, "int4": 128}
"""Values along a matrix's inputs that share a scale; a cut through a block is not allowed."""

_FP8_BLOCK_SCALE = 4 / (128 * 128)


def bytes_per_value(dtype: str) -> float:
    """Bytes of one activation or KV value.

    Raises:
        UserError: for a type that is not in `BYTES_PER_VALUE`.
    """
    try:
        return BYTES_PER_VALUE[dtype]
    except KeyError:
        raise unknown("type", dtype, BYTES_PER_VALUE) from None


def weight_bytes_per_value(dtype: str) -> float:
    """Bytes of one weight, block scales included.

    Raises:
        UserError: for a type that is not in `BYTES_PER_VALUE`.
    """
    return bytes_per_value(dtype) + (_FP8_BLOCK_SCALE if dtype == "fp8" else 0.0)
