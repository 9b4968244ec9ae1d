"""Teachers and students: corpora by rate and storage, models that share servers and spill over."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import sim
from sim.cli.app import app
from sim.errors import UserError
from sim.planning.teacher.placement import placed

SMALL = {"precision": {"weights": "fp8", "activations": "fp8"}, "engine": {"max_num_seqs": 16}}
SHORT = {"distribution": "lognormal", "mean": 60, "cv": 0.5}
CORPUS: dict[str, object] = {
    "scenario": {"model": "llama-3.1-8b", "cluster": "h100-hgx", "deployment": SMALL},
    "tokens": 1e9,
    "prompt_tokens": SHORT,
    "output_tokens": SHORT,
    "replicas": 8,
    "rounds": 6,
    "replications": 2,
}
STUDENT: dict[str, object] = {
    "name": "student",
    "models": 2,
    "model": "llama-3.1-8b",
    "deployment": SMALL,
    "arrivals": {"process": "gamma", "rate": 30.0, "cv": 3.0},
    "prompt_tokens": SHORT,
    "output_tokens": SHORT,
    "slo": {"ttft": "1 s", "attainment": 0.9},
    "spill": {"to": "teacher", "outstanding": 12},
}
TEACHER: dict[str, object] = STUDENT | {
    "name": "teacher",
    "models": 1,
    "model": "llama-3.1-70b",
    "deployment": SMALL | {"parallel": {"tp": 8}, "engine": {"max_num_seqs": 128}},
    "arrivals": {"process": "poisson", "rate": 2.0},
    "spill": None,
}
POOLS: dict[str, object] = {
    "cluster": "h100-hgx",
    "servers": 2,
    "window": "6 s",
    "pools": [TEACHER, STUDENT],
}


def written(folder: Path, tree: dict[str, object], **changes: object) -> Path:
    path = folder / "asked.yaml"
    path.write_text(json.dumps(tree | changes))
    return path


def test_a_corpus_takes_its_tokens_over_the_steady_rate_of_all_replicas(tmp_path: Path) -> None:
    found = sim.corpus(written(tmp_path, CORPUS))
    assert found.rate == pytest.approx(8 * found.each.mean)
    assert found.days.mean * 86400 * found.rate == pytest.approx(1e9)
    assert found.days.low <= found.days.mean <= found.days.high
    assert found.usd == pytest.approx(found.bill.usd_per_hour * 24 * found.days.mean)
    assert found.joules == pytest.approx(found.bill.watts * 86400 * found.days.mean)
    assert found.size == 1e9 * (4 + 64 * 6)
    assert found.bound_by != "storage"


def test_more_replicas_take_less_time_at_the_same_cost_and_energy(tmp_path: Path) -> None:
    eight = sim.corpus(written(tmp_path, CORPUS))
    sixteen = sim.corpus(written(tmp_path, CORPUS, replicas=16))
    assert sixteen.days.mean == pytest.approx(eight.days.mean / 2)
    assert sixteen.usd == pytest.approx(eight.usd)
    assert sixteen.joules == pytest.approx(eight.joules)


def test_storage_that_takes_less_than_is_computed_is_the_limit_and_chips_rest_meanwhile(
    tmp_path: Path,
) -> None:
    free = sim.corpus(written(tmp_path, CORPUS))
    slow = sim.corpus(written(tmp_path, CORPUS, storage="100 kB/s"))
    assert slow.bound_by == "storage"
    assert slow.rate == pytest.approx(100e3 / 388)
    assert slow.days.low == slow.days.high == slow.days.mean
    assert slow.bill.watts < free.bill.watts
    tokens_alone = sim.corpus(written(tmp_path, CORPUS, storage="100 kB/s", logits={"top_k": 0}))
    assert tokens_alone.rate == tokens_alone.computed < tokens_alone.stored == 100e3 / 4


def test_a_corpus_of_longer_runs_is_the_same_corpus(tmp_path: Path) -> None:
    short, long = (sim.corpus(written(tmp_path, CORPUS, rounds=rounds)) for rounds in (6, 24))
    assert short.each.mean == pytest.approx(long.each.mean, rel=0.05)


sizes = st.lists(st.integers(1, 24), min_size=1, max_size=40)


@given(sizes)
def test_every_replica_stands_whole_on_one_server_or_on_servers_of_its_own(chips: list[int]) -> None:
    servers = placed([(f"model {place}", size) for place, size in enumerate(chips)], 8)
    stands = Counter(model for server in servers for model in server.models)
    assert stands == {f"model {place}": max(1, -(-size // 8)) for place, size in enumerate(chips)}
    assert sum(8 - server.free for server in servers) == sum(chips)
    assert all(server.free >= 0 for server in servers)
    half_empty = [server for server in servers if server.free >= 4 and len(server.models) < 8]
    shared = [server for server in half_empty if chips[int(server.models[0].split()[1])] < 8]
    assert len(shared) <= 1


def test_what_students_have_no_place_for_the_teacher_answers_and_nobody_is_lost(tmp_path: Path) -> None:
    found = sim.pools(written(tmp_path, POOLS))
    teacher, students = found.pools
    assert students.spilled > 0
    assert teacher.taken == round(students.spilled * students.requests)
    assert students.taken == 0
    assert teacher.spilled == 0
    assert (teacher.chips, students.chips, found.left) == (8, 2, 6)
    assert [server.models for server in found.servers] == [["teacher"], ["student 1", "student 2"]]


def test_without_a_place_to_spill_to_they_wait(tmp_path: Path) -> None:
    spilling = sim.pools(written(tmp_path, POOLS)).pools[1]
    waiting = sim.pools(written(tmp_path, POOLS, pools=[TEACHER, STUDENT | {"spill": None}])).pools[1]
    assert waiting.spilled == 0
    assert waiting.requests == spilling.requests
    assert waiting.ttft > spilling.ttft


def test_same_question_same_answer(tmp_path: Path) -> None:
    path = written(tmp_path, POOLS)
    assert json.dumps(sim.pools(path).to_json()) == json.dumps(sim.pools(path).to_json())


def pools_of(teacher: dict[str, object], *students: dict[str, object]) -> dict[str, object]:
    return {"pools": [TEACHER | teacher, *(STUDENT | student for student in students)]}


def spill(to: str) -> dict[str, object]:
    return {"spill": {"to": to, "outstanding": 4}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (pools_of({}, spill("teecher")), "did you mean 'teacher'"),
        (pools_of(spill("teacher")), "comes back to teacher"),
        (pools_of(spill("student"), spill("teacher")), "student is 2 models, not one"),
        (pools_of({}, {"name": "teacher"}), "two pools have the same name"),
        ({"servers": 1}, "servers: 1, but the replicas of all pools take 2 of 8 chips"),
        (pools_of({"arrivals": {"process": "closed", "concurrency": 2}}), "give a rate"),
    ],
)
def test_pools_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        sim.pools(written(tmp_path, POOLS, **changes))


def test_a_corpus_brings_its_own_load_and_needs_runs_that_get_steady(tmp_path: Path) -> None:
    scenario = {"model": "llama-3.1-8b", "cluster": "h100-hgx", "seed": 1}
    with pytest.raises(UserError, match=r"scenario\.seed"):
        sim.corpus(written(tmp_path, CORPUS, scenario=scenario))


@pytest.mark.parametrize(
    ("verb", "tree", "shows"), [("corpus", CORPUS, "storage"), ("pools", POOLS, "spilled")]
)
def test_commands_print_and_write_what_was_found(
    tmp_path: Path, verb: str, tree: dict[str, object], shows: str
) -> None:
    page, record = tmp_path / "page.html", tmp_path / "found.json"
    arguments = [verb, str(written(tmp_path, tree)), "--html", str(page), "--json", str(record)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert shows in done.output
    assert json.loads(record.read_text())["name"] == "asked.yaml"
    assert "plotly" in page.read_text("utf-8").lower()
