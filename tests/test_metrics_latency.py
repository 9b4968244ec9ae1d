"""Latencies and their statistics follow vLLM's definitions, and the gaps add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_runs import MiniService, poisson_run, with_requests

from sim.metrics import SloSpec, Window
from sim.metrics.intertoken import Gaps, gap_statistics, gaps
from sim.metrics.latency import latencies, statistics
from sim.serving.records import REJECTED, UNFINISHED, StepSegments

lengths = st.integers(1, 400)


def expanded(first, slope, steps, decodes):
    """Every gap of some rows, one by one."""
    rows = zip(first, slope, steps, decodes, strict=True)
    return np.concatenate([np.repeat(f + s * np.arange(n), d) for f, s, n, d in rows])


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200))
def test_statistics_equal_numpys(values):
    found = statistics(np.array(values))
    expected = np.percentile(values, [50, 90, 95, 99])
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values), abs=1e-9 * max(values))
    assert found.percentiles == pytest.approx(expected)


@given(st.integers(0, 20), st.integers(1, 20))
def test_statistics_leave_out_what_is_not_a_number(absent, present):
    values = np.arange(1.0, present + 1)
    mixed = np.random.default_rng(absent).permutation(np.concatenate((values, np.full(absent, np.nan))))
    assert statistics(mixed) == statistics(values)


def test_statistics_of_nothing_are_absent():
    assert all(np.isnan(value) for value in statistics(np.array([np.nan])).fields("ttft").values())


def test_a_one_token_answer_has_no_tpot():
    found = latencies(poisson_run(n=50, output=1).requests)
    assert np.isnan(found.tpot).any()
    assert np.isfinite(found.e2el).all()


def test_e2el_is_ttft_and_the_gaps_after_it():
    requests = poisson_run().requests
    found = latencies(requests)
    assert found.e2el == pytest.approx(found.ttft + found.tpot * (requests.output_tokens - 1))


def test_gap_statistics_equal_those_of_every_gap_the_service_saw():
    service = MiniService()
    found = gap_statistics(gaps(poisson_run(service=service)))
    seen = np.array(service.gaps)
    assert found.mean == pytest.approx(seen.mean())
    assert found.std == pytest.approx(seen.std())
    exact = np.quantile(seen, [0.5, 0.9, 0.95, 0.99], method="inverted_cdf")
    assert found.percentiles == pytest.approx(exact, rel=1e-3)


@given(
    st.lists(
        st.tuples(st.floats(0.001, 1.0), st.floats(0.0, 1e-4), st.integers(1, 300), st.integers(1, 64)),
        min_size=1,
        max_size=12,
    )
)
def test_rows_of_rising_steps_give_the_statistics_of_their_single_steps(rows):
    first, slope, steps, decodes = (np.array(column) for column in zip(*rows, strict=True))
    found = gap_statistics(Gaps(first, slope, steps.astype(float), decodes.astype(float)))
    seen = expanded(first, slope, steps, decodes)
    assert found.mean == pytest.approx(seen.mean(), rel=1e-9)
    assert found.std == pytest.approx(seen.std(), rel=1e-6, abs=1e-9)
    for level, value in zip((0.5, 0.9, 0.95, 0.99), found.percentiles, strict=True):
        # between the neighbours' quantiles: a point stands for up to 0.2 % of gap and for its share of weight
        low = np.quantile(seen, max(0.0, level - 2 / len(first) / 8), method="inverted_cdf")
        high = np.quantile(seen, min(1.0, level + 2 / len(first) / 8), method="inverted_cdf")
        assert low * (1 - 2e-3) <= value <= high * (1 + 2e-3)


def test_one_long_row_is_resolved_to_a_fifth_of_a_percent():
    row = [np.array([value]) for value in (0.010, 1e-5, 2000.0, 3.0)]
    found = gap_statistics(Gaps(*row))
    exact = 0.010 + 1e-5 * np.ceil(np.array([0.5, 0.9, 0.95, 0.99]) * 2000 - 1)
    assert found.percentiles == pytest.approx(exact, rel=2e-3)


def test_the_gaps_of_a_preempted_request_are_counted_where_no_row_has_them():
    result = poisson_run(n=60)
    victim, stall = 30, 5.0
    late = result.requests.finish.copy()
    late[victim] += stall
    preempted = np.zeros(60, np.int64)
    preempted[victim] = 1
    rows = result.segments
    # the victim's recompute ends one gap that is no decode: take one decode out of the row it was in
    row = int(np.flatnonzero((rows.start >= result.requests.first_token[victim]) & (rows.decodes > 0))[0])
    decodes = rows.decodes.copy()
    decodes[row] -= 1
    fewer = StepSegments(
        **{name: getattr(rows, name) for name in StepSegments.__slots__ if name != "decodes"}, decodes=decodes
    )
    changed = with_requests(result, finish=late, preemptions=preempted)
    changed = type(changed)(
        **{name: getattr(changed, name) for name in type(changed).__slots__ if name != "segments"},
        segments=fewer,
    )
    found = gaps(changed)
    assert found.counts.sum() == (changed.requests.output_tokens - 1).sum()
    total = (changed.requests.finish - changed.requests.first_token).sum()
    assert gap_statistics(found).mean * found.counts.sum() == pytest.approx(total)
    assert found.first[-1] > stall


def test_gaps_of_a_run_cut_off_in_mid_answer_are_those_of_its_rows():
    result = poisson_run(n=30)
    preempted = np.ones(30, np.int64)
    status = result.requests.status.copy()
    status[4] = UNFINISHED
    cut = with_requests(result, preemptions=preempted, status=status)
    assert gaps(cut).counts.sum() == (result.segments.steps * result.segments.decodes).sum()


def test_a_preemption_before_the_first_token_adds_no_gap():
    result = poisson_run(n=30)
    preempted = np.zeros(30, np.int64)
    preempted[7] = 1
    found = gaps(with_requests(result, preemptions=preempted))
    assert found.counts.sum() == (result.requests.output_tokens - 1).sum()


def test_each_bound_alone_and_all_together_decide_whether_a_request_met_its_slo():
    found = latencies(poisson_run().requests)
    ttft, tpot = np.median(found.ttft), np.median(found.tpot)
    only_ttft, only_tpot = SloSpec(ttft=f"{ttft} s"), SloSpec(tpot=f"{tpot} s")
    both = SloSpec(ttft=f"{ttft} s", tpot=f"{tpot} s")
    assert (only_ttft.met(found) == (found.ttft <= ttft)).all()
    assert (both.met(found) == (only_ttft.met(found) & only_tpot.met(found))).all()
    assert 0 < both.met(found).sum() < len(found.ttft)


def test_a_one_token_answer_meets_every_tpot():
    found = latencies(poisson_run(n=50, output=1).requests)
    met = SloSpec(tpot="1 ns").met(found)
    assert (met == np.isnan(found.tpot)).all()


def test_a_rejected_request_meets_no_slo():
    result = poisson_run(n=20)
    status = result.requests.status.copy()
    status[3] = REJECTED
    met = SloSpec(e2el="1 h").met(latencies(with_requests(result, status=status).requests))
    assert not met[3]
    assert met.sum() == 19


@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"attainment": 0.9},
        {"ttft": "0 s"},
        {"ttft": "2"},
        {"itl": "5 ms"},
        {"ttft": "1 s", "attainment": 0},
    ],
)
def test_an_slo_without_a_positive_bound_is_refused(bounds):
    with pytest.raises(ValueError, match=r"slo|ttft|itl|attainment|unit"):
        SloSpec.model_validate(bounds)


def test_a_window_knows_its_length():
    assert Window(2.0, 5.0).length == 3.0
