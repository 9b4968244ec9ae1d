"""KV offload of a case: which store, and how large.

InferenceX's sweep over conversations (experimental/multiturn, sweep script beside its results) gives vLLM's
native offloading 1,000 GiB of host memory divided by the tensor-parallel size; vLLM takes the number as the
total over those ranks. Other cases name a store but not its size.
"""

from sim.validation.serving.cases import MeasuredCase
from sim.validation.serving.recipes import is_conversation_sweep

_SWEEP_GIB = 1000


def offload_size_known(case: MeasuredCase) -> bool:
    """Whether the case's offload can be simulated; also where it has none."""
    return not case.workload.get("kv_offload") or is_conversation_sweep(case)


def kv_offload_of(case: MeasuredCase, tp: int) -> dict[str, object] | None:
    """The `kv_offload:` tree of a case, None without."""
    if not case.workload.get("kv_offload"):
        return None
    return {"dram": {"capacity": f"{_SWEEP_GIB / tp:g} GiB"}}
