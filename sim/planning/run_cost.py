"""What the fleet of a run costs: rented or owned, per hour and per token, in USD and KRW.

    per million output tokens = bill of the fleet per hour / output tokens per hour · 10⁶

The bill (`sim.planning.money`) is that of all chips of the run, at its mean power; of two pools each has its
own chips' prices, and both the mean power.
"""

from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import cast

from pydantic import BaseModel

from sim import documents
from sim.documents import WRITTEN, Document
from sim.errors import UserError
from sim.figures import Resolution
from sim.planning.money import Bill, Money, Ownership, Rental, added, check_price, cluster_bill
from sim.scenario.prepared import prepare
from sim.scenario.simulation import Outcome

FORMS = ("rental", "ownership")


class _MoneyFile(BaseModel):
    model_config = WRITTEN

    money: Money


@dataclass(frozen=True, slots=True)
class RunCost:
    """A fleet's bill, and what a million output tokens cost (None where none came out)."""

    bill: Bill
    usd_per_million: float | None

    @property
    def krw_per_million(self) -> float | None:
        """The same in KRW."""
        return None if self.usd_per_million is None else self.usd_per_million * self.bill.krw_per_usd

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            **asdict(self.bill),
            "krw_per_hour": self.bill.usd_per_hour * self.bill.krw_per_usd,
            "usd_per_million_output_tokens": self.usd_per_million,
            "krw_per_million_output_tokens": self.krw_per_million,
        }


def read_money(text: str) -> Rental | Ownership:
    """The terms: `rental`, `ownership`, or a YAML file with the fields under a plan's `money`.

    Raises:
        UserError: for another word, or a file that is wrong.
    """
    if text not in FORMS and not text.endswith((".yaml", ".yml", ".json")):
        raise UserError(
            f"--money {text}: write rental, ownership, or a .yaml file with the fields of 'money'"
        )
    document = Document("--money", {"form": text}) if text in FORMS else documents.load(Path(text))
    tree: dict[str, object] = {"money": document.tree}
    return documents.validate(_MoneyFile, tree, name=document.name).money


def run_cost(outcome: Outcome, money: Rental | Ownership) -> RunCost:
    """What the fleet of a run costs.

    Raises:
        UserError: for a chip whose price nobody states.
    """
    prepared = prepare(outcome.scenario)
    deployments = [prepared.deployment, *([] if prepared.prefill is None else [prepared.prefill.deployment])]
    values = outcome.summary.values
    watts = cast("float | None", values["mean_power_per_chip_w"])
    tokens = cast("float | None", values["output_throughput"])
    bills: list[Bill] = []
    for deployment in deployments:
        check_price(money, deployment.cluster.chip)
        chips = deployment.replicas * deployment.parallel.chips
        bills.append(cluster_bill(money, deployment.cluster, chips, watts, Resolution("money")))
    fleet = reduce(added, bills)
    return RunCost(fleet, fleet.usd_per_hour / 3600.0 / tokens * 1e6 if tokens else None)
