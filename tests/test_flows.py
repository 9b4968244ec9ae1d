"""Flows over shared links: fairness, conservation, and the same times in SimPy as on their own."""

from collections.abc import Generator
from math import inf

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network.fair_share import max_min
from sim.network.flows import Flow, FlowNetwork, finish_times
from sim.network.simulated import SimulatedLinks

NEAR = 1 + 1e-9
LINKS = 5

capacities = st.lists(st.floats(1.0, 100.0), min_size=LINKS, max_size=LINKS)
paths = st.dictionaries(st.integers(0, LINKS - 1), st.sampled_from([0.25, 0.5, 1.0, 2.0]), min_size=1)
limits = st.one_of(st.just(inf), st.floats(0.5, 200.0))
flows = st.builds(
    Flow,
    uses=paths,
    size=st.one_of(st.just(0.0), st.floats(1.0, 1e4)),
    start=st.sampled_from([0.0, 1.0, 2.5, 2.5, 40.0]),
    limit=limits,
)
many_flows = st.lists(flows, min_size=1, max_size=8)


def test_two_flows_on_one_link_get_half_of_it_each() -> None:
    assert max_min([10.0], [{0: 1.0}, {0: 1.0}], [inf, inf]) == [5.0, 5.0]


def test_what_a_bounded_flow_leaves_goes_to_the_others() -> None:
    """Three flows on two links: A over both, B on the first, C on the wider second gets the rest."""
    rates = max_min([10.0, 30.0], [{0: 1.0, 1: 1.0}, {0: 1.0}, {1: 1.0}], [inf, inf, inf])
    assert rates == [5.0, 5.0, 25.0]
    assert max_min([10.0], [{0: 1.0}, {0: 1.0}], [2.0, inf]) == [2.0, 8.0]


def test_a_flow_over_no_link_runs_at_its_limit() -> None:
    assert max_min([], [{}], [7.0]) == [7.0]


@given(capacities, st.lists(st.tuples(paths, limits), min_size=1, max_size=10))
def test_rates_are_max_min_fair(capacity: list[float], asked: list[tuple[dict[int, float], float]]) -> None:
    """No link is above its capacity, and each flow runs at its limit or has a full link on which nobody is
    faster."""
    uses, limit = [u for u, _ in asked], [b for _, b in asked]
    rates = max_min(capacity, uses, limit)
    load = [sum(u.get(i, 0.0) * r for u, r in zip(uses, rates, strict=True)) for i in range(LINKS)]
    assert all(carried <= can * NEAR for carried, can in zip(load, capacity, strict=True))
    for used, most, rate in zip(uses, limit, rates, strict=True):
        bottlenecks = [
            link
            for link in used
            if load[link] * NEAR >= capacity[link]
            and all(r <= rate * NEAR for u, r in zip(uses, rates, strict=True) if link in u)
        ]
        assert bottlenecks or rate * NEAR >= most


@given(capacities, many_flows)
def test_every_byte_that_enters_leaves_and_no_link_carries_more_than_it_can(
    capacity: list[float], moved: list[Flow]
) -> None:
    network = FlowNetwork(capacity)
    waiting = sorted(moved, key=lambda flow: flow.start)
    started: dict[int, Flow] = {}
    out: dict[int, float] = {}
    while waiting or network.next_finish() < inf:
        before = network.now
        rates = {number: network.rate(number) for number in started}
        carried = network.load()
        assert all(load <= can * NEAR for load, can in zip(carried, capacity, strict=True))
        at = min(network.next_finish(), waiting[0].start if waiting else inf)
        done = network.advance(at)
        for number, rate in rates.items():
            if rate < inf:
                out[number] += rate * (network.now - before)
        for number, finish in done:
            assert finish == at
            assert out[number] == pytest.approx(started[number].size, rel=1e-9, abs=1e-6)
            del started[number], out[number]
        while waiting and waiting[0].start <= network.now:
            flow = waiting.pop(0)
            number = network.start(flow)
            started[number], out[number] = flow, 0.0
    assert not started


@given(capacities, many_flows)
def test_no_flow_finishes_before_its_bytes_fit_and_no_link_before_its_work(
    capacity: list[float], moved: list[Flow]
) -> None:
    finish = finish_times(capacity, moved)
    for flow, end in zip(moved, finish, strict=True):
        alone = max(flow.size * use / capacity[link] for link, use in flow.uses.items())
        assert (end - flow.start) * NEAR >= max(alone, flow.size / flow.limit)
    first, last = min(flow.start for flow in moved), max(finish)
    for link, can in enumerate(capacity):
        busy = sum(flow.size * flow.uses.get(link, 0.0) for flow in moved) / can
        assert (last - first) * NEAR >= busy


