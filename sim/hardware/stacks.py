"""What a software stack's kernels make of a chip: factors on the parameters of its family.

    parameter of a kernel = parameter of the chip's family · factor of the stack's kernel

A family describes mature kernels. An engine brings its own for each operator and type, some of them less
mature or built differently; a stack (hardware_profiles/stacks) lists them with what they do to the family's
parameters. Factors carry over from chip to chip: that a kernel does not split products, or goes twice through
its activations, is the same on all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from math import inf
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field

from sim.documents import validate
from sim.documents.reading import decode
from sim.errors import nearest, unknown
from sim.figures import Assumption, NumberFigure, Resolution, TimeFigure
from sim.hardware.chip import KernelFamily
from sim.hardware.fields import Part
from sim.hardware.tiling import TileRule

KernelClass = Literal["gemm", "mla_bmm", "attn_prefill", "attn_decode", "mla_prefill", "mla_decode", "moe"]
SUSTAINED: Mapping[KernelClass, tuple[str, ...]] = {
    "gemm": ("gemm_mma", "gemm_hbm"),
    "mla_bmm": ("gemm_mma", "gemm_hbm"),
    "attn_prefill": ("prefill_mma", "prefill_exp"),
    "attn_decode": ("decode_mma", "decode_hbm"),
    "mla_prefill": ("prefill_mma", "prefill_exp"),
    "mla_decode": ("mla_decode_mma", "mla_decode_hbm"),
    "moe": ("moe_mma", "moe_hbm"),
}
"""What each class of kernels sustains of the chip's peaks: the parameters that its maturity multiplies."""
_SHARES = ("_mma", "_hbm")
"""Ends of the names of parameters that are shares of a peak, and never exceed it."""
_FOLDER = "stacks"
_PARAMETERS = frozenset(f.name for f in fields(KernelFamily)) - {"name", "gemm_tiles", "array"}


def _parameters(factors: dict[str, NumberFigure]) -> dict[str, NumberFigure]:
    for name in factors:
        if name not in _PARAMETERS:
            raise ValueError(f"'{name}' is no parameter of a kernel family{nearest(name, _PARAMETERS)}")
    return factors


class StackKernel(Part):
    """One kernel of a stack.

    `types`: storage types of measured tables it serves, empty for all; `named`: a part of its name there;
    `backend`: the name by which the engine's own option chooses it, empty where it has none;
    `families`: chip families on which the engine takes it unasked, all of the stack's if left out, none if
    empty: then it runs only where somebody chose it, as measured tables do by name; `only`: chip families on
    which a kernel of this name is this one, empty for all; `dispatched` kernels are for tokens that were sent
    to their experts' ranks, and nothing else; `tiles`: by chip family, the rules by which it takes a
    product's tiles, where it does not search; `eager`: by chip family, what a call takes the host where its
    measurements are no replays of a graph.
    """

    operator: KernelClass
    types: tuple[str, ...] = ()
    named: str = ""
    backend: str = ""
    families: tuple[str, ...] | None = None
    dispatched: bool = False
    only: tuple[str, ...] = ()
    note: str = ""
    tiles: dict[str, tuple[TileRule, ...]] = Field(default_factory=dict)
    eager: dict[str, TimeFigure] = Field(default_factory=dict)
    factors: Annotated[dict[str, NumberFigure], AfterValidator(_parameters)]

    @property
    def needs_all_tokens(self) -> bool:
        """Whether it goes through the (token, expert) pairs of all ranks."""
        pairs = self.factors.get("moe_own_pairs")
        return pairs is not None and pairs.value == 0


class StackProfile(Part):
    """A stack's kernels, the first that fits counts. `families`: chip families that it has kernels for."""

    schema_version: Literal[1] = 1
    name: str
    title: str
    families: tuple[str, ...]
    kernels: list[StackKernel]

    def unasked(
        self, family: str, operator: KernelClass, dtype: str, *, dispatched: bool
    ) -> StackKernel | None:
        """The kernel that the engine takes by itself on chips of a family; None for the family's own.

        Args:
            dispatched: tokens are sent to their experts' ranks. Kernels that go through the pairs of all
                ranks need every token on every rank; behind a dispatch engines run others.
        """
        for kernel in self._serving(operator, dtype):
            families = self.families if kernel.families is None else kernel.families
            behind = not kernel.needs_all_tokens if dispatched else not kernel.dispatched
            if family in families and behind:
                return kernel
        return None

    def chosen(self, family: str, operator: KernelClass, dtype: str, backend: str) -> StackKernel:
        """The kernel that the engine's option of this name chooses.

        Raises:
            UserError: where the stack has none of the name for the operator, type and family.
        """
        known: list[str] = []
        for kernel in self._serving(operator, dtype) if family in self.families else ():
            if kernel.backend and (not kernel.only or family in kernel.only):
                if kernel.backend == backend:
                    return kernel
                known.append(kernel.backend)
        raise unknown(f"engine.backends.{operator} for {dtype} on {family}", backend, known)

    def _serving(self, operator: KernelClass, dtype: str) -> Iterator[StackKernel]:
        return (k for k in self.kernels if k.operator == operator and (not k.types or dtype in k.types))


