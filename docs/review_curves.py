"""Draws docs/review-requirements.svg from single steps: `python docs/review_curves.py`.

A user's tokens/s of A.X K1 on Rebel100 over the strength of each resource, all others as they are.
"""

import math
from pathlib import Path

from dram_curves import chart

from sim.planning.review.inversion import grid
from sim.planning.review.machine import machine
from sim.planning.review.point import default_point
from sim.planning.review.question import scenario_for
from sim.planning.review.resources import BY_NAME
from sim.planning.review.target import parse_target
from sim.planning.review.variant import Judge

TARGET = Path(__file__).parent / "review-requirements.svg"
NAMES = ("hbm_bandwidth", "link_bandwidth", "link_latency", "launch")
TICKS = {math.log2(strength): f"× {strength:g}" for strength in grid(0.25, 8.0, 1)}


def drawing() -> str:
    """The SVG text."""
    point = default_point(None, None, None)
    scenario = scenario_for("ax-k1", "rebel100-server", point, ("deployment.engine.family=vllm-rbln",))
    judge = Judge(machine(scenario), point, parse_target("tokens/s/user >= 40"))
    lines = {
        BY_NAME[name].title: [
            (math.log2(s), judge.of({name: s}).values["tokens/s/user"]) for s in grid(0.25, 8.0, 4)
        ]
        for name in NAMES
    }
    title = "A.X K1 on 8 × Rebel100, 64 users: tokens/s of a user by strength of one resource"
    return chart(title, lines, TICKS, 60.0, "")


if __name__ == "__main__":
    TARGET.write_text(drawing())
