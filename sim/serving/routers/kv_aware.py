"""KV-aware: where a prompt leaves least to do, counting what a replica's cache is known to hold of it.

    cost = (prompt tokens - tokens known to be held) + tokens of the prompts that the replica has

The least cost; among equals the smallest number. This is the rule of NVIDIA Dynamo's KV router with its
default weight of 1 (potential prefill blocks + active blocks) at temperature 0; what is held is known from
cache events, as old as the fleet's reports (sim.serving.operation.kv_events).
"""

from sim.serving.routers.router import Replicas, least


class KvAware:
    """Trades what is held against load."""

    looks = True
    exact = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def choose(self, request: int) -> int:
        """The replica with the least cost; the prompt's own length is the same for all."""
        look = self.replicas
        held, load = look.held_tokens(request), look.prompt_tokens()
        return least(look.open(), lambda replica: load[replica] - held[replica])

    def forget(self, replica: int) -> None:
        """Events say what is lost."""
