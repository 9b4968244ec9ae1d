"""Synthetic requests with the published statistics of a real service: no real trace, but one like it.

A preset (`sim/workload/presets/`) decomposes the service into clients, as ServeGen found real ones to be
composed (Xiang et al., arXiv 2505.09999): each has its share of the requests, its own burstiness and its
own lengths; together they give arrivals that no single process would. `sim.workload.synthesis` draws them.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from sim.workload.arrivals.renewal import Policy, Rate
from sim.workload.extent import Extent
from sim.workload.requests import Requests


class Synthetic(Policy):
    """Requests of a preset, at its own rate or another."""

    process: Literal["synthetic"]
    preset: str = Field(description="name of a preset, or a file of that form relative to the scenario")
    rate: Rate | None = Field(default=None, description="requests per second in place of the preset's")

    def requests(self, extent: Extent, seed: int, base: Path | None) -> Requests:
        """The requests within `extent`.

        Raises:
            UserError: unknown preset, malformed file, nothing arrives within the duration.
        """
        from sim.workload.preset import read_preset
        from sim.workload.synthesis import synthesise

        preset = read_preset(self.preset, base)
        return synthesise(preset, self.rate or preset.rate, extent, seed)
