"""One run as a task: everything it needs as plain text, everything it came to as a plain record.

The same function runs in this process, in a worker process, on another machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from sim import documents
from sim.documents import Document
from sim.errors import UserError
from sim.scenario.resolved import Tree
from sim.scenario.scenario import Scenario
from sim.scenario.schema import ScenarioSpec
from sim.scenario.simulation import simulate

Status = Literal["done", "refused"]
_NOT_IN_ROWS = ("assumptions", "version", "date", "schema")
"""What is the same in every row of a sweep, or long: figures stand in the resolved scenario."""


@dataclass(frozen=True, slots=True)
class Task:
    """A run to be made.

    Attributes:
        key: what the caller knows it by.
        text: the resolved scenario as JSON; base: the folder its relative paths start from.
        name: the scenario file's name, for errors.
        draw: path or group of a figure → its quantile.
    """

    key: str
    text: str
    base: str
    name: str
    draw: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """What a task came to: its record as JSON, or, where it was refused, {"error": sentence}."""

    key: str
    status: Status
    record: str


def evaluate(task: Task) -> Finished:
    """Runs the scenario of a task; a scenario that is impossible is a result too."""
    try:
        record = simulate(scenario_of(task)).to_json()
    except UserError as error:
        return Finished(task.key, "refused", json.dumps({"error": str(error)}, ensure_ascii=False))
    row = {key: value for key, value in record.items() if key not in _NOT_IN_ROWS}
    return Finished(task.key, "done", json.dumps(row, ensure_ascii=False))


def scenario_of(task: Task) -> Scenario:
    """The scenario that a task carries.

    Raises:
        UserError: where it is no valid scenario.
    """
    tree = cast("Tree", json.loads(task.text))
    spec = documents.validate(ScenarioSpec, tree, name=task.name)
    return Scenario(task.name, Path(task.base), tree, spec, Document(task.name, tree), task.draw)
