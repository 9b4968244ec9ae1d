"""What each candidate serves with the same money, the same power or the same racks.

    replicas = the most whose fleet stays within the budget,   requests/s served = replicas · knee of one

A fleet's money, power and racks are those of its bill (`sim.planning.money`); its power is that of the run at
the knee. USD are the whole cost of owning over the years of depreciation (capital and interest, maintenance,
electricity, racks); a rented fleet has a budget per hour.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sim.errors import UserError
from sim.planning.money import HOURS_PER_YEAR, Bill, Ownership
from sim.planning.plan.cost import fleet_bill
from sim.planning.plan.knee import Knee
from sim.planning.plan.option import pool_json
from sim.planning.plan.schema import PlanSpec
from sim.planning.plan.trial import measured
from sim.planning.plan.unit import Unit

Kind = Literal["USD", "USD/h", "W", "racks"]
_WRITTEN = re.compile(r"\s*(\d+\.?\d*(?:[eE][-+]?\d+)?)\s*([kMG]?)(USD/h|USD|W|racks?)\s*\Z")
_PREFIX = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_MOST_REPLICAS = 1 << 20


@dataclass(frozen=True, slots=True)
class Budget:
    """So many USD, USD per hour, W at the meter or racks; `text` is as written."""

    text: str
    amount: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Affordable:
    """The largest fleet of one unit within the budget.

    Attributes:
        served: requests/s at the knee of each replica; share: of the plan's load.
        bill: of that fleet.
    """

    unit: Unit
    replicas: int
    served: float
    share: float
    bill: Bill

    @property
    def candidate(self) -> str:
        """The cluster's name in the plan, or both."""
        return self.unit.name

    @property
    def chips(self) -> int:
        """Of the whole fleet."""
        return self.replicas * self.unit.each

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "candidate": self.candidate,
            **pool_json(self.unit.answers),
            "prompts": None if self.unit.prompts is None else pool_json(self.unit.prompts),
            "replicas": self.replicas,
            "chips": self.chips,
            "requests_per_s": self.served,
            "share_of_load": self.share,
            "usd_per_hour": self.bill.usd_per_hour,
            "kw": self.bill.watts / 1e3,
            "racks": self.bill.racks,
        }


def parse_budget(text: str, money: object) -> Budget:
    """A budget as a user writes it: '10 MUSD', '400 USD/h', '1 MW', '4 racks'.

    Raises:
        UserError: for another form, for nothing, or for USD where nothing is bought.
    """
    found = _WRITTEN.match(text)
    if found is None or float(found[1]) <= 0:
        raise UserError(f"budget '{text}': write '10 MUSD', '400 USD/h', '1 MW' or '4 racks'")
    kind: Kind = "racks" if found[3].startswith("rack") else found[3]  # pyright: ignore[reportAssignmentType]
    if kind == "USD" and not isinstance(money, Ownership):
        raise UserError(
            f"budget '{text}': rented chips are paid by the hour; write '400 USD/h', or choose money: "
            "{form: ownership}"
        )
    return Budget(text, float(found[1]) * _PREFIX[found[2]], kind)


def affordable(spec: PlanSpec, budget: Budget, unit: Unit, knee: Knee) -> Affordable | None:
    """The largest fleet of a unit within the budget; None where not even one is."""
    if knee.rate <= 0:
        return None
    at_knee = max((trial for trial in knee.trials if trial.meets), key=lambda trial: trial.rate)
    watts = measured(at_knee.record, "mean_power_per_chip_w")

    def billed(replicas: int) -> Bill:
        return fleet_bill(spec.money, unit, replicas, watts)

    replicas = _most(lambda n: _spent(budget, spec, billed(n)) <= budget.amount)
    if not replicas:
        return None
    served = replicas * knee.rate
    return Affordable(unit, replicas, served, served / spec.rate, billed(replicas))


def _spent(budget: Budget, spec: PlanSpec, fleet: Bill) -> float:
    if budget.kind == "racks":
        return fleet.racks
    if budget.kind == "W":
        return fleet.watts
    if budget.kind == "USD/h":
        return fleet.usd_per_hour
    years = spec.money.years.value if isinstance(spec.money, Ownership) else math.nan
    return fleet.usd_per_hour * HOURS_PER_YEAR * years


def _most(fits: Callable[[int], bool]) -> int:
    """The largest number that fits, where every smaller one does; 0 if none."""
    if not fits(1):
        return 0
    low, high = 1, 2
    while high < _MOST_REPLICAS and fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
