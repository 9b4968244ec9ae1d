"""One engine on the clock: time jumps from batch change to batch change.

The scheduler says for how many calls the batch stays the same; the surface says what those steps cost as
straight segments; the engine advances the clock by whole segments, in closed form:

    time of m steps = m·first + slope·m(m-1)/2,

and cuts a segment at the first call that would see a new arrival. Times are numbers of any kind: seconds as
float in `run`, integer nanoseconds in conformance. `step_by_step` takes every call on its own instead, for
tests: both give the same records.

Loop: at most `depth` batches are in flight (1 synchronous, 2 asynchronous). A call happens as soon as fewer
are; an empty result takes a place in flight too, until the batch before it has run.
"""

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import inf, sqrt
from typing import Protocol

from sim.serving.batch import Batch
from sim.serving.book import RequestBook
from sim.serving.front_end import FrontEnd
from sim.timing.surface_protocol import Surface


class Steppable(Protocol):
    """What an engine drives: one scheduler, or the data-parallel ranks of one replica in lockstep."""

    @property
    def idle(self) -> bool:
        """Nothing is waiting or running."""
        ...

    @property
    def seated(self) -> int:
        """Sequences that run."""
        ...

    def submit(self, request: int) -> None:
        """A request enters the waiting queue."""
        ...

    def horizon(self) -> int:
        """How many further calls schedule just the present decodes; 0 if the next must be looked at."""
        ...

    def segment(self, surface: Surface) -> tuple[float, float, int]:
        """(first, slope, length) of the present decodes' next steps."""
        ...

    def ahead(self, ticks: int, surface: Surface) -> float:
        """Duration of the next `ticks` decode-only steps, within the horizon; changes nothing."""
        ...

    def leap(self, ticks: int) -> list[int]:
        """`ticks` calls within the horizon; returns who got the last token in the last of them."""
        ...

    def schedule(self) -> Batch:
        """One call that is looked at."""
        ...

    def price(self, batch: Batch, surface: Surface) -> float:
        """Duration of a scheduled step."""
        ...

    @property
    def waited(self) -> tuple[float, float]:
        """(first, slope) of what was priced last: seconds in which the mean rank waits for the slowest."""
        ...

    def deliver(self, batch: Batch, time: float) -> None:
        """A batch has run until `time`."""
        ...

    def tokens(self, ticks: int) -> int:
        """Tokens that the present decodes' next `ticks` steps yield, within the horizon."""
        ...

    def may_deliver_early(self) -> bool:
        """Whether the next call decides the same if the sequences that finish during it are gone already."""
        ...

    def load(self) -> tuple[int, int, int, int, int]:
        """(decodes, Σ context of their next step, running, waiting, blocks held)."""
        ...


class Tape(Protocol):
    """Where the engine writes what it did; the engine reads none of it back."""

    def decode_steps(
        self, engine: "Engine", call: float, start: float, first: float, slope: float, steps: int
    ) -> None:
        """`steps` decode-only steps back to back from `start` on, the first of them decided at `call`;
        written before the scheduler advances past them."""
        ...

    def step(self, engine: "Engine", call: float, start: float, duration: float, batch: Batch) -> None:
        """One step that was looked at (also one that only preempted)."""
        ...


