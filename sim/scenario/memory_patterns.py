"""Access patterns by name, as `bandwall memory` takes them: the parameters of each and their defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sim import dram
from sim.errors import UserError, nearest, unknown
from sim.units import BYTES, parse, show

Values = Mapping[str, float]
Kind = Literal["count", "bytes", "share"]

_MOST = 4096
_LARGEST = 2**40
_KINDS: dict[str, Kind] = {
    "block_tokens": "count",
    "token_bytes": "bytes",
    "chunk": "bytes",
    "stride": "bytes",
    "streams": "count",
    "write_fraction": "share",
    "weight_share": "share",
    "kv_share": "share",
}


@dataclass(frozen=True, slots=True)
class PatternForm:
    """A pattern that can be asked for by name: what it is and its parameters with their defaults."""

    what: str
    defaults: Values
    make: Callable[[Values], dram.AccessPattern]

    @property
    def text(self) -> str:
        """Parameters and defaults in words."""
        return ", ".join(f"{name} {parameter_text(name, value)}" for name, value in self.defaults.items())


@dataclass(frozen=True, slots=True)
class ChosenPattern:
    """A pattern with the values it was made from; sizes in bytes."""

    name: str
    parameters: Values
    access: dram.AccessPattern

    @property
    def text(self) -> str:
        """'paged-kv (block_tokens 16, token_bytes 2 KiB, streams 8)'."""
        values = [f"{name} {parameter_text(name, value)}" for name, value in self.parameters.items()]
        return f"{self.name} ({', '.join(values)})" if values else self.name


def _step_mix(p: Values) -> dram.AccessPattern:
    if p["weight_share"] + p["kv_share"] > 1:
        raise UserError("weight_share and kv_share together must not exceed 1; the rest is KV appends")
    appends = 1.0 - p["weight_share"] - p["kv_share"]
    block = p["block_tokens"] * p["token_bytes"]
    return dram.step_mix(p["weight_share"], p["kv_share"], appends, block, p["token_bytes"])


FORMS: dict[str, PatternForm] = {
    "weights": PatternForm("a matrix read from end to end", {}, lambda _: dram.weight_stream()),
    "experts": PatternForm(
        "whole experts picked by routing, `chunk` bytes each",
        {"chunk": 16 * 2**20},
        lambda p: dram.expert_weights(p["chunk"]),
    ),
    "paged-kv": PatternForm(
        "KV blocks of a layer (K or V, or MLA's latent rows), gathered side by side",
        {"block_tokens": 16, "token_bytes": 2048, "streams": 8},
        lambda p: dram.paged_kv(int(p["block_tokens"]), p["token_bytes"], int(p["streams"])),
    ),
    "sparse-rows": PatternForm(
        "single KV rows picked by a sparse attention's indexer",
        {"token_bytes": 1152, "streams": 8},
        lambda p: dram.sparse_rows(p["token_bytes"], int(p["streams"])),
    ),
    "kv-append": PatternForm(
        "rows written at the ends of many sequences",
        {"token_bytes": 2048, "streams": 8},
        lambda p: dram.kv_append(p["token_bytes"], int(p["streams"])),
    ),
    "activations": PatternForm(
        "a tensor read while another is written",
        {"write_fraction": 0.5},
        lambda p: dram.activations(p["write_fraction"]),
    ),
    "step-mix": PatternForm(
        "weights, KV blocks and KV appends at their shares of a step's traffic",
        {"weight_share": 0.7, "kv_share": 0.25, "block_tokens": 16, "token_bytes": 2048},
        _step_mix,
    ),
    "random": PatternForm(
        "single transactions anywhere",
        {"write_fraction": 0.0},
        lambda p: dram.uniform_random(p["write_fraction"]),
    ),
    "chunks": PatternForm(
        "contiguous pieces anywhere",
        {"chunk": 16 * 2**10, "write_fraction": 0.0},
        lambda p: dram.random_chunks(p["chunk"], p["write_fraction"]),
    ),
    "strided": PatternForm(
        "one transaction every `stride` bytes of a channel",
        {"stride": 1024},
        lambda p: dram.strided(p["stride"]),
    ),
    "streams": PatternForm(
        "sequential streams that take turns",
        {"streams": 8},
        lambda p: dram.sequential_streams(int(p["streams"])),
    ),
}


def access_pattern(name: str, given: Mapping[str, object]) -> ChosenPattern:
    """The pattern of that name with the given parameters, defaults for the others.

    Args:
        given: parameters by name; sizes as '2 KiB' or a number of bytes.
    Raises:
        UserError: for an unknown pattern, a parameter it does not take, a value that is not allowed.
    """
    if name not in FORMS:
        raise unknown("access pattern", name, FORMS)
    form = FORMS[name]
    for parameter in given:
        if parameter not in form.defaults:
            takes = ", ".join(form.defaults) or "no parameter"
            hint = nearest(parameter, form.defaults)
            raise UserError(f"access pattern '{name}' has no '{parameter}'{hint} (it takes {takes})")
    values = dict(form.defaults) | {key: _value(name, key, raw) for key, raw in given.items()}
    return ChosenPattern(name, values, form.make(values))


def parameter_text(name: str, value: float) -> str:
    """A parameter's value as a user would write it."""
    if _KINDS[name] != "bytes":
        return f"{value:g}"
    text = show(value, BYTES)
    return text if "iB" in text else f"{value:,.0f} B"


def _value(pattern: str, name: str, raw: object) -> float:
    try:
        return _READERS[_KINDS[name]](raw)
    except ValueError as error:
        raise UserError(f"access pattern '{pattern}': {name}: {error}") from None


def _count(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int) or not 1 <= raw <= _MOST:
        raise ValueError(f"must be a whole number from 1 to {_MOST:,}, found {raw!r}")
    return raw


def _size(raw: object) -> float:
    if isinstance(raw, str) and raw.isdecimal():
        raw = int(raw)
    size = raw if isinstance(raw, int | float) else parse(raw, BYTES)
    if not 1 <= size <= _LARGEST:
        raise ValueError(f"must lie between 1 B and 1 TiB, found {raw!r}")
    return size


def _share(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= 1:
        raise ValueError(f"must lie between 0 and 1, found {raw!r}")
    return float(raw)


_READERS: dict[Kind, Callable[[object], float]] = {"count": _count, "bytes": _size, "share": _share}


def list_patterns() -> dict[str, PatternForm]:
    """Every access pattern by name."""
    return dict(FORMS)
