"""A memory system: a device, its channels, the mapping of addresses, and the controller that drives it."""

from dataclasses import dataclass, field
from typing import Literal

from sim.dram.device import Device
from sim.dram.mapping import AddressMapping
from sim.dram.state import (
    ACTIVE_LIMIT,
    BANK_LIMIT,
    CHANNEL_LIMIT,
    CONSTRAINT_LIMIT,
    HISTORIES,
    WAITING_LIMIT,
    WIDEST,
)
from sim.errors import UserError

Refresh = Literal["off", "all-bank", "per-bank"]


@dataclass(frozen=True, slots=True)
class SharedQueueController:
    """One read and one write queue per channel; the mechanism is told in sim.dram.shared_queue.

    Attributes:
        depth: entries of the read and of the write queue.
        drain_above, drain_below: shares of the write queue at which writing starts and may stop.
        protect_hits: a precharge waits for row hits that are no younger than who asks for it.
        cap: column accesses after which a row is closed; None keeps it open.
        refresh_holds: what a waiting refresh holds: the requests of its banks or of the whole channel.
    """

    depth: int
    drain_above: float = 0.8
    drain_below: float = 0.2
    protect_hits: bool = True
    cap: int | None = None
    refresh: Refresh = "per-bank"
    refresh_holds: Literal["banks", "channel"] = "banks"


@dataclass(frozen=True, slots=True)
class BankQueueController:
    """Transaction queues that feed a command queue per bank; the mechanism is told in sim.dram.bank_queues.

    Attributes:
        depth: entries of the read and of the write transaction queue.
        bank_depth: entries of the command queue of each bank.
        drain_idle_above: writes above which an idle controller starts to drain.
        cap: accesses to an open row after which another row's request may close it although hits wait.
        auto_precharge: each access closes its row.
    """

    depth: int
    bank_depth: int
    drain_idle_above: int = 8
    cap: int = 4
    auto_precharge: bool = False
    refresh: Refresh = "all-bank"


@dataclass(frozen=True, slots=True)
class MemorySystem:
    """`channels` equal channels; `fifo` requests wait in front of each where there are several."""

    device: Device
    mapping: AddressMapping
    controller: SharedQueueController | BankQueueController
    channels: int = 1
    fifo: int = 64
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuses what no controller here can drive.

        Raises:
            UserError: naming the system and what is too large or does not go together.
        """
        o = self.device.organisation
        limits = (
            ("channels", self.channels, CHANNEL_LIMIT),
            ("banks", self.channels * o.banks, BANK_LIMIT),
            ("banks in a channel", o.banks, ACTIVE_LIMIT),
            ("requests in front of a channel", self.fifo, WAITING_LIMIT),
            ("constraints", len(self.device.constraints), CONSTRAINT_LIMIT),
            ("activations in a window", max((c.window for c in self.device.constraints), default=1), WIDEST),
            ("windows", sum(c.window > 1 for c in self.device.constraints), HISTORIES),
        )
        for what, found, most in limits:
            if found > most:
                raise UserError(f"memory system '{self.name}' has {found} {what}, more than {most}")
        per_bank = isinstance(self.controller, BankQueueController)
        if per_bank and (o.pseudo_channels > 1 or not self.device.two_slots):
            raise UserError(
                f"memory system '{self.name}': a controller with a queue per bank drives channels of one "
                "pseudo-channel with row and column buses"
            )

    @property
    def peak(self) -> float:
        """Peak bandwidth, B/s."""
        return self.channels * self.device.peak
