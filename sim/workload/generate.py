"""From a workload's spec to its requests. Same spec and seed, same bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError
from sim.workload.arrivals import Closed, Source
from sim.workload.lengths import Lengths
from sim.workload.limits import MOST_SECONDS
from sim.workload.prompts import prompts_with_prefix
from sim.workload.requests import Requests
from sim.workload.schema import WorkloadSpec
from sim.workload.streams import stream


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
    if isinstance(spec.arrivals, Source):
        requests = spec.arrivals.requests(spec.extent, seed, base)
        return requests if spec.priority is None else _with_priority(requests, spec, seed)
    arrival = spec.arrivals.times(spec.extent, stream(seed, "arrivals"))
    count = len(arrival)
    if not count:
        raise UserError(
            f"workload.duration: no request arrives within {spec.duration:g} s; give a longer one"
        )
    if arrival[-1] > MOST_SECONDS:
        raise UserError(
            f"workload.arrivals: the last of {count} requests would arrive at {arrival[-1]:.3g} s; "
            f"at most {MOST_SECONDS:g} s is allowed"
        )
    prompt = _lengths(spec.prompt_tokens, "prompt_tokens", count, seed, base)
    pieces, answers = None, np.empty(0, np.int64)
    if spec.prefix is not None:
        group, tokens = spec.prefix.groups_of(count, seed), spec.prefix.group_tokens(seed, base)
        pieces, answers = prompts_with_prefix(group, tokens, prompt)
        prompt = prompt + np.where(group >= 0, tokens[group], 0)
    return Requests(
        arrival=arrival,
        prompt_tokens=prompt,
        output_tokens=_lengths(spec.output_tokens, "output_tokens", count, seed, base),
        priority=np.empty(0, np.int64) if spec.priority is None else spec.priority.sample(count, seed),
        pieces=pieces,
        output_segment=answers,
        concurrency=spec.arrivals.concurrency if isinstance(spec.arrivals, Closed) else None,
    )


def _lengths(
    lengths: Lengths | None, name: str, count: int, seed: int, base: Path | None
) -> NDArray[np.int64]:
    assert lengths is not None
    try:
        return lengths.sample(stream(seed, name).random(count), base)
    except ValueError as error:
        raise UserError(f"workload.{name}: {error}") from None


def _with_priority(requests: Requests, spec: WorkloadSpec, seed: int) -> Requests:
    assert spec.priority is not None
    return replace(requests, priority=spec.priority.sample(len(requests), seed))
