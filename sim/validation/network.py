"""Collectives and expert exchanges against measured tables, row by row.

Tables (parquet) have the columns
  collectives        chip, op, dtype, framework, version, kernel, num_gpus, bytes, latency_us
  expert exchanges   chip, op, dtype, framework, nodes, hidden_size, topk, num_experts, num_tokens, sms,
                     latency_us
`bytes` is the whole logical message. A kernel called outside a graph takes
    max(calls · eager_launch, T + 3 µs + 2S/(0.9·memory bandwidth))
since the host has to start it and its result is a copy. Exchanges are the kernels of DeepEP: fp8 tokens with
a scale per 128 values on their way out, bf16 results on their way back, top-k experts of all alike.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path

import numpy as np

from sim.hardware.cluster import Cluster
from sim.network import Routed, all_gather, all_reduce, all_to_all, reduce_scatter
from sim.network.exchange import forwarding, low_latency
from sim.network.group import levels
from sim.network.stacks import Stack, stack
from sim.operators.quantities import Array
from sim.validation.agreement import Agreement, Compared, agreement, comparison_json
from sim.validation.measured_tables import MeasuredRow, read_tables
from sim.validation.network_clusters import box_of, nodes_of

KEYS = ("operator", "chip", "dtype", "stack")
_COLLECTIVE = ("chip", "op", "dtype", "framework", "version", "kernel", "num_gpus", "bytes", "latency_us")
_EXCHANGE = (
    *("chip", "op", "dtype", "framework", "nodes", "hidden_size"),
    *("topk", "num_experts", "num_tokens", "sms", "latency_us"),
)
_TOLERANCE = 12.0
_EAGER_LAUNCH = 22e-6
"""s, of a host whose fabric states none: 19-45 µs on the machines of the aiconfigurator tables."""
_SECOND_KERNEL = 3e-6
"""s, a kernel boundary inside a stream: 1.5-3 µs in the same tables."""
_COPIED_SHARE = 0.9
"""Of the memory bandwidth, for a plain copy: the upper end of 0.63-0.92 of quantisation kernels there."""
_SCALE_BYTES, _SCALED_VALUES = 4, 128
_LIBRARY: Mapping[str, Callable[[Cluster, int, Array], Array]] = {
    "all_gather": lambda of, ranks, message: all_gather(of, ranks, message).total,
    "reduce_scatter": lambda of, ranks, message: reduce_scatter(of, ranks, message).total,
    "alltoall": lambda of, ranks, message: all_to_all(of, ranks, message).total,
    "all_reduce": lambda of, ranks, message: all_reduce(of, ranks, message, stack=None).total,
}
_KERNEL_STACKS = {"TRTLLM": "trtllm", "vLLM": "vllm", "SGLang": "sglang"}


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """What was compared, by group (worst first), by chip and operator, and what was left out and why."""

    overall: tuple[Agreement, ...]
    groups: tuple[Agreement, ...]
    rows: tuple[Compared, ...]
    skipped: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        sections = {"overall": self.overall, "groups": self.groups}
        return comparison_json("network", sections, self.rows, self.skipped)


def validate_network(tables: Sequence[Path]) -> NetworkReport:
    """Prices each row's communication on the catalogue's cluster of its chip, and compares.

    Raises:
        UserError: for a table that cannot be read or has other columns, or without pyarrow.
    """
    skipped: Counter[str] = Counter()
    collectives, exchanges = read_tables(tables, [_COLLECTIVE, _EXCHANGE], skipped)
    compared = _compare(collectives, _collective_key, _collective_times, skipped)
    compared += _compare(exchanges, _exchange_key, _exchange_times, skipped)
    return NetworkReport(
        overall=agreement(compared, ("chip", "operator")),
        groups=agreement(compared, KEYS),
        rows=tuple(compared),
        skipped=dict(skipped),
    )


Key = tuple[object, ...]


def _compare(
    rows: Sequence[MeasuredRow],
    key: Callable[[MeasuredRow], Key],
    times: Callable[[Sequence[MeasuredRow]], Array | str],
    skipped: Counter[str],
) -> list[Compared]:
    """Rows of one key are priced together; `times` returns seconds, or why it cannot."""
    groups: defaultdict[Key, list[MeasuredRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    compared: list[Compared] = []
    for group in groups.values():
        priced = times(group)
        if isinstance(priced, str):
            skipped[priced] += len(group)
            continue
        for row, seconds in zip(group, priced, strict=True):
            compared.append(
                Compared(row.id, _keys(row), row.number("latency_us"), 1e6 * float(seconds), _TOLERANCE)
            )
    return compared


def _keys(row: MeasuredRow) -> dict[str, str]:
    kernel = str(row.values.get("kernel", ""))
    stack_name = row.text("framework") + (" eager" if kernel.endswith("_eager") else "")
    return {
        "operator": row.text("op"),
        "chip": row.text("chip"),
        "dtype": row.text("dtype"),
        "stack": stack_name,
    }


def _collective_key(row: MeasuredRow) -> Key:
    return tuple(row.values[name] for name in ("chip", "op", "framework", "version", "kernel", "num_gpus"))


def _collective_times(rows: Sequence[MeasuredRow]) -> Array | str:
    one = rows[0]
    of, ranks, operator = box_of(one.text("chip")), one.whole("num_gpus"), one.text("op")
    if of is None:
        return f"no cluster of {one.text('chip')} in the catalogue"
    if ranks > of.chips:
        return f"{ranks} chips are more than {of.name} has"
    message = np.array([row.number("bytes") for row in rows])
    if operator in _LIBRARY:
        return _LIBRARY[operator](of, ranks, message)
    if operator != "custom_all_reduce":
        return f"no collective '{operator}'"
    kernel, version = one.text("kernel"), one.text("version")
    named = next(
        (s for prefix, s in _KERNEL_STACKS.items() if kernel.startswith(prefix)), one.text("framework")
    )
    kernels = stack(named, version if named == one.text("framework") else "")
    if kernel.endswith("_eager"):
        return _eager(of, ranks, message, kernels)
    return all_reduce(of, ranks, message, stack=kernels).total


def _eager(of: Cluster, ranks: int, message: Array, kernels: Stack) -> Array:
    """Outside a graph. The switch's kernel works in a buffer of its own, which is a call more."""
    time = all_reduce(of, ranks, message, stack=kernels)
    names = time.algorithm if len(time.algorithm) > 1 else time.algorithm * message.size
    calls = np.array([2.0 if name == "switch-shot" else kernels.host for name in names])
    copied = _SECOND_KERNEL + 2 * message / (_COPIED_SHARE * of.chip.memory.bandwidth)
    return np.maximum(calls * (of.tiers[0].eager_launch or _EAGER_LAUNCH), time.total + copied)