@dataclass(frozen=True, slots=True)
class ChosenKernel:
    """A stack's kernel as plain numbers; `only` on chips of these families, empty for all."""

    operator: KernelClass
    types: tuple[str, ...]
    named: str
    only: tuple[str, ...]
    tiles: Mapping[str, tuple[TileRule, ...]]
    eager: Mapping[str, float]
    factors: Mapping[str, float]

    def serves(self, family: str, operator: str, dtype: str, kernel: str) -> bool:
        """Whether it is the kernel of this name that runs an operator on a type and a family's chips."""
        on_chip = not self.only or family in self.only
        of_type = operator == self.operator and (not self.types or dtype in self.types)
        return of_type and on_chip and self.named in kernel


@dataclass(frozen=True, slots=True)
class KernelStack:
    """The kernels of one stack and the figures they rest on."""

    name: str
    kernels: tuple[ChosenKernel, ...]
    assumptions: tuple[Assumption, ...]

    def measured(
        self, kernels: KernelFamily, family: str, operator: str, dtype: str, kernel: str
    ) -> KernelFamily:
        """Parameters of the kernel that a table names, on a chip of a family."""
        chosen = self._named(family, operator, dtype, kernel)
        if chosen is None:
            return kernels
        return replace(adjusted(kernels, chosen.factors), gemm_tiles=chosen.tiles.get(family, ()))

    def eager(self, family: str, operator: str, dtype: str, kernel: str) -> float:
        """s the host takes for each call in the kernel's measurements, 0 where a graph is replayed."""
        chosen = self._named(family, operator, dtype, kernel)
        return 0.0 if chosen is None else chosen.eager.get(family, 0.0)

    def _named(self, family: str, operator: str, dtype: str, kernel: str) -> ChosenKernel | None:
        return next((c for c in self.kernels if c.serves(family, operator, dtype, kernel)), None)


def adjusted(kernels: KernelFamily, factors: Mapping[str, float], types: Sequence[str] = ()) -> KernelFamily:
    """The parameters times their factors, shares of a peak at most 1; those by type for `types` only, if
    there are any."""
    changed: dict[str, object] = {}
    for name, factor in factors.items():
        old = cast("float | Mapping[str, float]", getattr(kernels, name))
        most = 1.0 if name.endswith(_SHARES) and "core" not in name else inf
        if isinstance(old, Mapping):
            touched = {t: min(v * factor, most) for t, v in old.items() if not types or t in types}
            changed[name] = {**old, **touched}
        else:
            changed[name] = min(old * factor, most)
    return replace(kernels, **changed)  # pyright: ignore[reportArgumentType]


@cache
def stack_names() -> tuple[str, ...]:
    """Names of the stacks that ship, sorted."""
    found = (entry.name for entry in (files("hardware_profiles") / _FOLDER).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


@cache
def read_stack(name: str) -> StackProfile:
    """A shipped stack as it is written.

    Raises:
        UserError: for an unknown name.
    """
    if name not in stack_names():
        raise unknown("stack", name, stack_names())
    file = f"{_FOLDER}/{name}.yaml"
    document = decode((files("hardware_profiles") / file).read_bytes(), f"hardware_profiles/{file}")
    return validate(StackProfile, document.tree, document=document)


@cache
def load_stack(name: str) -> KernelStack:
    """A shipped stack with every figure at its value.

    Raises:
        UserError: for an unknown name.
    """
    profile = read_stack(name)
    resolution = Resolution(f"stack.{name}")
    chosen = [
        ChosenKernel(
            kernel.operator,
            kernel.types,
            kernel.named,
            kernel.only,
            kernel.tiles,
            {f: resolution.take(f"kernels.{i}.eager.{f}", figure) for f, figure in kernel.eager.items()},
            {p: resolution.take(f"kernels.{i}.{p}", figure) for p, figure in kernel.factors.items()},
        )
        for i, kernel in enumerate(profile.kernels)
    ]
    return KernelStack(name, tuple(chosen), tuple(resolution.assumptions))
