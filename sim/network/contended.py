"""A collective beside other traffic: its phases are flows over the links of their tiers.

    T = Σ over phases (launch + latency + time of its flows),     a flow's limit = bytes / its time alone

Alone, each phase takes what the closed form says; beside background flows it gets a max-min fair share. The
algorithm stays the one the library chooses without knowing of them.
"""

from collections.abc import Sequence
from math import inf, isinf

from sim.network.fair_share import Uses
from sim.network.flows import Flow, FlowNetwork
from sim.network.link_time import LinkTime
from sim.network.wiring import Wiring


def beside(
    wiring: Wiring, phases: Sequence[LinkTime], uses: Sequence[Sequence[Uses]], background: Sequence[Flow]
) -> float:
    """Seconds of one collective of one message size.

    Args:
        phases: one after another, each of one case.
        uses: of each phase the links of each of its tiers, in the order of `carried`.
        background: flows that start at 0; those without a size go on for ever.
    """
    network = FlowNetwork(wiring.capacity)
    for flow in background:
        network.start(flow)
    for phase, links in zip(phases, uses, strict=True):
        network.advance(network.now + float(phase.launch.flat[0] + phase.latency.flat[0]))
        transfer = float(phase.transfer.flat[0])
        waiting: set[int] = set()
        for used, sent in zip(links, phase.carried.values(), strict=True):
            size = float(sent.flat[0])
            if size > 0 and transfer > 0:
                waiting.add(network.start(Flow(used, size, network.now, size / transfer)))
        while waiting:
            at = network.next_finish()
            if isinf(at):
                return inf
            waiting -= {number for number, _ in network.advance(at)}
    return network.now
