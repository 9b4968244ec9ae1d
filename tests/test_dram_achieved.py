"""What a chip's memory achieves on the patterns of inference, and where the rest goes."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.dram import (
    AccessPattern,
    ChipMemory,
    Refresh,
    achieved,
    activations,
    chip_memory,
    expert_weights,
    fractions,
    kv_append,
    load_device,
    numba_installed,
    paged_kv,
    random_chunks,
    sequential_streams,
    sparse_rows,
    step_mix,
    strided,
    uniform_random,
    weight_stream,
)

needs_numba = pytest.mark.skipif(not numba_installed(), reason="the compiled loop needs numba")

ALL = (
    weight_stream(),
    expert_weights(44e6),
    paged_kv(16, 2048),
    sparse_rows(1152),
    kv_append(2048),
    activations(),
    step_mix(7e9, 3e9, 1e7, block_bytes=32768, token_bytes=2048),
    uniform_random(),
    random_chunks(512, write_fraction=0.3),
    strided(4096),
    sequential_streams(8),
)


def h100(outstanding: float = 3.35e6, refresh: Refresh = "per-bank", queue: int = 64) -> ChipMemory:
    return chip_memory(
        load_device("hbm3"),
        stacks=5,
        bandwidth=3.35e12,
        outstanding=outstanding,
        refresh=refresh,
        queue=queue,
    )


@needs_numba
@pytest.mark.parametrize("pattern", ALL, ids=lambda p: p.name)
def test_what_is_achieved_and_what_is_lost_add_up_to_the_peak(pattern: AccessPattern) -> None:
    result = achieved(h100(), pattern, requests=12_000)
    assert 0 < result.fraction <= 1
    assert result.fraction + sum(result.lost.values()) == pytest.approx(1.0)
    assert min(result.lost.values()) >= 0
    assert 0 <= result.row_hit_rate <= 1
    assert result.bandwidth == pytest.approx(result.fraction * 3.35e12)


def test_the_pure_loop_gives_the_same_answer_on_a_short_run() -> None:
    result = achieved(h100(), random_chunks(256), requests=300, pure=True)
    assert result.fraction + sum(result.lost.values()) == pytest.approx(1.0)
    if numba_installed():
        assert achieved(h100(), random_chunks(256), requests=300) == result


@needs_numba
def test_a_channel_runs_at_the_pin_rate_that_gives_the_chip_its_bandwidth() -> None:
    memory = h100()
    assert memory.channels == 80
    assert memory.system.peak * memory.channels == pytest.approx(3.35e12)
    assert memory.system.device.tick_ns == pytest.approx(0.5 * 4 / 5.234375)


@needs_numba
def test_single_lines_lose_to_the_activation_rate() -> None:
    result = achieved(h100(), uniform_random())
    assert max(result.lost, key=lambda cause: result.lost[cause]) == "act_rate"
    assert result.row_hit_rate < 0.01


@needs_numba
def test_only_traffic_of_both_directions_turns_the_bus_around() -> None:
    assert achieved(h100(), weight_stream()).lost["turnaround"] == 0
    assert achieved(h100(), kv_append(2048)).lost["turnaround"] == 0
    assert achieved(h100(), activations()).lost["turnaround"] > 0.05


@needs_numba
def test_turnaround_costs_what_batch_and_gap_say() -> None:
    """In one region a direction lasts as long as a write batch; a round trip costs the two turns."""
    memory = h100(queue=32)
    depth = memory.system.controller.depth
    result = achieved(memory, AccessPattern("mix", "seq", write_fraction=0.5))
    device = memory.system.device
    clock = 2 * device.tick_ns
    batch = 0.6 * depth / device.organisation.pseudo_channels
    turns = round(12.5 / clock + 0.5) + (6.25 + 4.375) / clock  # tRTW, CWL + tWTR_S, in clocks, bursts apart
    expected = turns / (turns + 4 * batch)
    assert result.lost["turnaround"] == pytest.approx(expected, rel=0.25)


@needs_numba
def test_all_bank_refresh_costs_its_share_of_time_and_per_bank_refresh_next_to_nothing() -> None:
    share = 350 / 3900
    all_bank = achieved(h100(refresh="all-bank"), weight_stream())
    assert share < all_bank.lost["refresh"] < share + 0.03
    assert achieved(h100(), weight_stream()).lost["refresh"] < 0.01
    off = achieved(h100(refresh="off"), weight_stream())
    assert off.lost["refresh"] == 0


@needs_numba
def test_larger_pieces_never_achieve_less() -> None:
    found = fractions(
        h100(), [random_chunks(size) for size in (32, 64, 256, 40_000, 400_000)], requests=30_000
    )
    assert all(later >= earlier * 0.985 for earlier, later in pairwise(found))
    assert found[-1] > 2 * found[0]


@needs_numba
def test_more_requests_in_flight_never_achieve_less() -> None:
    found = [achieved(h100(out), random_chunks(512), requests=30_000).fraction for out in (2e4, 8e4, 3.2e5)]
    assert all(later >= earlier for earlier, later in pairwise(found))
    assert found[0] < 0.4


@needs_numba
def test_latency_grows_with_the_load_and_the_bus_is_empty_below_it() -> None:
    results = [achieved(h100(), weight_stream(), load=load, requests=20_000) for load in (0.1, 0.5, 0.9)]
    means = [r.mean_latency for r in results]
    assert means == sorted(means)
    for result, load in zip(results, (0.1, 0.5, 0.9), strict=True):
        assert result.fraction == pytest.approx(load, rel=0.03)
    assert results[0].lost["empty"] > 0.7


@given(st.floats(1, 1e9))
def test_a_piece_never_grows_when_it_is_spread_over_the_channels(size: float) -> None:
    memory = h100()
    share = memory.contiguous_in_channel(size)
    assert share <= min(size, max(memory.interleave, size / memory.channels)) + 1
    assert share >= size / memory.channels - 1


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["hbm2", "hbm3", "hbm4", "gddr7", "lpddr5x"]))
def test_the_mapping_of_a_channel_names_every_line_of_it_once(name: str) -> None:
    o = load_device(name).channel().organisation
    memory = chip_memory(load_device(name), stacks=1, bandwidth=load_device(name).bandwidth, outstanding=1e5)
    assert memory.system.mapping.lines == o.banks * o.rows * o.columns
