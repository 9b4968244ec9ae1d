"""What a fleet costs per hour: rented, or owned with everything that ownership brings.

rental      chips · USD per chip-hour
ownership   chips of whole servers · (capex + network) · (annuity + maintenance) / 8,760 h
            + kW · PUE · tariff + racks · rent
rent annuity     i / (1 − (1 + i)^−n)   for a cost of capital i over n years (i = 0: 1/n)
racks       ⌈power at the meter of all servers / power of a rack⌉, and at least one server to a rack

Defaults are for Korea. Sources: KEPCO's industrial tariff (Eul, from 24 October 2024) 182.7 KRW/kWh, 150-190
for what data centres are billed; 1,350-1,480 KRW/USD, 2025; PUE 1.1-1.25 of new halls, 1.3-1.5 of older
colocation; network per chip: a 400G NIC 1-2 kUSD, a 64-port switch 25-50 kUSD, optics 0.3-1 kUSD per port;
depreciation over 3-5 years at 6-10 %; maintenance and rent of a rack are assumptions.
"""

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from sim.documents import WRITTEN
from sim.errors import UserError
from sim.figures import Figure, HourlyPriceFigure, NumberFigure, PowerFigure, PriceFigure, Resolution
from sim.hardware.chip import Chip
from sim.hardware.cluster import Cluster
from sim.units import NUMBER, POWER, USD

HOURS_PER_YEAR = 8760.0
HOURS_PER_MONTH = HOURS_PER_YEAR / 12


def _figure(value: float, low: float, high: float, basis: str, source: str) -> Figure:
    return Figure(value, NUMBER, low, high, basis, source)  # pyright: ignore[reportArgumentType]


def _at_least_one(pue: Figure) -> Figure:
    if (pue.value if pue.low is None else pue.low) < 1:
        raise ValueError(f"{pue.text()}: the meter shows at least what the servers draw")
    return replace(pue, bounds=(1.0, math.inf))


class Site(BaseModel):
    """Where the fleet stands: electricity, racks, currency."""

    model_config = WRITTEN

    pue: Annotated[NumberFigure, AfterValidator(_at_least_one)] = Field(
        default=_at_least_one(
            _figure(1.3, 1.1, 1.5, "estimate", "new halls 1.1-1.25, older colocation 1.3-1.5")
        ),
        description="power at the meter / power of the servers",
    )
    krw_per_kwh: NumberFigure = Field(
        default=_figure(182.7, 150, 190, "press", "KEPCO industrial (Eul) tariff from 24 October 2024"),
        description="price of electricity",
    )
    krw_per_usd: NumberFigure = Field(
        default=_figure(1400, 1350, 1480, "press", "exchange rate in 2025"), description="exchange rate"
    )
    rack_power: PowerFigure = Field(
        default=Figure(
            40e3, POWER, 15e3, 130e3, "assumption", "air-cooled AI rack; liquid-cooled up to 130 kW"
        ),
        description="power of servers that one rack may hold",
    )
    rack_month: PriceFigure = Field(
        default=Figure(2000, USD, 1000, 4000, "assumption", "space, cooling and hands for one rack"),
        description="rent of a rack per month, without electricity",
    )


class Rental(BaseModel):
    """Chips rented by the hour, electricity and space included."""

    model_config = WRITTEN

    form: Literal["rental"] = "rental"
    chip_hour: HourlyPriceFigure | None = Field(
        default=None, description="USD per chip-hour; left out: the chip's own"
    )
    site: Site = Field(default_factory=Site, description="for power, racks and KRW")


class Ownership(BaseModel):
    """Chips bought, with interest, network, maintenance, electricity and racks (TCO)."""

    model_config = WRITTEN

    form: Literal["ownership"]
    capex: PriceFigure | None = Field(
        default=None, description="USD per chip with its share of the server; left out: the chip's own"
    )
    network: PriceFigure = Field(
        default=Figure(3000, USD, 1700, 5000, "estimate", "NIC, switch port and optics per chip"),
        description="network per chip",
    )
    years: NumberFigure = Field(
        default=_figure(4, 3, 5, "estimate", "common depreciation"), description="depreciation"
    )
    interest: NumberFigure = Field(
        default=_figure(0.08, 0.06, 0.10, "estimate", "cost of capital"), description="per year"
    )
    maintenance: NumberFigure = Field(
        default=_figure(0.05, 0.02, 0.08, "assumption", "support and spares"),
        description="share of the purchase price per year",
    )
    site: Site = Field(default_factory=Site, description="electricity, racks, currency")


Money = Annotated[Rental | Ownership, Field(discriminator="form")]


