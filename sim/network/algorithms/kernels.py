"""Low-latency all-reduce kernels of serving stacks: one launch, all peers addressed at once, no library.

b one kernel's start, p `peer_share`, s1 `one_shot_share`, s2 `two_shot_share`, η efficiency, L bandwidth:
  one-shot      b + (n−1)·p·b + (n−1)·S/(s1·ηL)             every chip reads all others and adds up
  two-shot      c·b + (n−1)·p·b + 2S(n−1)/n/(s2·ηL)         a share each, then everybody reads the sums
  switch-shot   c2·b + S(1 + 1/n)/(s2·R)                     the switch adds up (see `in_network`)

b = b0 + the stack's own surcharge, b0 the tier's `low_latency`; c `two_shot_starts`, c2
`switch_shot_starts`, for a second barrier over all chips.
Sources: the kernels of TensorRT-LLM, vLLM and SGLang; figures fitted to their tables on A100 and H100 of
NVIDIA aiconfigurator (docs/network.md).
"""

from dataclasses import dataclass

from sim.network.algorithms.in_network import reduced_bandwidth
from sim.network.group import Level
from sim.network.link_time import LinkTime, on_level
from sim.operators.quantities import Array


@dataclass(frozen=True, slots=True)
class OneShot:
    """Reads everybody's whole message."""

    name: str = "one-shot"

    def time(self, level: Level, message: Array, surcharge: float) -> LinkTime:
        """`surcharge`: s per start beyond the tier's."""
        tier, n = level.tier, level.units
        start = tier.low_latency + surcharge
        sent = (n - 1) * message
        rate = tier.one_shot_share * tier.efficiency * level.bandwidth / level.detour
        return on_level(level, self.name, start, (n - 1) * tier.peer_share * start, sent / rate, sent)


@dataclass(frozen=True, slots=True)
class TwoShot:
    """Reduce-scatter and all-gather in one kernel."""

    name: str = "two-shot"

    def time(self, level: Level, message: Array, surcharge: float) -> LinkTime:
        """`surcharge`: s per start beyond the tier's."""
        tier, n = level.tier, level.units
        start = tier.low_latency + surcharge
        sent = 2 * message * (n - 1) / n
        rate = tier.two_shot_share * tier.efficiency * level.bandwidth / level.detour
        latency = (n - 1) * tier.peer_share * start
        return on_level(level, self.name, tier.two_shot_starts * start, latency, sent / rate, sent)


@dataclass(frozen=True, slots=True)
class SwitchShot:
    """The switch reduces, driven by one kernel."""

    name: str = "switch-shot"

    def time(self, level: Level, message: Array, surcharge: float) -> LinkTime | None:
        """Nothing where no switch reduces."""
        tier, n = level.tier, level.units
        if tier.reduction <= 0:
            return None
        start = tier.low_latency + surcharge
        sent = message * (1 + 1 / n)
        rate = tier.two_shot_share * reduced_bandwidth(level)
        return on_level(level, self.name, level.tier.switch_shot_starts * start, 0.0, sent / rate, sent)


Kernel = OneShot | TwoShot | SwitchShot
