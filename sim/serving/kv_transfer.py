"""KV cache on its way from prefill to decode engines: flows over the links of both, shared max-min fairly.

    link of a rank  = chips of the rank · bandwidth per chip      (out of a prefill rank, into a decode rank)
    start           = blocks allocated and prefill ended + overhead
    layer by layer  the flow of all layers but the last starts with the prefill, the last layer's when both
                    the prefill and the first flow have ended

One flow moves all the bytes that the decode rank's chips need: with MLA every tensor-parallel rank reads the
whole latent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sim.network.flows import Flow, FlowNetwork
from sim.serving.clock import Clock


@dataclass(frozen=True, slots=True)
class KvTransfer:
    """How KV caches move.

    Attributes:
        bandwidth: B/s per chip and direction.
        overhead: s before the bytes of a request flow (proxy, handshake).
        size: bytes of the cache of so many tokens, over all chips of a decode rank.
        layers: of the model; first of them overlap with the prefill where `layerwise`.
        layerwise: send each layer as soon as it is computed.
        local_tokens: prompts up to this length are computed by the decode engine itself.
    """

    bandwidth: float
    overhead: float
    size: Callable[[int], float]
    layers: int
    layerwise: bool = False
    local_tokens: int = 0


@dataclass(slots=True)
class _Move:
    """One request's transfer: what is known of it so far (s), None while it is not."""

    source: int | None = None
    target: int | None = None
    tokens: int = 0
    reserved: float | None = None
    started: float | None = None
    computed: float | None = None
    first: bool | None = None  # layers but the last: None not sent, False under way, True there


class KvMoves:
    """Transfers of a run, on a clock.

    Attributes:
        done: called with (request, time) when a request's cache has arrived.
    """

    def __init__(
        self, clock: Clock, transfer: KvTransfer, capacity: list[float], done: Callable[[int, float], None]
    ) -> None:
        self.clock = clock
        self.transfer = transfer
        self.flows = FlowNetwork(capacity)
        self.done = done
        self.moved = 0.0
        self._moves: dict[int, _Move] = {}
        self._under_way: dict[int, tuple[int, bool]] = {}
        self._version = 0

    def starts(self, request: int, source: int, time: float) -> None:
        """The request's prefill starts, on the rank with this link."""
        move = self._move(request)
        move.source, move.started = source, time
        if self.transfer.layerwise:
            self._next(request, move, time)

    def computed(self, request: int, time: float) -> None:
        """The request's prefill has ended."""
        move = self._move(request)
        move.computed = time
        self._next(request, move, time)

    def reserved(self, request: int, target: int, tokens: int, time: float) -> None:
        """Blocks for so many tokens are allocated, on the rank with this link."""
        move = self._move(request)
        move.target, move.tokens, move.reserved = target, tokens, time
        self._next(request, move, time)

    def _move(self, request: int) -> _Move:
        return self._moves.setdefault(request, _Move())

    def _next(self, request: int, move: _Move, time: float) -> None:
        """Send what can be sent now."""
        if move.reserved is None or move.started is None or move.first is False:
            return
        size, last = self.transfer.size(move.tokens), 1.0 / self.transfer.layers
        if move.computed is not None:
            share, overhead = (last, 0.0) if move.first else (1.0, self.transfer.overhead)
            self._send(request, True, share * size, time + overhead)
        elif move.first is None and self.transfer.layerwise:
            move.first = False
            self._send(request, False, (1.0 - last) * size, max(time, move.started) + self.transfer.overhead)

    def _send(self, request: int, last: bool, size: float, start: float) -> None:
        self.clock.at(start, lambda time: self._start(request, last, size, time))

    def _start(self, request: int, last: bool, size: float, time: float) -> None:
        self._arrived(self.flows.advance(time))
        move = self._moves[request]
        assert move.source is not None
        assert move.target is not None
        number = self.flows.start(Flow({move.source: 1.0, move.target: 1.0}, size, time))
        self._under_way[number] = (request, last)
        self.moved += size
        self._watch()

    def _watch(self) -> None:
        """Look again when the next flow ends."""
        self._version += 1
        version, time = self._version, self.flows.next_finish()
        if self._under_way:
            self.clock.at(time, lambda now: self._look(version, now))

    def _look(self, version: int, time: float) -> None:
        if version == self._version:
            self._arrived(self.flows.advance(time))
            self._watch()

    def _arrived(self, finished: list[tuple[int, float]]) -> None:
        for number, time in finished:
            request, last = self._under_way.pop(number)
            if last:
                del self._moves[request]
                self.done(request, time)
            else:
                move = self._moves[request]
                move.first = True
                self._next(request, move, time)
