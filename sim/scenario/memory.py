"""The memory to be studied on its own: one stack or package of a device, or all the memory of a chip."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast, get_args

from sim import dram
from sim.errors import UserError, unknown
from sim.figures import Assumption, Resolution
from sim.hardware import load_chip
from sim.hardware.assumed import CONTROLLER_FIGURES

MOST_IN_FLIGHT = 4_096
_OUTSTANDING, _QUEUE = "memory.outstanding", "memory.queue"
_CHIP_FIGURES = tuple(
    f"memory.{name}" for name in ("stacks", "bandwidth", "outstanding", "interleave", "row_piece", "queue")
)


@dataclass(frozen=True, slots=True)
class StudiedMemory:
    """The memory of a chip, or a single stack or package of a device, with the figures it rests on."""

    title: str
    device: str
    stacks: int
    memory: dram.ChipMemory
    assumptions: tuple[Assumption, ...]

    @property
    def in_flight(self) -> int:
        """Requests in flight per pseudo-channel."""
        system = self.memory.system
        return max(1, round(system.controller.depth / system.device.organisation.pseudo_channels))

    @property
    def text(self) -> str:
        """What it is, in words."""
        pseudo_channels = self.memory.system.device.organisation.pseudo_channels
        inside, scope = "", "channel"
        if pseudo_channels > 1:
            inside, scope = f" of {pseudo_channels} pseudo-channels", "pseudo-channel"
        return (
            f"{self.title}: {self.stacks} × {self.device}, {self.memory.channels} channels{inside}, peak "
            f"{self.memory.bandwidth / 1e9:,.1f} GB/s, {self.in_flight} requests in flight per {scope}, "
            f"refresh {self.memory.system.controller.refresh}"
        )

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        organisation = self.memory.system.device.organisation
        return {
            "title": self.title,
            "device": self.device,
            "stacks": self.stacks,
            "channels": self.memory.channels,
            "pseudo_channels": organisation.pseudo_channels,
            "transaction_bytes": organisation.transaction_bytes,
            "interleave_bytes": round(self.memory.interleave),
            "peak_gb_s": self.memory.bandwidth / 1e9,
            "in_flight_per_pseudo_channel": self.in_flight,
            "refresh": self.memory.system.controller.refresh,
        }


def load_memory(
    device: str | None = None,
    chip: str | None = None,
    *,
    refresh: str | None = None,
    in_flight: int | None = None,
    base: Path | None = None,
) -> StudiedMemory:
    """One stack or package of a device, or the memory of a chip; each by catalogue name or path.

    Args:
        refresh: 'off', 'all-bank' or 'per-bank'; None takes the chip's own, per-bank for a device.
        in_flight: requests in flight per pseudo-channel, all of which the controller sees; None takes
            what the chip keeps in flight, as far as a controller's queue holds it.
        base: folder that a relative path starts from, the working directory if None.
    Raises:
        UserError: for an unknown name, a faulty profile, a value that is not allowed.
    """
    if (device is None) == (chip is None):
        raise UserError(
            "name the memory by a device (--device hbm3e) or by a chip (--chip h200), one of the two"
        )
    if refresh is not None and refresh not in get_args(dram.Refresh):
        raise unknown("refresh mode", refresh, get_args(dram.Refresh))
    if in_flight is not None:
        require_within("in_flight", in_flight, 1, MOST_IN_FLIGHT)
    mode = cast("dram.Refresh | None", refresh)
    if chip is not None:
        return _of_chip(chip, mode, in_flight, base)
    return _of_device(cast("str", device), mode, in_flight, base)


def _of_chip(
    name: str, refresh: dram.Refresh | None, in_flight: int | None, base: Path | None
) -> StudiedMemory:
    chip, figures = load_chip(name, base)
    own = chip.memory
    if own.device_profile is None:
        device, assumptions = _device(own.device.lower(), None)
    else:
        device = dram.MemoryDevice.of_tree(own.device_profile)
        assumptions = tuple(a for a in figures if a.path.startswith("memory.device_profile."))
    outstanding, queue = own.outstanding, own.queue
    if in_flight is not None:
        outstanding, queue = _outstanding(device, own.stacks, in_flight), in_flight
    memory = dram.chip_memory(
        device,
        stacks=own.stacks,
        bandwidth=own.bandwidth,
        outstanding=outstanding,
        refresh=refresh or cast("dram.Refresh", own.refresh),
        interleave=own.interleave,
        row_piece=own.row_piece,
        queue=queue,
    )
    replaced = () if in_flight is None else (_OUTSTANDING, _QUEUE)
    stated = [a for a in figures if a.path in _CHIP_FIGURES and a.path not in replaced]
    # the chip's bandwidth says how fast its pins are
    kept = [a for a in assumptions if not a.path.endswith(".pin_rate")]
    return StudiedMemory(chip.title or chip.name, device.name, own.stacks, memory, (*stated, *kept))


def _of_device(
    name: str, refresh: dram.Refresh | None, in_flight: int | None, base: Path | None
) -> StudiedMemory:
    device, assumptions = _device(name, base)
    # as many requests in flight as the controller can see, since no chip says otherwise
    queue = in_flight or round(CONTROLLER_FIGURES["queue"].value)
    memory = dram.chip_memory(
        device,
        stacks=1,
        bandwidth=device.bandwidth,
        outstanding=_outstanding(device, 1, queue),
        refresh=refresh or "per-bank",
        queue=queue,
    )
    assumed = Resolution("memory")
    for name, figure in CONTROLLER_FIGURES.items():
        if in_flight is None or name != "queue":
            assumed.take(name, figure)
    title = device.profile.title or device.name
    return StudiedMemory(title, device.name, 1, memory, (*assumed.assumptions, *assumptions))


def _device(name: str, base: Path | None) -> tuple[dram.MemoryDevice, tuple[Assumption, ...]]:
    resolution = Resolution("device")
    device = dram.resolve_device(dram.read_device(name, base), resolution)
    return device, tuple(resolution.assumptions)


def _outstanding(device: dram.MemoryDevice, stacks: int, in_flight: int) -> float:
    """Bytes in flight of a memory with so many requests per pseudo-channel."""
    o = device.profile.organisation
    return in_flight * stacks * o.channels * o.pseudo_channels * o.transaction


def require_within(name: str, value: int, least: int, most: int) -> int:
    """The value itself; refuses one outside the bounds."""
    if not least <= value <= most:
        raise UserError(f"{name} must be a whole number from {least:,} to {most:,}, found {value:,}")
    return value


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device of the catalogue with the figures it rests on."""

    device: dram.MemoryDevice
    assumptions: tuple[Assumption, ...]

    @property
    def assumed(self) -> int:
        """Figures that nobody vouches for."""
        return sum(a.basis in ("assumption", "unstated") for a in self.assumptions)

    def to_json(self) -> dict[str, object]:
        """Plain data; times in seconds, rates in B/s."""
        organisation = self.device.profile.organisation
        return {
            "name": self.device.name,
            "title": self.device.profile.title,
            "pins": self.device.profile.pins,
            "pin_rate": self.device.pin_rate,
            "bandwidth": self.device.bandwidth,
            "organisation": organisation.model_dump(),
            "timing": self.device.timing,
            "figures": [asdict(a) for a in self.assumptions],
        }


def list_memory() -> list[ListedDevice]:
    """Every memory device of the catalogue."""
    return [ListedDevice(*_device(name, None)) for name in dram.device_names()]
