"""The server in front of an engine: when the engine gets a request that has arrived.

One process accepts and tokenises requests, one after another, and hands the engine's tokens back to their
streams:
    free   = max(arrival, free) + request + prompt_token · prompt tokens       it is busy until then
    ready  = free + latency + stream · running sequences

`stream` is what each running sequence delays a newcomer by: the tokens of a step, in server and client, that
are handled before its request and before its first token. `latency` is the rest of the way, both directions
taken together: HTTP, hand-over between processes, detokenising. Requests do not overtake one another.
Tokens after the first are handled while the device computes the next step.
"""

from sim.deployment.deployment import FrontEndCosts


class FrontEnd:
    """The front end of one engine; times are the engine's."""

    __slots__ = ("_costs", "_free", "_ready")

    def __init__(self, costs: FrontEndCosts) -> None:
        self._costs = costs
        self._free = 0.0
        self._ready = 0.0

    def ready(self, time: float, prompt: int, running: int) -> float:
        """When the engine gets a request of `prompt` tokens that arrives at `time`, while so many run."""
        costs = self._costs
        self._free = max(time, self._free) + costs.request + costs.prompt_token * prompt
        self._ready = max(self._ready, self._free + costs.latency + costs.stream * running)
        return self._ready
