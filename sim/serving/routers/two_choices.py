"""Power of two choices: two open replicas are drawn, and the one with fewer requests gets it.

With n replicas and random routing the longest queue grows as log n / log log n, with two choices as
log log n / log 2 (Mitzenmacher, IEEE TPDS 12(10), 2001). It needs the load of two replicas instead of all,
and old loads do not send everybody to the same replica. SGLang's router has it as `power_of_two`.
"""

from sim.serving.routers.router import Replicas


class TwoChoices:
    """The less loaded of two different replicas; of equals the one drawn first."""

    looks = True
    exact = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def choose(self, request: int) -> int:
        """One of two, drawn without replacement."""
        look = self.replicas
        among, load = look.open(), look.outstanding()
        count = len(among)
        first = int(look.draw() * count)
        if count == 1:
            return among[first]
        second = int(look.draw() * (count - 1))
        second += second >= first
        one, other = among[first], among[second]
        return other if load[other] < load[one] else one

    def forget(self, replica: int) -> None:
        """Nothing is remembered of its caches."""
