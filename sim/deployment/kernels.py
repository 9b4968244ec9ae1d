"""Which kernels an engine runs: what its software stack and their maturity make of a chip's family.

    parameter of a kernel = parameter of the chip's family · factor of the stack's kernel
    what it sustains of a peak = that · maturity of its class

The stack is the engine's (`hardware_profiles/stacks`), and of its kernels those that it takes unasked for the
model's types on the chip's family, or that `engine.backends` names. A stack without kernels for that family
leaves the family's own.
"""

from collections.abc import Iterator, Mapping

from sim.deployment.deployment import Precision, RunningKernel
from sim.deployment.precision import arithmetic_type
from sim.errors import unknown
from sim.figures import Figure, Resolution
from sim.hardware.stacks import SUSTAINED, KernelClass, read_stack, stack_names
from sim.models.architecture import Gqa, Mla, ModelArchitecture, MoeFfn
from sim.models.matrices import Kind

NO_STACK = "none"
_TABLES = {
    ("bf16", "bf16"): "bfloat16",
    ("fp16", "bf16"): "bfloat16",
    ("fp4", "fp4"): "nvfp4",
    ("fp4", "fp8"): "w4a8_mxfp4_mxfp8",
    ("fp4", "bf16"): "w4a16_mxfp4",
    ("int8", "int8"): "sq",
    ("int8", "bf16"): "int8_wo",
    ("int4", "bf16"): "int4_wo",
}
"""Measured tables' names of (weights, arithmetic); fp8 has two, by its scales."""


def running_kernels(
    stack: str,
    backends: Mapping[KernelClass, str],
    maturity: Mapping[KernelClass, Figure],
    model: ModelArchitecture,
    precision: Precision,
    family: str,
    resolution: Resolution,
    *,
    dispatched: bool,
) -> tuple[RunningKernel, ...]:
    """The kernels that differ from those of the chip's family, the figures behind them taken.

    Args:
        backends: by class, the kernel that a user chose by the name that the engine's option has for it.
        dispatched: tokens are sent to their experts' ranks.
    Raises:
        UserError: for an unknown stack, or a backend that it has not.
    """
    if stack not in (known := (NO_STACK, *stack_names())):
        raise unknown("engine.stack", stack, known)
    profile = None if stack == NO_STACK else read_stack(stack)
    degree = {name: resolution.take(f"maturity.{name}", figure) for name, figure in maturity.items()}
    found: list[RunningKernel] = []
    for operator, types, table in _needed(model, precision):
        factors: dict[str, float] = {}
        text, tiles = "", ()
        kernel = None
        if profile is not None and operator in backends:
            kernel = profile.chosen(family, operator, table, backends[operator])
        elif profile is not None:
            kernel = profile.unasked(family, operator, table, dispatched=dispatched)
        if profile is not None and kernel is not None:
            text = f"{profile.title}: {kernel.note}" if kernel.note else profile.title
            place = f"stack.{operator}.{table.replace('/', '_')}"
            tiles = kernel.tiles.get(family, ())
            factors = {name: resolution.take(f"{place}.{name}", f) for name, f in kernel.factors.items()}
        if operator in degree:
            for name in SUSTAINED[operator]:
                factors[name] = factors.get(name, 1.0) * degree[operator]
        if factors:
            found.append(RunningKernel(operator, types, text, factors, tiles))
    return tuple(found)


def _needed(
    model: ModelArchitecture, precision: Precision
) -> Iterator[tuple[KernelClass, tuple[str, str], str]]:
    """(class, types, the tables' name of them) of every kernel that the model runs, each once."""
    attention = {type(layer.attention) for layer in model.layers}
    mixture = any(isinstance(layer.ffn, MoeFfn) for layer in model.layers)
    kinds: list[Kind] = ["attention", "dense_ffn", "shared_experts"]
    stored = dict.fromkeys([*(precision.stored(kind) for kind in kinds), precision.head, precision.router])
    for weights in stored:
        types = (weights, arithmetic_type(weights, precision.activations))
        yield "gemm", types, _table(types, precision)
    if mixture:
        weights = precision.stored("experts")
        types = (weights, arithmetic_type(weights, precision.activations))
        yield "moe", types, _table(types, precision)
    cache = _attention_type(precision.kv_cache)
    if Gqa in attention:
        narrow = precision.activations == precision.kv_cache == "fp8"
        math = "fp8" if narrow else "bf16"
        yield "attn_prefill", (math, precision.kv_cache), f"{_attention_type(math)}/{cache}"
        yield "attn_decode", ("bf16", precision.kv_cache), f"bfloat16/{cache}"
    if Mla in attention:
        yield "mla_bmm", ("bf16", "bf16"), "bfloat16"
        yield "mla_prefill", ("bf16", precision.kv_cache), f"bfloat16/{cache}"
        yield "mla_decode", ("bf16", precision.kv_cache), f"bfloat16/{cache}"


def _table(types: tuple[str, str], precision: Precision) -> str:
    if types == ("fp8", "fp8"):
        return "fp8_block" if precision.fp8_scales == "block" else "fp8"
    return _TABLES.get(types, "+".join(types))


def _attention_type(dtype: str) -> str:
    return "bfloat16" if dtype in ("bf16", "fp16") else dtype
