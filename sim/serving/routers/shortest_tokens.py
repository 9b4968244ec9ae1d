"""Join the shortest token queue: the replica whose requests have the fewest prompt tokens.

Requests differ by a thousand times in length, so their number says little of the work ahead; the length of
an answer is not known in advance, that of a prompt is (JSQ in tokens, as in BLIS and Llumnix's load).
"""

from sim.serving.routers.router import Replicas, least


class ShortestTokens:
    """The fewest prompt tokens waiting or running."""

    looks = True
    exact = False

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas

    def choose(self, request: int) -> int:
        """The replica with the fewest prompt tokens in it."""
        look = self.replicas
        return least(look.open(), look.prompt_tokens().__getitem__)

    def forget(self, replica: int) -> None:
        """Nothing is remembered of its caches."""
