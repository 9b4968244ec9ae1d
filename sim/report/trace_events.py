"""The Trace Event format, which ui.perfetto.dev and chrome://tracing read: one JSON object of events.

Times are µs. A slice is a complete event (`ph` "X": `ts`, `dur`), a counter sample `ph` "C", names of
processes and threads metadata (`ph` "M"). Slices of one thread nest or follow one another; they never overlap
in part, so times are counted in whole ns before they are written.

Format: Google's "Trace Event Format" document, sections Duration, Counter and Metadata Events.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | int | float
Event = dict[str, object]


@dataclass(slots=True)
class Trace:
    """Events of a trace as they are gathered; processes and threads are numbered as they are named.

    Attributes:
        about: what the trace is of, written with it (`otherData`).
    """

    about: dict[str, Value] = field(default_factory=dict[str, Value])
    events: list[Event] = field(default_factory=list[Event])
    threads: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    processes: int = 0

    def process(self, name: str) -> int:
        """A new process, shown below those before it."""
        self.processes += 1
        self._name("process", name, self.processes, 0)
        return self.processes

    def thread(self, process: int, name: str) -> int:
        """The thread of that name, shown below those named before it."""
        key = process, name
        if key not in self.threads:
            self.threads[key] = len(self.threads) + 1
            self._name("thread", name, process, self.threads[key])
        return self.threads[key]

    def slice(
        self,
        process: int,
        thread: int,
        name: str,
        start: float,
        end: float,
        category: str = "",
        args: Mapping[str, Value] | None = None,
    ) -> None:
        """A stretch from `start` to `end`, s."""
        first, last = _nanoseconds(start), _nanoseconds(end)
        self.events.append(
            {
                "name": name,
                "cat": category or "step",
                "ph": "X",
                "ts": first / 1e3,
                "dur": (last - first) / 1e3,
                "pid": process,
                "tid": thread,
                "args": dict(args or {}),
            }
        )

    def count(self, process: int, name: str, time: float, value: float) -> None:
        """A counter has `value` from `time` (s) on."""
        at = _nanoseconds(time) / 1e3
        self.events.append(
            {"name": name, "ph": "C", "ts": at, "pid": process, "tid": 0, "args": {"value": value}}
        )

    def text(self) -> str:
        """The trace as JSON."""
        whole = {"displayTimeUnit": "ns", "otherData": self.about, "traceEvents": self.events}
        return json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"

    def _name(self, what: str, name: str, process: int, thread: int) -> None:
        for key, value in ((f"{what}_name", {"name": name}), (f"{what}_sort_index", {"sort_index": thread})):
            order = {"sort_index": process} if what == "process" and "sort_index" in value else value
            self.events.append(
                {"name": key, "ph": "M", "ts": 0, "pid": process, "tid": thread, "args": order}
            )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
