"""The kernel parameters of a chip family as figures, and how a chip gets them.

What each parameter means is in docs/operators.md; the values are in hardware_profiles/families.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator

from sim.figures import NumberFigure, Resolution, TimeFigure
from sim.hardware.chip import ArrayKernels, KernelFamily
from sim.hardware.fields import Factor, Fraction, Part, Share

Dtype = Literal["bf16", "fp8", "int8", "fp4", "int4"]
DTYPES: tuple[Dtype, ...] = ("bf16", "fp8", "int8", "fp4", "int4")
Key = Literal["default", "bf16", "fp8", "int8", "fp4", "int4"]
DEFAULT = "default"


def _with_default(by_type: dict[Key, NumberFigure]) -> dict[Key, NumberFigure]:
    if DEFAULT not in by_type:
        raise ValueError("needs the key 'default', for arithmetic types that have no figure of their own")
    return by_type


Shares = Annotated[dict[Key, Share], AfterValidator(_with_default)]
Flag = NumberFigure
Flags = Annotated[dict[Key, Flag], AfterValidator(_with_default)]
Factors = Annotated[dict[Key, Factor], AfterValidator(_with_default)]


class ArrayPart(Part):
    """What filling a rigid array of multipliers costs; the fields are those of `ArrayKernels`."""

    load: Fraction
    fill: Fraction


class Kernels(Part):
    """All parameters of a family; the fields are those of `KernelFamily`."""

    gemm_mma: Shares
    gemm_hbm: Share
    gemm_launch: TimeFigure
    gemm_feed: Factor
    gemm_unpack: NumberFigure
    gemm_core_hbm: Factor
    core_fill: TimeFigure
    gemm_split_k: Flags
    gemm_largest_tile: Factors
    gemm_beyond: NumberFigure
    gemm_step: TimeFigure
    tile_latency: TimeFigure
    split_k_launch: TimeFigure
    overlap_norm: Factor
    quant_launch: TimeFigure
    quant_kernels: Factors
    quant_passes: Factors
    quant_row: TimeFigure
    prefill_mma: Shares
    prefill_exp: Factor
    prefill_launch: TimeFigure
    prefill_passes: Factors
    mla_prefill_passes: Factors
    mla_prefill_expands: Flag
    prefill_tile_latency: TimeFigure
    decode_hbm: Share
    decode_mma: Share
    decode_launch: TimeFigure
    decode_core_hbm: Factor
    decode_convert: Factors
    mla_decode_hbm: Share
    mla_decode_mma: Share
    mla_decode_launch: TimeFigure
    mla_decode_convert: Factors
    mla_decode_split: Flag
    moe_mma: Shares
    moe_hbm: Share
    moe_launch: TimeFigure
    moe_unpack: NumberFigure
    moe_io_passes: Factors
    moe_io_ops: NumberFigure
    moe_own_pairs: Flag
    elementwise_hbm: Share
    elementwise_launch: TimeFigure
    array: ArrayPart | None = None


def resolve_kernels(name: str, kernels: Kernels, resolution: Resolution) -> KernelFamily:
    """The parameters as SI floats; a type without a figure of its own has the default's."""

    def by_type(field: str, figures: Mapping[Key, NumberFigure]) -> dict[str, float]:
        taken: dict[str, float] = {
            key: resolution.take(f"{field}.{key}", figure) for key, figure in figures.items()
        }
        taken |= {dtype: taken[DEFAULT] for dtype in DTYPES if dtype not in taken}
        return taken | {"fp16": taken["bf16"]}

    take, array = resolution.take, kernels.array
    return KernelFamily(
        name=name,
        gemm_mma=by_type("gemm_mma", kernels.gemm_mma),
        gemm_hbm=take("gemm_hbm", kernels.gemm_hbm),
        gemm_launch=take("gemm_launch", kernels.gemm_launch),
        gemm_feed=take("gemm_feed", kernels.gemm_feed),
        gemm_unpack=take("gemm_unpack", kernels.gemm_unpack),
        gemm_core_hbm=take("gemm_core_hbm", kernels.gemm_core_hbm),
        core_fill=take("core_fill", kernels.core_fill),
        gemm_split_k=by_type("gemm_split_k", kernels.gemm_split_k),
        gemm_largest_tile=by_type("gemm_largest_tile", kernels.gemm_largest_tile),
        gemm_beyond=take("gemm_beyond", kernels.gemm_beyond),
        gemm_step=take("gemm_step", kernels.gemm_step),
        tile_latency=take("tile_latency", kernels.tile_latency),
        split_k_launch=take("split_k_launch", kernels.split_k_launch),
        overlap_norm=take("overlap_norm", kernels.overlap_norm),
        quant_launch=take("quant_launch", kernels.quant_launch),
        quant_kernels=by_type("quant_kernels", kernels.quant_kernels),
        quant_passes=by_type("quant_passes", kernels.quant_passes),
        quant_row=take("quant_row", kernels.quant_row),
        prefill_mma=by_type("prefill_mma", kernels.prefill_mma),
        prefill_exp=take("prefill_exp", kernels.prefill_exp),
        prefill_launch=take("prefill_launch", kernels.prefill_launch),
        prefill_passes=by_type("prefill_passes", kernels.prefill_passes),
        mla_prefill_passes=by_type("mla_prefill_passes", kernels.mla_prefill_passes),
        mla_prefill_expands=take("mla_prefill_expands", kernels.mla_prefill_expands),
        prefill_tile_latency=take("prefill_tile_latency", kernels.prefill_tile_latency),
        decode_hbm=take("decode_hbm", kernels.decode_hbm),
        decode_mma=take("decode_mma", kernels.decode_mma),
        decode_launch=take("decode_launch", kernels.decode_launch),
        decode_core_hbm=take("decode_core_hbm", kernels.decode_core_hbm),
        decode_convert=by_type("decode_convert", kernels.decode_convert),
        mla_decode_hbm=take("mla_decode_hbm", kernels.mla_decode_hbm),
        mla_decode_mma=take("mla_decode_mma", kernels.mla_decode_mma),
        mla_decode_launch=take("mla_decode_launch", kernels.mla_decode_launch),
        mla_decode_convert=by_type("mla_decode_convert", kernels.mla_decode_convert),
        mla_decode_split=take("mla_decode_split", kernels.mla_decode_split),
        moe_mma=by_type("moe_mma", kernels.moe_mma),
        moe_hbm=take("moe_hbm", kernels.moe_hbm),
        moe_launch=take("moe_launch", kernels.moe_launch),
        moe_unpack=take("moe_unpack", kernels.moe_unpack),
        moe_io_passes=by_type("moe_io_passes", kernels.moe_io_passes),
        moe_io_ops=take("moe_io_ops", kernels.moe_io_ops),
        moe_own_pairs=take("moe_own_pairs", kernels.moe_own_pairs),
        elementwise_hbm=take("elementwise_hbm", kernels.elementwise_hbm),
        elementwise_launch=take("elementwise_launch", kernels.elementwise_launch),
        array=array and ArrayKernels(take("array.load", array.load), take("array.fill", array.fill)),
    )
