"""Kinds of DRAM by name: the shipped profiles, or a user's own file, resolved to devices at a pin rate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sim.documents import Document, load, validate
from sim.documents.reading import decode
from sim.dram.constraints import Ticks, constraints
from sim.dram.device import Device, Organisation, SplitActivation
from sim.errors import unknown
from sim.figures import Resolution
from sim.hardware.memory_profile import MemoryDeviceProfile, refuse_impossible

_ROUNDING = 1e-3
"""Share of a clock by which a time may exceed a whole number of clocks without costing another one."""

_BITS = 8


@dataclass(frozen=True, slots=True)
class MemoryDevice:
    """A kind of DRAM with every figure resolved.

    Attributes:
        pins: data pins of a stack or package; pin_rate: bytes a second through one of them.
        channels: of a stack or package.
        timing: seconds by the profile's names; clocks: clocks by the profile's names.
    """

    name: str
    profile: MemoryDeviceProfile
    pin_rate: float
    timing: dict[str, float]

    @classmethod
    def of_tree(cls, tree: Mapping[str, object]) -> "MemoryDevice":
        """The device of a profile's tree."""
        return resolve_device(validate(MemoryDeviceProfile, tree), Resolution())

    @property
    def channels(self) -> int:
        """Channels of a stack or package."""
        return self.profile.organisation.channels

    @property
    def bandwidth(self) -> float:
        """Peak of a stack or package, B/s."""
        return self.profile.pins * self.pin_rate

    def channel(self, pin_rate: float | None = None) -> Device:
        """One channel at a pin rate (B/s), times kept in ns and rounded up to clocks."""
        rate = pin_rate or self.pin_rate
        p, o = self.profile, self.profile.organisation
        clock = p.transfers_per_clock / _BITS / rate
        per_clock = 2 if p.commands.half_clock else 1
        width = p.pins // (o.channels * o.pseudo_channels)
        burst = round(o.transaction * _BITS / width / p.transfers_per_clock) * per_clock
        ticks = self._ticks(clock, per_clock, burst)
        organisation = Organisation(
            o.pseudo_channels,
            o.stack_ids,
            o.bank_groups,
            o.group_banks,
            o.rows,
            columns=round(o.row / o.transaction),
            transaction_bytes=round(o.transaction),
        )
        refreshed = organisation.scope_banks if p.commands.half_clock else organisation.banks
        refi = self.timing["refi"]
        return Device(
            name=self.name,
            organisation=organisation,
            constraints=constraints(ticks),
            tick_ns=clock / per_clock * 1e9,
            half_clock=p.commands.half_clock,
            two_slots=p.commands.bus == "row-and-column",
            burst=burst,
            read_latency=ticks.cl + burst,
            refresh_interval=_clocks(refi, clock) * per_clock,
            bank_refresh_interval=_clocks(refi / refreshed, clock) * per_clock,
            split=self._split(ticks, per_clock),
        )

    def _ticks(self, clock: float, per_clock: int, burst: int) -> Ticks:
        c, commands = self.profile.clocks, self.profile.commands
        times = {name: _clocks(value, clock) * per_clock for name, value in self.timing.items()}
        times.setdefault("rp_ab", times["rp"])
        times.setdefault("rtw", times["cl"] + burst - times["cwl"] + c.rtw_gap * per_clock)
        del times["refi"]
        return Ticks(
            burst=burst,
            act=round(commands.activate * per_clock),
            column=per_clock,
            two_slots=commands.bus == "row-and-column",
            ccd_l=c.ccd_l * per_clock,
            ccd_r=(c.ccd_r * per_clock if c.ccd_r else burst),
            ppd=c.ppd * per_clock,
            **times,
        )

    def _split(self, t: Ticks, per_clock: int) -> SplitActivation | None:
        commands = self.profile.commands
        if commands.bus != "split-activate":
            return None
        after = (commands.clock_after or 1) * per_clock
        within = (commands.second_activate or 1) * per_clock
        return SplitActivation(within, read_clock=t.cl + t.burst + after, write_clock=t.cwl + t.burst + after)


def _clocks(seconds: float, clock: float) -> int:
    return math.ceil(seconds / clock - _ROUNDING)


def device_names() -> list[str]:
    """Names of the shipped devices, sorted."""
    entries = (entry.name for entry in (files("hardware_profiles") / "memory").iterdir())
    return sorted(name.removesuffix(".yaml") for name in entries if name.endswith(".yaml"))


def read_device(name_or_path: str, base: Path | None = None) -> MemoryDeviceProfile:
    """The profile of a shipped device, or of a file (a name with '/' or .yaml/.json), checked.

    Raises:
        UserError: for an unknown name or a faulty profile.
    """
    document = _document(name_or_path, base)
    profile = validate(MemoryDeviceProfile, document.tree, document=document)
    refuse_impossible(profile, document.name)
    return profile


def _document(name_or_path: str, base: Path | None) -> Document:
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml", ".json")):
        path = Path(name_or_path).expanduser()
        return load(path if base is None else base / path)
    known = device_names()
    name = name_or_path.lower()
    if name not in known:
        raise unknown("memory device", name_or_path, known)
    entry = files("hardware_profiles") / "memory" / f"{name}.yaml"
    return decode(entry.read_bytes(), entry.name)


def resolve_device(profile: MemoryDeviceProfile, resolution: Resolution) -> MemoryDevice:
    """Each figure of the profile replaced by a float, and remembered as an assumption."""
    within = resolution.within("timing")
    timing = {name: within.take(name, figure) for name, figure in profile.timing.figures().items()}
    return MemoryDevice(profile.name, profile, resolution.take("pin_rate", profile.pin_rate), timing)


def load_device(name_or_path: str, base: Path | None = None) -> MemoryDevice:
    """A device with every figure at its value.

    Raises:
        UserError: for an unknown name or a faulty profile.
    """
    return resolve_device(read_device(name_or_path, base), Resolution())
