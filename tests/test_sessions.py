"""Closed loops of turns: who waits for whom, how contexts grow, and what the cache then holds."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.serving import FleetConfig, SchedulerConfig, serve_fleet
from sim.serving.disaggregated import Pool, serve_disaggregated
from sim.serving.kv_transfer import KvTransfer
from sim.serving.records import REJECTED, RequestTable
from sim.timing.linear_surface import LinearSurface
from sim.workload import Requests, WorkloadSpec, generate

SURFACE = LinearSurface(0.01, 1e-4, 1e-6)


def tree(count: int = 60, prefix: bool = True, **sessions: object) -> dict[str, object]:
    arrivals = {
        "process": "sessions",
        "starts": {"process": "poisson", "rate": 0.5},
        "turns": {"distribution": "uniform", "low": 2, "high": 6},
        "pause": {"mean": "2 s", "cv": 1.0},
    } | sessions
    system = {"groups": 2, "tokens": {"distribution": "constant", "value": 64}}
    return {
        "arrivals": arrivals,
        "prompt_tokens": {"distribution": "uniform", "low": 10, "high": 90},
        "output_tokens": {"distribution": "uniform", "low": 1, "high": 30},
        "num_requests": count,
        "prefix": system if prefix else None,
    }


def spec(count: int = 60, prefix: bool = True, **sessions: object) -> WorkloadSpec:
    return WorkloadSpec.model_validate(tree(count, prefix, **sessions))


def limits(**changed: object) -> SchedulerConfig:
    values = {
        "block_size": 16, "num_blocks": 4000, "max_model_len": 4096, "max_num_scheduled_tokens": 512,
        "max_num_batched_tokens": 512, "max_num_seqs": 16, "enable_prefix_caching": True,
    } | changed  # fmt: skip
    return SchedulerConfig(**values)


def served(requests: Requests, replicas: int = 1, router: str = "round_robin", **changed: object):
    config = FleetConfig(limits(**changed), replicas=replicas, router=router)  # type: ignore[arg-type]
    return serve_fleet(requests, SURFACE, config)


def expected_arrivals(requests: Requests, table: RequestTable) -> np.ndarray:
    """The recurrence itself, from the finishes of the run."""
    assert requests.follows is not None
    follows = requests.follows
    last = np.full(len(requests), -np.inf)
    ended = np.where(table.status == REJECTED, table.arrival, table.finish)
    np.maximum.at(last, follows.request, ended[follows.before])
    return np.where(np.isfinite(last), last + follows.pause, requests.arrival)


def test_a_turn_comes_a_pause_after_the_answer_before_it():
    requests = generate(spec(), 1)
    table = served(requests).requests
    np.testing.assert_allclose(table.arrival, expected_arrivals(requests, table), rtol=1e-12)
    later = np.setdiff1d(np.arange(60), np.flatnonzero(np.diff(requests.session, prepend=-1)))
    assert (table.arrival[later] > table.finish[later - 1]).all()


def test_a_prompt_begins_with_the_prompt_and_answer_of_the_turn_before():
    requests = generate(spec(), 2)
    assert requests.pieces is not None
    for row in range(1, len(requests)):
        if requests.session[row] == requests.session[row - 1]:
            before = (
                *requests.pieces[row - 1],
                (requests.output_segment[row - 1], requests.output_tokens[row - 1]),
            )
            assert requests.pieces[row][: len(before)] == before
        assert sum(length for _, length in requests.pieces[row]) == requests.prompt_tokens[row]


def test_a_later_turn_finds_what_was_said_in_the_cache():
    """All whole blocks of the prompt and answer before it, less the last token, which has no KV yet."""
    requests = generate(spec(), 3)
    table = served(requests).requests
    for row in range(1, len(requests)):
        if requests.session[row] == requests.session[row - 1]:
            known = requests.prompt_tokens[row - 1] + requests.output_tokens[row - 1] - 1
            assert table.cached_tokens[row] >= known // 16 * 16


def test_sub_agents_run_beside_one_another_and_the_next_turn_waits_for_all():
    helpers = {"share": 0.7, "count": 3, "turns": {"distribution": "constant", "value": 2}}
    requests = generate(spec(200, subagents=helpers), 4)
    assert requests.follows is not None
    waits = np.bincount(requests.follows.request, minlength=200)
    assert waits.max() == 4  # the answer before, and three helpers
    table = served(requests).requests
    np.testing.assert_allclose(table.arrival, expected_arrivals(requests, table), rtol=1e-12)
    starts = np.bincount(requests.follows.before, minlength=200)
    assert starts.max() == 4  # the next turn and three helpers


def test_a_session_ends_where_its_context_is_full():
    turns = {"distribution": "constant", "value": 500}
    requests = generate(spec(300, turns=turns, context=700), 5)
    assert (requests.prompt_tokens + requests.output_tokens).max() <= 700
    assert requests.session.max() > 5


def test_a_closed_loop_of_sessions_never_has_more_than_its_number_under_way():
    requests = generate(spec(300, starts={"process": "closed", "concurrency": 4}), 6)
    table = served(requests).requests
    first = [
        float(table.arrival[requests.session == s].min()) for s in range(int(requests.session.max()) + 1)
    ]
    last = [float(table.finish[requests.session == s].max()) for s in range(int(requests.session.max()) + 1)]
    for start in first:
        assert sum(a <= start < b for a, b in zip(first, last, strict=True)) <= 4


def test_the_first_prompt_has_lengths_of_its_own():
    first = {"distribution": "constant", "value": 1000}
    requests = generate(spec(100, prefix=False, first_prompt=first), 7)
    firsts = np.flatnonzero(np.diff(requests.session, prepend=-1))
    assert (requests.prompt_tokens[firsts] == 1000).all()


def test_a_longer_run_begins_with_the_shorter_one():
    short, long = generate(spec(50), 8), generate(spec(5000), 8)
    for name in ("arrival", "prompt_tokens", "output_tokens", "session"):
        assert (getattr(long, name)[:50] == getattr(short, name)).all()


def test_an_agent_goes_on_after_a_turn_that_is_refused():
    requests = generate(spec(40), 9)
    table = served(requests, max_model_len=200).requests
    assert (table.status == REJECTED).any()
    assert np.isfinite(table.finish[table.status != REJECTED]).all()
    np.testing.assert_allclose(table.arrival, expected_arrivals(requests, table), rtol=1e-12)


@st.composite
def agents(draw: st.DrawFn) -> tuple[Requests, dict[str, object]]:
    helpers = {
        "share": 0.5,
        "count": draw(st.integers(1, 3)),
        "turns": {"distribution": "constant", "value": 2},
    }
    starts = draw(
        st.sampled_from([{"process": "poisson", "rate": 3.0}, {"process": "closed", "concurrency": 3}])
    )
    requests = generate(
        spec(
            draw(st.integers(1, 40)),
            starts=starts,
            pause={"mean": draw(st.sampled_from(["0 s", "0.05 s", "2 s"]))},
            subagents=draw(st.sampled_from([None, helpers])),
        ),
        draw(st.integers(0, 1000)),
    )
    return requests, {
        "num_blocks": draw(st.integers(300, 500)) // 4, "max_num_seqs": draw(st.integers(1, 8)),
        "max_model_len": 1000, "async_scheduling": draw(st.booleans()),
    }  # fmt: skip


@settings(max_examples=60)
@given(agents(), st.integers(1, 3), st.sampled_from(["round_robin", "least_outstanding", "prefix_affinity"]))
def test_leaping_gives_the_records_of_taking_every_step(case, replicas: int, router: str):
    requests, changed = case
    config = FleetConfig(limits(**changed), replicas=replicas, router=router)  # type: ignore[arg-type]
    leap = serve_fleet(requests, SURFACE, config)
    step = serve_fleet(requests, SURFACE, config, step_by_step=True)
    assert leap.end_reason == "all_done"
    for field in dataclasses.fields(leap.requests):
        mine, theirs = (np.nan_to_num(getattr(run.requests, field.name), nan=-1.0) for run in (leap, step))
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12, err_msg=field.name)
    np.testing.assert_allclose(leap.requests.arrival, expected_arrivals(requests, leap.requests), rtol=1e-12)


@settings(max_examples=30)
@given(agents())
def test_turns_wait_for_answers_of_a_decode_pool_too(case):
    requests, changed = case
    pools = [Pool(FleetConfig(limits(**changed), replicas=2, router="least_outstanding"), SURFACE, 1)] * 2
    table = serve_disaggregated(
        requests, *pools, KvTransfer(1e8, 1e-3, lambda tokens: 1e4 * tokens, layers=4)
    ).whole.requests
    assert np.isfinite(table.finish[table.status != REJECTED]).all()
    np.testing.assert_allclose(table.arrival, expected_arrivals(requests, table), rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"prompt_tokens": None}, "'prompt_tokens' is missing: sessions arrivals"),
        ({"num_requests": None}, "'num_requests' or 'duration' is missing"),
    ],
)
def test_what_sessions_need_is_asked_for(change: dict[str, object], says: str):
    with pytest.raises(ValueError, match=says):
        WorkloadSpec.model_validate(tree() | change)


def test_a_closed_loop_of_sessions_needs_their_number():
    closed = tree(starts={"process": "closed", "concurrency": 4})
    with pytest.raises(ValueError, match="'num_requests' is missing: a closed loop"):
        WorkloadSpec.model_validate(closed | {"num_requests": None, "duration": "1 h"})
