"""What the event fidelity costs: CPU seconds of explained steps, and of serving against the analytic timer.

    python benchmarks/event.py

Serving is timed with a step surface that has seen the workload before (warm) and with a fresh one (cold), in
one process, the least of several rounds; only the ratios are of interest. The last table is the gain of
two-batch overlap over one batch, against tokens per chip.
"""

from pathlib import Path
from time import process_time

import sim
from sim.scenario.prepared import prepare
from sim.serving.fleet import serve
from sim.timing import StepSurface, make_timer
from sim.workload import generate

_HERE = Path(__file__).parent
_SIXTY_FOUR = ["cluster.chips=64", "cluster.tiers.1.domain=64"]
_ROUNDS = 5


def _explained() -> None:
    print(f"{'one decode step of A.X K1, EP64':<44}{'simulated':>12}{'CPU s':>8}")
    for overlap in ("none", "two-batch"):
        for whole in (False, True):
            sets = ["model=ax-k1", *_SIXTY_FOUR, f"deployment.overlap={overlap}"]
            scenario = sim.load(_HERE / "two-batch.yaml", sets)
            start = process_time()
            explained = sim.explain(scenario, decode=128, context=4096, whole_model=whole)
            seconds = process_time() - start
            timeline = explained.step.timeline
            assert timeline is not None
            shown = f"{timeline.simulated} of {timeline.layers}"
            print(f"  overlap {overlap:<34}{shown:>12}{seconds:>8.2f}")


def _served(path: Path, sets: list[str]) -> tuple[float, float]:
    """(cold, warm) CPU seconds of serving."""
    scenario = sim.load(path, sets)
    spec, prepared = scenario.spec, prepare(scenario)
    requests = generate(spec.workload, spec.seed, scenario.base)
    surface = StepSurface(make_timer(prepared.deployment, spec.fidelity))
    seconds: list[float] = []
    for _ in range(1 + _ROUNDS):
        start = process_time()
        serve(prepared.deployment, prepared.memory, requests, surface, spec.router)
        seconds.append(process_time() - start)
    return seconds[0], min(seconds[1:])


def _ratios() -> None:
    print(f"\n{'serving, event over analytic':<44}{'cold':>12}{'warm':>8}")
    cases = {
        "examples/ax-k1-h200.yaml": (_HERE.parent / "examples" / "ax-k1-h200.yaml", list[str](), "none"),
        "benchmarks/w2.yaml": (_HERE / "w2.yaml", list[str](), "none"),
        "benchmarks/two-batch.yaml": (_HERE / "two-batch.yaml", _SIXTY_FOUR, "two-batch"),
    }
    for name, (path, sets, overlap) in cases.items():
        event = _served(path, [*sets, "fidelity=event", f"deployment.overlap={overlap}"])
        analytic = _served(path, [*sets, "fidelity=analytic", "deployment.overlap=none"])
        print(f"  {name:<42}{event[0] / analytic[0]:>12.2f}{event[1] / analytic[1]:>8.2f}")


def _gains() -> None:
    print(f"\n{'DeepSeek-V3 on 64 H100, step':<44}{'one batch':>12}{'two':>8}{'gain':>9}")
    one, two = (
        sim.load(_HERE / "two-batch.yaml", [*_SIXTY_FOUR, f"deployment.overlap={overlap}"])
        for overlap in ("none", "two-batch")
    )
    steps = {f"{n} decodes of 2,000 a chip": {"decode": n, "context": 2000} for n in (32, 64, 96, 128, 256)}
    steps["prefill of 8,192 a chip"] = {"decode": 0, "prefill": 8192}
    for name, step in steps.items():
        single, double = (sim.explain(scenario, **step).step.total for scenario in (one, two))
        gain = f"{100 * (single / double - 1):+.0f} %"
        print(f"  {name:<42}{single * 1e3:>9.1f} ms{double * 1e3:>5.0f} ms{gain:>9}")


if __name__ == "__main__":
    _explained()
    _ratios()
    _gains()
