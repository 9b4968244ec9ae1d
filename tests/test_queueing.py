"""The engine is the queue it should be: path by path, and in the mean as queueing theory says.

`python benchmarks/queueing.py` (part of `make validate`) does the second with half-widths below 2 %.
"""

import heapq
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "queueing.py"


@pytest.fixture(scope="module")
def theory():
    """The benchmark as a module; its dataclasses need a name in `sys.modules`."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("queueing", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["queueing"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["queueing"]


def many_servers(arrival: np.ndarray, service: np.ndarray, servers: int) -> np.ndarray:
    """Ends under first come first served: each starts when a server is free (Kiefer and Wolfowitz)."""
    free = [0.0] * servers
    ends = []
    for time, length in zip(arrival.tolist(), service.tolist(), strict=True):
        ends.append(max(time, heapq.heappop(free)) + length)
        heapq.heappush(free, ends[-1])
    return np.array(ends)


def shared_server(arrival: np.ndarray, service: np.ndarray) -> np.ndarray:
    """Ends where all who are there get equal parts of one server: v(t), what each has got, grows as 1/n."""
    ends = np.zeros(len(arrival))
    left: list[tuple[float, int]] = []
    now = got = 0.0
    for i, time in enumerate([*arrival.tolist(), np.inf]):
        while left and now + (left[0][0] - got) * len(left) <= time:
            now += (left[0][0] - got) * len(left)
            got = left[0][0]
            ends[heapq.heappop(left)[1]] = now
        if left:
            got += (time - now) / len(left)
        now = time
        if i < len(arrival):
            heapq.heappush(left, (got + float(service[i]), i))
    return ends


def test_every_request_ends_when_the_queue_says(theory):
    for queue in theory.QUEUES:
        table = theory.served(queue, 2000, 1).requests
        service = table.output_tokens * theory.STEP
        if queue.seats:
            ends = many_servers(table.arrival, service, queue.seats)
        else:
            ends = shared_server(table.arrival, service)
        # a newcomer waits for the end of a step, and under sharing a step serves everybody once
        slack = 30 * theory.STEP * (1 if queue.seats else 30)
        assert np.abs(table.finish - ends).max() < slack, queue.name


@pytest.mark.parametrize("name", ["M/M/1", "M/M/4", "M/M/16", "M/D/1", "M/M/1-PS", "M/D/1-PS", "M/G/1-PS"])
def test_mean_times_are_those_of_queueing_theory(theory, name):
    queue = next(one for one in theory.QUEUES if one.name == name)
    found = theory.measured(queue, 8000, seed=2)
    assert found.half < 0.08 * found.theory
    assert abs(found.error) <= max(0.02, found.half / found.theory)


def test_the_benchmark_prints_a_row_for_each_queue(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["queueing.py", "--requests", "400"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(PATH), run_name="__main__")
    assert capsys.readouterr().out.count("PS") == 3
