"""Mean TTFT and TPOT in parts: they add up whatever happened, and each part is what its name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from test_engine import lone, scenarios

from sim.metrics import RequestTime, SampledSteps, request_time, sample_steps, time_breakdown
from sim.metrics.latency import latencies
from sim.metrics.row_batch import RowBatches
from sim.operators.batch import BatchShape
from sim.serving import FleetConfig, RunResult, serve_fleet
from sim.timing.linear_surface import LinearSurface
from sim.timing.timer import OperatorTime, StepBreakdown
from sim.workload.requests import Requests

SURFACE = LinearSurface(0.01, 1e-4, 3e-6)
EVERY_ROW = 4000


def explain(batch: BatchShape) -> StepBreakdown:
    """The fixed part is launch, tokens are compute, context is memory."""
    context = batch.context + sum(new + past for new, past in batch.chunks)
    parts = {
        "launch": SURFACE.fixed,
        "compute": SURFACE.per_token * batch.tokens,
        "hbm": SURFACE.per_context * context,
    }
    total = sum(parts.values())
    step = OperatorTime("all", "all", 1, total, 0.0, 0.0, 0.0, 0.0, "hbm", "test", parts)
    return StepBreakdown(batch, (step,), total, total, total)


def alone(batch: BatchShape) -> float:
    return explain(batch).total


def sampled(result: RunResult, samples: int = 24, ranks: int = 1) -> SampledSteps:
    return sample_steps(result, explain, alone, RowBatches(ranks=ranks), samples)


def divided(result: RunResult, samples: int = 24) -> RequestTime:
    return request_time(result, sampled(result, samples))


@settings(max_examples=200, deadline=None)
@given(scenarios())
def test_the_parts_add_up_to_the_mean_latencies(scenario) -> None:
    """Under preemption, starvation, shared prefixes, ranks in lockstep, closed loops, either scheduling."""
    requests, surface, config = scenario
    result = serve_fleet(requests, surface, config)
    spent = request_time(result, sampled(result, ranks=config.ranks))
    found = latencies(result.requests)
    for parts, values in ((spent.ttft, found.ttft), (spent.tpot, found.tpot)):
        there = values[np.isfinite(values)]
        if parts is None:
            assert not len(there)
            continue
        assert parts.mean == pytest.approx(there.mean(), rel=1e-9)
        assert sum(parts.causes.values()) == pytest.approx(parts.phases[parts.working], rel=1e-9)
        assert min(*parts.phases.values(), *parts.causes.values()) >= -1e-12


@settings(max_examples=60, deadline=None)
@given(scenarios())
def test_leaping_divides_latencies_as_taking_every_step_does(scenario) -> None:
    requests, surface, config = scenario
    phases = []
    for step_by_step in (False, True):
        result = serve_fleet(requests, surface, config, step_by_step=step_by_step)
        spent = request_time(result, sampled(result))
        divided_in = [parts for parts in (spent.ttft, spent.tpot) if parts is not None]
        phases.append([seconds for parts in divided_in for seconds in parts.phases.values()])
    np.testing.assert_allclose(phases[0], phases[1], rtol=1e-9, atol=1e-12)


def loaded(n: int = 60, rate: float = 8.0, **scheduler) -> RunResult:
    rng = np.random.default_rng(4)
    requests = Requests(
        np.cumsum(rng.exponential(1 / rate, n)), rng.integers(50, 900, n), rng.integers(1, 80, n)
    )
    return serve_fleet(requests, SURFACE, lone(scheduler))


def test_the_division_by_cause_is_that_of_every_step_each_request_was_in() -> None:
    """Against summing, request by request, what each of its steps spends its time on."""
    result = loaded()
    spent = divided(result, EVERY_ROW)
    rows, table = result.segments, result.requests
    ttft, tpot, interference = dict.fromkeys(("launch", "compute", "hbm"), 0.0), {}, 0.0
    tpot = dict(ttft)
    answers = table.output_tokens > 1
    for row in range(len(rows.start)):
        count, tokens = int(rows.decodes[row]), int(rows.chunk_tokens[row])
        for step in range(int(rows.steps[row])):
            context = int(rows.context[row]) + count * step
            start = rows.start[row] + step * rows.first[row] + rows.slope[row] * (step * (step - 1) / 2)
            middle = start + 0.5 * rows.first[row]
            chunk = ((tokens, int(rows.chunk_past[row])),) if tokens else ()
            whole = explain(BatchShape(count, context, (), chunk)).operators[0]
            only = explain(BatchShape(count, context)).operators[0]
            first = (table.scheduled < middle) & (middle < table.first_token)
            later = answers & (table.first_token < middle) & (middle < table.finish)
            rate = float((later / np.maximum(table.output_tokens - 1, 1)).sum()) / answers.sum()
            for cause in ttft:
                ttft[cause] += first.mean() * whole.parts[cause]
                tpot[cause] += rate * only.parts[cause]
            interference += rate * (whole.time - only.time)
    assert spent.ttft is not None
    assert spent.tpot is not None
    assert dict(spent.ttft.causes) == pytest.approx(ttft, rel=2e-3)
    assert dict(spent.tpot.causes) == pytest.approx(tpot, rel=2e-3)
    assert spent.tpot.phases["interference"] == pytest.approx(interference, rel=1e-3)


def test_a_sample_divides_latencies_as_all_steps_do() -> None:
    result = loaded(400)
    few, all_steps = divided(result), divided(result, EVERY_ROW)
    for sample, every in ((few.ttft, all_steps.ttft), (few.tpot, all_steps.tpot)):
        assert sample is not None
        assert every is not None
        assert sample.phases == pytest.approx(every.phases)
        for cause, seconds in every.causes.items():
            assert abs(sample.causes[cause] - seconds) < 0.02 * every.mean


def test_a_prompt_that_arrives_beside_decodes_interferes_by_what_it_adds_to_their_step() -> None:
    requests = Requests(np.array([0.0, 0.1]), np.array([10, 500]), np.array([31, 1]))
    spent = divided(serve_fleet(requests, SURFACE, lone()))
    assert spent.tpot is not None
    added = 500 * (SURFACE.per_token + SURFACE.per_context)
    assert spent.tpot.phases["interference"] == pytest.approx(added / 30)
    assert spent.tpot.phases["preemption"] == 0.0


def test_requests_that_never_meet_a_prefill_decode_undisturbed() -> None:
    requests = Requests(np.zeros(8), np.full(8, 100), np.full(8, 40))
    spent = divided(serve_fleet(requests, SURFACE, lone()))
    assert spent.tpot is not None
    assert spent.tpot.phases["interference"] == pytest.approx(0.0, abs=1e-12)


def test_queueing_is_the_wait_for_the_first_step() -> None:
    result = loaded(rate=200.0, max_num_seqs=4)
    spent = divided(result)
    assert spent.ttft is not None
    table = result.requests
    assert spent.ttft.phases["queueing"] == pytest.approx((table.scheduled - table.arrival).mean(), rel=1e-12)
    assert spent.ttft.phases["queueing"] > spent.ttft.phases["prefill"]


def test_preemption_lasts_from_the_loss_of_the_cache_to_the_next_token() -> None:
    """Room for both prompts, not for both answers: the second is thrown out, waits, and is computed anew."""
    requests = Requests(np.zeros(2), np.full(2, 32), np.full(2, 40))
    crowded = lone({"num_blocks": 6, "enable_prefix_caching": False})
    result = serve_fleet(requests, SURFACE, crowded)
    assert result.requests.preemptions.tolist() == [0, 1]
    lost, table = result.recomputes, result.requests
    assert lost.request.tolist() == [1]
    assert table.first_token[1] < lost.start[0] < table.finish[0] <= lost.end[0] < table.finish[1]
    spent = divided(result)
    assert spent.tpot is not None
    assert spent.tpot.phases["preemption"] == pytest.approx((lost.end - lost.start)[0] / 39 / 2)


def test_a_rank_without_work_waits_for_the_one_that_has_some() -> None:
    requests = Requests(np.zeros(1), np.array([100]), np.array([20]))
    config = lone(ranks=2)
    result = serve_fleet(requests, SURFACE, FleetConfig(config.scheduler, ranks=2))
    own = result.segments.time - SURFACE.fixed * result.segments.steps
    np.testing.assert_allclose(result.segments.waited, own / 2)
    found = sampled(result, ranks=2)
    breakdown = time_breakdown(result, found)
    share = float(result.segments.waited.sum() / result.segments.time.sum())
    assert breakdown.by_cause["imbalance"] == pytest.approx(share)
    assert sum(breakdown.by_cause.values()) == pytest.approx(1.0)
    spent = request_time(result, found)
    assert spent.tpot is not None
    assert spent.tpot.causes["imbalance"] > 0


def test_a_run_in_which_nobody_finishes_has_no_parts() -> None:
    none = np.empty(0, np.int64)
    result = serve_fleet(Requests(np.empty(0), none, none), SURFACE, lone())
    spent = divided(result)
    assert (spent.ttft, spent.tpot, spent.rows()) == (None, None, [])
