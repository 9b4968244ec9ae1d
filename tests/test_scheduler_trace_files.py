"""Scheduler traces as files: a good one is read, a bad one is refused in a sentence that names the place."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import reference_scheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler_cases import PLAIN, Config, Row

from sim.errors import UserError
from sim.validation import validate_scheduler
from sim.validation.conformance_case import FORMAT, read_case

CONFIG: Config = PLAIN | {"num_gpu_blocks": 12, "max_num_batched_tokens": 16, "async_scheduling": True}
REQUESTS: list[Row] = [
    {"arrival_ns": 0, "priority": 0, "max_tokens": 5, "out_seg": 100, "pieces": [[1, 9], [2, 3]]},
    {"arrival_ns": 700, "priority": 1, "max_tokens": 9, "out_seg": 101, "pieces": [[1, 9]]},
]


def table(rows: list[Row]) -> dict[str, Any]:
    return {"fields": list(rows[0]), "rows": [list(row.values()) for row in rows]}


def recorded() -> dict[str, Any]:
    """A small trace whose recording is the reference's."""
    steps, results, end = reference_scheduler.run(CONFIG, REQUESTS)
    return {
        "format": FORMAT,
        "name": "small",
        "config": copy.deepcopy(CONFIG),
        "summary": {"end_reason": end},
        "requests": copy.deepcopy(table(REQUESTS)),
        "steps": table(steps),
        "results": table(results),
    }


def write(folder: Path, trace: object) -> Path:
    path = folder / "small.json"
    path.write_text(json.dumps(trace))
    return path


def refusal(path: Path) -> str:
    """The sentence that a bad file is refused with."""
    with pytest.raises(UserError) as caught:
        validate_scheduler([path])
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert path.name in sentence
    return sentence


@pytest.mark.parametrize("packed", [False, True])
def test_a_trace_plain_or_packed_is_replayed_and_found_identical(tmp_path: Path, packed: bool) -> None:
    text = json.dumps(recorded()).encode()
    path = tmp_path / ("small.json.gz" if packed else "small.json")
    path.write_bytes(gzip.compress(text) if packed else text)
    assert read_case(path).name == "small"
    report = validate_scheduler([path])
    assert (report.cases, report.identical, report.differing) == (1, 1, ())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be read"),
        (b"steps, please", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"\x1f\x8b", "cannot be read"),
        (gzip.compress(b"{}" * 1000, mtime=0)[:20], "cannot be read"),
        (gzip.compress(b"{}", mtime=0)[:-6] + b"abcdef", "cannot be read"),
        (b"\x1f\x8b\x08" + b"\x00" * 7 + b"\xff" * 20, "cannot be read"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"format": ' + b"1" * 5000 + b"}", "cannot be read"),
        (b"null", "format is 'NoneType'"),
        (b"[1, 2]", "format is 'list'"),
        (b"{}", "format is None"),
        (b'{"format": "another/2"}', "format is 'another/2'"),
        (b'{"format": {"a": []}}', "format is {'a': []}"),
        (json.dumps({"format": FORMAT}).encode(), "'config' is missing"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.json.gz"
    path.write_bytes(content)
    assert says in refusal(path)


def test_a_file_that_does_not_exist_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "nothing.json")
    (tmp_path / "folder.json").mkdir()
    assert "directory" in refusal(tmp_path / "folder.json")


@pytest.mark.parametrize("key", sorted(CONFIG))
def test_a_missing_key_of_the_configuration_is_named(tmp_path: Path, key: str) -> None:
    trace = recorded()
    del trace["config"][key]
    assert f"config: '{key}' is missing" in refusal(write(tmp_path, trace))


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("block_size", 0, "config.block_size: found 0"),
        ("block_size", -4, "config.block_size: found -4"),
        ("block_size", "16", "config.block_size: found '16'"),
        ("block_size", 10**9, "config.block_size: found 1000000000"),
        ("block_size", 4.5, "config.block_size: found 4.5"),
        ("num_gpu_blocks", 1, "config.num_gpu_blocks: found 1"),
        ("max_model_len", None, "config.max_model_len: found nothing"),
        ("max_num_batched_tokens", -1, "config.max_num_batched_tokens: found -1"),
        ("max_num_scheduled_tokens", 0, "config.max_num_scheduled_tokens: found 0"),
        ("enable_chunked_prefill", 1, "config.enable_chunked_prefill: found 1"),
        ("policy", "priorty", "did you mean 'priority'?"),
        ("watermark", -0.1, "config.watermark: found -0.1"),
        ("watermark", float("nan"), "config.watermark: found nan"),
        ("watermark", float("inf"), "config.watermark: found inf"),
        ("step_time", {}, "'a_ns' is missing"),
        ("step_time", 5, "config.step_time: found 5"),
        ("max_steps", 0, "config.max_steps: found 0"),
    ],
)
def test_a_wrong_value_of_the_configuration_is_named(
    tmp_path: Path, key: str, value: object, says: str
) -> None:
    trace = recorded()
    trace["config"][key] = value
    assert says in refusal(write(tmp_path, trace))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("arrival_ns", -1, "requests.rows.0.arrival_ns: found -1"),
        ("arrival_ns", 800, "requests.rows.1.arrival_ns: found 700 after 800"),
        ("max_tokens", 0, "requests.rows.0.max_tokens: found 0"),
        ("priority", "high", "requests.rows.0.priority: found 'high'"),
        ("pieces", None, "requests.rows.0.pieces: found nothing"),
        ("pieces", [[1, -3]], "requests.rows.0.pieces.0.1: found -3"),
        ("pieces", [[1, 2, 3]], "requests.rows.0.pieces.0: found a list"),
        ("pieces", [7], "requests.rows.0.pieces.0: found 7"),
    ],
)
def test_a_wrong_request_is_named_by_its_row(tmp_path: Path, field: str, value: object, says: str) -> None:
    trace = recorded()
    trace["requests"]["rows"][0][trace["requests"]["fields"].index(field)] = value
    assert says in refusal(write(tmp_path, trace))