def _exchange_key(row: MeasuredRow) -> Key:
    return tuple(row.values[n] for n in ("chip", "op", "nodes", "hidden_size", "topk", "num_experts", "sms"))


def _exchange_times(rows: Sequence[MeasuredRow]) -> Array | str:
    one = rows[0]
    nodes, operator = one.whole("nodes"), one.text("op")
    found = nodes_of(one.text("chip"), nodes)
    if found is None:
        return f"no cluster of {one.text('chip')} in the catalogue"
    if not operator.startswith("deepep_"):
        return f"no exchange '{operator}'"
    of, node = found
    ranks, experts, top_k = node * nodes, one.whole("num_experts"), one.whole("topk")
    spanned = levels(of, ranks)
    servers = max(ranks // of.server, 1)
    combine, hidden = operator.endswith("combine"), one.whole("hidden_size")
    routed = Routed(
        tokens=np.array([row.number("num_tokens") for row in rows]),
        copies=float(top_k),
        distinct=_reached(ranks, top_k, experts),
        nodes=_reached(servers, top_k, experts),
        token_bytes=2.0 * hidden if combine else hidden * (1 + _SCALE_BYTES / _SCALED_VALUES),
        experts=experts,
        combine=combine,
    )
    if "_ll_" in operator:
        return low_latency(spanned, ranks, routed, of.chip.compute.cores).total
    return forwarding(spanned, ranks, routed, one.whole("sms")).total


def _reached(units: int, top_k: int, experts: int) -> float:
    """Units that hold one of `top_k` different experts, all alike likely: u·(1 − C(E − E/u, k)/C(E, k))."""
    elsewhere = experts - experts // units
    return units * (1 - comb(elsewhere, top_k) / comb(experts, top_k))
