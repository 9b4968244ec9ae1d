"""`bandwall network`: the columns of nccl-tests, the band, traffic beside it, and what it refuses."""

import json
from pathlib import Path

import pytest

import sim
from sim.cli import execute
from sim.errors import UserError

TWO_LEAVES = str(Path(__file__).parents[1] / "examples" / "network" / "h100-two-leaves.yaml")


def test_bus_bandwidth_is_the_message_over_time_times_the_share_that_crosses_a_link() -> None:
    run = sim.network_run("h100-hgx", sizes="64MiB")
    row = run.to_json()["rows"][0]  # type: ignore[index]
    assert row["algbw"] == pytest.approx(row["size"] / row["time"] / 1e3)
    assert row["busbw"] == pytest.approx(row["algbw"] * 2 * 7 / 8)
    assert (row["type"], row["redop"], row["count"]) == ("half", "sum", 2**25)


@pytest.mark.parametrize(
    "collective", ["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "send"]
)
@pytest.mark.parametrize("cluster", [TWO_LEAVES, "gb200-nvl72", "mi300x-platform", "tpu-v6e-8"])
def test_every_collective_runs_on_every_fabric_and_lies_near_its_band(cluster: str, collective: str) -> None:
    run = sim.network_run(cluster, collective=collective, sizes="4KiB,16MiB,1GiB")
    times = [point.time for point in run.points]
    assert times == sorted(times)
    for point in run.points:
        assert 0 < point.low < point.high
        assert point.low / 1.5 < point.time < point.high * 1.5


def test_traffic_beside_it_is_shown_with_and_without() -> None:
    run = sim.network_run("h100-hgx", sizes="1GiB", background=["0->1:300GB/s"])
    (point,) = run.points
    assert point.beside is not None
    assert point.beside > 1.2 * point.time
    calm = sim.network_run("h100-hgx", sizes="1GiB", background=["host->1:20GB/s"]).points[0]
    assert calm.beside == pytest.approx(calm.time, rel=1e-6)


def test_a_figure_of_the_cluster_can_be_set() -> None:
    wide = sim.network_run("h100-hgx", sizes="1GiB", sets=["cluster.chip.links.scale_up=x2"])
    assert wide.points[0].time < sim.network_run("h100-hgx", sizes="1GiB").points[0].time


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, other = (sim.network_run("rebel100-rack", sizes="1MiB").to_json() for _ in range(2))
    assert json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"collective": "allreduce"}, "unknown collective 'allreduce'; did you mean 'all_reduce'?"),
        ({"dtype": "fp9"}, "unknown type 'fp9'; did you mean 'fp8'?"),
        ({"ranks": 9}, "--ranks 9: a collective on h100-hgx takes 2 to 8 chips"),
        ({"ranks": 1}, "takes 2 to 8 chips"),
        ({"sizes": "1GiB..1KiB"}, "--sizes 1GiB..1KiB: the first must be more than 0"),
        ({"sizes": "1 apple"}, "--sizes 1 apple:"),
        ({"background": ["0-1"]}, "--with 0-1: write SOURCE->TARGET"),
        ({"background": ["0->9"]}, "--with 0->9: '9' is neither host nor one of the chips 0 … 7"),
        ({"background": ["0->1:20GiB"]}, "--with 0->1:20GiB:"),
        ({"sets": ["tiers.0.hops=1us"]}, "tiers.0 has no 'hops'; did you mean 'hop'?"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        sim.network_run("h100-hgx", **arguments)  # type: ignore[arg-type]
    assert sentence in str(error.value)


def test_the_command_writes_table_json_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, record = tmp_path / "n.html", tmp_path / "n.json"
    arguments = ["network", "h100-hgx", "--sizes", "1MiB", "--with", "0->1"]
    assert execute([*arguments, "--json", str(record), "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("size", "count", "redop", "time(us)", "algbw", "busbw"))
    assert json.loads(record.read_text())["rows"][0]["size"] == 2**20
    assert "Bus bandwidth" in page.read_text()
    assert execute([*arguments[:4], "--html", str(page)]) == 0
    assert execute(["network", "h100-hgx", "--json", "-", "--html", "-"]) == 2
