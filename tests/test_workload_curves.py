"""Arrivals that follow the time of day have the counts of the curve and the scatter of the process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from sim.workload import WorkloadSpec, generate
from sim.workload.curves.daily import DAY
from sim.workload.curves.named import named_curves
from sim.workload.rate import Surge, daily_rate

HOUR = 3600.0
TENT = {"shape": "points", "times": ["0 h", "12 h"], "factors": [0.5, 1.5]}
LENGTHS = {
    "prompt_tokens": {"distribution": "constant", "value": 8},
    "output_tokens": {"distribution": "constant", "value": 8},
}


def spec(curve: dict[str, object] = TENT, rate: float = 2.0, **rest: object) -> WorkloadSpec:
    extent = {key: rest.pop(key) for key in ("num_requests", "duration") if key in rest}
    arrivals = {"process": "diurnal", "rate": rate, "curve": curve, **rest}
    return WorkloadSpec.model_validate({"arrivals": arrivals, **LENGTHS, **(extent or {"duration": "24 h"})})


def arrivals(seed: int = 0, **rest: object) -> NDArray[np.float64]:
    return generate(spec(**rest), seed).arrival


def tent(start: float, end: float) -> float:
    """∫ of the tent between two times of the first half day: 0.5 + t/12 h."""
    return (end - start) * 0.5 + (end**2 - start**2) / (2 * 12 * HOUR)


@pytest.mark.parametrize(("start", "end"), [(0, 3), (3, 9), (9, 12)])
def test_the_mean_rate_over_a_window_is_the_integral_of_the_curve(start: int, end: int):
    expected = 2.0 * tent(start * HOUR, end * HOUR)
    counts = [np.count_nonzero((t >= start * HOUR) & (t < end * HOUR)) for t in map(arrivals, range(10))]
    assert np.mean(counts) == pytest.approx(expected, abs=3 * (expected / 10) ** 0.5)


def test_poisson_counts_of_windows_scatter_as_their_mean():
    """Variance over mean of the counts of a minute, each against its own mean, is 1."""
    edges = np.arange(0, 12 * HOUR + 1, 60.0)
    mean = 20.0 * np.diff([tent(0, edge) for edge in edges])
    counts = np.histogram(arrivals(rate=20.0, duration="12 h"), edges)[0]
    assert np.mean((counts - mean) ** 2 / mean) == pytest.approx(1.0, abs=0.17)  # 720 windows: 3 σ = 0.16


def test_a_cv_above_one_scatters_the_counts_by_its_square():
    edges = np.arange(0, 12 * HOUR + 1, 600.0)
    mean = 20.0 * np.diff([tent(0, edge) for edge in edges])
    draws = [np.histogram(arrivals(seed, rate=20.0, duration="12 h", cv=3.0), edges)[0] for seed in range(8)]
    scatter = np.mean([(counts - mean) ** 2 / mean for counts in draws])
    assert scatter == pytest.approx(9.0, rel=0.2)


def test_a_spike_multiplies_the_rate_while_it_lasts():
    spike = {"at": "2 h", "duration": "30 min", "factor": 5}
    calm, spiked = arrivals(), arrivals(spikes=[spike])
    counts = [np.histogram(t, [0, 2 * HOUR, 2.5 * HOUR, 4 * HOUR])[0] for t in (calm, spiked)]
    assert counts[1][1] / counts[0][1] == pytest.approx(5, rel=0.15)
    assert counts[1][0] == counts[0][0]  # until then the very same arrivals
    assert counts[1][2] / counts[0][2] == pytest.approx(1, rel=0.1)


def test_bursts_add_their_share_of_time_to_the_rate():
    bursts = {"every": "20 min", "duration": "10 min", "factor": 4}
    flat = {"shape": "named", "name": "round-the-clock"}
    counts = [len(arrivals(seed, curve=flat, bursts=bursts)) for seed in range(6)]
    expected = 2.0 * DAY * (1 + 3 * 10 / 30)
    assert np.mean(counts) == pytest.approx(expected, rel=0.08)


def test_a_run_that_begins_at_noon_begins_at_the_peak():
    early, noon = arrivals(duration="1 h"), arrivals(duration="1 h", start="12 h")
    assert len(noon) / len(early) == pytest.approx((1.5 - 1 / 24) / (0.5 + 1 / 24), rel=0.1)


def test_a_short_day_keeps_the_mean_rate():
    hour = arrivals(day="1 h", duration="1 h", rate=20.0)
    assert len(hour) == pytest.approx(20 * HOUR, rel=0.02)
    assert np.count_nonzero(hour < HOUR / 4) < np.count_nonzero((hour > HOUR / 4) & (hour < HOUR / 2))


def test_a_longer_run_begins_with_the_shorter_one():
    bursts = {"every": "20 min", "duration": "10 min", "factor": 4}
    short = arrivals(num_requests=1000, bursts=bursts)
    long = arrivals(num_requests=300_000, bursts=bursts)
    assert (long[:1000] == short).all()
    assert len(long) == 300_000
    within = arrivals(duration="2 h", bursts=bursts)
    np.testing.assert_allclose(within, long[: len(within)], rtol=1e-12)
    assert long[len(within)] > 2 * HOUR


def test_count_and_duration_end_a_run_whichever_comes_first():
    assert len(arrivals(num_requests=10, duration="1 h")) == 10
    assert arrivals(num_requests=1_000_000, duration="1 h")[-1] <= HOUR


@given(
    st.lists(st.tuples(st.floats(0, 80_000), st.floats(1, 20_000), st.floats(0, 9)), max_size=4),
    st.floats(100, 200_000),
    st.floats(0, 86_399),
)
def test_the_inverse_leads_back_to_the_cumulative_rate(surges, horizon, start):
    curve = np.array([0.0, 30_000.0, 50_000.0]), np.array([0.2, 2.0, 0.0])
    found = [Surge(at, at + length, factor) for at, length, factor in surges]
    rate = daily_rate(3.0, curve, day=DAY, start=start, horizon=horizon, surges=found)
    expected = np.linspace(0, rate.total[-1], 50)
    times = rate.times(expected)
    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times <= horizon)).all()
    piece = np.clip(np.searchsorted(rate.edges, times, side="right") - 1, 0, len(rate.first) - 1)
    into = times - rate.edges[piece]
    slope = (rate.last - rate.first)[piece] / np.diff(rate.edges)[piece]
    back = rate.total[piece] + rate.first[piece] * into + slope * into**2 / 2
    np.testing.assert_allclose(back, expected, rtol=1e-6, atol=1e-6 * max(1.0, rate.total[-1]))


@pytest.mark.parametrize(
    "curve",
    [
        {"shape": "sinusoid", "peak": "21 h", "peak_to_mean": 1.7},
        *({"shape": "named", "name": name} for name in named_curves()),
    ],
)
def test_every_curve_has_the_mean_of_a_day(curve: dict[str, object]):
    assert len(arrivals(curve=curve, rate=5.0)) == pytest.approx(5 * DAY, rel=0.006)


def test_a_sinusoid_peaks_where_it_is_told_to():
    curve = {"shape": "sinusoid", "peak": "21 h", "peak_to_mean": 1.7}
    by_hour = np.histogram(arrivals(curve=curve, rate=10.0), np.arange(25) * HOUR)[0] / (10 * HOUR)
    assert int(np.argmax(by_hour)) in (20, 21)
    assert by_hour.max() == pytest.approx(1.7, rel=0.03)
    assert by_hour.min() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        ({"shape": "points", "times": ["0 h", "1 h"], "factors": [1.0]}, "2 times for 1 factors"),
        ({"shape": "points", "times": ["2 h", "1 h"], "factors": [1.0, 2.0]}, "times must ascend"),
        ({"shape": "points", "times": ["0 h"], "factors": [0.0]}, "at least one factor"),
        ({"shape": "named", "name": "evenings"}, "did you mean 'evening'"),
    ],
)
def test_a_curve_that_is_none_is_refused(curve: dict[str, object], message: str):
    with pytest.raises(ValidationError, match=message):
        spec(curve)
