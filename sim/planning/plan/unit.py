"""What a plan replicates: one replica, or prefill and decode replicas in a fixed ratio."""

from dataclasses import dataclass

from sim.hardware.cluster import Cluster
from sim.planning.plan.estimate import Estimate
from sim.planning.plan.space import Layout, Screened

_SIZES = ("tp", "pp", "dp", "ep")


@dataclass(frozen=True, slots=True)
class Pool:
    """`count` replicas of a unit in one layout and role, on the chips of one candidate."""

    candidate: str
    screened: Screened
    estimate: Estimate
    count: int = 1

    @property
    def layout(self) -> Layout:
        """How a replica is cut up."""
        return self.screened.layout

    @property
    def cluster(self) -> Cluster:
        """The candidate's."""
        return self.screened.deployment.cluster

    @property
    def chips(self) -> int:
        """Of all its replicas in the unit."""
        return self.count * self.layout.parallel.chips

    def sizes(self) -> str:
        """'tp 4, ep 4'."""
        parallel = self.layout.parallel
        sizes = [f"{name} {getattr(parallel, name)}" for name in _SIZES]
        said = [size for size in sizes if not size.endswith(" 1")] or ["one chip"]
        return ", ".join([*said, *([] if self.layout.speculation == "null" else ["drafts"])])

    def counted(self) -> str:
        """'2 × 8 h200-hgx', or '8 h200-hgx' for one replica."""
        each = f"{self.layout.parallel.chips} {self.candidate}"
        return each if self.count == 1 else f"{self.count} × {each}"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is replicated.

    Attributes:
        pools: the one that answers, and after it the one for prompts where that is another.
        bound: requests/s that no timer exceeds; rate: by estimate.
        replicas: units that the load takes by estimate.
    """

    pools: tuple[Pool, ...]
    bound: float
    rate: float
    replicas: int

    @property
    def answers(self) -> Pool:
        """The pool that decodes."""
        return self.pools[0]

    @property
    def prompts(self) -> Pool | None:
        """A pool of its own for prompts."""
        return self.pools[1] if len(self.pools) > 1 else None

    @property
    def each(self) -> int:
        """Chips of one unit."""
        return sum(pool.chips for pool in self.pools)

    @property
    def chips(self) -> int:
        """Chips of the whole fleet, by estimate."""
        return self.replicas * self.each

    @property
    def name(self) -> str:
        """The candidate, or 'A > B' where prompts are computed on A and answers on B."""
        return " > ".join(dict.fromkeys(pool.candidate for pool in reversed(self.pools)))

    def fleet(self, replicas: int) -> str:
        """'3 × 8 h200-hgx', or '2 × (8 h200-hgx > 2 × 8 b200-hgx)'."""
        inside = " > ".join(pool.counted() for pool in reversed(self.pools))
        return f"{replicas} × {inside}" if self.prompts is None else f"{replicas} × ({inside})"

    def sizes(self) -> str:
        """'tp 8', or 'tp 8 > dp 8, ep 8'."""
        return " > ".join(pool.sizes() for pool in reversed(self.pools))
