"""What a kernel asks of a chip's engines, apart from how the asking overlaps.

A kernel runs one or more passes over its tiles. A pass is cut into n equal slices; a slice is drawn from
HBM, multiplied on the matrix engines and finished on the vector engines, while its neighbours are at the
other engines. The analytic timer merges the three times by a norm, the event timer lets the slices run.

Equal slices through engines that nobody else uses take, whatever the buffering beyond two,
    T = (memory + matrix + vector)/n + (n − 1)/n · max(memory, matrix, vector)
the makespan of n identical jobs in a flow shop (Johnson 1954 for two engines).
"""

from dataclasses import dataclass

import numpy as np

from sim.operators.quantities import Array

SLICES = 12
"""Most slices of a pass: finer steps of tiles are taken together, so that events stay few."""
STREAM_SLICE = 16 * 1024
"""Bytes per core of one step of a streaming kernel: what a core keeps in flight to hide HBM's latency."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a kernel's tiles, arrays over cases.

    Attributes:
        matrix, vector: s the engines need alone; memory: s of reading and writing alone, at the kernel's own
            share of HBM and at what the working cores can draw.
        bus: s of HBM's whole achievable bandwidth in that; steps: tile steps one core goes through.
    """

    matrix: Array
    vector: Array
    memory: Array
    bus: Array
    steps: Array

    @property
    def slices(self) -> Array:
        """Slices the pass is cut into."""
        return np.clip(np.ceil(self.steps), 1, SLICES)

    @property
    def alone(self) -> "Alone":
        """Seconds on a chip without other work, by the engine on the critical path."""
        longest = np.maximum(np.maximum(self.matrix, self.vector), self.memory)
        n, cores = self.slices, self.matrix + self.vector
        on_memory = self.memory >= longest
        whole = (n - 1.0) / n * longest
        compute = cores / n + np.where(on_memory, 0.0, whole)
        return Alone(compute, self.memory / n + np.where(on_memory, whole, 0.0))


@dataclass(frozen=True, slots=True)
class Alone:
    """Seconds of the critical path of a lone pass on the cores and in memory, arrays over cases."""

    compute: Array
    memory: Array

    @property
    def total(self) -> Array:
        """Seconds."""
        return self.compute + self.memory


@dataclass(frozen=True, slots=True)
class Kernel:
    """One execution of an operator, arrays over cases.

    Attributes:
        launch: s before the first tile; passes: one after the other, of the rank with most work.
        balanced: the same with the mean of all ranks' work; empty where all have the same.
    """

    launch: Array
    passes: tuple[Pass, ...]
    balanced: tuple[Pass, ...] = ()


def streamed(memory: Array, hbm: float, cores: int, matrix: Array, vector: Array) -> Pass:
    """A pass that streams bytes through all cores.

    Args:
        memory: s; hbm: B/s it streams at.
    """
    return Pass(matrix, vector, memory, memory, memory * hbm / (cores * STREAM_SLICE))
