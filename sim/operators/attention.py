"""Attention blocks as operators: what depends on the step's tokens, on its decodes, on its chunks.

GQA   heads per chip = heads / tp, KV heads = max(1, kv_heads / tp).
MLA   the latent is whole on every chip. A decode scores it absorbed: query · W_k (per head), attention over
      kv_lora_rank + qk_rope, then · W_v; a prefill chunk expands the latents of all the tokens it sees with
      kv_b and runs ordinary attention. With an indexer every query runs absorbed over its top k.
      `expand` caches full heads instead: kv_b on new tokens only, ordinary attention for both.
Ranks that share a sequence token by token: sim.operators.context_parallel.
Chunk tokens count as kernels pad them (sim.operators.chunks).
RoPE, the QKV split and the cache append are in the attention kernels' own time (docs/operators.md).
"""

from dataclasses import dataclass, replace

import numpy as np

from sim.deployment.deployment import Deployment
from sim.deployment.kv_cache import index_key_bytes
from sim.models.architecture import Gqa, Mla, Recurrent
from sim.models.kv_groups import state_bytes, tokens_read
from sim.models.matrices import Matrix
from sim.operators.chunks import TILE, ChunkWork
from sim.operators.context_parallel import gathered_caches, gathered_queries, merged_outputs
from sim.operators.operators import (
    Collective,
    DecodeAttention,
    Elementwise,
    Gemm,
    Heads,
    Operator,
    PrefillAttention,
    StateUpdate,
)
from sim.operators.products import fused, fused_product, product
from sim.operators.quantities import ACTIVATION_BYTES, Array

GROUP = "attention"
SCAN_CHUNK = 64
"""Tokens that the chunkwise form of a linear recurrence takes at once (Gated DeltaNet, Mamba-2 kernels)."""

_SUMS_OF_SQUARES = 8.0
"""Bytes per token of the two sums (fp32) that ranks exchange where queries and keys are each normed over all
heads."""

_STATE_FLOPS = {"gated_delta_net": 7, "kda": 7, "mamba2": 5, "lightning": 5}
"""Operations per state element and token in the recurrent form (sim.models.accounting has the derivation)."""


