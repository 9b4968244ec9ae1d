"""Every example runs, and its summary is the one that is kept; see CONTRIBUTING.md on changing it."""

import json
import math
from pathlib import Path

import pytest

import sim

ROOT = Path(__file__).parents[1]
EXAMPLES = [
    e
    for e in sorted((ROOT / "examples").glob("*.yaml"))
    if not e.name.startswith(("sweep-", "plan-", "national-", "corpus-", "pools-"))
]
GOLDEN = ROOT / "tests" / "golden"


def summary_of(example: Path) -> dict[str, object]:
    record = sim.simulate(sim.load(example)).to_json()
    # The figures are long and tested in their own room; the version changes with every release.
    return {key: value for key, value in record.items() if key not in ("assumptions", "version")}


@pytest.mark.parametrize("example", EXAMPLES, ids=[e.stem for e in EXAMPLES])
def test_an_examples_summary_is_the_golden_one(example, request):
    golden = GOLDEN / f"{example.stem}.json"
    found = json.loads(json.dumps(summary_of(example)))
    if request.config.getoption("--write-golden"):
        golden.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    differing = [
        f"{path}: {kept} became {now}"
        for path, kept, now in differences(json.loads(golden.read_text()), found)
    ]
    assert not differing


def differences(kept: object, now: object, path: str = "") -> list[tuple[str, object, object]]:
    """Where two records differ by more than the last digits, which differ between processors."""
    if isinstance(kept, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*kept, *now])
        return [d for key in keys for d in differences(kept.get(key), now.get(key), f"{path}.{key}")]
    if isinstance(kept, float) and isinstance(now, int | float):
        return [] if math.isclose(kept, now, rel_tol=1e-6, abs_tol=1e-12) else [(path, kept, now)]
    return [] if kept == now else [(path, kept, now)]


def test_every_golden_summary_belongs_to_an_example():
    assert {g.stem for g in GOLDEN.glob("*.json")} == {e.stem for e in EXAMPLES}
