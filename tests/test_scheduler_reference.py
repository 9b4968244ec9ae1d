"""The engine against a plain reading of vLLM's scheduling rules, and that reading against recorded traces."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import reference_scheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler_cases import PLAIN, Config, Row, random_case

from sim.validation.conformance_case import Case, TraceConfig, TraceRequest, read_case
from sim.validation.conformance_replay import replay


def request(
    pieces: list[list[int]], max_tokens: int, out_seg: int, priority: int = 0, arrival: int = 0
) -> Row:
    return {
        "arrival_ns": arrival,
        "priority": priority,
        "max_tokens": max_tokens,
        "out_seg": out_seg,
        "pieces": pieces,
    }


def as_case(config: Config, requests: Sequence[Row]) -> Case:
    parsed = [TraceRequest.model_validate(row) for row in requests]
    return Case("random", TraceConfig.model_validate(config), parsed, [], [], "")


def without(rows: Sequence[Row], field: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name != field} for row in rows]


def assert_engine_decides_as_the_reference(config: Config, requests: Sequence[Row]) -> list[Row]:
    """Both modes of the engine give the reference's steps, results and end (a leap counts no cached blocks).
    Returns the steps."""
    steps, results, end = reference_scheduler.run(config, requests)
    case = as_case(config, requests)
    ours, our_results, our_end = replay(case, step_by_step=True)
    assert ours == steps
    assert (our_results, our_end) == (results, end)
    ours, our_results, our_end = replay(case, step_by_step=False)
    assert without(ours, "n_cached") == without(steps, "n_cached")
    assert (our_results, our_end) == (results, end)
    return steps


@pytest.fixture(scope="module")
def recorded(shared: Path) -> list[Path]:
    files = sorted((shared / "conformance" / "open").glob("*.json.gz"))
    if not files:
        pytest.skip("no recorded scheduler traces in the reference data")
    return files


def test_the_reference_decides_as_the_recorded_vllm_scheduler(recorded: list[Path]) -> None:
    for path in recorded:
        case = read_case(path)
        requests = [r.model_dump() for r in case.requests]
        steps, results, end = reference_scheduler.run(case.config.model_dump(), requests)
        assert end == case.end_reason, case.name
        assert steps == case.steps, case.name
        assert results == case.results, case.name


@settings(max_examples=500)
@given(st.randoms(use_true_random=False))
def test_the_engine_decides_as_the_reference_on_random_cases(rng: Random) -> None:
    assert_engine_decides_as_the_reference(*random_case(rng))


def test_the_engine_decides_as_the_reference_on_many_seeds() -> None:
    for seed in range(1500):
        try:
            assert_engine_decides_as_the_reference(*random_case(Random(seed)))
        except AssertionError as error:
            raise AssertionError(f"random_case(Random({seed}))") from error


def test_random_cases_reach_every_kind_of_decision() -> None:
    seen: dict[str, int] = {}

    def count(name: str, happened: Any) -> None:
        seen[name] = seen.get(name, 0) + bool(happened)

    for seed in range(200):
        steps, results, end = reference_scheduler.run(*random_case(Random(seed)))
        count(end, True)
        count("a hit", any(r["cached_all"] for r in results))
        count("a refused prompt", any(r["status"] == "rejected" for r in results))
        count("a preemption", any(s["preempted"] for s in steps))
        count("a call that only preempts", any(not s["running"] and not s["admitted"] for s in steps))
        count("a resumption with a hit", any(a[3] == 2 and a[2] for s in steps for a in s["admitted"]))
        count("a pause", any(b["t_ns"] > a["t_ns"] + a["dur_ns"] for a, b in pairwise(steps)))
    assert all(n >= 5 for n in seen.values()), seen
    assert {"all_done", "stuck", "max_steps"} <= seen.keys()


def test_a_block_that_a_decode_fills_is_hit_in_the_same_call() -> None:
    """The second prompt is longer than the budget unless the first request's output is in the cache."""
    config = PLAIN | {"block_size": 8, "max_num_scheduled_tokens": 12, "enable_chunked_prefill": False}
    first = request([[1, 3]], 12, out_seg=100)
    second = request([[1, 3], [100, 10]], 1, out_seg=101)
    steps = assert_engine_decides_as_the_reference(config, [first, second])
    admitted = next(row for row in steps if row["admitted"] and row["admitted"][0][0] == 1)
    assert admitted["admitted"] == [[1, 5, 8, 1]]
    assert admitted["running"] == [0]


