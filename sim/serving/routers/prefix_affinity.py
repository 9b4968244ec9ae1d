"""Prefix affinity: to where the longest beginning of the prompt went before, unless the load gets lopsided.

    lopsided   most - fewest > BALANCE_ABSOLUTE and most > BALANCE_RELATIVE · fewest (requests outstanding)
    match      tokens of the longest known beginning / prompt tokens > MATCH

Lopsided, or no match: the least outstanding replica. Otherwise the least outstanding of the replicas that got
the longest beginning. These are rules and defaults of SGLang's cache-aware router (`--cache-threshold`,
`--balance-abs-threshold`, `--balance-rel-threshold`). As there, the router remembers what it sent, not what
the caches still hold.
"""

from collections.abc import Sequence

from sim.serving.routers.router import Replicas, least
from sim.workload.requests import Pieces, shared_segments

MATCH = 0.3
BALANCE_ABSOLUTE = 64
BALANCE_RELATIVE = 1.5


class PrefixAffinity:
    """Prompts that begin alike stay together as long as that keeps the replicas balanced.

    Attributes:
        sent: by segment of content that more than one prompt has, the replicas it was sent to.
    """

    looks = True
    exact = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.sent: dict[int, set[int]] = {}
        self.shared = shared_segments(replicas.prompts or ())

    def choose(self, request: int) -> int:
        """The least outstanding of the replicas that know the beginning, or of all."""
        look = self.replicas
        prompt = () if look.prompts is None else look.prompts[request]
        everywhere, outstanding = look.open(), look.outstanding()
        knowing = self._knowing(prompt)
        among = [replica for replica in everywhere if replica in knowing] if knowing else []
        if among and self._lopsided(everywhere, outstanding):
            among = []
        replica = least(among or everywhere, outstanding.__getitem__)
        for segment, _ in prompt:
            if segment in self.shared:
                self.sent.setdefault(segment, set()).add(replica)
        return replica

    def forget(self, replica: int) -> None:
        """What was sent there is not there any more."""
        for knowing in self.sent.values():
            knowing.discard(replica)

    def _lopsided(self, everywhere: Sequence[int], outstanding: Sequence[int]) -> bool:
        load = [outstanding[replica] for replica in everywhere]
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
