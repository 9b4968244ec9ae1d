"""A trace as columns, whatever its file looked like."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

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
        before: rows that each row waits for, with a pause (s) after the last of their answers; empty where
            everybody comes at the recorded time.
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
    before: Sequence[Sequence[int]] = ()
    pause: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    note: str = ""

    def scaled(self, prompt: float, output: float) -> "TraceTable":
        """The trace with prompts and outputs that many times as long, at least one token.

        Blocks grow with their prompts: what shared 37 % of its tokens still does.
        """
        if prompt == output == 1.0:
            return self
        outputs = _times(self.output_tokens, output)
        if self.blocks is None:
            return replace(self, prompt_tokens=_times(self.prompt_tokens, prompt), output_tokens=outputs)
        whole = np.array([len(blocks) - 1 for blocks in self.blocks], np.int64)
        block = max(1, round(prompt * self.block_tokens))
        last = _times(self.prompt_tokens - whole * self.block_tokens, prompt)
        return replace(self, prompt_tokens=whole * block + last, output_tokens=outputs, block_tokens=block)


def _times(tokens: NDArray[np.int64], factor: float) -> NDArray[np.int64]:
    return np.maximum(np.rint(tokens * factor), 1).astype(np.int64)
