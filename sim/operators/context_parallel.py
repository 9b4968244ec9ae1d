"""What ranks exchange that share the KV cache of a sequence token by token: pcp · dcp of them.

Decode: the dcp ranks hold the same KV heads; each gathers the queries of all, attends over its 1/(pcp·dcp) of
the tokens, and the partial outputs are merged by their log-sum-exp, every rank keeping its own heads:
    queries   all-gather over dcp            tokens · dcp · heads · qk_dim
    scales    all-gather over the group      tokens · group · heads · 4 B             group: dcp, then pcp
    outputs   reduce-scatter over dcp        tokens · dcp · heads · v_dim
              all-reduce over pcp            tokens · heads · v_dim
Prefill: each of pcp ranks computes its part of a chunk's tokens against all keys, which it gathers:
    new and cached tokens over pcp           (past / dcp + new) · cache bytes
    cached tokens over dcp                   past · cache bytes
heads are those of one rank. The ranks of dcp are consecutive chips, those of pcp are tp apart.

Source: vLLM 0.32, `v1/attention/ops/common.py` (cp_lse_ag_out_rs) and `mla/common.py`; its FlashAttention
backend gathers queries instead of cached tokens in prefill; vllm-ascend merges over pcp likewise. Chunks
count as kernels pad them, so that their price depends on tiles alone.
"""

from collections.abc import Iterator

import numpy as np

from sim.deployment.deployment import Parallel
from sim.operators.chunks import ChunkWork
from sim.operators.communication import Collective
from sim.operators.operators import Heads
from sim.operators.quantities import ACTIVATION_BYTES, Array

_GROUP = "communication"
_SCALE_BYTES = 4.0
"""One log-sum-exp of a head and token, in fp32."""


def gathered_queries(parallel: Parallel, count: int, heads: Heads, rows: Array) -> Iterator[Collective]:
    """The queries of the ranks that hold the same keys."""
    if parallel.dcp > 1:
        message = parallel.dcp * heads.query * heads.qk_dim * ACTIVATION_BYTES * rows
        yield Collective("query_gather", _GROUP, count, "all_gather", parallel.dcp, message)


def merged_outputs(parallel: Parallel, count: int, heads: Heads, rows: Array) -> Iterator[Collective]:
    """Partial outputs made one."""
    dcp, pcp, tp = parallel.dcp, parallel.pcp, parallel.tp
    output = heads.query * heads.v_dim * ACTIVATION_BYTES * rows
    scales = heads.query * _SCALE_BYTES * rows
    if dcp > 1:
        yield Collective("scale_gather", _GROUP, count, "all_gather", dcp, dcp * dcp * scales)
        yield Collective("output_merge", _GROUP, count, "reduce_scatter", dcp, dcp * output)
    if pcp > 1:
        yield Collective("scale_gather", _GROUP, count, "all_gather", pcp, pcp * scales, tp)
        yield Collective("output_merge", _GROUP, count, "all_reduce", pcp, output, tp)


def gathered_caches(
    parallel: Parallel, count: int, cache_bytes: float, whole: ChunkWork
) -> Iterator[Collective]:
    """Keys and values of the step's chunks, new and cached ones.

    Args:
        cache_bytes: of one token on one rank.
    """
    past, dcp, pcp = whole.seen_rows - whole.rows, parallel.dcp, parallel.pcp
    if pcp > 1:
        message = np.array([(past / dcp + whole.rows) * cache_bytes])
        yield Collective("cache_gather", _GROUP, count, "all_gather", pcp, message, parallel.tp)
    if dcp > 1 and past:
        message = np.array([past * cache_bytes])
        yield Collective("cache_gather", _GROUP, count, "all_gather", dcp, message)