class Engine:
    """A scheduler, its clock and its prices.

    Attributes:
        now: time of the next call, or of the last event.
        steps: steps run so far.
        front_end: the server that requests pass first, None where they get here as they arrive; inbox: those
            that it hands over, as (when, request).
        expected: what else will happen, a heap of (when, order of asking, what is to be done then).
        early: requests that the scheduler has let go already though the call that the tape is about to write
            still saw them.
        on_start: called with (request, time) when a request's first step, starting at that time, is decided.
        on_finish: called with (request, time) when a request has finished.
    """

    __slots__ = (
        "_asked", "book", "depth", "early", "expected", "flight", "front_end", "inbox", "now", "on_finish",
        "on_start", "place_taken", "scheduler", "stalled", "step_by_step", "steps", "surface", "tape",
    )  # fmt: skip

    def __init__(
        self,
        scheduler: Steppable,
        book: RequestBook,
        surface: Surface,
        tape: Tape,
        *,
        depth: int,
        step_by_step: bool = False,
        front_end: FrontEnd | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.book = book
        self.front_end = front_end
        self.inbox: deque[tuple[float, int]] = deque()
        self.expected: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0
        self.surface = surface
        self.tape = tape
        self.depth = depth
        self.early: Sequence[int] = ()
        self.flight: deque[tuple[float, Batch | None]] = deque()
        self.now: float = 0
        self.place_taken = False
        self.stalled = False
        self.step_by_step = step_by_step
        self.steps = 0
        self.on_start: Callable[[int, float], None] | None = None
        self.on_finish: Callable[[int, float], None] | None = None

    def submit(self, request: int, time: float) -> None:
        """A request arrives; without a front end the engine must have been advanced to `time`."""
        if self.front_end is None:
            self._receive(request, time)
        else:
            self.front_end.take(request, time, self.book.prompt[request])

    def _receive(self, request: int, time: float) -> None:
        if self.book.received[request] is None:  # an engine that failed may have had it before
            self.book.received[request] = time
        self.wake(time)
        self.scheduler.submit(request)

    def wake(self, time: float) -> None:
        """What its scheduler waited for is about to happen; the engine must have been advanced to `time`."""
        if not self.flight and time > self.now and (self.stalled or self.scheduler.idle):
            self.now = time
        self.stalled = False

    def advance(self, to: float) -> None:
        """Run every call before `to` and deliver every batch that has ended by then."""
        due = self._due()
        while True:
            self._run(due if due < to else to)
            due = self._due()
            if due > to or due == inf:
                return
            self._happen(due)
            due = self._due()

    def expect(self, time: float, action: Callable[[], None]) -> None:
        """Something that the scheduler waits for happens at `time`, not before now."""
        self._asked += 1
        heappush(self.expected, (time, self._asked, action))

    def _due(self) -> float:
        """When the next thing happens that the engine does not decide itself; infinite for nothing."""
        due = inf
        if self.front_end is not None:
            if self.inbox:
                due = self.inbox[0][0]
            if self.front_end.taken:
                due = min(due, self.front_end.taken[0][0])
        return min(due, self.expected[0][0]) if self.expected else due

    def _happen(self, due: float) -> None:
        """Let the next such thing happen; the engine must have been advanced to its time, `due`."""
        inbox, expected = self.inbox, self.expected
        if expected and expected[0][0] == due:
            _, _, action = heappop(expected)
            self.wake(due)
            action()
        elif inbox and inbox[0][0] == due:
            self._receive(inbox.popleft()[1], due)
        elif self.front_end is not None:
            inbox.append(self.front_end.hand_over(self.scheduler.seated))

    def _run(self, to: float) -> None:
        """As `advance`, with the requests that are here; up to what begins meanwhile and ends before `to`."""
        flight, scheduler, expected = self.flight, self.scheduler, self.expected
        while True:
            if expected and expected[0][0] < to:
                to = expected[0][0]
            if len(flight) == self.depth or self.place_taken:
                end, batch = flight[0]
                if end > to:
                    return
                flight.popleft()
                self.place_taken = False
                self.now = end
                if batch is not None:
                    self._deliver(batch, end)
            if self.now >= to or self.stalled:
                return
            if not self.step_by_step and self._leap(to):
                continue
            if not scheduler.idle:
                self._call()
            elif flight:
                self.place_taken = True
            else:
                return

    @property
    def idle(self) -> bool:
        """Nothing is waiting or running, here or in the front end, and nothing else will happen."""
        return not self.expected and not self.at_the_door and self.scheduler.idle

    @property
    def at_the_door(self) -> int:
        """Requests that have arrived and are not with the scheduler yet."""
        return len(self.inbox) + (len(self.front_end.taken) if self.front_end is not None else 0)

    def newcomers(self) -> list[int]:
        """The requests at the door, in order."""
        taken = () if self.front_end is None else self.front_end.taken
        return [request for _, request in (*self.inbox, *taken)]

    @property
    def outstanding(self) -> int:
        """Requests that wait or run, here or in the front end."""
        _, _, running, waiting, _ = self.scheduler.load()
        return self.at_the_door + running + waiting

    def next_change(self) -> float:
        """When a sequence will next finish if nobody arrives, or an earlier time at which to look again;
        infinite when there is nothing to do."""
        return min(self._next_finish(), self._due())

    def _next_finish(self) -> float:
        """As `next_change`, with the requests that are here."""
        for end, batch in self.flight:
            if batch is not None and batch.finishing:
                return end
        limit = self.scheduler.horizon()
        if not limit:
            if self.flight:
                return self.flight[0][0]
            return inf if self.stalled or self.scheduler.idle else self.now
        start = self.flight[-1][0] if self.flight else self.now
        ahead = self.scheduler.ahead(limit, self.surface)
        # Rounding must not place it after the finish itself, which only the batch in flight knows exactly.
        return start + ahead - max(1e-9 * ahead, 1e-12 * start)

    def _deliver(self, batch: Batch, end: float) -> None:
        self.scheduler.deliver(batch, end)
        if self.on_finish is not None:
            for request in batch.finishing:
                self.on_finish(request, end)

    def _leap(self, to: float) -> bool:
        """Take all calls before `to` that schedule just the present decodes; False if the next does not."""
        flight, scheduler, depth = self.flight, self.scheduler, self.depth
        if len(flight) != depth - 1:
            return False
        call = end = self.now
        limit = scheduler.horizon()
        if not limit:
            return False
        if depth == 2:
            end, previous = flight[0]
            if previous is not None and previous.finishing:
                if end <= to and self.on_finish is None and scheduler.may_deliver_early():
                    flight[0] = (end, None)
                    self._deliver(previous, end)
                    self.early = previous.finishing
                else:
                    limit = 1  # it frees blocks and a seat before the call after the next
        surface, decode_steps = self.surface, self.tape.decode_steps
        done, ahead = 0, depth - 1
        finishing: list[int] = []
        while done < limit and (end < to or ahead):
            first, slope, steps = scheduler.segment(surface)
            if steps > limit - done:
                steps = limit - done
            total = steps * first + slope * (steps * (steps - 1) // 2)
            if end >= to:
                steps, ahead, total = 1, 0, first
            elif end + total >= to:
                within = steps_until(to - end, first, slope, steps)
                if ahead and within < steps:
                    within, ahead = within + 1, 0
                if within < steps:
                    steps = within
                    total = steps * first + slope * (steps * (steps - 1) // 2)
            decode_steps(self, call, end, first, slope, steps)
            self.early = ()
            finishing = scheduler.leap(steps)
            done += steps
            end += total
            call = end - first - slope * (steps - 1)
        self.steps += done
        if depth == 2 and done > 1:
            delivered, previous = flight.popleft()
            if previous is not None:
                self._deliver(previous, delivered)
            flight.append((call, None))
        flight.append((end, Batch(0, [], finishing) if finishing else None))
        return True

    def _call(self) -> None:
        """One call that must be looked at."""
        flight, scheduler = self.flight, self.scheduler
        batch = scheduler.schedule()
        if flight and batch.left_out:
            end, previous = flight[-1]
            previous = previous or Batch(0, [])
            previous.late = batch.left_out
            flight[-1] = (end, previous)
        if batch.preempted:
            self._note_preempted(batch)
        if batch.empty:
            if batch.preempted:
                self.tape.step(self, self.now, self.now, 0, batch)
            if flight:
                self.place_taken = True
            elif not batch.preempted:
                self.stalled = True
            return
        start = max(self.now, flight[-1][0]) if flight else self.now
        duration = max(scheduler.price(batch, self.surface), batch.until - start)
        scheduled = self.book.scheduled
        for request, *_ in batch.admitted:
            if scheduled[request] is None:
                scheduled[request] = start
                if self.on_start is not None:
                    self.on_start(request, start)
        self.tape.step(self, self.now, start, duration, batch)
        self.steps += 1
        flight.append((start + duration, batch if batch.firsts or batch.finishing else None))

    def _note_preempted(self, batch: Batch) -> None:
        """Victims lose their place from the step on that this call decides."""
        start = max(self.now, self.flight[-1][0]) if self.flight else self.now
        thrown_out = self.book.thrown_out
        for request in batch.preempted:
            if thrown_out[request] is None:
                thrown_out[request] = start


def steps_until(gap: float, first: float, slope: float, most: int) -> int:
    """The smallest m ≥ 1 with m·first + slope·m(m-1)/2 ≥ gap, given that m = `most` suffices."""
    m = int(gap / first) + 1 if first else most
    if slope * m * m > first:  # the slope is worth a step: start at the root, not at its bound
        half = slope / 2
        b = first - half
        m = int((sqrt(b * b + 2 * slope * gap) - b) / slope) + 1
    if m > most:
        m = most
    while m > 1 and (m - 1) * first + slope * ((m - 1) * (m - 2) // 2) >= gap:
        m -= 1
    while m < most and m * first + slope * (m * (m - 1) // 2) < gap:
        m += 1
    return m
