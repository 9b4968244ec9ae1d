"""Lengths have the distribution asked for, and bounds cut it without piling up on them."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter

from sim.workload import WorkloadSpec, generate
from sim.workload.lengths import Lengths
from sim.workload.lengths.normal_quantile import normal_quantile
from sim.workload.streams import stream


def drawn(count: int = 200_000, **lengths: object) -> NDArray[np.int64]:
    distribution = TypeAdapter[Lengths](Lengths).validate_python(lengths)
    return distribution.sample(stream(7, "test").random(count))


@pytest.mark.parametrize(("mean", "cv"), [(1024.0, 0.8), (200.0, 0.2), (3000.0, 1.5)])
def test_lognormal_lengths_have_the_mean_and_variation_asked_for(mean: float, cv: float):
    lengths = drawn(distribution="lognormal", mean=mean, cv=cv)
    assert lengths.mean() == pytest.approx(mean, rel=0.03)
    assert lengths.std() / lengths.mean() == pytest.approx(cv, rel=0.08)


def test_normal_lengths_have_the_mean_and_variation_asked_for():
    lengths = drawn(distribution="normal", mean=500.0, cv=0.1)
    assert lengths.mean() == pytest.approx(500, rel=0.01)
    assert lengths.std() / lengths.mean() == pytest.approx(0.1, rel=0.02)


def test_uniform_lengths_reach_both_ends_equally_often():
    lengths = drawn(distribution="uniform", low=5, high=8)
    values, counts = np.unique(lengths, return_counts=True)
    assert values.tolist() == [5, 6, 7, 8]
    assert counts == pytest.approx(50_000, rel=0.03)


def test_empirical_lengths_follow_their_weights():
    lengths = drawn(distribution="empirical", values=[900, 10, 50], weights=[1.0, 3.0, 0.0])
    assert set(lengths.tolist()) == {10, 900}
    assert (lengths == 10).mean() == pytest.approx(0.75, abs=0.01)


def test_empirical_lengths_come_from_a_file(tmp_path):
    (tmp_path / "lengths.csv").write_text("# observed\n10,3\n\n900\n")
    arrivals = {"arrivals": {"process": "poisson", "rate": 4.0}, "num_requests": 4000}
    lengths = {"distribution": "empirical", "path": "lengths.csv"}
    spec = WorkloadSpec.model_validate(
        arrivals | {"prompt_tokens": lengths, "output_tokens": {"distribution": "constant", "value": 256}}
    )
    prompt = generate(spec, 0, tmp_path).prompt_tokens
    assert (prompt == 10).mean() == pytest.approx(0.75, abs=0.03)


def test_quantile_lengths_hit_the_published_percentiles():
    lengths = drawn(
        distribution="quantiles", probabilities=[0.0, 0.5, 0.9, 1.0], tokens=[4, 600, 2371, 30712]
    )
    assert np.quantile(lengths, [0.5, 0.9]) == pytest.approx([600, 2371], rel=0.03)
    assert lengths.min() >= 4
    assert lengths.max() <= 30712


LENGTHS = st.one_of(
    st.fixed_dictionaries(
        {
            "distribution": st.sampled_from(["lognormal", "normal"]),
            "mean": st.floats(50, 800),
            "cv": st.floats(0.6, 2),
        }
    ),
    st.fixed_dictionaries(
        {"distribution": st.just("uniform"), "low": st.integers(1, 39), "high": st.integers(100, 9000)}
    ),
    st.just({"distribution": "quantiles", "probabilities": [0.0, 0.5, 1.0], "tokens": [1, 80, 9000]}),
    st.just({"distribution": "empirical", "values": list(range(1, 201))}),
)


@given(LENGTHS, st.integers(40, 80), st.integers(0, 40))
def test_bounds_cut_any_distribution_without_piling_up_on_them(tree, low: int, width: int):
    lengths = drawn(20_000, **tree, min=low, max=low + width)
    assert lengths.min() >= low
    assert lengths.max() <= low + width
    if width > 20:
        for bound in (low, low + width):
            assert (lengths == bound).mean() < 0.3


def test_a_cut_lognormal_is_the_untouched_one_without_its_tail():
    whole = drawn(distribution="lognormal", mean=1000.0, cv=1.0)
    cut = drawn(distribution="lognormal", mean=1000.0, cv=1.0, max=1500)
    inside = whole[whole <= 1500]
    assert cut.mean() == pytest.approx(inside.mean(), rel=0.01)
    assert np.quantile(cut, 0.9) == pytest.approx(np.quantile(inside, 0.9), rel=0.01)


@given(st.floats(1e-12, 1 - 1e-9))
def test_the_normal_quantile_agrees_with_the_standard_library(u: float):
    assert normal_quantile(np.array([u]))[0] == pytest.approx(NormalDist().inv_cdf(u), rel=2e-9, abs=2e-9)


def test_the_ends_of_the_normal_quantile_are_finite():
    assert np.isfinite(normal_quantile(np.array([0.0, 1.0]))).all()


def test_longer_means_lengthen_every_single_request():
    short = drawn(1000, distribution="lognormal", mean=500.0, cv=0.8)
    long = drawn(1000, distribution="lognormal", mean=1000.0, cv=0.8)
    assert (long > short).all()
