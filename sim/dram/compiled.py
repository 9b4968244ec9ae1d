"""One source, two loops: the event loop's functions as plain Python, or compiled to machine code by numba.

A kernel function calls others by their names. `linked` copies the functions of a list of modules into
namespaces in which a public name means the function of that name among the listed modules; that is how one
loop drives either kind of controller, and how the compiled copies find one another (numba compiles a
function together with those it calls). The pure version is the functions as written. numba's cache notices
only changes to the file of the outermost function, so compiled copies carry a fingerprint of all the sources
in their names.
"""

import hashlib
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, cast

import numpy as np

_INLINED = 500
"""Bytes of code up to which a function is always inlined: LLVM's own bound is too shy for a loop this hot,
and inlining everything would double the time to compile."""

_SPLICED = frozenset({"serve", "tick_shared", "issue_commands", "_row_slot", "_column_slot", "_column_wake"})
"""Functions of one caller that hold little but calls. Compiled on their own, each would be optimised and
stored with everything below it once more, which takes as long as all the rest together."""

Decorate = Callable[[FunctionType], Any]


def numba_installed() -> bool:
    """Whether the optional extra `dram` (numba) is installed."""
    return find_spec("numba") is not None


def linked(entry: str, modules: Sequence[ModuleType], *, compiled: bool) -> Callable[..., Any]:
    """The function `entry` of the last module, with the functions of the modules it may call.

    Args:
        modules: callees before callers; of two that define a public name, the later one counts.
        compiled: compile them all with numba, once per machine (cached beside the sources).
    """
    decorate = _compiler(entry, modules) if compiled else _as_written
    public: dict[str, Any] = {}
    for module in modules:
        namespace = dict(vars(module))
        if compiled:  # a plain integer would be a type of its own to each function it is passed to
            namespace |= {n: np.int64(v) for n, v in namespace.items() if type(v) is int}
        namespace |= {name: function for name, function in public.items() if name in namespace}
        for name, function in vars(module).items():
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                copy = FunctionType(function.__code__, namespace, name, function.__defaults__)
                copy.__module__ = module.__name__
                namespace[name] = decorate(copy)
                if not name.startswith("_"):
                    public[name] = namespace[name]
    return cast("Callable[..., Any]", public[entry])


def _as_written(function: FunctionType) -> FunctionType:
    return function


def _compiler(entry: str, modules: Sequence[ModuleType]) -> Decorate:
    njit = cast("Callable[..., Decorate]", import_module("numba").njit)
    sources = [Path(cast("str", module.__file__)) for module in modules]
    fingerprint = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]

    def compiled(function: FunctionType) -> object:
        inner = function.__name__ != entry
        function.__qualname__ = f"{function.__name__}_{fingerprint}"
        spliced = function.__name__ in _SPLICED
        compiler = njit(
            cache=True,
            inline="always" if spliced else "never",
            _nrt=False,  # nothing is allocated; counting references would cost ten times the work itself
            no_cpython_wrapper=inner,
            no_cfunc_wrapper=inner,
            forceinline=inner and not spliced and len(function.__code__.co_code) < _INLINED,
        )
        return compiler(function)

    return compiled
