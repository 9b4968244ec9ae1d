"""Recorded agents: who waits for whom, how long after the answer, and what they share."""

import json
from pathlib import Path

import numpy as np
import pytest

from sim.errors import UserError
from sim.workload import Requests, WorkloadSpec, generate

LSS = {
    "session_id": "a",
    "arrival_time_ns": 2_000_000_000,
    "sub_requests": [
        {"input_toks": 100, "output_toks": 10, "tool_duration_ns": 500_000_000},
        {"input_toks": 150, "output_toks": 20, "tool_duration_ns": 0},
    ],
}


def turn(t: float, ids: list[int], tokens: int, api: float = 1.0) -> dict[str, object]:
    return {"t": t, "type": "n", "in": tokens, "out": 5, "hash_ids": ids, "api_time": api}


WEKA = {
    "id": "a",
    "block_size": 64,
    "hash_id_scope": "local",
    "requests": [
        turn(0.0, [1, 2], 128),
        {"t": 1.5, "type": "subagent", "requests": [turn(1.5, [1, 9], 100, 2.0), turn(5.0, [1, 9, 10], 190)]},
        {"t": 2.0, "type": "subagent", "requests": [turn(2.0, [8], 64, 99.0)]},
        turn(7.0, [1, 2, 3], 200),
    ],
}


def read(folder: Path, *sessions: dict[str, object], **trace: object) -> Requests:
    path = folder / "t.jsonl"
    path.write_text("\n".join(json.dumps(session) for session in sessions))
    extent = {key: trace.pop(key) for key in ("num_requests", "duration") if key in trace}
    arrivals = {"process": "trace", "path": path.name, **trace}
    return generate(WorkloadSpec.model_validate({"arrivals": arrivals, **extent}), 0, folder)


def edges(requests: Requests) -> set[tuple[int, int]]:
    assert requests.follows is not None
    return set(zip(requests.follows.request.tolist(), requests.follows.before.tolist(), strict=True))


def test_a_tool_runs_between_two_calls(tmp_path):
    requests = read(tmp_path, LSS, {**LSS, "arrival_time_ns": 0}, format="llmservingsim")
    assert requests.arrival.tolist() == [0.0, 0.0, 2.0, 2.0]
    assert edges(requests) == {(1, 0), (3, 2)}
    assert requests.follows is not None
    assert requests.follows.pause.tolist() == [0.0, 0.5, 0.0, 0.5]
    assert requests.pieces is not None
    assert requests.pieces[1][:2] == (*requests.pieces[0], (requests.output_segment[0], 10))


def test_sub_agents_wait_for_the_turn_before_and_are_waited_for_if_they_had_ended(tmp_path):
    requests = read(tmp_path, WEKA, format="weka")
    assert requests.prompt_tokens.tolist() == [128, 100, 190, 64, 200]
    assert edges(requests) == {(1, 0), (2, 1), (3, 0), (4, 0), (4, 2)}  # the second helper runs on
    assert requests.follows is not None
    np.testing.assert_allclose(requests.follows.pause, [0.0, 0.5, 1.5, 1.0, 1.0])


def test_content_is_equal_where_hash_ids_are_within_a_session(tmp_path):
    requests = read(tmp_path, WEKA, WEKA, format="weka")
    assert requests.pieces is not None
    first = [requests.pieces[i] for i in range(5)]
    assert first[0] == first[4][:2]
    assert first[1][0] == first[0][0]
    assert {s for p in first for s, _ in p}.isdisjoint({s for p in requests.pieces[5:] for s, _ in p})
    assert [sum(n for _, n in p) for p in first] == [128, 100, 190, 64, 200]
    assert len(first[4]) == 4  # three named blocks and what no id names


def test_rates_and_closed_loops_are_of_sessions(tmp_path):
    rated = read(tmp_path, *[WEKA] * 40, format="weka", rate=0.5)
    starts = np.unique(rated.arrival)
    assert len(starts) == 40
    assert len(rated) == 200
    closed = read(tmp_path, *[LSS] * 6, format="llmservingsim", concurrency=2)
    assert closed.concurrency is None
    assert edges(closed) == {
        (1, 0),
        (3, 2),
        (5, 4),
        (7, 6),
        (9, 8),
        (11, 10),
        (4, 1),
        (6, 3),
        (8, 5),
        (10, 7),
    }


def test_a_pause_in_our_csv_makes_turns_wait(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "arrival_s,prompt_tokens,output_tokens,session,pause_s\n0,10,5,a,\n1,10,5,b,\n9,30,5,a,2.5\n9,40,5,a,1\n"
    )
    arrivals = {"process": "trace", "path": path.name}
    requests = generate(WorkloadSpec.model_validate({"arrivals": arrivals}), 0, tmp_path)
    assert edges(requests) == {(2, 0), (3, 2)}
    assert requests.follows is not None
    assert requests.follows.pause.tolist() == [0.0, 0.0, 2.5, 1.0]


@pytest.mark.parametrize(
    ("session", "form", "says"),
    [
        ({**LSS, "sub_requests": []}, "llmservingsim", "sub_requests: found [], needs a list of objects"),
        (
            {**LSS, "arrival_time_ns": "soon"},
            "llmservingsim",
            "arrival_time_ns: found 'soon', needs a number",
        ),
        ({**WEKA, "requests": [turn(0.0, [1, 2, 3], 100)]}, "weka", "needs at most 2, one per 64 tokens"),
        ({**WEKA, "requests": [turn(0.0, [-1], 100)]}, "weka", "hash_ids: found [-1], needs whole numbers"),
        ({**WEKA, "requests": [{"t": 0.0}]}, "weka", "in: found nothing, needs a number"),
    ],
)
def test_a_malformed_session_is_refused_with_its_line(
    tmp_path, session: dict[str, object], form: str, says: str
):
    with pytest.raises(UserError) as refused:
        read(tmp_path, session, format=form)
    assert says in str(refused.value)
    assert str(refused.value).startswith("t.jsonl:1: ")


def test_sessions_of_two_block_sizes_are_refused(tmp_path):
    with pytest.raises(UserError, match="block_size: found 32, needs 64"):
        read(tmp_path, WEKA, {**WEKA, "block_size": 32}, format="weka")
