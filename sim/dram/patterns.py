"""Access patterns of inference, from what an operator reads and writes, and the classic ones.

Sizes are bytes in the chip's address space; a channel sees its share of each piece (see
sim.dram.channels).
"""

from dataclasses import dataclass

from sim.dram.channels import ChipMemory
from sim.dram.stream import Pattern, PatternSpec

_ENGINES = 8
"""Units of a chip that gather blocks side by side."""

ROW_OF_ACTIVATIONS = 16 * 1024.0
"""Bytes of one token's row: 8,192 values of 16 bits."""

_TURN = 64
"""Bytes one of several engines asks a channel for before the next has its turn."""


@dataclass(frozen=True, slots=True)
class AccessPattern:
    """What is asked of memory.

    Attributes:
        piece: bytes that are contiguous; the rest is unrelated to them.
        engines: units that read their own pieces side by side.
        write_fraction: of the traffic.
        stride: bytes from one access to the next, for the strided pattern.
        weights, blocks, appends: shares of the traffic, for the mix of a step.
        append: bytes written at a time, for the mix.
    """

    name: str
    kind: Pattern
    piece: float = 0.0
    engines: int = 1
    write_fraction: float = 0.0
    stride: float = 0.0
    weights: float = 0.0
    blocks: float = 0.0
    appends: float = 0.0
    append: float = 0.0

    def in_channel(self, memory: ChipMemory, seed: int = 1) -> PatternSpec:
        """The stream one channel of the memory sees."""
        organisation = memory.system.device.organisation
        line = organisation.transaction_bytes

        def lines(size: float) -> int:
            return max(1, round(memory.contiguous_in_channel(size) / line)) if size else 1

        granularity = lines(self.append) if self.kind == "llm" else max(1, _TURN // line)
        return PatternSpec(
            pattern=self.kind,
            lines=memory.system.mapping.lines,
            chunk=lines(self.piece),
            stride=max(1, round(self.stride / line)),
            streams=self.engines,
            granularity=granularity,
            write_fraction=self.write_fraction,
            weights=self.weights,
            blocks=self.blocks,
            appends=self.appends,
            seed=seed,
        )


def weight_stream() -> AccessPattern:
    """A matrix read from end to end."""
    return AccessPattern("weights", "seq")


def expert_weights(expert_bytes: float) -> AccessPattern:
    """Whole experts, picked by routing: contiguous within an expert, anywhere from one to the next."""
    return AccessPattern("experts", "rand", piece=expert_bytes)


def paged_kv(block_tokens: int, token_bytes: float, engines: int = _ENGINES) -> AccessPattern:
    """KV blocks of a layer, gathered by several engines.

    Args:
        token_bytes: of one layer, K or V: key-value heads · head size · bytes; of MLA the latent row.
    """
    return AccessPattern("paged-kv", "rand", piece=block_tokens * token_bytes, engines=engines)


def sparse_rows(row_bytes: float, engines: int = _ENGINES) -> AccessPattern:
    """Single KV rows picked by a sparse attention's indexer."""
    return AccessPattern("sparse-rows", "rand", piece=row_bytes, engines=engines)


def kv_append(token_bytes: float, engines: int = _ENGINES) -> AccessPattern:
    """Rows written at the ends of many sequences."""
    return AccessPattern("kv-append", "rand", piece=token_bytes, engines=engines, write_fraction=1.0)


def activations(write_fraction: float = 0.5, row_bytes: float = ROW_OF_ACTIVATIONS) -> AccessPattern:
    """Rows of a tensor read by several units while rows of another are written."""
    return AccessPattern(
        "activations", "rand", piece=row_bytes, engines=_ENGINES, write_fraction=write_fraction
    )


def step_mix(
    weight_bytes: float, kv_bytes: float, append_bytes: float, block_bytes: float, token_bytes: float
) -> AccessPattern:
    """A step's weights, KV blocks and KV appends at their shares of its traffic.

    Args:
        block_bytes: contiguous bytes of a KV block; token_bytes: written at a time.
    """
    total = weight_bytes + kv_bytes + append_bytes
    return AccessPattern(
        "step-mix",
        "llm",
        piece=block_bytes,
        append=token_bytes,
        weights=weight_bytes / total,
        blocks=kv_bytes / total,
        appends=append_bytes / total,
    )


def uniform_random(write_fraction: float = 0.0) -> AccessPattern:
    """Single lines anywhere."""
    return AccessPattern("random", "rand", write_fraction=write_fraction)


def random_chunks(piece: float, write_fraction: float = 0.0) -> AccessPattern:
    """Contiguous pieces anywhere."""
    return AccessPattern("chunks", "rand", piece=piece, write_fraction=write_fraction)


def strided(stride: float) -> AccessPattern:
    """One line every `stride` bytes of a channel."""
    return AccessPattern("strided", "stride", stride=stride)


def sequential_streams(streams: int) -> AccessPattern:
    """Several sequential streams that take turns, from unrelated places."""
    return AccessPattern("streams", "streams_rnd", engines=streams)
