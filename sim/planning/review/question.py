"""A review's scenario where none is written: a model on a cluster, laid out to serve a user fastest."""

from pathlib import Path

from sim.documents import Document
from sim.planning.review.layouts import best_layout
from sim.planning.review.point import Point
from sim.scenario.scenario import Scenario, scenario_of

_FLOATS, _NARROW = "bf16", "fp8"


def scenario_for(model: str, cluster: str, point: Point, sets: tuple[str, ...] = ()) -> Scenario:
    """The scenario; fp8 weights and activations where the chip multiplies fp8, bf16 otherwise.

    Args:
        model, cluster: catalogue names, or paths relative to the working directory.
        sets: overrides, before the layout is chosen.
    Raises:
        UserError: for a name that is in no catalogue, a faulty override, or a model that cannot be split.
    """
    tree: dict[str, object] = {
        "model": model,
        "cluster": cluster,
        "workload": {
            "arrivals": {"process": "closed", "concurrency": point.batch},
            "prompt_tokens": {"distribution": "constant", "value": point.prompt},
            "output_tokens": {"distribution": "constant", "value": point.output},
            "num_requests": 4 * point.batch,
        },
    }
    written = scenario_of(Document(f"{model} on {cluster}", tree), Path())
    peaks = written.spec.cluster.chip.compute.peak
    arithmetic = _NARROW if _NARROW in peaks else _FLOATS
    precision = f"deployment.precision={{weights: {arithmetic}, activations: {arithmetic}}}"
    return best_layout(written.changed([precision, *sets]), point)
