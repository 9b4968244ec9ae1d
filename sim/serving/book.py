"""The hot state of every request of a run, as plain lists indexed by request."""

from collections.abc import Sequence

from sim.serving.kv_cache import Table

WAITING, PREFILL, DECODE, STARVED, DRAINING, DONE, REFUSED, FETCHING, GIVEN_UP = range(9)


class RequestBook:
    """One row per request; the replicas of a fleet share the book.

    Given: `arrival` (engine time), `prompt` tokens, `cap` (tokens it may generate), `priority`, `table`
    (its content, None while nobody else can ask for it) and `open` (its generated tokens are content that
    others may ask for).

    Decided: `state`; `known` tokens and `computed` tokens (only kept up to date outside the decode set);
    `blocks` of its table (likewise); `inflight` tokens not yet delivered; `order`, the number of its last
    admission; `offset`, computed tokens minus the scheduler's tick. With speculation: `pace`, the request's
    tokens a step (given), and `fraction`, what it has computed of its next token.

    Recorded: `received` (when its engine got it),
    `scheduled`, `first_token`, `finish` (engine time or None), `cached_first`, `cached`,
    `preemptions`, `thrown_out` (when it lost its blocks, None while it has what it computed); `recomputes`
    lists (request, thrown out, next token) of the whole book.
    """

    __slots__ = (
        "arrival", "blocks", "cached", "cached_first", "cap", "computed", "finish", "first_token", "fraction",
        "inflight", "known", "offset", "open", "order", "pace", "preemptions", "priority", "prompt",
        "received", "recomputes", "scheduled", "state", "table", "thrown_out",
    )  # fmt: skip

    def __init__(
        self,
        arrival: Sequence[float],
        prompt: Sequence[int],
        cap: Sequence[int],
        priority: Sequence[int] | None = None,
        tables: Sequence[Table | None] | None = None,
        open_output: Sequence[bool] | None = None,
        pace: Sequence[float] | None = None,
    ) -> None:
        n = len(arrival)
        self.arrival = list(arrival)
        self.prompt = list(prompt)
        self.cap = list(cap)
        self.priority = list(priority) if priority is not None else [0] * n
        self.table: list[Table | None] = list(tables) if tables is not None else [None] * n
        self.open = list(open_output) if open_output is not None else [False] * n
        self.state = [WAITING] * n
        self.known = list(prompt)
        self.computed = [0] * n
        self.blocks = [0] * n
        self.inflight = [0] * n
        self.order = [0] * n
        self.offset = [0] * n
        self.pace: list[float] = list(pace) if pace is not None else [1] * n
        self.fraction: list[float] = [0] * n
        self.received: list[float | None] = [None] * n
        self.scheduled: list[float | None] = [None] * n
        self.first_token: list[float | None] = [None] * n
        self.finish: list[float | None] = [None] * n
        self.cached_first = [0] * n
        self.cached = [0] * n
        self.preemptions = [0] * n
        self.thrown_out: list[float | None] = [None] * n
        self.recomputes: list[tuple[int, float, float]] = []