@dataclass(frozen=True, slots=True)
class Bill:
    """What a fleet costs and draws.

    Attributes:
        usd_per_hour: all of it; parts: by cause, USD/h.
        watts: at the meter; racks: how many it takes.
        krw_per_usd: exchange rate.
    """

    usd_per_hour: float
    parts: dict[str, float]
    watts: float
    racks: int
    krw_per_usd: float


def check_price(money: Rental | Ownership, chip: Chip) -> None:
    """Refuses a chip whose price nobody states.

    Raises:
        UserError: naming what is missing.
    """
    rental = isinstance(money, Rental)
    if (money.chip_hour if isinstance(money, Rental) else money.capex) is not None:
        return
    if (chip.rental if rental else chip.capex) <= 0:
        field = "price.rental" if rental else "price.capex"
        other = "ownership" if rental else "rental"
        raise UserError(
            f"the price of chip {chip.name} is not known ({field}); state it by --set, or the set of a "
            f"candidate (cluster.chip.{field}=…), or choose money: {{form: {other}}}"
        )


def bill(
    money: Rental | Ownership,
    chip: Chip,
    chips: int,
    server: int,
    watts_per_chip: float,
    idle_watts: float,
    resolution: Resolution,
    spare_servers: int = 0,
) -> Bill:
    """What a fleet of `chips` busy chips costs per hour; spare ones and an owner's others draw idle power.

    Args:
        server: chips in a server.
        watts_per_chip: mean power of a busy chip and its share of the server; idle_watts: of an idle one.
        resolution: resolves the figures; its prefix is "money".
    """
    site, within = money.site, resolution.within("site")
    pue, rate = within.take("pue", site.pue), within.take("krw_per_usd", site.krw_per_usd)
    tariff = within.take("krw_per_kwh", site.krw_per_kwh) / rate
    paid = billed_chips(money, chips, server) + spare_servers * server
    watts = (chips * watts_per_chip + (paid - chips) * idle_watts) * pue
    racks = _racks(
        chips + spare_servers * server, server, watts_per_chip, within.take("rack_power", site.rack_power)
    )
    if isinstance(money, Rental):
        price = chip.rental if money.chip_hour is None else resolution.take("chip_hour", money.chip_hour)
        return Bill(paid * price, {"rental": paid * price}, watts, racks, rate)
    capex = chip.capex if money.capex is None else resolution.take("capex", money.capex)
    price = paid * (capex + resolution.take("network", money.network))
    years, interest = resolution.take("years", money.years), resolution.take("interest", money.interest)
    parts = {
        "capital": price * annuity(interest, years) / HOURS_PER_YEAR,
        "maintenance": price * resolution.take("maintenance", money.maintenance) / HOURS_PER_YEAR,
        "electricity": watts / 1e3 * tariff,
        "racks": racks * within.take("rack_month", site.rack_month) / HOURS_PER_MONTH,
    }
    return Bill(sum(parts.values()), parts, watts, racks, rate)


def cluster_bill(
    money: Rental | Ownership,
    cluster: Cluster,
    chips: int,
    watts: float | None,
    resolution: Resolution,
    spare_servers: int = 0,
) -> Bill:
    """The bill of chips of a cluster.

    Args:
        watts: mean power of a busy chip and its share of the server; None: at design power.
    """
    busy = cluster.chip.power.tdp + cluster.overhead_power if watts is None else watts
    idle = cluster.chip.power.idle + cluster.overhead_power
    return bill(money, cluster.chip, chips, cluster.server, busy, idle, resolution, spare_servers)


def added(a: Bill, b: Bill) -> Bill:
    """Two fleets as one."""
    parts = {cause: a.parts.get(cause, 0.0) + b.parts.get(cause, 0.0) for cause in {**a.parts, **b.parts}}
    return Bill(a.usd_per_hour + b.usd_per_hour, parts, a.watts + b.watts, a.racks + b.racks, a.krw_per_usd)


def billed_chips(money: Rental | Ownership, chips: int, server: int) -> int:
    """Chips that are paid for: those in use, or, for an owner, whole servers."""
    return chips if isinstance(money, Rental) else math.ceil(chips / server) * server


def annuity(interest: float, years: float) -> float:
    """Share of the price to pay per year, so that price and interest are paid after `years`."""
    return 1.0 / years if interest == 0 else interest / (1.0 - (1.0 + interest) ** -years)


def _racks(chips: int, server: int, watts_per_chip: float, rack_power: float) -> int:
    servers = math.ceil(chips / server)
    each = max(1, math.floor(rack_power / (server * watts_per_chip)))
    return math.ceil(servers / each)
