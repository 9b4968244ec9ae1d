"""A real run and a real explained step, small, for the tests of the pages."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import sim

EXAMPLE = Path(__file__).parents[1] / "examples" / "ax-k1-h200.yaml"
WORKLOAD = (
    "workload={arrivals: {process: poisson, rate: %s}, num_requests: %d, "
    "prompt_tokens: {distribution: lognormal, mean: 512, cv: 0.8}, "
    "output_tokens: {distribution: lognormal, mean: 64, cv: 0.8}}"
)
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


@cache
def scenario(rate: float = 8.0, requests: int = 300) -> sim.Scenario:
    """A.X K1 on eight H200 under a Poisson load."""
    return sim.load(EXAMPLE, [WORKLOAD % (rate, requests)])


@cache
def outcome(rate: float = 8.0, requests: int = 300) -> sim.Outcome:
    """The scenario's run."""
    return sim.simulate(scenario(rate, requests))


@cache
def explanation() -> sim.Explanation:
    """A step of 64 decodes beside a prefill chunk."""
    return sim.explain(scenario(), decode=64, context=4096, prefill=512, prefix=1024)


def hostile_outcome() -> sim.Outcome:
    """The run with every name a file can bring replaced by one that attacks the page."""
    good = outcome()
    deployment = good.deployment
    model = replace(deployment.model, name=HOSTILE, title=HOSTILE)
    chip = replace(deployment.cluster.chip, title=HOSTILE)
    cluster = replace(deployment.cluster, name=HOSTILE, title=HOSTILE, chip=chip)
    assumptions = tuple(replace(a, path=HOSTILE, source=HOSTILE) for a in good.summary.assumptions)
    breakdown = good.summary.breakdown
    if breakdown is not None:
        operators = tuple(replace(o, name=HOSTILE, group=HOSTILE) for o in breakdown.by_operator)
        breakdown = replace(breakdown, by_operator=operators)
    return replace(
        good,
        scenario=replace(good.scenario, name=HOSTILE),
        deployment=replace(deployment, model=model, cluster=cluster),
        summary=replace(good.summary, assumptions=assumptions, breakdown=breakdown, notes=(HOSTILE,)),
    )
