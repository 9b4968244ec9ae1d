"""Which low-latency all-reduce kernels a serving stack brings, and up to which message it uses them.

A stack takes the fastest of its kernels whose limit the message respects; a message none of them takes goes
to the library.

Sources: the limits are where the stacks' tables (NVIDIA aiconfigurator, A100 and H100) go over to the
library: 8 MiB in vLLM, 16 MiB in SGLang, 64 MiB for vLLM's symmetric memory. The surcharge is what their
kernels take longer than TensorRT-LLM's, 1.1-1.5 µs on both chips.
"""

from dataclasses import dataclass
from math import inf

from sim.network.algorithms.kernels import Kernel, OneShot, SwitchShot, TwoShot

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Stack:
    """The kernels of one stack from a version on.

    Attributes:
        surcharge: s that a kernel's start takes beyond the tier's `low_latency`.
        kernels: each with the size of message (B) from which it is not used.
        library_too: it compares with the library below these sizes as well.
        host: what one call costs the host outside a graph, in the tier's `eager_launch`es.
    """

    name: str
    since: tuple[int, ...]
    surcharge: float
    kernels: tuple[tuple[Kernel, float], ...]
    library_too: bool = False
    host: float = 1.0


_SHOTS = (OneShot(), TwoShot())
STACKS = (
    Stack("trtllm", (), 0.0, ((OneShot(), inf),), library_too=True),
    Stack("vllm", (), 1.2e-6, tuple((kernel, 8 * _MIB) for kernel in _SHOTS)),
    Stack(
        "vllm",
        (0, 18),
        1.2e-6,
        (*((kernel, 8 * _MIB) for kernel in _SHOTS), (SwitchShot(), 64 * _MIB)),
    ),
    Stack("sglang", (), 1.2e-6, tuple((kernel, 16 * _MIB) for kernel in _SHOTS)),
    Stack("sglang", (0, 5, 11), 0.0, tuple((kernel, 16 * _MIB) for kernel in _SHOTS), host=1.4),
)
"""Of each stack's entries the last whose version has come counts."""

FASTEST = Stack("fastest", (), 1.2e-6, tuple((k, inf) for k in (*_SHOTS, SwitchShot())), library_too=True)
"""Whatever is fastest at each size, for a stack that is not named: no jump where a stack goes over."""


def stack(name: str, version: str) -> Stack:
    """The stack's kernels at a version such as "0.19.0" or "1.3.0rc20"; `FASTEST` if it is unknown."""
    at = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    found = [s for s in STACKS if s.name == name and s.since <= at]
    return found[-1] if found else FASTEST
