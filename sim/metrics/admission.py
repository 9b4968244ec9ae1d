"""What waiting requests wait for, from the run's binned state.

In a bin where at least one request waits on average:
    KV in use ≥ 90 %                     → kv_cache: no room for another prompt's blocks
    running ≥ 95 % of all seats          → max_num_seqs
    otherwise                            → step_budget: tokens per step, or the end of the running step
"""

import numpy as np

from sim.serving.records import Series

KV_FULL = 0.90
SEATS_FULL = 0.95


def waiting_for(series: Series, seats: int) -> dict[str, float]:
    """Share of the run in which requests wait, by what they wait for; all 0 where nobody waits.

    Args:
        seats: max_num_seqs of all attention-dp ranks of all replicas together.
    """
    bins = max(1, len(series.time))
    waits = series.waiting >= 1.0
    kv = waits & (series.kv_used >= KV_FULL)
    full = waits & ~kv & (series.running >= SEATS_FULL * seats)
    rest = waits & ~kv & ~full
    return {
        "kv_cache": int(np.count_nonzero(kv)) / bins,
        "max_num_seqs": int(np.count_nonzero(full)) / bins,
        "step_budget": int(np.count_nonzero(rest)) / bins,
    }