@dataclass(frozen=True, slots=True)
class AttentionBlock:
    """`count` layers with the same attention, and its weight matrices, under one deployment."""

    attention: Gqa | Mla | Recurrent
    count: int
    deployment: Deployment
    matrices: tuple[Matrix, ...]

    @property
    def window(self) -> int | None:
        """The most tokens a query of the main attention reads, None for all."""
        return None if isinstance(self.attention, Recurrent) else tokens_read(self.attention)

    def tokens(self, rows: Array) -> list[Operator]:
        """Projections, norms inside attention and the all-reduce, on every token of the step."""
        return self.before(rows) + self.after(rows)

    def before(self, rows: Array) -> list[Operator]:
        """What computes queries, keys and values: projections and norms inside attention."""
        operators = self._projections([m for m in self.matrices if m.split != "row"], rows)
        return operators + self._inner_norms(rows)

    def after(self, rows: Array) -> list[Operator]:
        """What follows the attention kernels: the way out of the latent space of sparse attention, the output
        projection and the all-reduce."""
        a, tp, operators = self.attention, self.deployment.parallel.tp, list[Operator]()
        if isinstance(a, Mla) and a.indexer is not None and not self._expands:
            operators += self._absorb(a, rows)
        operators += self._projections([m for m in self.matrices if m.split == "row"], rows)
        if tp > 1:
            message = self.deployment.model.hidden * ACTIVATION_BYTES * rows
            operators.append(
                Collective("attention_all_reduce", "communication", self.count, "all_reduce", tp, message)
            )
        return operators

    def _projections(self, matrices: list[Matrix], rows: Array) -> list[Operator]:
        """Products with the weight matrices that are read as they are."""
        precision, tp = self.deployment.precision, self.deployment.parallel.tp
        kv_heads = self.attention.kv_heads if isinstance(self.attention, Gqa) else 1
        operators: list[Operator] = []
        for together in fused(m for m in matrices if m.name != "kv_b" or self._expands):
            operators += fused_product(
                together, GROUP, self.count, rows, tp, kv_heads, precision.stored("attention"), precision
            )
        return operators

    def decodes(self, sequences: Array, read: Array, queries: int = 1) -> list[Operator]:
        """The attention kernels of the decodes, which read `read` tokens in all."""
        if isinstance(self.attention, Recurrent):
            return []
        heads, latent = self._decode_heads(self.attention)
        name, parallel = "mla_decode" if latent else "decode", self.deployment.parallel
        if parallel.cp > 1:
            heads, read = replace(heads, query=parallel.dcp * heads.query), read / parallel.cp
        return [
            DecodeAttention(
                name, GROUP, self.count, sequences, read, heads, latent, queries, self._block, 1 / parallel.cp
            )
        ]

    def per_decode(self, sequences: Array, queries: int = 1) -> list[Operator]:
        """What a decode computes whatever its context: absorption into the latent space, a state's update,
        the exchange of ranks that share its cache."""
        return [*self.before_decodes(sequences, queries), *self.after_decodes(sequences, queries)]

    def before_decodes(self, sequences: Array, queries: int = 1) -> list[Operator]:
        """What comes before the decodes' attention kernels."""
        a, rows = self.attention, queries * sequences
        if isinstance(a, Recurrent):
            return [self._state_update(a, sequences, rows, chunked=False)]
        absorbed = self._absorb(a, rows)[:1] if self._absorbs(a) else []
        heads, _ = self._decode_heads(a)
        return [*absorbed, *gathered_queries(self.deployment.parallel, self.count, heads, rows)]

    def after_decodes(self, sequences: Array, queries: int = 1) -> list[Operator]:
        """What comes behind them."""
        a, rows = self.attention, queries * sequences
        if isinstance(a, Recurrent):
            return []
        merged = merged_outputs(self.deployment.parallel, self.count, self._decode_heads(a)[0], rows)
        return [*merged, *(self._absorb(a, rows)[1:] if self._absorbs(a) else [])]

    def _absorbs(self, a: Gqa | Mla) -> bool:
        """Whether decodes alone go through the latent space (with an indexer every token does)."""
        return isinstance(a, Mla) and a.indexer is None and not self._expands

    def index_decodes(self, sequences: Array, context: Array, queries: int = 1) -> list[Operator]:
        """Scores of every cached key and the selection of the top k, where there is an indexer."""
        heads = self._index_heads()
        if heads is None:
            return []
        score = DecodeAttention(
            "index_scores",
            GROUP,
            self.count,
            sequences,
            context,
            heads,
            queries=queries,
            block=self._cache_block,
        )
        return [score, _streamed("index_top_k", self.count, queries * context, 4, 4)]

    def chunks(self, work: ChunkWork, whole: ChunkWork) -> list[Operator]:
        """Kernels of the prefill chunks: `work` under this attention's window, `whole` without one."""
        a = self.attention
        if isinstance(a, Recurrent):
            one = np.array([float(whole.chunks)])
            return [self._state_update(a, one, np.array([float(whole.rows)]), chunked=True)]
        index = self._index_heads()
        if index is not None:
            pairs = np.array([float(TILE * TILE * whole.tiles)])
            heads, _ = self._decode_heads(a)
            return [
                PrefillAttention("index_scores", GROUP, self.count, whole, index, block=self._cache_block),
                _streamed("index_top_k", self.count, pairs, 4, 4),
                PrefillAttention(
                    "mla_prefill", GROUP, self.count, work, heads, expanded=True, block=self._block
                ),
            ]
        expanded = isinstance(a, Mla)
        full, parallel = self._full_heads(a), self.deployment.parallel
        cached = self._decode_heads(a)[0].cache_bytes
        gather = gathered_caches(parallel, self.count, cached, whole)
        own = work.shared(parallel.pcp)
        attention = PrefillAttention("prefill", GROUP, self.count, own, full, expanded, self._cache_block)
        if isinstance(a, Gqa) or self._expands:
            return [*gather, attention]
        return [*gather, *self._expansion(a, work), attention]

    @property
    def _cache_block(self) -> int:
        return self.deployment.engine.block_size

    @property
    def _block(self) -> int:
        """Tokens of the cache that lie together in what the main attention reads: an indexer picks rows."""
        return 1 if self._index_heads() is not None else self._cache_block

    @property
    def _expands(self) -> bool:
        return isinstance(self.attention, Mla) and self.deployment.engine.expand_mla

    def _rank(self, heads: int) -> int:
        return -(-heads // self.deployment.parallel.tp)

    def _heads(self, query: int, kv: int, qk: int, v: int, values: int) -> Heads:
        """Attention multiplies in bf16, or in fp8 where queries and cache both are."""
        precision = self.deployment.precision
        arithmetic = "fp8" if precision.activations == precision.kv_cache == "fp8" else "bf16"
        return Heads(query, kv, qk, v, values, precision.kv_cache, arithmetic)

    def _full_heads(self, a: Gqa | Mla) -> Heads:
        """Ordinary attention: grouped heads, or MLA's latents expanded to one key and value per head."""
        heads = self._rank(a.heads)
        if isinstance(a, Gqa):
            kv = max(1, a.kv_heads // self.deployment.parallel.tp)
            return self._heads(heads, kv, a.head_dim, a.v_head_dim, kv * (a.head_dim + a.v_head_dim))
        qk = a.qk_nope + a.qk_rope
        values = 2 * heads * max(qk, a.v_head) if self._expands else heads * (qk + a.v_head)
        return self._heads(heads, heads, qk, a.v_head, values)

    def _decode_heads(self, a: Gqa | Mla) -> tuple[Heads, bool]:
        """What a decode attends with, and whether that is the latent."""
        if isinstance(a, Gqa) or self._expands:
            return self._full_heads(a), False
        latent = a.kv_lora_rank + a.qk_rope
        return self._heads(self._rank(a.heads), 1, latent, a.kv_lora_rank, latent), True

    def _index_heads(self) -> Heads | None:
        """The indexer's heads, whole on every chip; None where nothing is indexed.

        Keys are fp8 with their scales, and scored in fp8, where the chip multiplies it (DeepSeek-V3.2's
        report, section 2.1; DeepGEMM's fp8_mqa_logits and fp8_paged_mqa_logits).
        """
        a = self.attention
        if not isinstance(a, Mla) or a.indexer is None or self._expands:
            return None
        i = a.indexer
        if "fp8" in self.deployment.cluster.chip.compute.peak:
            return Heads(i.heads, 1, i.head_dim, 0, index_key_bytes(i.head_dim), "fp8", "fp8")
        return Heads(i.heads, 1, i.head_dim, 0, i.head_dim, self.deployment.precision.kv_cache, "bf16")

    def _inner_norms(self, rows: Array) -> list[Operator]:
        """Norms of queries, keys or latents, and the output gate: read and written once each."""
        a, operators = self.attention, list[Operator]()
        width = 0
        if isinstance(a, Mla):
            width = (a.q_lora_rank or 0) + a.kv_lora_rank
        elif isinstance(a, Gqa) and a.qk_norm != "none":
            heads = self._full_heads(a)
            width = (heads.query + heads.kv) * a.head_dim
        elif isinstance(a, Recurrent):
            width = self._rank(a.heads) * a.value_dim
        if width:
            operators.append(_streamed("inner_norm", self.count, rows, 2 * width, width))
        tp = self.deployment.parallel.tp
        if tp > 1 and isinstance(a, Gqa) and a.qk_norm == "full":
            squares = _SUMS_OF_SQUARES * rows
            operators.append(
                Collective("qk_norm_all_reduce", "communication", self.count, "all_reduce", tp, squares)
            )
        if isinstance(a, Gqa | Mla) and a.output_gate:
            gated = self._rank(a.heads) * (a.v_head_dim if isinstance(a, Gqa) else a.v_head)
            operators.append(_streamed("output_gate", self.count, rows, 3 * gated, gated))
        return operators

    def _absorb(self, a: Gqa | Mla, rows: Array) -> list[Operator]:
        """Queries into the latent space and outputs out of it, one small product per head, in bf16 (engines
        keep W_k and W_v of quantised checkpoints so)."""
        assert isinstance(a, Mla)
        heads = self._rank(a.heads)
        shapes = (("absorb_q", a.qk_nope, a.kv_lora_rank), ("absorb_v", a.kv_lora_rank, a.v_head))
        return [
            Gemm(name, GROUP, self.count, rows, inner, columns, "bf16", "bf16", "bf16", heads)
            for name, inner, columns in shapes
        ]

    def _expansion(self, a: Mla, work: ChunkWork) -> list[Operator]:
        """Keys and values of every token the chunks see, out of the latents."""
        precision = self.deployment.precision
        columns = self._rank(a.heads) * (a.qk_nope + a.v_head)
        rows = np.array([float(work.seen_rows)])
        return list(
            product(
                "kv_b",
                GROUP,
                self.count,
                rows,
                a.kv_lora_rank,
                columns,
                precision.stored("attention"),
                precision,
            )
        )

    def _state_update(self, a: Recurrent, sequences: Array, tokens: Array, chunked: bool) -> StateUpdate:
        tp = self.deployment.parallel.tp
        heads = self._rank(a.heads)
        key, value = a.key_dim, a.value_dim
        flops = heads * key * value * _STATE_FLOPS[a.form]
        if chunked:
            flops = heads * (4 * key * value + 2 * SCAN_CHUNK * (key + value))
        width = (2 * a.key_heads * key + 2 * a.heads * value) / tp
        return StateUpdate(
            "state_scan" if chunked else "state_update",
            GROUP,
            self.count,
            sequences,
            tokens,
            state_bytes(a) / tp,
            float(flops),
            width * ACTIVATION_BYTES,
            "bf16",
            chunked,
        )


def _streamed(name: str, count: int, rows: Array, values: int, operations: int) -> Elementwise:
    return Elementwise(name, GROUP, count, rows, values * ACTIVATION_BYTES, 4.0 * operations)
