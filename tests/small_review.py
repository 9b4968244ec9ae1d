"""A review of a second or two: coarse grids, few draws, a small model."""

from pathlib import Path

import pytest

import sim
from sim.planning.review import requirements
from sim.planning.review.inversion import grid


def coarse(patch: pytest.MonkeyPatch) -> None:
    """Grids of few values, where a test is not about them."""
    few = {"step": grid(0.5, 2.0, 1), "served": grid(0.5, 2.0, 1)}
    patch.setattr(requirements, "ALONE", few)
    patch.setattr(requirements, "TOGETHER", {level: [1.0, 2.0] for level in few})


def small_review(path: Path) -> sim.Review:
    """The scenario in a file against one H200, with one target."""
    with pytest.MonkeyPatch.context() as patch:
        coarse(patch)
        return sim.review(
            sim.load(path), batch=16, targets=["tokens/s/user >= 300"], parity="h200-1", samples=4
        )
