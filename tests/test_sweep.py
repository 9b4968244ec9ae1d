"""Sweeps: axes, designs, the table, and points that are computed once."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_scenario import write_small

import sim
from sim import UserError
from sim.cli import execute
from sim.planning.latin_hypercube import latin_hypercube
from sim.planning.pareto import pareto_front
from sim.planning.sweep.coordinates import coordinates, distinct
from sim.planning.sweep.points import points
from sim.planning.sweep.schema import SweepSpec, read_sweep

ROOT = Path(__file__).parents[1]
RATE = "workload.arrivals.rate"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_small(tmp_path)
    return tmp_path


def sweep_file(folder: Path, text: str) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(f"schema: 1\nscenario: small.yaml\n{text}")
    return path


def spec(**written: object) -> SweepSpec:
    return SweepSpec.model_validate({"scenario": "small.yaml", **written})


def values(axis: object) -> list[str]:
    return [point.labels[RATE] for point in points(spec(axes={RATE: axis}), 0)]


def test_a_range_runs_from_its_first_to_its_last_value():
    assert values("1..9") == ["1", "3", "5", "7", "9"]
    assert values("4 TB/s..8 TB/s in 3") == ["4 TB/s", "6 TB/s", "8 TB/s"]
    assert values({"from": "4", "to": "8 TB/s", "steps": 2}) == ["4 TB/s", "8 TB/s"]
    assert values("1..2 in 5") == ["1", "2"], "whole numbers that coincide are taken once"


def test_factors_are_spaced_by_equal_ratios():
    factors = [float(value.removeprefix("x")) for value in values("x0.5..x2")]
    assert factors == pytest.approx([0.5, 0.5**0.5, 1, 2**0.5, 2], rel=1e-5)
    linear = values({"from": "x0.5", "to": "x2", "steps": 4, "spacing": "linear"})
    assert linear == ["x0.5", "x1", "x1.5", "x2"]


def test_a_list_is_taken_as_it_is():
    assert values([1, 2.5, "x3", None, {"a": [1]}]) == ["1", "2.5", "x3", "null", '{"a": [1]}']


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ("many", "neither a list nor a range"),
        ("1..x2", "both ends are factors or none is"),
        ("4 TB/s..8 GB/s", "the same unit"),
        ("1..8 in some", "the number of values"),
        ("a..b", "no end of a range"),
        ({"from": 0, "to": 8, "spacing": "log"}, "must stay above 0"),
        ({"from": 0, "to": 8, "step": 2}, "did you mean 'steps'?"),
        ([], "at least 1"),
    ],
)
def test_a_faulty_axis_is_refused_with_a_sentence(axis, said, folder):
    path = sweep_file(folder, f"axes: {json.dumps({RATE: axis})}\n")
    with pytest.raises(UserError, match=r"sweep\.yaml.*") as error:
        read_sweep(path)
    assert said in str(error.value)


def test_a_sweep_without_anything_to_vary_is_refused(folder):
    with pytest.raises(UserError, match="needs 'axes', 'cases' or 'replications'"):
        read_sweep(sweep_file(folder, ""))


def test_a_grid_has_every_combination_once_and_replications_share_it():
    plan = spec(axes={RATE: [1, 2], "a.b": [3, 4, 5]}, cases={"p": {"x": 1}, "q": {"x": 2}}, replications=2)
    made = list(points(plan, seed=7))
    assert len(made) == 2 * 6 * 2
    assert [point.position for point in made] == list(range(24))
    assert len({tuple(point.labels.items()) for point in made}) == 24
    assert Counter(point.labels["seed"] for point in made) == {"7": 12, "8": 12}
    assert made[0].sets == ("x=1", f"{RATE}=1", "a.b=3", "seed=7")


def test_too_many_points_are_refused_before_they_are_made():
    with pytest.raises(UserError, match="1,000,000 are taken"):
        next(points(spec(axes={str(i): "1..101 in 101" for i in range(4)}), 0))


@given(st.integers(1, 60), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_a_latin_hypercube_has_one_sample_in_each_part_of_each_dimension(samples, dimensions, seed):
    u = latin_hypercube(samples, dimensions, np.random.default_rng(seed))
    assert u.shape == (samples, dimensions)
    for column in u.T:
        assert sorted((column * samples).astype(int)) == list(range(samples))


def test_a_latin_hypercube_is_the_same_for_the_same_seed():
    plan = spec(
        axes={RATE: "1..8", "a": ["p", "q"]}, design={"method": "latin-hypercube", "samples": 6, "seed": 3}
    )
    assert list(points(plan, 0)) == list(points(plan, 0))
    assert Counter(point.labels["a"] for point in points(plan, 0)) == {"p": 3, "q": 3}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_no_point_of_the_front_is_beaten_and_every_other_point_is(pairs):
    front = pareto_front(pairs)
    members = [pairs[i] for i in front]
    assert members == sorted(set(members))
    for index, point in enumerate(pairs):
        reached = [other for other in members if other[0] >= point[0] and other[1] >= point[1]]
        assert reached, point
        if index in front:
            assert reached == [point]


def test_charts_place_values_by_number_where_they_have_one():
    assert coordinates(["x0.5", "x2", "x1"]) == [0.5, 2.0, 1.0]
    assert coordinates(["5.5 TB/s", "4 TB/s"]) == [5.5, 4.0]
    assert coordinates(["fp8", "bf16", "fp8"]) == [0.0, 1.0, 0.0]
    assert coordinates(["4 TB/s", "800 GB/s"]) == [0.0, 1.0], "other units count by place"
    assert distinct(["8", "16", "8", "4"]) == ["4", "8", "16"]


def test_a_point_is_the_run_of_its_overrides(folder):
    swept = sim.sweep(sweep_file(folder, f"axes: {{{RATE}: [3.0, x2]}}\n"), backend="serial")
    for row, override in zip(swept.rows, ("3.0", "x2"), strict=True):
        alone = sim.simulate(sim.load(folder / "small.yaml", [f"{RATE}={override}"])).to_json()
        kept = json.loads(json.dumps(alone))
        assert row.record == {key: kept[key] for key in row.record}
        assert "output_throughput" in row.record


def test_equal_points_are_computed_once_even_across_sweeps(folder):
    store = folder / "points.db"
    first = sim.sweep(
        sweep_file(folder, f"axes: {{{RATE}: [6.0, x1, 12.0]}}\n"), store=store, backend="serial"
    )
    assert (first.computed, first.reused) == (2, 0), "6.0 and x1 are the same scenario"
    other = sim.sweep(sweep_file(folder, f"axes: {{{RATE}: [12.0, x0.5]}}\n"), store=store, backend="serial")
    assert (other.computed, other.reused) == (1, 1)
    assert other.rows[0].record == first.rows[2].record


def test_a_changed_trace_is_another_point(folder):
    trace = folder / "trace.csv"
    trace.write_text("arrival_s,prompt_tokens,output_tokens\n0,64,8\n1,64,8\n")
    small = folder / "small.yaml"
    small.write_text(
        "schema: 1\nmodel: llama-3.1-8b\ncluster: h100-hgx\n"
        "workload: {arrivals: {process: trace, path: trace.csv}}\n"
    )
    path, store = sweep_file(folder, "axes: {seed: [0]}\n"), folder / "points.db"
    assert sim.sweep(path, store=store, backend="serial").computed == 1
    assert sim.sweep(path, store=store, backend="serial").computed == 0
    trace.write_text(trace.read_text() + "2,64,8\n")
    again = sim.sweep(path, store=store, backend="serial")
    assert again.computed == 1
    assert again.rows[0].number("num_prompts") == 3


def test_an_impossible_point_is_a_row_with_a_sentence(folder):
    path = sweep_file(
        folder, "axes: {deployment.parallel.tp: [2, 3, 16], deployment.engine.block_size: [16, 0]}\n"
    )
    swept = sim.sweep(path, backend="serial")
    said = {tuple(row.labels.values()): str(row.record["error"]) for row in swept.refused}
    assert len(swept.done) == 1
    assert "attention heads" in said["3", "16"]
    assert "block_size" in said["2", "0"]


def test_a_sweep_in_which_nothing_is_possible_says_why(folder):
    with pytest.raises(UserError, match="did you mean 'arrivals'"):
        sim.sweep(sweep_file(folder, "axes: {workload.arivals.rate: [1, 2]}\n"), backend="serial")


def test_the_table_has_a_row_per_point_and_a_column_per_axis_and_output(folder):
    swept = sim.sweep(
        sweep_file(folder, f"axes: {{{RATE}: [3.0, 6.0], deployment.parallel.tp: [2, 3]}}\n"),
        backend="serial",
    )
    swept.write_table(folder / "table.csv")
    head, *lines = (folder / "table.csv").read_text().splitlines()
    names = head.split(",")
    assert len(lines) == 4
    assert names[:2] == [f"axis:{RATE}", "axis:deployment.parallel.tp"]
    first = dict(zip(names, lines[0].split(","), strict=True))
    assert float(first["output_throughput"]) == swept.rows[0].number("output_throughput")
    parquet = pytest.importorskip("pyarrow.parquet")
    swept.write_table(folder / "table.parquet")
    table = parquet.read_table(folder / "table.parquet")
    assert table.num_rows == 4
    assert table.column_names == names


def test_the_command_writes_rows_page_and_store(folder, capsys):
    path = sweep_file(folder, f"axes: {{{RATE}: [3.0, 6.0], deployment.parallel.tp: [2, 3]}}\n")
    page, table = folder / "page.html", folder / "table.csv"
    command = ["sweep", str(path), "--backend", "serial", "--json", "-", "--html", str(page)]
    assert execute([*command, "--table", str(table)]) == 0
    written, shown = capsys.readouterr()
    record = json.loads(written)
    assert [p["axes"][RATE] for p in record["points"]] == ["3.0", "3.0", "6.0", "6.0"]
    assert record["version"] == sim.__version__
    assert "4 points computed, 0 were in" in shown
    assert "Impossible, rate 3.0, tp 3" in shown
    assert "Pareto front" in page.read_text()
    assert execute(command) == 0
    assert "0 points computed, 4 were in" in capsys.readouterr().err
    assert (folder / "sweep.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "lokki"], "did you mean 'loky'?"),
        (["--workers", "0", "--backend", "serial"], "at least 1"),
        (["--table", "points.txt"], "written as .csv or .parquet"),
    ],
)
def test_a_faulty_command_ends_with_one_sentence(arguments, said, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert execute(["sweep", str(sweep_file(folder, "replications: 2\n")), *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("sweep-*.yaml")), ids=lambda e: e.stem)
def test_every_example_sweep_resolves_to_possible_points(example):
    plan = read_sweep(example)
    scenario = sim.load(example.parent / plan.scenario)
    made = list(points(plan, scenario.spec.seed))
    assert len(made) >= 20
    for point in made[:: len(made) // 4]:
        assert scenario.changed(point.sets).tree != scenario.tree
