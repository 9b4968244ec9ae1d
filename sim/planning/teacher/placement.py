"""Which servers replicas of several models stand on.

Largest first, ties in the order of the pools: a replica of a server's size or more takes whole empty servers,
a smaller one the fullest server that still has room (best-fit decreasing: at most 11/9 of the fewest servers
and one more; Johnson 1973).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Server:
    """Chips left, and the models of the replicas that stand here."""

    free: int
    models: list[str] = field(default_factory=list[str])


def placed(replicas: Sequence[tuple[str, int]], chips: int) -> list[Server]:
    """As many servers of `chips` chips as the replicas (model, chips) take."""
    servers: list[Server] = []
    for model, size in sorted(replicas, key=lambda replica: -replica[1]):
        if size >= chips:
            rest = size
            while rest > 0:
                servers.append(Server(max(0, chips - rest), [model]))
                rest -= chips
            continue
        room = [server for server in servers if server.free >= size]
        at = min(room, key=lambda server: server.free) if room else Server(chips)
        if not room:
            servers.append(at)
        at.free -= size
        at.models.append(model)
    return servers
