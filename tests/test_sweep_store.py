"""The store of a sweep: nothing finished is lost, nothing is computed twice, whatever happens."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_scenario import write_small

import sim
from sim import UserError
from sim.planning.evaluate import Finished
from sim.planning.executors import make_executor
from sim.planning.identity import canonical, code_version
from sim.planning.sweep.store import Store

ROOT = Path(__file__).parents[1]
KILLS = int(os.environ.get("BANDWALL_KILLS", "2"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_small(tmp_path)
    file = tmp_path / "sweep.yaml"
    file.write_text("schema: 1\nscenario: small.yaml\naxes: {workload.arrivals.rate: 1..60 in 60}\n")
    return file


def content(store: Path) -> list[tuple[object, ...]]:
    """Every row of every table, in the order of their keys."""
    with sqlite3.connect(store) as database:
        return [
            row
            for table in ("meta", "points", "members")
            for row in database.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
        ]


def finished(store: Path) -> int:
    try:
        with sqlite3.connect(store) as database:
            return database.execute("SELECT COUNT(*) FROM points").fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0


def test_a_sweep_killed_at_random_moments_ends_as_one_that_was_not(path, tmp_path):
    whole = tmp_path / "whole.db"
    sim.sweep(path, store=whole, backend="serial")
    store = tmp_path / "killed.db"
    command = [sys.executable, "-c", "from sim.cli import main; main()", "sweep", str(path)]
    command += ["--backend", "serial", "--store", str(store)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    rng, seen = random.Random(5), 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while finished(store) <= seen and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.4 / KILLS))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert finished(store) > seen or finished(store) == 60
        seen = finished(store)
    resumed = sim.sweep(path, store=store, backend="serial")
    assert resumed.reused == seen
    assert resumed.computed + resumed.reused == 60
    assert content(store) == content(whole)


@pytest.mark.parametrize("backend", ["loky", "ray", "dask"])
def test_rows_are_identical_on_every_backend(backend, path, tmp_path):
    pytest.importorskip({"dask": "distributed"}.get(backend, backend))
    if backend in ("ray", "dask") and "BANDWALL_CLUSTERS" not in os.environ:
        pytest.skip("starts a cluster of processes: set BANDWALL_CLUSTERS to run it")
    path.write_text(path.read_text().replace("1..60 in 60", "1..6 in 6"))
    serial = sim.sweep(path, store=tmp_path / "serial.db", backend="serial")
    parallel = sim.sweep(path, store=tmp_path / "parallel.db", backend=backend, workers=2)
    assert parallel.rows == serial.rows
    assert content(tmp_path / "parallel.db") == content(tmp_path / "serial.db")


def _twice(number: int) -> int:
    if number == 13:
        raise UserError("not 13")
    return 2 * number


@pytest.mark.parametrize("backend", ["serial", "loky"])
def test_an_executor_takes_tasks_as_it_has_room_and_hands_on_errors(backend):
    if backend != "serial":
        pytest.importorskip(backend)
    executor = make_executor(backend, 2)
    try:
        assert sorted(executor.results(_twice, range(13))) == list(range(0, 26, 2))
        taken: list[int] = []

        def tasks():
            for number in range(100, 1100):
                taken.append(number)
                yield number

        results = executor.results(_twice, tasks())
        next(results)
        results.close()
        assert len(taken) < 50
        with pytest.raises(UserError, match="not 13"):
            list(executor.results(_twice, [13]))
    finally:
        executor.close()


def test_a_missing_backend_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--backend ray needs ray.*pip install 'bandwall\[ray\]'"):
        make_executor("ray")


def test_points_of_other_code_are_kept_but_not_used(path, tmp_path, monkeypatch):
    path.write_text(path.read_text().replace("1..60 in 60", "[1, 2]"))
    store = tmp_path / "store.db"
    sim.sweep(path, store=store, backend="serial")
    monkeypatch.setattr("sim.planning.sweep.run.code_version", lambda: "0.0.0+other")
    again = sim.sweep(path, store=store, backend="serial")
    assert (again.computed, again.reused, again.of_other_code) == (2, 0, 2)
    monkeypatch.undo()
    assert sim.sweep(path, store=store, backend="serial").reused == 2


def test_the_code_version_names_the_release_and_its_content():
    release, _, content_of_code = code_version().partition("+")
    assert release == sim.__version__
    assert len(content_of_code) == 12


def test_a_hash_does_not_see_the_order_of_keys():
    assert canonical({"a": 1, "b": {"c": 2, "d": 3}}) == canonical({"b": {"d": 3, "c": 2}, "a": 1})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda file: file.write_text("no database at all, but long enough to be looked at" * 20),
            "not a database",
        ),
        (lambda file: sqlite3.connect(file).execute("CREATE TABLE t (x)").connection.commit(), "not a store"),
        (lambda file: file.mkdir(), "unable to open"),
    ],
)
def test_a_file_that_is_no_store_is_refused_with_a_sentence(make, said, tmp_path):
    file = tmp_path / "store.db"
    make(file)
    with pytest.raises(UserError, match=said):
        Store(file, "code")


def test_a_store_of_another_format_is_refused_and_stays_as_it_is(tmp_path):
    file = tmp_path / "store.db"
    with Store(file, "code") as store:
        store.add(Finished("k", "done", "{}"), "{}")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE meta SET value = '0' WHERE name = 'format'")
    with pytest.raises(UserError, match="a store of format 0, this version reads format 1"):
        Store(file, "code")
    assert finished(file) == 1


def test_a_full_disk_ends_in_a_sentence_and_a_readable_store(path, tmp_path, monkeypatch):
    store = tmp_path / "store.db"
    monkeypatch.setattr(Store, "__enter__", _nearly_full)
    with pytest.raises(UserError, match=r"store\.db: database or disk is full"):
        sim.sweep(path, store=store, backend="serial")
    monkeypatch.undo()
    kept = finished(store)
    assert 0 < kept < 60
    resumed = sim.sweep(path, store=store, backend="serial")
    assert (resumed.reused, resumed.computed) == (kept, 60 - kept)


def _nearly_full(store: Store) -> Store:
    store._database.execute("PRAGMA max_page_count = 40")
    return store


def test_the_resolved_scenario_of_every_point_is_kept(path, tmp_path):
    path.write_text(path.read_text().replace("1..60 in 60", "[7]"))
    store = tmp_path / "store.db"
    swept = sim.sweep(path, store=store, backend="serial")
    with Store(store, code_version()) as opened:
        assert '"rate":7' in opened.scenario(swept.rows[0].hash)
        with pytest.raises(UserError, match="no point"):
            opened.scenario("0" * 64)
