"""The requests of a run as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pieces = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Follows:
    """Requests that come when others have been answered: turns of a session, an agent after its sub-agents.

    arrival of request i = max over its edges of the finish of `before` + pause_i

    Attributes:
        request, before: the edges; `before` is always the earlier row.
        pause: s, of every request; where no edge leads to a request it comes at its own arrival.
    """

    request: NDArray[np.int64]
    before: NDArray[np.int64]
    pause: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in arrival order.

    Attributes:
        arrival: s, non-decreasing; of requests that follow others the start of their session. Under
            closed-loop load all are 0 and `concurrency` says how many are in the system at once: request
            i + concurrency enters when the i-th to finish finishes.
        prompt_tokens, output_tokens: tokens, each at least 1.
        priority: smaller is more urgent; empty if all are equal.
        pieces: what each prompt consists of, as (segment, length): token i of a piece has the identity
            (segment, i), so equal leading pieces are equal content. None: every prompt is its own.
        output_segment: identity of each request's generated tokens; used where `pieces` is given.
        session: session of each request, -1 for none; empty if there are none.
        client: index into `clients`; empty with a single client.
        follows: which requests wait for the answers of others, None if none does.
        synthetic: what is drawn, estimated or left out instead of recorded; the result's notes say it.
    """

    arrival: NDArray[np.float64]
    prompt_tokens: NDArray[np.int64]
    output_tokens: NDArray[np.int64]
    priority: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    pieces: tuple[Pieces, ...] | None = None
    output_segment: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    session: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    client: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    clients: tuple[str, ...] = ()
    concurrency: int | None = None
    synthetic: str = ""
    follows: Follows | None = None

    def __len__(self) -> int:
        return len(self.arrival)


def shared_segments(prompts: Sequence[Pieces]) -> set[int]:
    """The segments that occur in more than one prompt; only they can be asked for again."""
    once: set[int] = set()
    shared: set[int] = set()
    for pieces in prompts:
        for segment, _ in pieces:
            (shared if segment in once else once).add(segment)
    return shared
