"""What a review is measured against: the same model on a named cluster, in that one's best layout."""

from dataclasses import dataclass

from sim.errors import UserError
from sim.planning.review.layouts import best_layout
from sim.planning.review.machine import Machine, Speed, machine
from sim.planning.review.point import Point
from sim.planning.review.served import Served, served
from sim.planning.review.target import BY_NAME, Bound, Target


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
        """Parity with it: a user's tokens/s, and a chip's prompt tokens/s."""
        user, prompt = self.speed.tokens_per_s_per_user, self.speed.prefill_tokens_per_s_per_chip
        return (
            self._parity("tokens/s/user", user),
            self._parity("prompt tokens/s/chip", prompt),
        )

    def _parity(self, metric: str, value: float) -> Target:
        text = f"parity with {self.name}, {metric} >= {value:.4g}"
        return Target(text, (Bound(BY_NAME[metric], value),))


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
