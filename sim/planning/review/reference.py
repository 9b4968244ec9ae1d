"""What a review is measured against: the same model on a named cluster, in that one's best layout."""

from dataclasses import dataclass

from sim.errors import UserError
from sim.planning.review.layouts import best_layout
from sim.planning.review.machine import Machine, Speed, machine
from sim.planning.review.point import Point
from sim.planning.review.served import Served, served
from sim.planning.review.target import BY_NAME, Bound, Target
from sim.units import TIME, show


@dataclass(frozen=True, slots=True)
class Reference:
    """Attributes:
    name: the cluster's; served: None where the point's load does not fit.
    """

    name: str
    machine: Machine
    speed: Speed
    served: Served | None

    @property
    def targets(self) -> tuple[Target, ...]:
        """Parity with it: a user's tokens/s, and the prefill of a prompt."""
        user, prompt = self.speed.tokens_per_s_per_user, self.speed.prefill.seconds
        return (
            self._parity(f"tokens/s/user >= {user:.4g}", Bound(BY_NAME["tokens/s/user"], user)),
            self._parity(f"ttft <= {show(prompt, TIME)}", Bound(BY_NAME["ttft"], prompt)),
        )

    def _parity(self, what: str, bound: Bound) -> Target:
        return Target(f"parity with {self.name}, {what}", (bound,))


def reference(reviewed: Machine, point: Point, cluster: str) -> Reference | None:
    """The reference on a cluster, under vLLM; None where it is the reviewed one's own.

    Raises:
        UserError: for a cluster that is in no catalogue, or cannot multiply the reviewed precision.
    """
    if cluster == reviewed.deployment.cluster.name:
        return None
    sets = ["deployment.parallel={}", "deployment.replicas=1", f"cluster={cluster}",
            "deployment.engine={family: vllm}"]  # fmt: skip
    try:
        found = machine(best_layout(reviewed.scenario.changed(sets), point))
    except UserError as error:
        raise UserError(f"--parity {cluster}: {error}") from None
    return Reference(found.deployment.cluster.name, found, found.speed(point), served(found, point))
