"""Quantities with units: what is read, what is refused, and that what is shown can be read again."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sim.units import (
    BANDWIDTH,
    BYTES,
    ENERGY_PER_BYTE,
    ENERGY_PER_FLOP,
    FLOP_RATE,
    FREQUENCY,
    NUMBER,
    OP_RATE,
    POWER,
    TIME,
    USD,
    USD_PER_HOUR,
    Dimension,
    parse,
    show,
)

PREFIXED = [BYTES, BANDWIDTH, FLOP_RATE, OP_RATE, TIME, POWER, FREQUENCY, ENERGY_PER_FLOP, ENERGY_PER_BYTE]
ALL = [*PREFIXED, USD, USD_PER_HOUR]


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("4.8 TB/s", BANDWIDTH, 4.8e12),
        ("400 Gb/s", BANDWIDTH, 50e9),
        ("24 GiB", BYTES, 24 * 2**30),
        ("143771 MiB", BYTES, 143771 * 2**20),
        ("80 GB", BYTES, 80e9),
        ("989 TFLOP/s", FLOP_RATE, 989e12),
        ("4.18 Top/s", OP_RATE, 4.18e12),
        ("2.7 us", TIME, 2.7e-6),
        ("2.7 µs", TIME, 2.7e-6),
        ("1e3 ms", TIME, 1.0),
        ("5 min", TIME, 300.0),
        ("1.5 hours", TIME, 5400.0),
        ("2 d", TIME, 172800.0),
        ("0.35 pJ/FLOP", ENERGY_PER_FLOP, 0.35e-12),
        ("2.95 USD/h", USD_PER_HOUR, 2.95),
        ("30 kUSD", USD, 30000.0),
    ],
)
def test_a_quantity_is_its_number_in_si_units(text: str, dimension: Dimension, value: float) -> None:
    assert parse(text, dimension) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "dimension"),
    [
        ("4.8 tb/s", BANDWIDTH),
        ("4.8 TB", BANDWIDTH),
        ("2 GiB/s", BYTES),
        ("5 m", TIME),
        ("5", TIME),
        (5, TIME),
        (True, TIME),
        (None, TIME),
        (["5 s"], TIME),
        ("nan s", TIME),
        ("inf s", TIME),
        ("1e400 s", TIME),
        ("1,5 s", TIME),
        ("1_000 B", BYTES),
        ("0x10 B", BYTES),
        ("５ s", TIME),
        ("", TIME),
        ("s", TIME),
        ("700", POWER),
        ("0.9", NUMBER),
        (True, NUMBER),
        (math.nan, NUMBER),
        (math.inf, NUMBER),
        (10**400, NUMBER),
    ],
)
def test_what_is_no_quantity_of_the_dimension_is_refused(value: object, dimension: Dimension) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(value, dimension)


def test_a_refusal_shows_how_it_should_look() -> None:
    with pytest.raises(ValueError, match=r"'4\.8 tb/s' .* B/s, b/s .* '4\.8 TB/s'"):
        parse("4.8 tb/s", BANDWIDTH)


@given(st.floats(1e-20, 1e20), st.sampled_from(ALL))
def test_a_shown_quantity_reads_back_within_its_four_digits(value: float, dimension: Dimension) -> None:
    assert parse(show(value, dimension), dimension) == pytest.approx(value, rel=5.1e-4)


@given(st.integers(1, 10**6))
def test_a_binary_size_is_shown_exactly(mebibytes: int) -> None:
    assert parse(show(mebibytes * 2**20, BYTES), BYTES) == pytest.approx(mebibytes * 2**20, rel=1e-5)


@given(st.floats(1e-3, 999.0), st.sampled_from(["", "k", "M", "G", "T"]), st.sampled_from(PREFIXED))
def test_a_prefix_multiplies(number: float, prefix: str, dimension: Dimension) -> None:
    text = f"{number!r} {prefix}{dimension.base}"
    factor = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[prefix]
    assert parse(text, dimension) == pytest.approx(number * factor, rel=1e-14)


@given(st.text(max_size=20), st.sampled_from(ALL))
def test_any_text_is_a_finite_number_or_a_value_error(text: str, dimension: Dimension) -> None:
    try:
        value = parse(text, dimension)
    except ValueError:
        return
    assert math.isfinite(value)


@given(st.sampled_from(ALL), st.sampled_from(ALL))
def test_a_quantity_of_one_dimension_is_refused_by_every_other(one: Dimension, other: Dimension) -> None:
    assume(one is not other)
    with pytest.raises(ValueError, match="must be one of"):
        parse(f"3 {one.base}", other)
