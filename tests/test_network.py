"""Collectives: measured anchors, limits, and what algorithms must obey."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.hardware.cluster import Cluster
from sim.network import (
    Routed,
    all_gather,
    all_reduce,
    all_reduce_bound,
    all_to_all,
    exchange_bound,
    expert_exchange,
    gather_bound,
    hop_bound,
    point_to_point,
    reduce_scatter,
)
from sim.network.stacks import stack
from tests.chips import cluster

KIB, MIB = 1 << 10, 1 << 20
SIZES = [512, 8 * KIB, 32 * KIB, 128 * KIB, 512 * KIB, 2 * MIB, 8 * MIB, 32 * MIB, 128 * MIB, 512 * MIB]
# All-reduce on 8 GPUs of one server, µs: NCCL 2.27 (A100), 2.29 (others); measured by NVIDIA aiconfigurator.
NCCL = {
    "a100-hgx": [22.6, 21.3, 26.0, 27.4, 30.1, 53.7, 128, 367, 1169, 4226],
    "h100-hgx": [15.6, 16.0, 18.4, 19.0, 20.1, 38.2, 78.9, 200, 579, 2111],
    "h200-hgx": [16.0, 16.7, 18.4, 21.5, 20.5, 37.5, 78.3, 197, 565, 2040],
}
# One- and two-shot kernels of vLLM, replayed in a graph; same source.
LOW_LATENCY = {
    "a100-hgx": {256: 5.7, 2 * KIB: 5.6, 16 * KIB: 6.5, 128 * KIB: 11.4, MIB: 21.7},
    "h100-hgx": {256: 4.6, 16 * KIB: 5.2, 128 * KIB: 7.7, 512 * KIB: 11.9, 2 * MIB: 19.4, 8 * MIB: 50.7},
}

CLUSTERS = ["h100-hgx-x4", "gb200-nvl72", "rebel100-rack", "mi300x-platform", "l40s-server", "rngd-server"]
shapes = st.tuples(st.sampled_from(CLUSTERS), st.integers(1, 32), st.floats(1.0, 1e9))


def bytes_of(*sizes: float) -> np.ndarray:
    return np.array(sizes, np.float64)


def routed(
    tokens: np.ndarray, distinct: float = 5.25, nodes: float = 1.0, *, combine: bool = False
) -> Routed:
    """Top 8 of 256 experts, hidden size 7168 in fp8."""
    return Routed(tokens, 8.0, distinct, nodes, 7168.0, 256, combine)


def without_low_latency(of: Cluster) -> Cluster:
    return replace(of, tiers=tuple(replace(tier, low_latency=0.0) for tier in of.tiers))


def ranks_in(name: str, ranks: int) -> int:
    return min(ranks, cluster(name).chips)


@pytest.mark.parametrize("name", NCCL)
def test_library_all_reduces_are_within_a_quarter_of_silicon(name: str) -> None:
    time = all_reduce(cluster(name), 8, bytes_of(*SIZES), stack=None).total * 1e6
    assert time == pytest.approx(np.array(NCCL[name]), rel=0.25)


@pytest.mark.parametrize("name", LOW_LATENCY)
def test_low_latency_all_reduces_are_within_a_quarter_of_silicon(name: str) -> None:
    measured = LOW_LATENCY[name]
    time = all_reduce(cluster(name), 8, bytes_of(*measured)).total * 1e6
    assert time == pytest.approx(np.array(list(measured.values())), rel=0.25)


def test_a_low_latency_expert_exchange_is_within_a_quarter_of_silicon() -> None:
    """DeepEP low-latency dispatch on 8 H200, hidden 7168 in fp8, top-8 of 256 (SGLang, aiconfigurator)."""
    measured = {2: 15.4, 16: 17.6, 64: 27.8, 128: 39.8, 256: 67.0}
    tokens = bytes_of(*measured)
    time = expert_exchange(cluster("h200-hgx"), 8, routed(tokens)).total * 1e6
    assert time == pytest.approx(np.array(list(measured.values())), rel=0.25)


@settings(deadline=None)
@given(shapes)
def test_no_algorithm_beats_the_fewest_bytes_over_its_links(shape: tuple[str, int, float]) -> None:
    name, ranks, size = shape
    of, n, message = cluster(name), ranks_in(shape[0], ranks), bytes_of(size)
    assert all_reduce(of, n, message).total >= all_reduce_bound(of, n, message) * (1 - 1e-12)
    assert all_gather(of, n, message).total >= gather_bound(of, n, message) * (1 - 1e-12)


@settings(deadline=None)
@given(st.sampled_from(CLUSTERS), st.integers(2, 32), st.floats(1.0, 10_000.0), st.integers(1, 16))
def test_no_exchange_beats_one_copy_per_distinct_destination(
    name: str, ranks: int, tokens: float, top_k: int
) -> None:
    of, n = cluster(name), ranks_in(name, ranks)
    distinct = n * (1 - (1 - 1 / n) ** top_k)
    nodes = max(1.0, n / of.server)
    sent = Routed(bytes_of(tokens), float(top_k), distinct, nodes, 7168.0, 128, combine=False)
    time = expert_exchange(of, n, sent)
    assert time.total >= exchange_bound(of, n, bytes_of(tokens), distinct, 7168.0) * (1 - 1e-12)


@settings(deadline=None)
@given(shapes, st.floats(0.0, 0.9))
def test_links_that_others_use_or_that_are_slower_never_make_a_collective_faster(
    shape: tuple[str, int, float], taken: float
) -> None:
    name, ranks, size = shape
    of, n, message = cluster(name), ranks_in(name, ranks), bytes_of(size)
    for collective in (all_reduce, all_gather, reduce_scatter):
        assert collective(of, n, message, taken).total >= collective(of, n, message).total


SHARES = [
    "flagged_share", "copy_share", "one_shot_share", "two_shot_share", "exchange_share", "exchange_sum_share",
    "static_share",
]  # fmt: skip
RATES = ["exchange_core_rate", "exchange_unpack_rate", "reduction"]
COSTS = ["ramp", "widening", "bulk_launches", "direct_launches", "peer_share", "oversubscription", "shared"]
STEPS = [
    "exchange_launches", "exchange_rank_step", "exchange_expert_step", "exchange_message",
    "exchange_send_passes", "exchange_sum_passes", "exchange_buffering", "exchange_first",
]  # fmt: skip


@pytest.mark.parametrize("figure", [*COSTS, *STEPS, *SHARES, *RATES])
def test_every_figure_of_a_link_slows_some_communication_and_speeds_up_none(figure: str) -> None:
    fast = cluster("h100-hgx-x4")
    worse = 0.5 if figure in (*SHARES, *RATES) else 2
    slow = replace(fast, tiers=tuple(replace(t, **{figure: worse * getattr(t, figure)}) for t in fast.tiers))

    def times(of: Cluster) -> np.ndarray:
        message, tokens = bytes_of(*SIZES), bytes_of(1, 64, 4096)
        kernels = stack("vllm", "0.19")
        return np.concatenate(
            [
                *(all_reduce(of, ranks, message, stack=kernels).total for ranks in (2, 8, 32)),
                all_reduce(of, 8, message, stack=None).total,
                *(all_gather(of, ranks, message).total for ranks in (8, 32)),
                all_to_all(of, 8, message).total,
                expert_exchange(of, 8, routed(tokens)).total,
                expert_exchange(of, 8, routed(tokens, combine=True)).total,
                *(
                    expert_exchange(without_low_latency(of), 32, routed(tokens, 7.0, 3.0, combine=back)).total
                    for back in (False, True)
                ),
            ]
        )

    before, after = times(fast), times(slow)
    assert (after >= before * (1 - 1e-12)).all()
    assert (after > 1.001 * before).any()


@settings(deadline=None)
@given(shapes, st.floats(1.0, 4.0))
def test_a_larger_message_never_takes_less(shape: tuple[str, int, float], factor: float) -> None:
    name, ranks, size = shape
    both = all_reduce(cluster(name), ranks_in(name, ranks), bytes_of(size, factor * size)).total
    assert both[1] >= both[0]


def test_one_chip_has_nobody_to_talk_to() -> None:
    assert all_reduce(cluster("h100-hgx"), 1, bytes_of(1e6)).total == 0.0


def test_a_ring_moves_two_shares_of_the_message_over_its_achievable_bandwidth() -> None:
    of = cluster("a100-hgx")
    tier = replace(of.tiers[0], hop=0.0, launch=0.0, reduction=0.0)
    time = all_reduce(replace(of, tiers=(tier,)), 8, bytes_of(8e6), stack=None)
    assert time.algorithm == ("ring",)
    own = 1e6 / (tier.copy_share * of.chip.memory.bandwidth / 2)
    assert time.total == pytest.approx(2 * 7e6 / (tier.efficiency * tier.bandwidth) + own)


def test_over_two_tiers_only_the_servers_share_crosses_the_network() -> None:
    of = cluster("h100-hgx-x4")
    inside, across = all_reduce(of, 8, bytes_of(1e9)), all_reduce(of, 32, bytes_of(1e9))
    network = of.tiers[1]
    extra = float(across.transfer[0] - inside.transfer[0])
    assert extra >= 2 * (1e9 / 8) * (3 / 4) / network.bandwidth * 0.9
    assert float(across.total[0]) < 2 * 1e9 / network.bandwidth


def test_staging_through_host_memory_doubles_the_transfer() -> None:
    of = without_low_latency(cluster("a100-hgx"))
    staged = replace(of, tiers=tuple(replace(t, through_host=True) for t in of.tiers))
    plain, through = all_gather(of, 8, bytes_of(1e8)), all_gather(staged, 8, bytes_of(1e8))
    assert through.transfer == pytest.approx(2 * plain.transfer)


def test_a_pair_in_a_full_mesh_has_only_its_own_link() -> None:
    of = cluster("mi300x-platform")
    tier = of.tiers[0]
    time = point_to_point(of, 0, 1, bytes_of(1e9))
    assert float(time.transfer[0]) >= 1e9 / (tier.bandwidth / 7)


def test_a_hop_crosses_the_network_only_between_servers() -> None:
    of = cluster("h100-hgx-x4")
    near, far = point_to_point(of, 0, 4, bytes_of(1e8)), point_to_point(of, 7, 8, bytes_of(1e8))
    assert float(far.total[0]) > 4 * float(near.total[0])
    assert float(hop_bound(of, 7, 8, bytes_of(1e8))[0]) == 1e8 / of.tiers[1].bandwidth


def test_a_group_larger_than_the_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        all_reduce(cluster("h100-hgx"), 9, bytes_of(1.0))