def test_a_token_in_flight_is_known_after_a_call_that_only_preempts() -> None:
    """Asynchronous: the first of the list preempts itself, the other is left out of the call, and the token
    that it has in flight fills a block that the next call registers."""
    config = PLAIN | {"block_size": 5, "num_gpu_blocks": 5, "policy": "priority", "async_scheduling": True}
    requests = [request([[1, 15]], 2, out_seg=100), request([[2, 4]], 2, out_seg=101)]
    steps = assert_engine_decides_as_the_reference(config, requests)
    alone = next(i for i, row in enumerate(steps) if row["preempted"])
    assert not steps[alone]["running"]
    assert steps[alone + 1]["n_cached"] == steps[alone]["n_cached"] + 1


def test_budget_of_a_drained_sequence_admits_before_its_last_token_is_delivered() -> None:
    config = PLAIN | {
        "enable_chunked_prefill": False,
        "async_scheduling": True,
        "max_num_scheduled_tokens": 12,
    }
    requests = [
        request([[1, 1]], 2, out_seg=100),
        request([[2, 1]], 3, out_seg=101),
        request([[3, 11]], 1, out_seg=102),
    ]
    steps = assert_engine_decides_as_the_reference(config, requests)
    assert [row["admitted"] for row in steps] == [[[0, 1, 0, 1], [1, 1, 0, 1]], [], [[2, 11, 0, 1]]]


def test_an_arrival_that_lowers_the_adaptive_cap_admits_the_head() -> None:
    """Chunks off: the head's 15 tokens exceed the budget until the cap falls to 40 // 4 = 10."""
    config = PLAIN | {
        "enable_chunked_prefill": False,
        "max_num_scheduled_tokens": 12,
        "long_prefill_token_threshold": 1,
        "long_prefill_token_threshold_adaptive": True,
    }
    requests = [request([[1, 1]], 20, out_seg=100), request([[2, 15]], 1, out_seg=101)]
    requests += [request([[3, 15]], 1, out_seg=102 + i, arrival=10_000) for i in range(2)]
    steps = assert_engine_decides_as_the_reference(config, requests)
    admitted = next(row for row in steps if row["admitted"] and row["admitted"][0][0] == 1)
    assert admitted["admitted"] == [[1, 10, 0, 1]]
    assert admitted["t_ns"] >= 10_000


def test_an_empty_piece_changes_no_content() -> None:
    requests = [request([[1, 0], [2, 8]], 1, out_seg=100), request([[2, 8], [3, 0], [4, 2]], 1, out_seg=101)]
    steps = assert_engine_decides_as_the_reference(PLAIN, requests)
    assert steps[0]["admitted"] == [[0, 8, 0, 1], [1, 2, 8, 1]]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("most", range(1, 8))
def test_a_cut_run_reports_what_was_delivered_before_the_cut(most: int, asynchronous: bool) -> None:
    config = PLAIN | {"max_steps": most, "async_scheduling": asynchronous}
    requests = [
        request([[1, 6]], 3, out_seg=100),
        request([[2, 5]], 20, out_seg=101, arrival=1),
        request([], 1, out_seg=102, arrival=2000),
        request([[3, 5]], 2, out_seg=103, arrival=5000),
    ]
    assert len(assert_engine_decides_as_the_reference(config, requests)) == most
