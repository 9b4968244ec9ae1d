"""A replica under load: the point's users in a closed loop, simulated request by request.

Prompts are of the point's length; answers are spread evenly over half to one and a half times theirs, so
that users do not finish together. A run serves `ROUNDS` requests per user and is read in its steady part.

    USD per 1M output tokens = USD per hour of an owned chip / its tokens per hour, racks and servers full
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sim.errors import UserError
from sim.figures import Figure, Resolution
from sim.planning.money import Ownership, bill
from sim.planning.plan.trial import measured
from sim.planning.review.machine import Machine
from sim.planning.review.point import Point
from sim.scenario.scenario import Scenario
from sim.scenario.simulation import simulate
from sim.units import USD

ROUNDS = 4
FEWEST_REQUESTS = 100
_SERVERS = 1000
"""Of the fleet whose cost is shared: so many that no rack's unused rest counts."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a replica under load comes to; NaN where it is not known.

    Attributes:
        usd_per_million: output tokens, the chips owned; joules: per output token.
        watts: mean of a chip and its share of the box; decode_watts, prefill_watts: in such steps.
        causes: share of busy time by resource.
    """

    tokens_per_s_per_user: float
    tokens_per_s_per_chip: float
    p99_ttft: float
    usd_per_million: float
    joules: float
    watts: float
    decode_watts: float
    prefill_watts: float
    causes: Mapping[str, float]


def loaded(scenario: Scenario, point: Point) -> Scenario:
    """One replica of the scenario under the point's load."""
    shortest, longest = max(1, point.output // 2), max(1, point.output + point.output // 2)
    return scenario.changed([
        f"workload={{arrivals: {{process: closed, concurrency: {point.batch}}}, "
        f"prompt_tokens: {{distribution: constant, value: {point.prompt}}}, "
        f"output_tokens: {{distribution: uniform, low: {shortest}, high: {longest}}}, "
        f"num_requests: {max(FEWEST_REQUESTS, ROUNDS * point.batch)}}}",
        "deployment.replicas=1", "slo=null",
    ])  # fmt: skip


def served(machine: Machine, point: Point, price: float = 1.0) -> Served | None:
    """The machine's scenario under the point's load; None where it does not fit.

    Args:
        price: factor on the purchase price of a chip.
    """
    try:
        record = simulate(loaded(machine.scenario, point)).to_json()
    except UserError:
        return None

    def field(name: str) -> float:
        found = measured(record, name)
        return math.nan if found is None else found

    speed, watts = field("tokens_per_s_per_chip"), field("mean_power_per_chip_w")
    causes = record.get("time_by_resource")
    return Served(
        tokens_per_s_per_user=field("tokens_per_s_per_user"),
        tokens_per_s_per_chip=speed,
        p99_ttft=field("p99_ttft_ms") / 1e3,
        usd_per_million=usd_per_hour(machine, watts, price) / (3600.0 * speed) * 1e6,
        joules=field("joules_per_output_token"),
        watts=watts,
        decode_watts=field("decode_power_per_chip_w"),
        prefill_watts=field("prefill_power_per_chip_w"),
        causes=causes if isinstance(causes, dict) else {},  # pyright: ignore[reportUnknownArgumentType]
    )


def usd_per_hour(machine: Machine, watts: float, price: float = 1.0) -> float:
    """Cost of owning a chip of a large busy fleet; NaN where nobody states the chip's purchase price.

    Args:
        watts: mean power of a chip and its share of the box; price: factor on its purchase price.
    """
    cluster = machine.deployment.cluster
    if cluster.chip.capex <= 0 or math.isnan(watts):
        return math.nan
    money = Ownership(form="ownership", capex=Figure(price * cluster.chip.capex, USD))
    chips = _SERVERS * cluster.server
    return bill(money, cluster.chip, chips, chips, watts, watts, Resolution("money")).usd_per_hour / chips
