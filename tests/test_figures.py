"""Figures: values with a range, a basis and a source, and how they become numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sim.figures import Figure, Resolution, dump_figure, parse_figure
from sim.hardware.fields import Count, Share
from sim.units import BANDWIDTH, NUMBER, TIME

POSITIVE = st.floats(1e-6, 1e15)
SHARE = st.floats(0.0, 1.0)


@st.composite
def ranged(draw: st.DrawFn) -> Figure:
    low, value, high = sorted(draw(st.lists(POSITIVE, min_size=3, max_size=3)))
    return Figure(value, BANDWIDTH, low, high, "estimate", "somewhere")


@given(ranged(), SHARE)
def test_nine_draws_of_ten_lie_within_the_range_and_none_is_negative(figure: Figure, u: float) -> None:
    assert figure.low is not None
    assert figure.high is not None
    drawn = figure.quantile(u)
    assert drawn > 0
    if 0.05 < u < 0.95:
        assert figure.low * (1 - 1e-12) <= drawn <= figure.high * (1 + 1e-12)


@given(ranged(), SHARE, SHARE)
def test_a_quantile_never_falls_as_u_rises(figure: Figure, one: float, other: float) -> None:
    lower, upper = sorted((one, other))
    assert figure.quantile(lower) <= figure.quantile(upper) + 1e-12 * (figure.high or 0.0)


@given(ranged())
def test_a_range_is_the_90_percent_interval_about_the_median(figure: Figure) -> None:
    assert figure.quantile(0.05) == pytest.approx(figure.low, rel=1e-9)
    assert figure.quantile(0.5) == pytest.approx(figure.value, rel=1e-9)
    assert figure.quantile(0.95) == pytest.approx(figure.high, rel=1e-9)


def test_a_value_at_its_high_end_is_never_exceeded() -> None:
    peak = Figure(4.8e12, BANDWIDTH, 4.3e12, 4.8e12, "datasheet")
    assert {peak.quantile(u) for u in (0.5, 0.7, 0.95, 1.0)} == {4.8e12}


def test_a_range_from_nothing_is_normal_and_ends_at_nothing() -> None:
    gap = Figure(2.0, TIME, 0.0, 3.0)
    assert gap.quantile(0.05) == pytest.approx(0.0, abs=1e-12)
    assert gap.quantile(0.001) == 0.0
    assert gap.quantile(0.95) == pytest.approx(3.0)


def test_no_draw_leaves_the_physical_bounds_of_its_field() -> None:
    adapter = TypeAdapter(Share)
    share = adapter.validate_python({"value": 0.9, "low": 0.5, "high": 0.99, "basis": "assumption"})
    assert share.quantile(1.0) == 1.0
    count = TypeAdapter(Count).validate_python({"value": 4, "low": 1, "high": 8, "basis": "assumption"})
    assert count.quantile(0.0) == 1.0


def test_draws_beyond_three_deviations_are_those_at_three() -> None:
    figure = Figure(1.0, NUMBER, 0.5, 2.0)
    assert figure.quantile(0.0) == figure.quantile(1e-6) == pytest.approx(2 ** (-3 / 1.6448536), rel=1e-6)


@given(POSITIVE, SHARE)
def test_a_figure_without_range_is_its_value_whatever_is_drawn(value: float, u: float) -> None:
    assert Figure(value, BANDWIDTH).quantile(u) == value


@given(ranged())
def test_a_dumped_figure_reads_back_exactly(figure: Figure) -> None:
    assert parse_figure(dump_figure(figure), BANDWIDTH) == figure


@given(POSITIVE)
def test_a_plain_quantity_reads_back_exactly_and_is_unstated(value: float) -> None:
    figure = parse_figure(dump_figure(Figure(value, TIME)), TIME)
    assert figure == Figure(value, TIME)
    assert figure.basis == "unstated"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"valeu": "3 TB/s"}, "did you mean 'value'"),
        ({"low": "3 TB/s"}, "needs a 'value'"),
        ({"value": "3 TB/s", "low": "1 TB/s"}, "both 'low' and 'high'"),
        ({"value": "3 TB/s", "low": "4 TB/s", "high": "5 TB/s"}, "lies outside"),
        ({"value": "3 TB/s", "low": "1 TB/s", "high": "2 TB/s"}, "lies outside"),
        ({"value": "3 TB/s", "basis": "guess"}, "must be one of datasheet"),
        ({"value": "-3 TB/s"}, "must not be negative"),
        ({"value": 3}, "needs a unit"),
        ("-3 TB/s", "must not be negative"),
        (Figure(3.0, NUMBER), "where a bandwidth is needed"),
    ],
)
def test_a_faulty_figure_is_refused_with_its_fault(raw: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_figure(raw, BANDWIDTH)


def test_figures_of_one_group_move_together() -> None:
    draw = {"maturity": 0.95}
    resolution = Resolution("chip", draw)
    one = Figure(2.0, NUMBER, 1.0, 3.0, group="maturity")
    other = Figure(20.0, NUMBER, 10.0, 30.0, group="maturity")
    assert (resolution.take("a", one), resolution.take("b", other)) == pytest.approx((3.0, 30.0))


def test_a_draw_addresses_a_figure_by_its_full_path() -> None:
    figure = Figure(2.0, NUMBER, 1.0, 3.0)
    resolution = Resolution("cluster", {"cluster.chip.x": 0.05})
    assert resolution.within("chip").take("x", figure) == pytest.approx(1.0)
    assert resolution.within("chip").take("y", figure) == 2.0


def test_every_figure_taken_is_remembered_where_the_resolution_began() -> None:
    resolution = Resolution()
    resolution.within("chip").within("memory").take("bandwidth", Figure(4.8e12, BANDWIDTH, basis="datasheet"))
    (assumption,) = resolution.assumptions
    assert (assumption.path, assumption.text, assumption.basis) == (
        "chip.memory.bandwidth",
        "4.8 TB/s",
        "datasheet",
    )


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(16e12, BANDWIDTH, 8e12, 32e12), "16 TB/s (8 … 32)"),
        (Figure(2e-6, TIME, 5e-7, 1e-5), "2 µs (500 ns … 10 µs)"),
        (Figure(0.9, NUMBER, 0.8, 0.95), "0.9 (0.8 … 0.95)"),
        (Figure(4.8e12, BANDWIDTH), "4.8 TB/s"),
    ],
)
def test_a_figure_is_shown_with_its_range_in_one_unit_where_it_can(figure: Figure, text: str) -> None:
    assert figure.text() == text