@pytest.mark.parametrize("part", ["requests", "steps", "results"])
def test_a_table_that_lacks_a_field_or_a_value_is_refused(tmp_path: Path, part: str) -> None:
    trace = recorded()
    gone = trace[part]["fields"].pop(0)
    for row in trace[part]["rows"]:
        row.pop(0)
    assert f"{part}.fields: '{gone}' is missing" in refusal(write(tmp_path, trace))
    trace = recorded()
    trace[part]["rows"][1].pop()
    assert f"{part}.rows.1:" in refusal(write(tmp_path, trace))


def test_results_for_other_requests_are_refused(tmp_path: Path) -> None:
    trace = recorded()
    trace["results"]["rows"].pop()
    assert "results: 1 rows for 2 requests" in refusal(write(tmp_path, trace))


def test_a_changed_recording_is_a_difference_at_its_step(tmp_path: Path) -> None:
    trace = recorded()
    column = trace["steps"]["fields"].index("free_blocks")
    trace["steps"]["rows"][2][column] += 1
    (difference,) = validate_scheduler([write(tmp_path, trace)]).differing
    assert difference.step == 2
    assert "free_blocks" in difference.what


def test_a_case_that_never_ends_is_given_up_after_the_recorded_steps(tmp_path: Path) -> None:
    """Without reservation and caching, a prompt larger than the cache is prefilled and preempted for ever."""
    trace = recorded()
    trace["config"] |= {
        "num_gpu_blocks": 3,
        "max_num_batched_tokens": 8,
        "scheduler_reserve_full_isl": False,
        "enable_prefix_caching": False,
        "max_steps": 30,
    }
    trace["steps"] = table(reference_scheduler.run(trace["config"], REQUESTS)[0])
    trace["config"]["max_steps"] = None
    (difference,) = validate_scheduler([write(tmp_path, trace)]).differing
    assert difference.step == 30


Places = list[tuple[Any, Any]]


def places(tree: Any) -> Places:
    """Every (container, key) of a tree."""
    found: Places = []
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        found.append((tree, key))
        found += places(tree[key])
    return found


@settings(max_examples=300)
@given(
    st.integers(0, 10_000),
    st.sampled_from([None, -1, 0, 1.5, True, "x", [], {}, [[]], 10**30, float("nan"), float("-inf")]),
    st.sampled_from(["replace", "remove"]),
)
def test_a_damaged_trace_ends_in_a_report_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, where: int, value: object, how: str
) -> None:
    trace = recorded()
    everywhere = places(trace)
    container, key = everywhere[where % len(everywhere)]
    if how == "remove":
        del container[key]
    else:
        container[key] = value
    path = write(tmp_path_factory.mktemp("damaged"), trace)
    try:
        report = validate_scheduler([path])
    except UserError as error:
        sentence = str(error)
        assert "\n" not in sentence
    else:
        assert report.cases == 1
