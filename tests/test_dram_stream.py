"""Request streams and address mapping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.dram import PatternSpec, arrival_ticks, generate, parse_mapping, trace_hash
from sim.dram.stream import splitmix64, unit
from sim.errors import UserError


def splitmix64_one_by_one(seed: int, count: int) -> list[int]:
    """The generator as its authors give it: add, then mix."""
    mask, drawn = (1 << 64) - 1, []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        drawn.append(z ^ (z >> 31))
    return drawn


@given(st.integers(0, 2**64 - 1))
def test_all_draws_at_once_are_those_made_one_by_one(seed: int) -> None:
    assert splitmix64(seed, 20).tolist() == splitmix64_one_by_one(seed, 20)


@given(
    st.sampled_from(["seq", "rw2", "stride", "streams", "streams_rnd", "rand", "llm"]),
    st.integers(0, 5).map(lambda k: 1 << k),
    st.integers(1, 8),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_every_line_is_in_memory_and_a_longer_stream_begins_alike(
    pattern: str, chunk: int, streams: int, granularity: int, write_fraction: float
) -> None:
    spec = PatternSpec(
        pattern,  # type: ignore[arg-type]
        lines=4096,
        chunk=chunk,
        streams=streams,
        granularity=granularity,
        stride=3,
        write_fraction=write_fraction,
    )
    line, write = generate(spec, 300)
    longer, longer_write = generate(spec, 700)
    assert line.min() >= 0
    assert line.max() < 4096
    assert set(write.tolist()) <= {0, 1}
    assert longer[:300].tolist() == line.tolist()
    assert longer_write[:300].tolist() == write.tolist()


def test_random_chunks_are_aligned_runs() -> None:
    line, _ = generate(PatternSpec("rand", lines=1 << 20, chunk=16), 1600)
    runs = line.reshape(-1, 16)
    assert (runs[:, 0] % 16 == 0).all()
    assert (np.diff(runs, axis=1) == 1).all()
    assert np.unique(runs[:, 0]).size > 90


def test_streams_taking_turns_of_a_granule_advance_alike() -> None:
    line, _ = generate(PatternSpec("streams", lines=4000, streams=4, granularity=2), 16)
    assert line.tolist() == [
        0,
        1,
        1000,
        1001,
        2000,
        2001,
        3000,
        3001,
        2,
        3,
        1002,
        1003,
        2002,
        2003,
        3002,
        3003,
    ]


def test_the_inference_mix_keeps_its_shares_and_its_regions() -> None:
    lines = 1 << 20
    line, write = generate(PatternSpec("llm", lines=lines, chunk=64, granularity=8), 80_000)
    weights, blocks = line < lines // 2, (line >= lines // 2) & (line < lines // 4 * 3)
    assert abs(weights.mean() - 0.70) < 0.02
    assert abs(blocks.mean() - 0.25) < 0.02
    assert (write == (line >= lines // 4 * 3)).all()


@pytest.mark.parametrize("per_tick", [0.01, 0.25, 1.0, 2.5])
def test_arrivals_come_at_the_offered_rate(per_tick: float) -> None:
    arrival = arrival_ticks(7, per_tick, 20_000)
    assert (np.diff(arrival) >= 0).all()
    assert arrival.size / (arrival[-1] + 1) == pytest.approx(per_tick, rel=0.03)


def test_a_trace_hash_is_fnv_1a_over_eight_bytes_a_request() -> None:
    h = (
        14695981039346656037 // 10
    )  # the published offset basis with its last digit lost, as the reference has it
    for byte in (7).to_bytes(8, "little"):
        h = ((h ^ byte) * 1099511628211) & ((1 << 64) - 1)
    assert trace_hash(np.array([3]), np.array([1])) == f"{h:016x}"


def test_draws_in_the_unit_interval_never_reach_one() -> None:
    assert unit(np.array([2**64 - 1, 0], dtype=np.uint64)).tolist() == [1 - 2**-53, 0.0]


@given(st.integers(0, 2**20 - 1), st.integers(0, 2**20 - 1))
def test_two_lines_never_share_a_place_even_with_hashes(a: int, b: int) -> None:
    mapping = parse_mapping("co:2,bg:2,ch:1,ba:2,co:3,ro:10;bg^ro0,ba^co2,ch^ro6", "m")
    assert mapping.lines == 2**20
    where = mapping.coordinates(np.array([a, b]))
    assert (a == b) == all(values[0] == values[1] for values in where.values())


def test_a_field_in_pieces_is_put_together_and_hashes_apply_in_order() -> None:
    where = parse_mapping("co:1,bg:2,co:2,ro:4;bg^ro0,bg^co1", "m").coordinates(np.array([0b1011_10_01_1]))
    assert where["co"].tolist() == [0b101]
    assert where["ro"].tolist() == [0b1011]
    assert where["bg"].tolist() == [0b01 ^ 0b11 ^ 0b10]


@pytest.mark.parametrize("text", ["", "co:1,xx:2", "co:x", "co:0", "co", "co:5;bg~ro1", "co:5;xx^ro0"])
def test_a_malformed_mapping_is_one_sentence_naming_the_piece(text: str) -> None:
    with pytest.raises(UserError, match=r"^here: '"):
        parse_mapping(text, "here")
