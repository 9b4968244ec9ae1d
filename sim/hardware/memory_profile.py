"""What a memory device's profile may say; the shipped ones are hardware_profiles/memory/*.yaml.

Times are kept in ns whatever the pin rate and rounded up to whole clocks, since a DRAM's cells do not get
faster with its pins; `clocks` holds the few distances that JEDEC counts in clocks. Names are JEDEC's without
the t.
"""

from typing import Annotated, Literal, cast

from pydantic import Field

from sim.errors import UserError
from sim.figures import Figure, Resolution, TimeFigure
from sim.hardware.fields import Part, Speed
from sim.units import Bytes

_BITS = 8

Size = Annotated[int, Field(ge=1, strict=True)]


class OrganisationProfile(Part):
    """Channels of a stack or package and the sizes of one channel; `row` and `transaction` are bytes of one
    pseudo-channel."""

    channels: Size
    pseudo_channels: Size = 1
    stack_ids: Size = 1
    bank_groups: Size
    group_banks: Size
    rows: Size
    row: Bytes
    transaction: Bytes


class CommandsProfile(Part):
    """The command bus: of rows and columns apart, one for all, or one on which a row opens in two steps.

    `half_clock` counts commands in half clocks; `activate` is the clocks an activation takes on the bus,
    `second_activate` those within which the second step must follow, `clock_after` those the data clock runs
    on.
    """

    bus: Literal["row-and-column", "single", "split-activate"]
    half_clock: bool = False
    activate: Annotated[float, Field(gt=0)] = 1.0
    second_activate: Size | None = None
    clock_after: Size | None = None


class TimingProfile(Part):
    """Least times between commands; `rtw` may be left out where clocks say CL + BL − CWL + rtw_gap."""

    cl: TimeFigure
    cwl: TimeFigure
    rcd_rd: TimeFigure
    rcd_wr: TimeFigure
    rp: TimeFigure
    rp_ab: TimeFigure | None = None
    ras: TimeFigure
    rc: TimeFigure
    rrd_s: TimeFigure
    rrd_l: TimeFigure
    faw: TimeFigure
    rtp: TimeFigure
    wr: TimeFigure
    wtr_s: TimeFigure
    wtr_l: TimeFigure
    rtw: TimeFigure | None = None
    refi: TimeFigure
    rfc_ab: TimeFigure
    rfc_pb: TimeFigure
    rrefd: TimeFigure

    def figures(self) -> dict[str, Figure]:
        """Those that are stated, by name."""
        stated = ((name, cast("Figure | None", getattr(self, name))) for name in type(self).model_fields)
        return {name: figure for name, figure in stated if figure is not None}


class ClocksProfile(Part):
    """Distances in clocks: columns of one bank group and of different stack IDs, read to write beyond the
    latencies, precharge to precharge."""

    ccd_l: Size
    ccd_r: Size | None = None
    rtw_gap: Size = 2
    ppd: Size = 1


class MemoryDeviceProfile(Part):
    """A kind of DRAM: a stack (HBM) or a package, its channels and their timing."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    name: str
    title: str = ""
    pins: Size
    pin_rate: Speed
    transfers_per_clock: Size
    organisation: OrganisationProfile
    commands: CommandsProfile
    timing: TimingProfile
    clocks: ClocksProfile


def refuse_impossible(profile: MemoryDeviceProfile, name: str) -> None:
    """A device is refused whose sizes do not fit together.

    Args:
        name: of the file it came from.
    Raises:
        UserError: naming file, field and value.
    """
    o = profile.organisation
    for field in ("pseudo_channels", "stack_ids", "bank_groups", "group_banks", "rows"):
        size = cast("int", getattr(o, field))
        if size & (size - 1):
            raise UserError(f"{name}: organisation.{field} must be a power of two, found {size}")
    bits = profile.pins / (o.channels * o.pseudo_channels) * profile.transfers_per_clock
    if (o.transaction * _BITS) % bits or o.row % o.transaction:
        raise UserError(
            f"{name}: a transaction must be a whole number of clocks on a pseudo-channel's pins "
            f"({bits:g} bits each) and a row a whole number of transactions"
        )


def plain_device(profile: MemoryDeviceProfile, resolution: Resolution) -> dict[str, object]:
    """The profile as plain data, each figure its value alone; a valid profile itself."""
    o, timing = profile.organisation, resolution.within("timing")
    times = {name: timing.take(name, figure) for name, figure in profile.timing.figures().items()}
    plain: dict[str, object] = profile.model_dump(mode="json", by_alias=True, exclude_none=True)
    return plain | {
        "organisation": o.model_dump() | {"row": f"{o.row!r} B", "transaction": f"{o.transaction!r} B"},
        "pin_rate": f"{resolution.take('pin_rate', profile.pin_rate)!r} B/s",
        "timing": {name: f"{seconds!r} s" for name, seconds in times.items()},
    }
