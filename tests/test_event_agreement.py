"""Event against analytic: they share shapes, tiles and achieved rates, and differ in how engines overlap."""

from collections.abc import Iterator

import numpy as np
import pytest

from sim.deployment import Deployment
from sim.operators import Collective, ExpertExchange, Hop, Operator
from sim.operators.quantities import Array
from sim.timing.event.job import kernel
from sim.timing.event.pricer import EventPricer
from sim.timing.pricer import AnalyticPricer
from sim.timing.rates import rates
from sim.timing.step_timer import lowering_of
from sim.timing.timer import CALM
from tests.chips import axk1, deployed, llama

LONG = 20e-6
"""Operators shorter than this are launches more than anything else."""
TOKENS = (1.0, 16.0, 64.0, 192.0, 512.0, 2048.0, 8192.0)
CHUNKS = ((1, 0), (200, 4000), (2048, 0), (8192, 0), (512, 30_000))
CASES = {
    "axk1 h200": axk1,
    "axk1 rebel100": lambda: axk1("rebel100-server"),
    "axk1 mi300x": lambda: axk1("mi300x-platform"),
    "axk1 b200": lambda: axk1("b200-hgx"),
    "llama tpu": lambda: deployed("llama-3.1-70b", "tpu-v6e-8", tp=8),
    "llama a100": llama,
    "llama rngd": lambda: deployed("llama-3.1-8b", "rngd-server", tp=4),
    "llama gaudi": lambda: deployed("llama-3.1-70b", "gaudi3-server", tp=8),
    "llama 405b": lambda: deployed("llama-3.1-405b", "h200-hgx", "fp8", "fp8", tp=8),
    "int4": lambda: deployed("llama-2-7b", "a100-hgx", "int4", "bf16"),
    "gpt-oss": lambda: deployed("gpt-oss-120b", "h200-hgx", tp=2, ep=2),
    "recurrent": lambda: deployed("qwen3-next-80b-a3b", "h200-hgx", tp=2, ep=2),
    "sparse": lambda: deployed("deepseek-v3.2", "h200-hgx", "fp8", "fp8", tp=8, ep=8),
    "servers": lambda: deployed("deepseek-v3", "h100-hgx-x4", "fp8", "fp8", dp=32, ep=32),
}


def operators(deployment: Deployment) -> Iterator[Operator]:
    """Operators of many steps: a spread of tokens, of decodes and contexts, of chunks."""
    lowering = lowering_of(deployment)
    tokens = np.array(TOKENS)
    yield from lowering.tokens(tokens)
    yield from lowering.rows(tokens[:4])
    yield from lowering.shared(tuple(round(t) for t in TOKENS))
    yield from lowering.per_decode(tokens[:4])
    for mean in (500.0, 4000.0, 30_000.0):
        for part in lowering.decodes(tokens[:4], [mean * tokens[:4]] * (1 + len(lowering.windows))):
            yield from part
    for chunk in CHUNKS:
        yield from lowering.chunks((chunk,))


def compared(deployment: Deployment) -> Iterator[tuple[Operator, Array, Array, Array]]:
    """(operator, event, analytic, whether one resource has at least twice the time of any other) by case."""
    cluster = deployment.cluster
    chip = rates(cluster.chip, CALM)
    event, analytic = EventPricer(chip, cluster), AnalyticPricer(chip, cluster)
    for operator in operators(deployment):
        if isinstance(operator, Collective | ExpertExchange | Hop):
            continue
        times = np.sum(
            [[one.matrix, one.vector, one.memory] for one in kernel(operator, chip).passes], axis=0
        )
        second, first = np.sort(times, axis=0)[-2:]
        yield operator, event.price(operator).total, analytic.price(operator).total, first >= 2.0 * second


@pytest.mark.parametrize("case", sorted(CASES))
def test_event_and_analytic_agree_within_10_percent_far_from_the_ridge_and_30_near_it(case: str) -> None:
    checked = 0
    for operator, event, analytic, far in compared(CASES[case]()):
        long = analytic > LONG
        checked += int(long.sum())
        error = np.abs(event / np.maximum(analytic, 1e-30) - 1.0)
        assert error[long & far].max(initial=0.0) <= 0.10, (operator.name, error, far)
        assert error[long].max(initial=0.0) <= 0.30, (operator.name, error)
    assert checked > 0


@pytest.mark.parametrize("case", ["axk1 h200", "servers", "axk1 rebel100"])
def test_communication_alone_takes_what_the_analytic_form_says(case: str) -> None:
    deployment = CASES[case]()
    chip = rates(deployment.cluster.chip, CALM)
    event, analytic = (kind(chip, deployment.cluster) for kind in (EventPricer, AnalyticPricer))
    for operator in operators(deployment):
        if isinstance(operator, Collective | ExpertExchange | Hop):
            assert event.price(operator).total == pytest.approx(analytic.price(operator).total)
