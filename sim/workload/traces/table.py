"""A trace as columns, whatever its file looked like."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TraceTable:
    """Rows of a trace in file order.

    Attributes:
        arrival: s, relative to the trace's own start; None if the file has no times.
        blocks: identities of each prompt's blocks of `block_tokens` tokens, the last one partial.
        parent: row whose prompt and answer a prompt begins with, -1 for none; empty if there are none.
        session: session number, -1 for none; client: index into `clients`. Empty where not given.
        note: what about the rows is not recorded but estimated.
    """

    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    arrival: NDArray[np.float64] | None = None
    blocks: Sequence[Sequence[int]] | None = None
    block_tokens: int = 0
    priority: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    parent: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    session: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    client: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    clients: tuple[str, ...] = ()
    note: str = ""
