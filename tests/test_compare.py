"""Comparisons: shares add up, causes are found, impossible combinations are merged."""

import json
from pathlib import Path

import pytest
from small_scenario import write_small

import sim
from sim import UserError
from sim.cli import execute
from sim.planning.compare import _shapley


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return write_small(tmp_path)


def changed(a: Path, **texts: str) -> Path:
    text = a.read_text()
    for old, new in texts.items():
        assert old in text
        text = text.replace(old, new)
    path = a.with_name("b.yaml")
    path.write_text(text)
    return path


def test_shares_add_up_to_the_difference_of_every_output(a):
    b = changed(a, **{"rate: 6.0": "rate: 12.0", "tp: 2": "tp: 4", "mean: 256": "mean: 512"})
    found = sim.compare(a, b, backend="serial")
    assert set(found.causes) == {
        "deployment.parallel.tp",
        "workload.arrivals.rate",
        "workload.prompt_tokens.mean",
    }
    assert found.runs == 8
    for output in found.outputs:
        assert sum(output.shares.values()) == pytest.approx(output.b - output.a, abs=1e-9)
    alone = {
        name: sim.simulate(sim.load(path)).summary.values["p99_ttft_ms"]
        for name, path in (("a", a), ("b", b))
    }
    ttft = next(output for output in found.outputs if output.output == "p99_ttft_ms")
    assert (ttft.a, ttft.b) == pytest.approx((alone["a"], alone["b"]))


def test_what_changes_nothing_explains_nothing(a):
    b = changed(a, **{"tpot: 50 ms": "tpot: 60 ms", "rate: 6.0": "rate: 9.0"})
    found = sim.compare(a, b, backend="serial")
    for output in found.outputs:
        assert output.shares["slo.tpot"] == pytest.approx(0.0, abs=1e-9)


def test_shapley_values_of_a_game_of_glasses_are_the_textbooks():
    """Player r has the right glove, l and m a left one each; a pair is worth 1."""
    r, left, m = ("r",), ("l",), ("m",)
    players = [r, left, m]
    value = {
        frozenset(s): float(r in s and len(s) > 1)
        for s in ([], [r], [left], [m], [r, left], [r, m], [left, m], players)
    }
    shares = [_shapley(player, players, value) for player in players]
    assert shares == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_equal_scenarios_have_no_causes(a, capsys):
    found = sim.compare(a, a, backend="serial")
    assert (found.inputs, found.causes, found.runs) == ((), (), 1)
    assert execute(["compare", str(a), str(a), "--backend", "serial"]) == 0
    assert "Nothing differs" in capsys.readouterr().out


def test_combinations_that_are_impossible_merge_their_causes(a):
    """Sixteen-way parallelism needs the larger cluster: neither change is possible without the other."""
    b = changed(a, **{"tp: 2": "tp: 16", "cluster: h100-hgx": "cluster: h100-hgx-x4"})
    found = sim.compare(a, b, backend="serial")
    assert found.merged
    assert found.causes == ("everything",)
    for output in found.outputs:
        assert output.shares["everything"] == pytest.approx(output.b - output.a)


def test_results_are_compared_by_the_scenarios_beside_them(a, tmp_path, capsys):
    b = changed(a, **{"rate: 6.0": "rate: 9.0"})
    for path in (a, b):
        assert execute(["run", str(path), "--json", str(path.with_suffix(".json"))]) == 0
    capsys.readouterr()
    sides = [str(path.with_suffix(".json")) for path in (a, b)]
    page = tmp_path / "compare.html"
    assert execute(["compare", *sides, "--backend", "serial", "--json", "-", "--html", str(page)]) == 0
    assert '"type":"waterfall"' in page.read_text()
    assert "What differs going in" in page.read_text()
    written, shown = capsys.readouterr()
    record = json.loads(written)
    assert record["causes"] == ["workload.arrivals.rate"]
    assert (
        record["outputs"] == json.loads(json.dumps(sim.compare(a, b, backend="serial").to_json()))["outputs"]
    )
    assert "Shares of the difference" in shown
    a.with_suffix(".scenario.yaml").unlink()
    with pytest.raises(UserError, match="not beside it"):
        sim.compare(*sides)


def test_a_side_that_cannot_run_is_refused_with_its_sentence(a):
    b = changed(a, **{"tp: 2": "tp: 16"})
    with pytest.raises(UserError, match="cluster h100-hgx has 8"):
        sim.compare(a, b, backend="serial")
