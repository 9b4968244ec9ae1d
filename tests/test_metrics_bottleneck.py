"""Where the time goes: shares add up, and a sample of steps says what all of them say."""

from dataclasses import replace

import numpy as np
import pytest
from metrics_runs import MiniService, breakdown_of, explain, poisson_run

from sim.metrics.row_batch import RowBatches
from sim.operators.batch import BatchShape
from sim.timing.timer import OperatorTime, StepBreakdown


def test_shares_of_resources_and_of_operators_add_up_to_one():
    found = breakdown_of(poisson_run())
    assert sum(found.by_resource.values()) == pytest.approx(1.0)
    assert sum(o.share for o in found.by_operator) == pytest.approx(1.0)
    assert sum(found.by_group.values()) == pytest.approx(1.0)
    for operator in found.by_operator:
        assert sum(operator.parts.values()) == pytest.approx(operator.share)


def test_the_bound_is_the_resource_with_the_largest_share():
    found = breakdown_of(poisson_run())
    assert found.bound_by == "hbm" == max(found.by_resource, key=found.by_resource.get)


def test_busy_and_idle_are_the_runs_own():
    service = MiniService()
    result = poisson_run(rate=0.2, n=50, service=service)
    found = breakdown_of(result)
    assert found.busy == pytest.approx(sum(step[1] for step in service.steps) / result.duration)
    assert found.busy + found.idle == 1.0


def test_the_sample_agrees_with_pricing_every_step():
    service = MiniService()
    result = poisson_run(n=600, service=service)
    found = breakdown_of(result)
    share, total = 0.0, 0.0
    for row, step in enumerate(service.steps):
        priced = explain(RowBatches().of_row(result.segments, row))
        share += step[1] * priced.operators[0].time / sum(o.time for o in priced.operators)
        total += step[1]
    sampled = next(o.share for o in found.by_operator if o.name == "mla_decode")
    assert sampled == pytest.approx(share / total, rel=0.03)


def test_rare_prefill_steps_are_priced_too_with_their_exact_time():
    """A resource that only prefill uses shows with the very share of time that prefill steps take."""

    def prefill_computes(batch: BatchShape) -> StepBreakdown:
        bound = "compute" if batch.chunks else "hbm"
        operator = OperatorTime("gemm", "dense", 1, 1.0, 1.0, 1.0, 1.0, 0.0, bound, "test")
        return StepBreakdown(batch, (operator,), 1.0, 1.0, 1.0)

    result = poisson_run(rate=0.5)
    rows = result.segments
    prefill = rows.first[rows.chunk_tokens > 0].sum() / rows.first.sum()
    assert prefill < 0.05
    assert breakdown_of(result, prefill_computes).by_resource["compute"] == pytest.approx(prefill)


@pytest.mark.parametrize("samples", [16, 64])
def test_no_more_steps_are_priced_than_asked_for(samples):
    calls = []

    def counted(batch):
        calls.append(batch)
        return explain(batch)

    found = breakdown_of(poisson_run(), counted, samples=samples)
    assert found.samples == len(calls) <= samples


def test_a_row_of_steps_is_priced_in_its_middle():
    rows = poisson_run(n=20).segments
    row = int(np.flatnonzero((rows.decodes > 0) & (rows.chunks == 0))[0])
    longer = replace(rows, steps=np.full_like(rows.steps, 21))
    first, middle = RowBatches().of_row(rows, row), RowBatches().of_row(longer, row)
    assert middle.context == first.context + 10 * first.decodes


def test_windows_and_chunks_of_a_batch_are_filled_in():
    rows = poisson_run(n=40, rate=1e6).segments
    row = int(np.argmax(rows.chunks))
    batch = RowBatches(windows=(128,)).of_row(rows, row)
    assert len(batch.chunks) == rows.chunks[row]
    assert sum(new for new, _ in batch.chunks) == rows.chunk_tokens[row]
    assert batch.windowed == (min(batch.context, 128 * batch.decodes),)


def test_ranks_that_step_together_are_priced_as_one_of_them():
    rows = poisson_run(n=40).segments
    row = int(np.argmax(rows.decodes))
    whole, part = RowBatches().of_row(rows, row), RowBatches(ranks=4).of_row(rows, row)
    assert 4 * part.decodes >= whole.decodes > 4 * (part.decodes - 1)
    assert 4 * part.context >= whole.context > 4 * (part.context - 1)


def test_a_step_that_takes_no_time_in_any_operator_has_no_share():
    free = OperatorTime("nothing", "none", 1, 0.0, 0.0, 0.0, 0.0, 0.0, "host", "test")
    found = breakdown_of(poisson_run(n=10), lambda batch: StepBreakdown(batch, (free,), 0.0, 0.0, 0.0))
    assert found.by_operator == ()
    assert found.busy > 0


def test_a_run_without_a_step_is_bound_by_nothing():
    none = np.empty(0, np.int64)
    found = breakdown_of(MiniService().run(np.empty(0), none, none))
    assert found.bound_by is None
    assert found.busy == 0.0
