"""Two scenarios side by side: what differs going in and coming out, and which cause explains how much.

Inputs that differ are grouped into causes by the part of the tree they stand in (`cluster.chip.memory`,
`deployment.parallel`, `workload.arrivals` …). Every combination of causes is run: A with the parts of some of
them taken from B. A cause's share of the difference is its Shapley value,

    φ_i = Σ over sets S of the other causes of |S|! (n − |S| − 1)! / n! · (v(S ∪ {i}) − v(S))

so that the shares add up to the whole difference and none depends on an order. Where a combination is
impossible, such as another chip under the old layout, causes are merged into coarser ones until every one
runs.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import cast

from sim import documents
from sim.errors import UserError
from sim.planning.evaluate import Task, evaluate
from sim.planning.executors import make_executor
from sim.planning.identity import canonical
from sim.planning.outputs import OUTPUTS
from sim.scenario.scenario import Scenario, load
from sim.version import __version__

MOST_CAUSES = 6
"""Causes kept apart: 2^6 runs."""
_DEEPEST = 3
_WORDS = ("name", "title", "note", "vendor", "year", "source", "basis")
"""Parts that say something and change nothing."""
_ROOT = Path("/")

Path_ = tuple[str, ...]
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One input that differs; None where a side has none."""

    path: str
    a: object
    b: object


@dataclass(frozen=True, slots=True)
class Contrast:
    """One output: its value in A and in B, and each cause's share of the difference (they add up)."""

    output: str
    a: float
    b: float
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Attributes:
    inputs: what differs going in; causes: the parts they were grouped into.
    outputs: what differs coming out.
    runs: how many combinations were run; merged: whether causes had to be merged.
    """

    a: str
    b: str
    inputs: tuple[Difference, ...]
    causes: tuple[str, ...]
    outputs: tuple[Contrast, ...]
    runs: int
    merged: bool

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        record: dict[str, object] = {"schema": 1, "version": __version__}
        return record | asdict(self)


def compare(
    a: str | Path,
    b: str | Path,
    *,
    backend: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Comparison:
    """Compares two scenarios, or two results of `bandwall run --json` by the scenarios beside them.

    Raises:
        UserError: for a file that is neither, or a scenario that cannot be run.
    """
    first, second = _loaded(Path(a)), _loaded(Path(b))
    trees = _tree(first), _tree(second)
    found = tuple(_differences(*trees, ()))
    inputs = tuple(Difference(".".join(path), x, y) for path, x, y in found)
    acting = [path for path, _, _ in found if path[-1] not in _WORDS]
    with closing(make_executor(backend, workers)) as executor:
        depths = [*range(_DEEPEST, 0, -1), 0]
        finest = True
        for depth in depths:
            causes = list(dict.fromkeys(path[:depth] for path in acting))
            if len(causes) > MOST_CAUSES:
                finest = False
                continue
            sets = [chosen for n in range(len(causes) + 1) for chosen in combinations(causes, n)]
            tasks = [_task(first.name, _hybrid(*trees, chosen), str(i)) for i, chosen in enumerate(sets)]
            records: dict[str, Mapping[str, object]] = {}
            with closing(executor.results(evaluate, tasks)) as results:
                for finished in results:
                    records[finished.key] = json.loads(finished.record)
                    progress(len(records), len(tasks))
            by_set = {frozenset(chosen): records[str(i)] for i, chosen in enumerate(sets)}
            for end in (frozenset[Path_](), frozenset(causes)):
                if "error" in by_set[end]:
                    raise UserError(str(by_set[end]["error"]))
            if not any("error" in record for record in by_set.values()):
                outputs = tuple(_contrasts(causes, by_set))
                names = tuple(map(_said, causes))
                return Comparison(str(a), str(b), inputs, names, outputs, len(sets), not finest)
            finest = False
    raise AssertionError("one cause has no combination that is impossible")


def _loaded(path: Path) -> Scenario:
    """The scenario in a file, or beside a result."""
    if path.suffix != ".json":
        return load(path)
    tree = documents.load(path).tree
    if not isinstance(tree, dict) or "num_prompts" not in tree:
        return load(path)
    beside = path.with_suffix(".scenario.yaml")
    if not beside.is_file():
        raise UserError(f"{path}: a result; the scenario it came from is not beside it ({beside.name})")
    return load(beside)


def _tree(scenario: Scenario) -> dict[str, object]:
    """The resolved tree with every path of the workload relative to the root."""
    text = scenario.resolved_text(_ROOT)
    return cast("dict[str, object]", documents.parse(text, scenario.name + ".yaml").tree)


def _differences(a: object, b: object, path: Path_) -> Iterator[tuple[Path_, object, object]]:
    """Leaves that differ; a figure counts as one leaf."""
    if a == b:
        return
    if isinstance(a, dict) and isinstance(b, dict) and "value" not in a and "value" not in b:
        left, right = cast("dict[str, object]", a), cast("dict[str, object]", b)
        for key in dict.fromkeys([*left, *right]):
            yield from _differences(left.get(key), right.get(key), (*path, key))
    else:
        yield path, a, b


def _hybrid(a: Mapping[str, object], b: Mapping[str, object], parts: Iterable[Path_]) -> Mapping[str, object]:
    """A with these parts of the tree taken from B."""
    tree = a
    for part in parts:
        tree = b if not part else _replaced(tree, b, part)
    return tree


def _replaced(tree: Mapping[str, object], source: Mapping[str, object], part: Path_) -> Mapping[str, object]:
    key, rest = part[0], part[1:]
    theirs, ours = source.get(key, _MISSING), tree.get(key, _MISSING)
    if rest and isinstance(theirs, dict) and isinstance(ours, dict):
        inner = _replaced(cast("dict[str, object]", ours), cast("dict[str, object]", theirs), rest)
        return {**tree, key: inner}
    if theirs is _MISSING:
        return {name: value for name, value in tree.items() if name != key}
    return dict(tree) | {key: cast("object", theirs)}


def _task(name: str, tree: Mapping[str, object], key: str) -> Task:
    return Task(key, canonical(tree), str(_ROOT), name)


def _contrasts(
    causes: Sequence[Path_], by_set: Mapping[frozenset[Path_], Mapping[str, object]]
) -> Iterator[Contrast]:
    for output in OUTPUTS:
        values = {chosen: output.of(record) for chosen, record in by_set.items()}
        known = {chosen: value for chosen, value in values.items() if value is not None}
        if len(known) == len(values):
            shares = {_said(cause): _shapley(cause, causes, known) for cause in causes}
            yield Contrast(output.name, known[frozenset()], known[frozenset(causes)], shares)


def _shapley(cause: Path_, causes: Sequence[Path_], value: Mapping[frozenset[Path_], float]) -> float:
    others = [other for other in causes if other != cause]
    total = 0.0
    for size in range(len(causes)):
        weight = math.factorial(size) * math.factorial(len(causes) - size - 1) / math.factorial(len(causes))
        for chosen in combinations(others, size):
            before = frozenset(chosen)
            total += weight * (value[before | {cause}] - value[before])
    return total


def _said(cause: Path_) -> str:
    return ".".join(cause) or "everything"
