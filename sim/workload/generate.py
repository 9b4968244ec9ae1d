"""From a workload's spec to its requests. Same spec and seed, same bytes."""

from dataclasses import replace
from pathlib import Path

from sim.errors import UserError
from sim.workload.clients import Clients
from sim.workload.drawing import draw
from sim.workload.limits import MOST_SECONDS
from sim.workload.requests import Requests
from sim.workload.schema import WorkloadSpec


def generate(spec: WorkloadSpec, seed: int, base: Path | None = None) -> Requests:
    """The requests of a run, in order of arrival.

    Each purpose draws from its own stream, lengths by inverse distribution: runs that differ in a rate share
    their lengths, runs that differ in lengths share their arrivals.

    Args:
        seed: of the scenario, at least 0.
        base: folder that paths in the spec are relative to; the current one if None.
    Raises:
        UserError: an empty workload, an unreadable or malformed file.
    """
    if isinstance(spec.arrivals, Clients):
        from sim.workload.mixture import mixed

        requests = mixed(spec.arrivals, spec.extent, seed, base)
        if spec.priority is not None:
            requests = replace(requests, priority=spec.priority.sample(len(requests), seed))
    else:
        requests = draw(spec.arrivals, spec, spec.extent, seed, base)
    if not len(requests):
        raise UserError(
            f"workload.duration: no request arrives within {spec.duration:g} s; give a longer one"
        )
    if requests.arrival[-1] > MOST_SECONDS:
        raise UserError(
            f"workload.arrivals: the last of {len(requests)} requests would arrive at "
            f"{requests.arrival[-1]:.3g} s; at most {MOST_SECONDS:g} s is allowed"
        )
    return requests
