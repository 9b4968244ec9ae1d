"""What a plan came to: the fleets that serve the load, the best first, and what the others lack."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from sim.planning.plan.budget import Affordable
from sim.planning.plan.certainty import Certainty
from sim.planning.plan.inferencex import inferencex_records
from sim.planning.plan.knee import Knee
from sim.planning.plan.option import Option
from sim.planning.plan.schema import PlanSpec
from sim.scenario.scenario import Scenario
from sim.version import __version__


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that cannot serve the load, and why."""

    candidate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Searched:
    """How far the layouts of a candidate came: looked at, kept by the bound, estimated, simulated."""

    candidate: str
    layouts: int
    kept: int
    estimated: int
    simulated: int


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """What the best fleet of another candidate would need to cost as little as the winner.

    Attributes:
        price: factor on its cost; rate: factor on what one replica serves, with which fewer replicas would
            do (inf where even one costs more).
        replicas: how many of them that would be.
    """

    candidate: str
    price: float
    rate: float
    replicas: int


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A plan.

    Attributes:
        options: fleets by rising cost per token; the first is the answer.
        scenario: one unit of it at its share of the load, ready to be run.
        launch: engine → command line of one replica.
        knees: every simulated layout's search.
        certainty: of each option, where draws were asked for.
        budget: the largest fleet of each candidate within the budget, the one that serves most first.
    """

    name: str
    spec: PlanSpec
    options: tuple[Option, ...]
    rejected: tuple[Rejected, ...]
    searched: tuple[Searched, ...]
    scenario: Scenario
    launch: Mapping[str, str]
    runner_up: RunnerUp | None
    knees: Mapping[str, Knee]
    certainty: tuple[Certainty, ...] = ()
    budget: tuple[Affordable, ...] = ()

    @property
    def best(self) -> Option:
        """The answer."""
        return self.options[0]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "schema": 1,
            "version": __version__,
            "plan": self.name,
            "model_id": self.spec.model,
            "request_rate": self.spec.rate,
            "options": [option.to_json() for option in self.options],
            "rejected": [asdict(r) for r in self.rejected],
            "searched": [asdict(s) for s in self.searched],
            "runner_up": None if self.runner_up is None else asdict(self.runner_up),
            "launch": dict(self.launch),
            "uncertainty": [asdict(c) for c in self.certainty] or None,
            "budget": {"written": self.spec.budget, "fleets": [fleet.to_json() for fleet in self.budget]},
        }

    def inferencex(self) -> list[dict[str, object]]:
        """Every simulated run of the fleets as an InferenceX record."""
        return inferencex_records(self.spec.model, self.options)


def runner_up_needs(spec: PlanSpec, options: list[Option]) -> RunnerUp | None:
    """What the best option of another candidate than the first one's lacks; None where there is none."""
    winner = options[0]
    other = next((option for option in options if option.candidate != winner.candidate), None)
    if other is None:
        return None
    price = winner.usd_per_million.mean / other.usd_per_million.mean
    affordable = math.floor(other.replicas * price + 1e-9)
    needed = spec.rate / affordable / other.knee if affordable else math.inf
    return RunnerUp(other.candidate, price, max(needed, 1.0), affordable)
