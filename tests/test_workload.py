"""Arrivals and lengths converge to what was asked for, and every choice draws from its own stream."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from sim.errors import UserError
from sim.workload import Requests, WorkloadSpec, generate
from sim.workload.gaps import weibull_shape
from sim.workload.streams import stream

CHAT = {
    "prompt_tokens": {"distribution": "lognormal", "mean": 1024.0, "cv": 0.8},
    "output_tokens": {"distribution": "constant", "value": 256},
}


def spec(arrivals: dict[str, object], **rest: object) -> WorkloadSpec:
    return WorkloadSpec.model_validate({"arrivals": arrivals, **CHAT, **rest})


def poisson(count: int = 1000, rate: float = 4.0, **rest: object) -> WorkloadSpec:
    return spec({"process": "poisson", "rate": rate}, num_requests=count, **rest)


def columns(requests: Requests) -> bytes:
    return b"".join(
        np.ascontiguousarray(column).tobytes()
        for column in (requests.arrival, requests.prompt_tokens, requests.output_tokens, requests.priority)
    )


def variation(values: NDArray[np.float64] | NDArray[np.int64]) -> float:
    return float(values.std() / values.mean())


# Arrivals


@pytest.mark.parametrize(
    ("arrivals", "rate", "cv"),
    [
        ({"process": "poisson", "rate": 4.0}, 4.0, 1.0),
        ({"process": "gamma", "rate": 20, "cv": 3.0}, 20.0, 3.0),
        ({"process": "gamma", "rate": 5.0, "cv": 0.5}, 5.0, 0.5),
        ({"process": "gamma", "rate": 5.0, "burstiness": 0.25}, 5.0, 2.0),
        ({"process": "constant", "rate": 8.0}, 8.0, 0.0),
    ],
)
def test_rate_and_burstiness_converge(arrivals: dict[str, object], rate: float, cv: float):
    arrival = generate(spec(arrivals, num_requests=200_000), 1).arrival
    gaps = np.diff(arrival)
    assert len(gaps) / (arrival[-1] - arrival[0]) == pytest.approx(rate, rel=0.03)
    assert variation(gaps) == pytest.approx(cv, rel=0.03, abs=1e-6)


@given(
    st.sampled_from(["poisson", "gamma", "constant"]),
    st.floats(0.1, 200),
    st.integers(1, 400),
    st.integers(0, 2**32),
)
def test_any_arrivals_are_finite_ordered_and_as_many_as_asked(process, rate, count, seed):
    arrivals = {"process": process, "rate": rate} | ({"cv": 2.5} if process == "gamma" else {})
    requests = generate(spec(arrivals, num_requests=count), seed)
    assert len(requests) == count
    assert np.isfinite(requests.arrival).all()
    assert (np.diff(requests.arrival) >= 0).all()
    assert requests.arrival[0] >= 0
    assert (requests.prompt_tokens >= 1).all()


def test_runs_at_two_rates_share_arrivals_up_to_the_scale():
    slow, fast = generate(poisson(rate=2.0), 3), generate(poisson(rate=8.0), 3)
    np.testing.assert_allclose(slow.arrival, 4 * fast.arrival, rtol=1e-12)
    assert (slow.prompt_tokens == fast.prompt_tokens).all()


def test_a_duration_keeps_the_same_arrivals_as_a_count_and_stops():
    counted = generate(poisson(500), 5).arrival
    timed = generate(spec({"process": "poisson", "rate": 4.0}, duration="60 s"), 5).arrival
    assert timed[-1] <= 60 < counted[len(timed)]
    assert (timed == counted[: len(timed)]).all()
    both = generate(spec({"process": "poisson", "rate": 4.0}, duration="60 s", num_requests=7), 5)
    assert (both.arrival == counted[:7]).all()


def test_a_long_lull_does_not_end_a_timed_run_early():
    bursty = {"process": "gamma", "rate": 3.0, "cv": 20.0}
    many = [generate(spec(bursty, duration="2000 s"), seed).arrival for seed in range(40)]
    assert np.mean([len(arrival) for arrival in many]) == pytest.approx(6000, rel=0.15)


def test_bursts_come_together_and_apart():
    requests = generate(spec({"process": "burst", "size": 3, "every": "10 s"}, num_requests=8), 0)
    assert requests.arrival.tolist() == [0, 0, 0, 10, 10, 10, 20, 20]
    timed = generate(spec({"process": "burst", "size": 2, "every": "10 s"}, duration="25 s"), 0)
    assert timed.arrival.tolist() == [0, 0, 10, 10, 20, 20]


def test_constant_arrivals_start_at_once_and_keep_within_the_duration():
    requests = generate(spec({"process": "constant", "rate": 2.0}, duration="2 s"), 0)
    assert requests.arrival.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_closed_loop_states_its_concurrency_and_leaves_times_to_the_service():
    requests = generate(spec({"process": "closed", "concurrency": 16}, num_requests=40), 0)
    assert requests.concurrency == 16
    assert not requests.arrival.any()
    assert generate(poisson(), 0).concurrency is None


@given(st.floats(0.05, 20))
def test_the_weibull_shape_gives_the_variation_asked_for(cv: float):
    from math import lgamma, log1p

    shape = weibull_shape(cv)
    assert lgamma(1 + 2 / shape) - 2 * lgamma(1 + 1 / shape) == pytest.approx(log1p(cv * cv), rel=1e-6)


# Prefixes, priorities, streams


def test_shared_prefixes_are_equal_within_a_group_and_added_to_the_prompt():
    prefix = {"groups": 3, "tokens": {"distribution": "uniform", "low": 100, "high": 900}}
    plain, shared = generate(poisson(2000), 2), generate(poisson(2000, prefix=prefix), 2)
    assert shared.pieces is not None
    leading = {pieces[0] for pieces in shared.pieces}
    assert len(leading) == 3
    own = [pieces[1][0] for pieces in shared.pieces]
    assert len(set(own) | {s for s, _ in leading} | set(shared.output_segment.tolist())) == 2 * 2000 + 3
    totals = [sum(length for _, length in pieces) for pieces in shared.pieces]
    assert totals == shared.prompt_tokens.tolist()
    assert [pieces[1][1] for pieces in shared.pieces] == plain.prompt_tokens.tolist()


def test_prefix_share_and_skew_are_obeyed():
    tokens = {"distribution": "constant", "value": 64}
    tree = poisson(20_000, prefix={"groups": 10, "tokens": tokens, "share": 0.4, "skew": 1.0})
    pieces = generate(tree, 0).pieces
    assert pieces is not None
    groups = [p[0][0] for p in pieces if len(p) == 2]
    assert len(groups) / 20_000 == pytest.approx(0.4, abs=0.02)
    counts = np.bincount(groups, minlength=10)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.2)


def test_priorities_follow_their_weights():
    tree = poisson(20_000, priority={"values": [0, 5], "weights": [1.0, 3.0]})
    priority = generate(tree, 0).priority
    assert set(priority.tolist()) == {0, 5}
    assert (priority == 5).mean() == pytest.approx(0.75, abs=0.02)
    assert len(generate(poisson(), 0).priority) == 0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    tree = poisson(priority={"values": [0, 1]})
    assert columns(generate(tree, 11)) == columns(generate(tree, 11))
    assert columns(generate(tree, 11)) != columns(generate(tree, 12))


def test_changing_one_part_leaves_the_streams_of_the_others_alone():
    plain = generate(poisson(), 4)
    longer = generate(poisson(output_tokens={"distribution": "uniform", "low": 1, "high": 9}), 4)
    assert (plain.arrival == longer.arrival).all()
    assert (plain.prompt_tokens == longer.prompt_tokens).all()
    urgent = generate(poisson(priority={"values": [0, 1]}), 4)
    assert (plain.arrival == urgent.arrival).all()


def test_a_longer_run_begins_with_the_shorter_one():
    short, long = generate(poisson(100), 9), generate(poisson(1000), 9)
    assert (long.arrival[:100] == short.arrival).all()
    assert (long.prompt_tokens[:100] == short.prompt_tokens).all()


# What is refused


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"arrivals": {"process": "poisson", "rate": 0}}, "rate"),
        ({"arrivals": {"process": "poisson", "rate": float("nan")}}, "rate"),
        ({"arrivals": {"process": "poisson", "rate": float("inf")}}, "rate"),
        ({"arrivals": {"process": "poisson", "rate": "4"}}, "rate"),
        ({"arrivals": {"process": "gamma", "rate": 1.0}}, "either 'cv' or 'burstiness'"),
        ({"arrivals": {"process": "gamma", "rate": 1.0, "cv": 1.0, "burstiness": 1.0}}, "either"),
        ({"arrivals": {"process": "poissonn", "rate": 1.0}}, "poissonn"),
        ({"num_requests": 0}, "num_requests"),
        ({"num_requests": 10**12}, "num_requests"),
        ({"num_requests": None}, "'num_requests' or 'duration' is missing"),
        ({"num_requests": None, "arrivals": {"process": "closed", "concurrency": 2}}, "closed loop"),
        ({"prompt_tokens": None}, "'prompt_tokens' is missing"),
        ({"prompt_tokens": {"distribution": "constant", "value": 0}}, "value"),
        ({"prompt_tokens": {"distribution": "constant", "value": 5, "max": 4}}, "outside its bounds"),
        ({"prompt_tokens": {"distribution": "uniform", "low": 9, "high": 3}}, "no length lies between"),
        ({"prompt_tokens": {"distribution": "uniform", "low": 3, "high": 9, "min": 10}}, "no length"),
        ({"prompt_tokens": {"distribution": "lognormal", "mean": -1.0, "cv": 1.0}}, "mean"),
        (
            {"prompt_tokens": {"distribution": "lognormal", "mean": 9.0, "cv": 1.0, "min": 9, "max": 3}},
            "below",
        ),
        ({"prompt_tokens": {"distribution": "empirical"}}, "either 'values' or 'path'"),
        ({"prompt_tokens": {"distribution": "empirical", "values": [3], "weights": [1, 2]}}, "2 weights"),
        (
            {"prompt_tokens": {"distribution": "quantiles", "probabilities": [0.0, 0.5], "tokens": [1, 2]}},
            "from 0 to 1",
        ),
        (
            {
                "prompt_tokens": {
                    "distribution": "quantiles",
                    "probabilities": [0.0, 1.0],
                    "tokens": [1, 2, 3],
                }
            },
            "2 probabilities for 3 token counts",
        ),
        (
            {
                "prompt_tokens": {
                    "distribution": "quantiles",
                    "probabilities": [0.0, 0.0, 1.0],
                    "tokens": [1, 2, 3],
                }
            },
            "must ascend",
        ),
        (
            {"prompt_tokens": {"distribution": "quantiles", "probabilities": [0.0, 1.0], "tokens": [3, 2]}},
            "must not descend",
        ),
        ({"priority": {"values": [1, 2], "weights": [1.0]}}, "1 weights for 2 values"),
        ({"priority": {"values": []}}, "values"),
        ({"priority": {"values": [1], "weights": [0.0]}}, "above 0"),
        ({"duration": "0 s"}, "duration"),
        ({"duration": "5 m"}, "duration"),
        ({"arrivals": {"process": "synthetic", "preset": "mooncake-like"}}, "cannot be given"),
    ],
)
def test_a_wrong_workload_is_refused_by_name(tree: dict[str, object], says: str):
    good = {"arrivals": {"process": "poisson", "rate": 1.0}, "num_requests": 5, **CHAT}
    with pytest.raises(ValidationError) as caught:
        WorkloadSpec.model_validate(good | tree)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ({"duration": "1 ms", "rate": 0.001}, "no request arrives within 0.001 s"),
        ({"duration": "100 h", "rate": 1e6}, "at most 20,000,000 are allowed"),
        ({"num_requests": 5, "rate": 1e-200}, "at most 1e+10 s is allowed"),
        (
            {
                "num_requests": 5,
                "prompt_tokens": {"distribution": "normal", "mean": 50.0, "cv": 0.01, "min": 900},
            },
            "workload.prompt_tokens: hardly any length of this distribution is 900 or more",
        ),
        (
            {"num_requests": 5, "prompt_tokens": {"distribution": "empirical", "values": [5], "min": 9}},
            "no value with a weight",
        ),
        (
            {"num_requests": 5, "prompt_tokens": {"distribution": "empirical", "path": "nowhere.csv"}},
            "nowhere.csv cannot be read",
        ),
    ],
)
def test_a_workload_that_gives_no_requests_or_no_lengths_is_refused(rest, says):
    rate = rest.pop("rate", 1.0)
    with pytest.raises(UserError) as caught:
        generate(spec({"process": "poisson", "rate": rate}, **rest), 0)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("12\nx\n", "lengths.csv:2: found 'x'"),
        ("12\n0\n", "lengths.csv:2"),
        ("1,inf\n", ":1"),
        ("", "no lengths"),
    ],
)
def test_a_malformed_length_file_is_refused_with_its_line(tmp_path, text: str, says: str):
    (tmp_path / "lengths.csv").write_text(text)
    tree = poisson(4, prompt_tokens={"distribution": "empirical", "path": "lengths.csv"})
    with pytest.raises(UserError) as caught:
        generate(tree, 0, tmp_path)
    assert says in str(caught.value)


@settings(max_examples=50)
@given(st.integers(0, 2**63), st.text(max_size=10), st.integers(0, 1000))
def test_streams_of_different_purpose_or_index_differ_and_repeat(seed: int, purpose: str, index: int):
    again = stream(seed, purpose, index).random(4)
    assert (stream(seed, purpose, index).random(4) == again).all()
    assert (stream(seed, purpose, index + 1).random(4) != again).any()
    assert (stream(seed, purpose + "x", index).random(4) != again).any()
