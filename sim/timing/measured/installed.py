"""Tables of an installed aiconfigurator-core (NVIDIA, Apache-2.0), read where they lie.

    aiconfigurator:CHIP[/STACK[/VERSION]]      as in aiconfigurator:h100_sxm/vllm

Tables are systems/data/CHIP/OPERATOR/STACK/VERSION/TABLE_perf.parquet; latencies are milliseconds, columns
have names of their own. Without a stack all of them are read, without a version the one that the package's
systems/query_versions.yaml calls current. Nothing of the package is run; it flags no row as an outlier.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np

from sim.documents import load
from sim.errors import UserError, unknown
from sim.timing.measured.rows import Column

PREFIX = "aiconfigurator:"
_PACKAGE = "aiconfigurator_core"
STACKS = ("sglang", "trtllm", "vllm")

Columns = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class _Form:
    """A table of the package: its folder and file, our name of its operator, and the columns it must lose."""

    folder: str
    file: str
    op: str
    dropped: tuple[str, ...] = ()


FORMS = (
    _Form("gemm", "gemm", "gemm"),
    _Form("mla_bmm", "mla_bmm", ""),
    _Form("attention", "context_attention", "attn_prefill", ("step",)),
    _Form("attention", "generation_attention", "attn_decode", ("isl",)),
    _Form("mla", "context_mla", "mla_prefill", ("step",)),
    _Form("mla", "generation_mla", "mla_decode", ("isl",)),
    _Form("mla", "mla_context_module", "mla_module_prefill"),
    _Form("mla", "mla_generation_module", "mla_module_decode"),
    _Form("moe", "moe", "moe"),
)
"""The tables that are read; those of links, quantisers and of operators we have no table for are not."""

_NAMES = {
    "op_name": "op",
    "gemm_dtype": "dtype",
    "kernel_source": "kernel",
    "bmm_dtype": "dtype",
    "moe_dtype": "dtype",
    "attn_dtype": "dtype",
    "mla_dtype": "dtype",
    "kv_cache_dtype": "kv_dtype",
    "gemm_type": "gemm_dtype",
    "num_key_value_heads": "num_kv_heads",
    "step": "kv_len_past",
}


def installed_tables(reference: str, read: Callable[[Path], Columns]) -> list[tuple[str, Columns]]:
    """Columns of the tables that a reference names, each with a name to show.

    Args:
        read: the columns of a Parquet file.
    Raises:
        UserError: without the package; for a chip, stack or version that it has no tables of.
    """
    systems = _systems(reference)
    chip, _, rest = reference.removeprefix(PREFIX).partition("/")
    stack, _, version = rest.partition("/")
    data = systems / "data"
    chips = _folders(data)
    if chip not in chips:
        raise unknown("chip of aiconfigurator", chip, chips)
    if stack and stack not in STACKS:
        raise unknown("stack of aiconfigurator", stack, STACKS)
    found: list[tuple[str, Columns]] = []
    for name in [stack] if stack else STACKS:
        chosen = version or _current(systems, chip, name)
        for form in FORMS:
            path = data / chip / form.folder / name / chosen / f"{form.file}_perf.parquet"
            if path.is_file():
                found.append((f"{reference} {form.file}", _renamed(read(path), form, chip, name)))
    if not found:
        versions = sorted(
            {v for form in FORMS for s in STACKS for v in _folders(data / chip / form.folder / s)}
        )
        raise UserError(f"{reference}: no tables of that stack and version (versions: {', '.join(versions)})")
    return found


def _systems(reference: str) -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"{reference} needs aiconfigurator-core, which is not installed (pip install 'bandwall[silicon]')"
        )
    return Path(spec.submodule_search_locations[0]) / "systems"


def _current(systems: Path, chip: str, stack: str) -> str:
    """The version that the package answers with for a chip and stack."""
    tree = cast("dict[str, dict[str, dict[str, object]]]", load(systems / "query_versions.yaml").tree)
    of_chip = cast("dict[str, dict[str, str]]", tree["overrides"].get(chip, {}))
    of_all = cast("dict[str, dict[str, str]]", tree["defaults"])
    return (of_chip.get(stack) or of_all[stack])["current"]


def _renamed(columns: Columns, form: _Form, chip: str, stack: str) -> dict[str, Column]:
    renamed = {_NAMES.get(name, name): column for name, column in columns.items() if name not in form.dropped}
    n = len(columns["latency"])
    renamed["latency_us"] = 1e3 * np.asarray(renamed.pop("latency"), np.float64)
    words = {"chip": chip, "framework": stack} | ({"op": form.op} if form.op else {})
    return renamed | {name: np.full(n, word) for name, word in words.items()}


def _folders(path: Path) -> Sequence[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