@given(capacities, many_flows)
def test_a_link_idles_only_when_nobody_waits_for_it_alone(capacity: list[float], moved: list[Flow]) -> None:
    """Work conserving: flows that use one link only and have no limit finish when its work is done."""
    one = [Flow({0: 1.0}, flow.size, 0.0) for flow in moved]
    assert max(finish_times(capacity, one)) == pytest.approx(sum(flow.size for flow in one) / capacity[0])


@settings(deadline=None)
@given(capacities, many_flows)
def test_simpy_sees_the_same_finish_times(capacity: list[float], moved: list[Flow]) -> None:
    env = simpy.Environment()
    links = SimulatedLinks(env, capacity)
    seen: dict[int, float] = {}

    def send(number: int, flow: Flow) -> Generator[simpy.Event, float, None]:
        yield env.timeout(flow.start)
        at = yield links.transfer(flow.uses, flow.size, flow.limit)
        assert env.now == pytest.approx(at)
        seen[number] = at

    for number, flow in enumerate(moved):
        env.process(send(number, flow))
    env.run()
    expected = finish_times(capacity, moved)
    assert [seen[i] for i in range(len(moved))] == pytest.approx(expected)


@given(capacities, many_flows)
def test_the_order_in_which_flows_are_given_changes_nothing(capacity: list[float], moved: list[Flow]) -> None:
    forwards, backwards = finish_times(capacity, moved), finish_times(capacity, moved[::-1])
    assert forwards == pytest.approx(backwards[::-1])


def test_a_flow_slows_when_another_starts_and_quickens_when_it_ends() -> None:
    """100 bytes at 10 B/s, joined at 2 s by 20 bytes: those take 4 s at half rate, the first then hurries."""
    assert finish_times([10.0], [Flow({0: 1.0}, 100.0), Flow({0: 1.0}, 20.0, 2.0)]) == [12.0, 6.0]


def test_traffic_without_end_takes_its_limit_for_ever() -> None:
    steady = Flow({0: 1.0}, inf, limit=4.0)
    assert finish_times([10.0], [Flow({0: 1.0}, 12.0), steady]) == [2.0, inf]


def test_a_withdrawn_flow_returns_what_it_has_not_moved_and_frees_its_share() -> None:
    network = FlowNetwork([10.0])
    first, second = network.start(Flow({0: 1.0}, 100.0)), network.start(Flow({0: 1.0}, 100.0))
    assert network.advance(4.0) == []
    assert network.remaining(first) == 80.0
    assert network.withdraw(first) == 80.0
    assert network.rate(first) == 0.0
    assert network.advance(inf) == [(second, 12.0)]


def test_a_withdrawn_transfer_never_happens() -> None:
    env = simpy.Environment()
    links = SimulatedLinks(env, [10.0])
    kept, dropped = links.transfer({0: 1.0}, 10.0), links.transfer({0: 1.0}, 100.0)
    env.run(until=1.0)
    assert links.load() == [10.0]
    assert links.withdraw(dropped) == 95.0
    env.run()
    assert kept.value == 1.5
    assert not dropped.triggered


def test_flows_that_finish_together_finish_in_the_order_of_their_starts() -> None:
    network = FlowNetwork([10.0, 10.0])
    numbers = [network.start(Flow({link: 1.0}, 5.0)) for link in (1, 0)]
    assert network.advance(1.0) == [(numbers[0], 0.5), (numbers[1], 0.5)]


def test_a_flow_may_not_start_in_the_past_nor_on_a_link_that_is_not_there() -> None:
    network = FlowNetwork([10.0], now=5.0)
    with pytest.raises(ValueError, match="cannot start at"):
        network.start(Flow({0: 1.0}, 1.0, start=4.0))
    with pytest.raises(ValueError, match="a link beyond"):
        network.start(Flow({1: 1.0}, 1.0, start=5.0))
    with pytest.raises(ValueError, match="cannot go back"):
        network.advance(4.0)
    network.start(Flow({0: 1.0}, 1.0, start=5.0))
    with pytest.raises(ValueError, match="advance to the flows"):
        network.start(Flow({0: 1.0}, 1.0, start=6.0))


def test_a_phase_of_a_collective_waits_for_its_slowest_link() -> None:
    ring = Flow(dict.fromkeys(range(4), 1.0), 100.0)
    background = Flow({2: 1.0}, inf, limit=6.0)
    alone, beside = finish_times([10.0] * 4, [ring])[0], finish_times([10.0] * 4, [ring, background])[0]
    assert (alone, beside) == (10.0, 20.0)
    assert np.isinf(finish_times([10.0] * 4, [ring, background])[1])
