"""Figures: values with a range, a basis and a source, and how they become numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.figures import Figure, Resolution, dump_figure, parse_figure
from sim.units import BANDWIDTH, NUMBER, TIME

POSITIVE = st.floats(1e-6, 1e15)
SHARE = st.floats(0.0, 1.0)


@st.composite
def ranged(draw: st.DrawFn) -> Figure:
    low, value, high = sorted(draw(st.lists(POSITIVE, min_size=3, max_size=3)))
    return Figure(value, BANDWIDTH, low, high, "estimate", "somewhere")


@given(ranged(), SHARE)
def test_a_draw_lies_within_the_range(figure: Figure, u: float) -> None:
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= figure.quantile(u) <= figure.high


@given(ranged(), SHARE, SHARE)
def test_a_quantile_never_falls_as_u_rises(figure: Figure, one: float, other: float) -> None:
    lower, upper = sorted((one, other))
    assert figure.quantile(lower) <= figure.quantile(upper) + 1e-12 * (figure.high or 0.0)


@given(ranged())
def test_the_ends_of_a_range_are_its_extreme_draws(figure: Figure) -> None:
    assert figure.high is not None
    rounding = 1e-7 * figure.high
    assert figure.quantile(0.0) == pytest.approx(figure.low, abs=rounding)
    assert figure.quantile(1.0) == pytest.approx(figure.high, abs=rounding)


@given(ranged())
def test_the_mode_of_a_figure_is_at_its_share_of_the_range(figure: Figure) -> None:
    assert figure.low is not None
    assert figure.high is not None
    if figure.high > figure.low:
        share = (figure.value - figure.low) / (figure.high - figure.low)
        assert figure.quantile(share) == pytest.approx(figure.value, abs=1e-7 * figure.high)


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
    draw = {"maturity": 1.0}
    resolution = Resolution("chip", draw)
    one = Figure(2.0, NUMBER, 1.0, 3.0, group="maturity")
    other = Figure(20.0, NUMBER, 10.0, 30.0, group="maturity")
    assert (resolution.take("a", one), resolution.take("b", other)) == (3.0, 30.0)


def test_a_draw_addresses_a_figure_by_its_full_path() -> None:
    figure = Figure(2.0, NUMBER, 1.0, 3.0)
    resolution = Resolution("cluster", {"cluster.chip.x": 0.0})
    assert resolution.within("chip").take("x", figure) == 1.0
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
