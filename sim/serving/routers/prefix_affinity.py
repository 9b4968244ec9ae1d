"""Prefix affinity: to where the longest beginning of the prompt went before, unless the load gets lopsided.

    lopsided   most - fewest > BALANCE_ABSOLUTE and most > BALANCE_RELATIVE · fewest (requests outstanding)
    match      tokens of the longest known beginning / prompt tokens > MATCH

Lopsided, or no match: the least outstanding replica. Otherwise the least outstanding of the replicas that got
the longest beginning. These are rules and defaults of SGLang's cache-aware router (`--cache-threshold`,
`--balance-abs-threshold`, `--balance-rel-threshold`). As there, the router remembers what it sent, not what
the caches still hold.
"""

from sim.serving.routers.router import Replicas, least
from sim.workload.requests import Pieces

MATCH = 0.3
BALANCE_ABSOLUTE = 64
BALANCE_RELATIVE = 1.5


class PrefixAffinity:
    """Prompts that begin alike stay together as long as that keeps the replicas balanced.

    Attributes:
        sent: by segment of content, the replicas it was sent to.
    """

    looks = True

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.everywhere = range(len(replicas.engines))
        self.sent: dict[int, set[int]] = {}

    def choose(self, request: int) -> int:
        """The least outstanding of the replicas that know the beginning, or of all."""
        prompt = () if self.replicas.prompts is None else self.replicas.prompts[request]
        among = () if self._lopsided() else self._knowing(prompt)
        replica = least(sorted(among) or self.everywhere, self.replicas.outstanding)
        for segment, _ in prompt:
            self.sent.setdefault(segment, set()).add(replica)
        return replica

    def _lopsided(self) -> bool:
        load = [self.replicas.outstanding(replica) for replica in self.everywhere]
        most, fewest = max(load), min(load)
        return most - fewest > BALANCE_ABSOLUTE and most > BALANCE_RELATIVE * fewest

    def _knowing(self, prompt: Pieces) -> set[int]:
        """The replicas that saw the longest beginning, or none where that is too little of the prompt."""
        knowing: set[int] = set()
        matched = 0
        for segment, length in prompt:
            seen = self.sent.get(segment, set())
            still = knowing & seen if matched else seen
            if not still:
                break
            knowing = still
            matched += length
        return knowing if matched > MATCH * sum(length for _, length in prompt) else set()
