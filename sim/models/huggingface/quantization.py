"""The released weight type of a checkpoint, from `quantization_config` or `torch_dtype`.

Most quantised checkpoints keep some matrices in bf16; the released type is that of the bulk.
"""

from typing import cast

from sim.models.dtypes import BYTES_PER_VALUE
from sim.models.huggingface.config import Config, Tree

_PLAIN = {"bfloat16": "bf16", "float16": "fp16", "float32": "bf16", "auto": "bf16"}
"""Engines serve a float32 checkpoint in bf16."""
_METHODS = {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "fp4"}
_BY_BITS = {("int", 4): "int4", ("int", 8): "int8", ("float", 8): "fp8", ("float", 4): "fp4"}


def released_dtype(config: Config) -> str:
    """bf16, fp16, fp8, int8, fp4 or int4.

    Raises:
        UserError: for a quantisation that is not understood.
    """
    quantization = config.mapping("quantization_config")
    if not quantization:
        word = str(config.get("torch_dtype", "dtype") or "bfloat16").removeprefix("torch.")
        if word not in _PLAIN:
            raise config.error(f"torch_dtype: found '{word}'; {', '.join(_PLAIN)} are understood")
        return _PLAIN[word]
    method = str(quantization.get("quant_method"))
    if method in _METHODS:
        return _METHODS[method]
    if method in ("gptq", "awq"):
        return _of_bits(config, "int", quantization.get("bits", quantization.get("w_bit")))
    if method == "compressed-tensors":
        return _compressed(config, quantization)
    if method == "modelopt" or "quant_algo" in quantization:
        return _modelopt(config, quantization)
    raise config.error(f"quantization_config.quant_method '{method}' is not understood")


def _of_bits(config: Config, kind: object, bits: object) -> str:
    for (known_kind, known_bits), dtype in _BY_BITS.items():
        if kind == known_kind and bits == known_bits:
            return dtype
    raise config.error(f"quantization_config: weights of type {kind!r} with {bits!r} bits are not understood")


def _compressed(config: Config, quantization: Tree) -> str:
    """The narrowest of the groups' types: where several stand side by side it is that of the experts."""
    groups = quantization.get("config_groups")
    found: list[str] = []
    for group in cast("Tree", groups).values() if isinstance(groups, dict) else ():
        weights = cast("Tree", group).get("weights") if isinstance(group, dict) else None
        if isinstance(weights, dict):
            entry = cast("Tree", weights)
            found.append(_of_bits(config, entry.get("type"), entry.get("num_bits")))
    if not found:
        raise config.error("quantization_config: no weights in config_groups")
    return min(found, key=BYTES_PER_VALUE.__getitem__)


def _modelopt(config: Config, quantization: Tree) -> str:
    algorithm = str(quantization.get("quant_algo") or "")
    for word, dtype in (("NVFP4", "fp4"), ("FP8", "fp8"), ("INT4", "int4"), ("W4A16", "int4")):
        if algorithm.startswith(word):
            return dtype
    if "config_groups" in quantization:
        return _compressed(config, quantization)
    raise config.error(f"quantization_config.quant_algo '{algorithm}' is not understood")
