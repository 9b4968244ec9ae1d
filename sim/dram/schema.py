"""What a memory device's profile may say; the shipped ones are hardware_profiles/memory/*.yaml.

Times are kept in ns whatever the pin rate and rounded up to whole clocks, since a DRAM's cells do not get
faster with its pins; `clocks` holds the few distances that JEDEC counts in clocks. Names are JEDEC's without
the t.
"""

from typing import Annotated, Literal

from pydantic import Field

from sim.figures import TimeFigure
from sim.hardware.fields import Part, Speed
from sim.units import Bytes

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
