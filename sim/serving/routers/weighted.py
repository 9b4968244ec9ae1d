"""Weighted: in turn, replica i getting w_i / Σ w of the requests, evenly spread.

Smooth weighted round robin, as nginx has it: at each request every open replica's credit rises by its
weight; the one with the most credit gets the request and pays the sum of the weights. Over Σ w requests
(whole weights) each replica gets exactly w_i.
"""

from sim.serving.routers.router import Replicas


class Weighted:
    """Shares by weight; alike where no weights are given."""

    looks = False
    exact = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.credit: dict[int, float] = {}

    def choose(self, request: int) -> int:
        """The replica with the most credit, among equals the first."""
        weights, credit = self.replicas.weights, self.credit
        among = self.replicas.open()
        total = 0.0
        for replica in among:
            weight = weights[replica] if weights else 1.0
            credit[replica] = credit.get(replica, 0.0) + weight
            total += weight
        chosen = max(among, key=credit.__getitem__)
        credit[chosen] -= total
        return chosen

    def forget(self, replica: int) -> None:
        """Nothing is remembered of its caches."""
