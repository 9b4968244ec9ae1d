"""Reads a file of trace events as strictly as the format's description allows, whoever wrote it."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def read_trace(path: Path) -> list[Event]:
    """The events of a trace.

    Raises:
        ValueError: for what the format, or a viewer, would not take.
    """
    whole = json.loads(path.read_text("utf-8"))
    events = whole["traceEvents"] if isinstance(whole, dict) else whole
    for event in events:
        _check_fields(event)
    _check_names(events)
    _check_nesting(events)
    _check_counters(events)
    return events


def slices(events: list[Event], thread: str | None = None) -> list[Event]:
    """The complete events, of one thread by its name."""
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    wanted = [e for e in events if e["ph"] == "X"]
    return [e for e in wanted if thread is None or names[e["pid"], e["tid"]] == thread]


def _require(holds: bool, law: str, event: Event) -> None:
    if not holds:
        raise ValueError(f"{law}: {event}")


def _check_fields(event: Event) -> None:
    _require(event.get("ph") in ("X", "C", "M"), "a phase this reader knows", event)
    _require(isinstance(event.get("name"), str) and bool(event["name"]), "a name", event)
    for field in ("ts", "pid", "tid"):
        _require(isinstance(event.get(field), int | float), f"a number as {field}", event)
    _require(event["ts"] >= 0, "no time before the start", event)
    _require(isinstance(event.get("args"), dict), "arguments", event)
    if event["ph"] == "X":
        _require(isinstance(event.get("dur"), int | float) and event["dur"] >= 0, "a duration", event)
    if event["ph"] == "C":
        _require(bool(event["args"]), "a counter has a value", event)
        _require(all(isinstance(v, int | float) for v in event["args"].values()), "numbers", event)


def _check_names(events: list[Event]) -> None:
    processes = {e["pid"] for e in events if e["name"] == "process_name"}
    threads = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    for event in events:
        _require(event["pid"] in processes, "a process with a name", event)
        if event["ph"] == "X":
            _require((event["pid"], event["tid"]) in threads, "a thread with a name", event)


def _check_nesting(events: list[Event]) -> None:
    """Slices of a thread contain one another or do not touch."""
    by_thread: defaultdict[tuple[int, int], list[Event]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            by_thread[event["pid"], event["tid"]].append(event)
    for own in by_thread.values():
        open_ends: list[int] = []
        for event in sorted(own, key=lambda e: (_ns(e["ts"]), -_ns(e["dur"]))):
            start, end = _ns(event["ts"]), _ns(event["ts"]) + _ns(event["dur"])
            while open_ends and open_ends[-1] <= start:
                open_ends.pop()
            _require(not open_ends or end <= open_ends[-1], "slices that nest", event)
            open_ends.append(end)


def _check_counters(events: list[Event]) -> None:
    last: dict[tuple[int, str], float] = {}
    for event in events:
        if event["ph"] == "C":
            key = event["pid"], event["name"]
            _require(event["ts"] >= last.get(key, 0.0), "a counter in order of time", event)
            last[key] = event["ts"]


def _ns(microseconds: float) -> int:
    return round(microseconds * 1e3)
