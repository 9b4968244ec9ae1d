"""What a software stack's kernels make of a chip: factors on the parameters of its family.

    parameter of a kernel = parameter of the chip's family · factor of the stack's kernel

A family describes mature kernels. An engine brings its own for each operator and type, some of them less
mature or built differently; a stack (hardware_profiles/stacks) lists them with what they do to the family's
parameters. Factors carry over from chip to chip: that a kernel does not split products, or goes twice through
its activations, is the same on all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, cast

from pydantic import AfterValidator

from sim.documents import validate
from sim.documents.reading import decode
from sim.errors import nearest, unknown
from sim.figures import Assumption, NumberFigure, Resolution
from sim.hardware.chip import KernelFamily
from sim.hardware.fields import Part

Kernel = Literal["gemm", "mla_bmm", "attn_prefill", "attn_decode", "mla_prefill", "mla_decode", "moe"]
_FOLDER = "stacks"
_PARAMETERS = frozenset(f.name for f in fields(KernelFamily)) - {"name"}


def _parameters(factors: dict[str, NumberFigure]) -> dict[str, NumberFigure]:
    for name in factors:
        if name not in _PARAMETERS:
            raise ValueError(f"'{name}' is no parameter of a kernel family{nearest(name, _PARAMETERS)}")
    return factors


class StackKernel(Part):
    """One kernel of a stack.

    `types`: storage types of measured tables it serves, empty for all; `named`: a part of its name there;
    `families`: chip families on which the stack chooses it, empty for all.
    """

    operator: Kernel
    types: tuple[str, ...] = ()
    named: str = ""
    families: tuple[str, ...] = ()
    note: str = ""
    factors: Annotated[dict[str, NumberFigure], AfterValidator(_parameters)]


class StackProfile(Part):
    """A stack's kernels, the first that fits counts."""

    schema_version: Literal[1] = 1
    name: str
    title: str
    kernels: list[StackKernel]


@dataclass(frozen=True, slots=True)
class ChosenKernel:
    """A stack's kernel as plain numbers."""

    operator: Kernel
    types: tuple[str, ...]
    named: str
    families: tuple[str, ...]
    factors: Mapping[str, float]

    def serves(self, operator: str, dtype: str) -> bool:
        """Whether it runs this operator on this type."""
        return operator == self.operator and (not self.types or dtype in self.types)


@dataclass(frozen=True, slots=True)
class KernelStack:
    """The kernels of one stack and the figures they rest on."""

    name: str
    kernels: tuple[ChosenKernel, ...]
    assumptions: tuple[Assumption, ...]

    def measured(self, kernels: KernelFamily, operator: str, dtype: str, kernel: str) -> KernelFamily:
        """Parameters of the kernel that a table names."""
        for chosen in self.kernels:
            if chosen.serves(operator, dtype) and chosen.named in kernel:
                return adjusted(kernels, chosen.factors)
        return kernels


def adjusted(kernels: KernelFamily, factors: Mapping[str, float], types: Sequence[str] = ()) -> KernelFamily:
    """The parameters times their factors; those by type for `types` only, if there are any."""
    changed: dict[str, object] = {}
    for name, factor in factors.items():
        old = cast("float | Mapping[str, float]", getattr(kernels, name))
        if isinstance(old, Mapping):
            changed[name] = {t: v * factor if not types or t in types else v for t, v in old.items()}
        else:
            changed[name] = old * factor
    return replace(kernels, **changed)  # pyright: ignore[reportArgumentType]


@cache
def stack_names() -> tuple[str, ...]:
    """Names of the stacks that ship, sorted."""
    found = (entry.name for entry in (files("hardware_profiles") / _FOLDER).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


@cache
def load_stack(name: str) -> KernelStack:
    """A shipped stack with every figure at its value.

    Raises:
        UserError: for an unknown name.
    """
    if name not in stack_names():
        raise unknown("stack", name, stack_names())
    file = f"{_FOLDER}/{name}.yaml"
    document = decode((files("hardware_profiles") / file).read_bytes(), f"hardware_profiles/{file}")
    profile = validate(StackProfile, document.tree, document=document)
    resolution = Resolution(f"stack.{name}")
    chosen = [
        ChosenKernel(
            kernel.operator,
            kernel.types,
            kernel.named,
            kernel.families,
            {p: resolution.take(f"kernels.{i}.{p}", figure) for p, figure in kernel.factors.items()},
        )
        for i, kernel in enumerate(profile.kernels)
    ]
    return KernelStack(name, tuple(chosen), tuple(resolution.assumptions))
