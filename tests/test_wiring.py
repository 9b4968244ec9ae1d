"""Links and routes of a cluster, and collectives beside other traffic on them."""

from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.hardware.cluster import Cluster
from sim.network import all_reduce
from sim.network.collectives import all_reduce_phases, all_to_all_phases
from sim.network.contended import beside
from sim.network.flows import Flow
from sim.network.group import levels
from sim.network.wiring import HOST, Wiring
from tests.chips import cluster

TWO_LEAVES = str(Path(__file__).parents[1] / "examples" / "network" / "h100-two-leaves.yaml")
CLUSTERS = ["h100-hgx", TWO_LEAVES, "mi300x-platform", "l40s-server", "tpu-v7-pod", "trainium2-server"]


def names(wiring: Wiring, source: int | str, target: int | str) -> set[str]:
    return {wiring.names[link] for link in wiring.route(source, target)}


def priced(of: Cluster, ranks: int, size: float, background: list[Flow], wiring: Wiring) -> float:
    phases = all_reduce_phases(levels(of, ranks), np.array([size]), None)
    uses = [[wiring.collective(tier, ranks) for tier in phase.carried] for phase in phases]
    return beside(wiring, phases, uses, background)


def test_a_switch_gives_each_pair_a_port_out_and_a_port_in() -> None:
    of = cluster("h100-hgx")
    wiring = Wiring(of)
    assert names(wiring, 0, 5) == {"scale_up.out.0", "scale_up.in.5"}
    tier = of.tiers[0]
    assert {wiring.capacity[link] for link in wiring.route(0, 5)} == {tier.efficiency * tier.bandwidth}


def test_a_mesh_gives_each_pair_its_own_link() -> None:
    wiring = Wiring(cluster("mi300x-platform"))
    assert names(wiring, 0, 5) == {"scale_up.0>5"}
    assert sum(name.startswith("scale_up.0>") for name in wiring.names) == 7


def test_a_torus_takes_the_shorter_way_round_every_dimension() -> None:
    of = cluster("tpu-v7-pod")
    of = replace(of, tiers=(replace(of.tiers[0], dimensions=(4, 4, 4)),))
    wiring = Wiring(of)
    assert len(wiring.route(0, 1)) == 1
    assert names(wiring, 0, 3) == {"scale_up.0-.0"}
    assert len(wiring.route(0, 2 + 4 * 2 + 16 * 2)) == 6


def test_traffic_behind_a_tier_passes_its_ports_and_an_oversubscribed_trunk() -> None:
    of = cluster(TWO_LEAVES)
    spine = replace(of.tiers[2], oversubscription=4.0)
    wiring = Wiring(replace(of, tiers=(*of.tiers[:2], spine)))
    taken = names(wiring, 0, 63)
    assert {"scale_out.out.0", "scale_out.in.63", "spine.trunk.out.0", "spine.trunk.in.1"} <= taken
    trunk = wiring.capacity[wiring.names.index("spine.trunk.out.0")]
    assert trunk == pytest.approx(32 * spine.efficiency * spine.bandwidth / 4)


def test_chips_that_share_a_network_card_share_its_port() -> None:
    of = cluster("h100-hgx-x4")
    wiring = Wiring(replace(of, tiers=(of.tiers[0], replace(of.tiers[1], shared=8))))
    assert names(wiring, 1, 31) == {"scale_out.out.0", "scale_out.in.3"}


def test_host_memory_is_behind_the_same_port_on_a_pcie_tree_and_behind_its_own_elsewhere() -> None:
    assert names(Wiring(cluster("l40s-server")), 3, HOST) == {"scale_up.out.3"}
    assert names(Wiring(cluster("h100-hgx")), HOST, 3) == {"host.in.3"}


def test_a_route_needs_two_different_ends_inside_the_cluster() -> None:
    wiring = Wiring(cluster("h100-hgx"))
    with pytest.raises(ValueError, match="neither host nor one of the chips"):
        wiring.route(0, 8)
    with pytest.raises(ValueError, match="are the same"):
        wiring.route(2, 2)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(CLUSTERS), st.integers(2, 64), st.floats(1e3, 1e9))
def test_alone_a_collective_takes_as_flows_what_the_closed_form_says(
    name: str, ranks: int, size: float
) -> None:
    of = cluster(name)
    n = min(ranks, of.chips)
    closed = float(all_reduce(of, n, np.array([size]), stack=None).total[0])
    assert priced(of, n, size, [], Wiring(of)) == pytest.approx(closed, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(CLUSTERS), st.floats(1e3, 1e9), st.floats(1e8, 1e12))
def test_traffic_beside_it_never_makes_a_collective_faster(name: str, size: float, rate: float) -> None:
    of = cluster(name)
    wiring = Wiring(of)
    busy = [Flow(wiring.route(0, 1), inf, limit=rate), Flow(wiring.route(HOST, 1), inf, limit=rate)]
    assert priced(of, 8, size, busy, wiring) >= priced(of, 8, size, [], wiring) * (1 - 1e-9)


def test_an_all_to_all_over_two_tiers_is_slowed_by_traffic_on_either() -> None:
    of = cluster("h100-hgx-x4")
    wiring = Wiring(of)
    phases = all_to_all_phases(levels(of, 32), np.array([1e9]))
    uses = [[wiring.collective(tier, 32) for tier in phases[0].carried]]
    alone = beside(wiring, phases, uses, [])
    assert beside(wiring, phases, uses, [Flow(wiring.route(0, 9), inf)]) > 1.5 * alone


def test_a_background_transfer_that_ends_slows_only_the_rest() -> None:
    of = cluster("a100-hgx")
    wiring = Wiring(of)
    alone = priced(of, 8, 1e9, [], wiring)
    short = priced(of, 8, 1e9, [Flow(wiring.route(0, 1), 1e9)], wiring)
    steady = priced(of, 8, 1e9, [Flow(wiring.route(0, 1), inf)], wiring)
    assert alone < short < steady


def test_a_link_that_others_hold_altogether_stops_a_collective() -> None:
    of = cluster("a100-hgx")
    wiring = Wiring(of)
    wiring.capacity[next(iter(wiring.route(0, 1)))] = 0.0
    assert priced(of, 8, 1e9, [], wiring) == inf
