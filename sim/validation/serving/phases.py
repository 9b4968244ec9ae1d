"""Prefill and decode on chips of their own: the pools of a case, or the one phase that it measured.

A case that states one phase took the other to be unlimited: prompts are then all there at once and end with
their first token; decodes are one step of the stated batch, repeated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sim.validation.serving.cases import MeasuredCase, Tree, as_number
from sim.validation.serving.layout import cluster_of, layout_in

_PHASES = ("prefill", "decode")
_REPLICAS = 32
"""Replicas of experts where a case balances loads without saying with how many: the published recipes of
DeepSeek (day of traffic, February 2025) and SGLang (large-scale EP, May 2025) have 32 in every layer."""
_STEP_TOKENS = re.compile(r"(\d[\d,]*)\s?(k?) tokens per (?:gpu|device|rank)", re.IGNORECASE)
_TWO_BATCHES = re.compile(r"(?:two|dual)[- ](?:micro-?)?batch overlap", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Phase:
    """The layout of one engine of a phase, and how many there are."""

    layout: dict[str, int]
    engines: int

    @property
    def chips(self) -> int:
        """Of all its engines."""
        return self.layout["tp"] * self.layout["pp"] * self.layout["dp"] * self.engines


def stated_phases(case: MeasuredCase, *, mixture: bool) -> dict[str, Phase]:
    """The phases that a case gives chips of their own, by name; none where it serves in one pool.

    Args:
        mixture: as for `layout_in`; ranks of a dense model are engines of their own.
    """
    found: dict[str, Phase] = {}
    for name in _PHASES:
        stated = case.parallelism.get(name)
        if not isinstance(stated, dict):
            continue
        tree = cast("Tree", stated)
        layout = layout_in(tree, alone=True, mixture=mixture)
        if layout is None:
            continue
        engines = int(as_number(tree.get("workers")) or 1)
        if not mixture:
            engines, layout = engines * layout["dp"], layout | {"dp": 1}
        found[name] = Phase(layout, engines)
    return found


def placed(
    phases: Mapping[str, Phase], chip: str, deployment: Mapping[str, object], *, early: bool
) -> dict[str, object]:
    """`cluster`, `deployment` and, with two phases, `prefill` and `transfer` of a scenario.

    Args:
        early: whether blocks are allocated before a prompt is computed, and layers sent as they are done.
    """
    own = phases.get("decode") or phases["prefill"]
    tree = _pool(own, chip, deployment)
    if len(phases) == len(_PHASES):
        tree |= {"prefill": _pool(phases["prefill"], chip, deployment), "transfer": {"layerwise": early}}
    return tree


def _pool(phase: Phase, chip: str, deployment: Mapping[str, object]) -> dict[str, object]:
    cut = {"parallel": phase.layout, "replicas": phase.engines}
    return {"cluster": cluster_of(chip, phase.chips), "deployment": {**deployment, **cut}}


def is_decode_alone(case: MeasuredCase) -> bool:
    """Whether the case is the steady state of decode engines that never wait for prompts."""
    return "decode" in case.parallelism and "prefill" not in case.parallelism


def step_tokens(case: MeasuredCase) -> int | None:
    """Prompt tokens a step and chip, "16K tokens per GPU"; None where the case does not say."""
    found = _STEP_TOKENS.search(f"{case.workload.get('arrival') or ''}; {case.notes}")
    return None if found is None else int(found[1].replace(",", "")) * (1024 if found[2] else 1)


def expert_loads(case: MeasuredCase) -> dict[str, object]:
    """`routing` and `eplb` of a deployment, as far as the case says how loads were balanced."""
    words = f"{case.workload.get('arrival') or ''}; {case.notes}".lower()
    if "balanced moe routing" in words or "balanced routing" in words:
        return {"routing": {"popularity": "balanced"}}
    for name in _PHASES:
        stated = case.parallelism.get(name)
        tree: Tree = cast("Tree", stated) if isinstance(stated, dict) else {}
        if (replicas := as_number(tree.get("redundant_experts"))) is not None:
            return {"eplb": {"num_redundant_experts": int(replicas)}}
    balanced = "eplb" in words or "expert distribution" in words
    return {"eplb": {"num_redundant_experts": _REPLICAS}} if balanced else {}


def overlaps_batches(case: MeasuredCase) -> bool:
    """Whether one half of a batch computes while the other's tokens are exchanged."""
    return _TWO_BATCHES.search(case.notes) is not None
