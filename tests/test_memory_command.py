"""`bandwall memory` and `validate memory`: what is printed, written and refused."""

import json
import math
import re
from pathlib import Path

import pytest

import sim
import sim.dram
import sim.validation.memory
from sim.cli import execute
from sim.cli.memory import CAUSES
from sim.hardware import load_chip
from sim.report.page import plotly_js
from sim.scenario.memory_patterns import parameter_text

ROOT = Path(__file__).parents[1]
PROFILES = ROOT / "hardware_profiles" / "memory"
FEW = ["--requests", "300"]
needs_numba = pytest.mark.skipif(not sim.dram.numba_installed(), reason="validate memory needs numba")


def record(arguments: list[str], capsys) -> dict:
    """What the command writes to standard output with `--json -`."""
    assert execute(["memory", *arguments, "--json", "-"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def run(pattern: str, *options: str) -> list[str]:
    return ["run", "--device", "hbm3e", "--pattern", pattern, *FEW, *options]


def test_a_run_prints_bandwidth_latency_row_hits_and_where_the_lost_time_goes(capsys):
    assert execute(["memory", *run("paged-kv")]) == 0
    out = capsys.readouterr().out
    for part in (
        "GB/s",
        "of the peak",
        "mean",
        "p50",
        "p99",
        "row-hit rate",
        "100.0 %",
        "Rests on",
        *CAUSES.values(),
    ):
        assert part in out


@pytest.mark.parametrize("pattern", sorted(sim.list_patterns()))
def test_what_is_achieved_and_what_is_lost_add_up_to_the_peak(pattern, capsys):
    found = record(run(pattern), capsys)
    assert set(found["lost"]) == set(CAUSES)
    assert min(found["lost"].values()) >= 0
    assert found["fraction"] + sum(found["lost"].values()) == pytest.approx(1)
    assert sum(found["lost_shares"].values()) == pytest.approx(1 if found["fraction"] < 1 else 0)
    assert found["achieved_gb_s"] == pytest.approx(found["fraction"] * found["memory"]["peak_gb_s"])
    assert found["version"] == sim.__version__


def test_latency_percentiles_are_in_order(capsys):
    found = record(run("random"), capsys)
    assert 0 < found["p50_latency_ns"] <= found["p99_latency_ns"]
    assert found["mean_latency_ns"] <= found["p99_latency_ns"]


def test_the_same_seed_gives_the_same_record_and_another_seed_another(capsys):
    first, again = record(run("random"), capsys), record(run("random"), capsys)
    other = record(run("random", "--seed", "2"), capsys)
    assert first == again
    assert first["lost"] != other["lost"]


def test_more_requests_in_flight_get_more_out_of_random_reads(capsys):
    one, many = (record(run("random", "--in-flight", n), capsys) for n in ("1", "32"))
    assert many["fraction"] > 4 * one["fraction"]
    assert many["memory"]["in_flight_per_pseudo_channel"] == 32


def test_blocks_of_more_tokens_are_gathered_faster(capsys):
    small, large = (record(run("paged-kv", "--block-tokens", n), capsys) for n in ("1", "256"))
    assert small["fraction"] < large["fraction"]
    assert large["pattern"] == {"name": "paged-kv", "block_tokens": 256, "token_bytes": 2048, "streams": 8}


def test_sizes_are_quantities_or_plain_bytes(capsys):
    quantity, plain = (record(run("chunks", "--chunk", size), capsys) for size in ("64 KiB", "65536"))
    assert quantity == plain


def test_a_load_below_the_limit_is_carried_and_one_above_it_is_said_to_pile_up(capsys):
    light = record(run("random", "--load", "0.1"), capsys)
    assert light["fraction"] == pytest.approx(0.1, rel=0.25)
    assert len(light["notes"]) == (0 if sim.dram.numba_installed() else 1)
    heavy = record(run("random", "--load", "0.9"), capsys)
    assert heavy["fraction"] < 0.5
    assert "pile up" in heavy["notes"][-1]


def test_writes_have_no_latency(capsys):
    found = record(run("kv-append"), capsys)
    assert found["mean_latency_ns"] is None
    assert "posted" in found["notes"][-1]


def test_refresh_costs_a_stream_bandwidth(capsys):
    # 6,000 requests of 32 B at 28 GB/s: long enough for several refreshes, which come every 1.9 µs
    arguments = ["run", "--device", "gddr6", "--pattern", "weights", "--requests", "6000", "--refresh"]
    fractions = {mode: record([*arguments, mode], capsys)["fraction"] for mode in ("off", "all-bank")}
    assert fractions["all-bank"] < fractions["off"] - 0.03


def test_a_chips_memory_is_its_stacks_at_its_bandwidth(capsys):
    chip, _ = load_chip("h200")
    found = record(["run", "--chip", "h200", "--pattern", "weights", *FEW], capsys)
    assert found["memory"]["peak_gb_s"] == pytest.approx(chip.memory.bandwidth / 1e9)
    assert found["memory"]["stacks"] == chip.memory.stacks
    assert found["memory"]["refresh"] == chip.memory.refresh
    paths = [figure["path"] for figure in found["figures"]]
    assert {"memory.bandwidth", "memory.outstanding", "memory.queue", "device.timing.faw"} <= set(paths)
    assert "device.pin_rate" not in paths


def test_every_chip_of_the_catalogue_has_a_memory_that_can_be_studied():
    for profile in sim.list_hardware():
        if profile.cluster is None:
            studied = sim.load_memory(chip=profile.chip.name)
            assert studied.memory.system.peak * studied.memory.channels == pytest.approx(
                profile.chip.memory.bandwidth, rel=1e-3
            ), profile.chip.name


def test_a_users_own_device_is_read_from_its_file(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    text = (PROFILES / "hbm3e.yaml").read_text()
    own.write_text(re.sub(r"pin_rate: .*", "pin_rate: 4.6 Gb/s", text))
    shipped = record(run("weights"), capsys)
    found = record(["run", "--device", str(own), "--pattern", "weights", *FEW], capsys)
    assert found["memory"]["peak_gb_s"] == pytest.approx(shipped["memory"]["peak_gb_s"] / 2)
    own.write_text(text.replace("faw:", "fwa:"))
    assert execute(["memory", "run", "--device", str(own), "--pattern", "weights"]) == 2
    error = capsys.readouterr().err
    assert "own.yaml" in error
    assert "faw" in error


def test_an_output_never_takes_the_place_of_the_profile(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    own.write_text((PROFILES / "hbm3e.yaml").read_text())
    arguments = ["memory", "run", "--device", str(own), "--pattern", "weights", "--json", str(own)]
    assert execute(arguments) == 2
    assert "the profile itself" in capsys.readouterr().err
    assert own.read_text() == (PROFILES / "hbm3e.yaml").read_text()


def test_the_list_names_every_device_and_pattern_in_full(capsys):
    assert execute(["memory", "list", "--json", "-"]) == 0
    written, shown = capsys.readouterr()
    listed = json.loads(written)
    names = [entry["name"] for kind in ("devices", "patterns") for entry in listed[kind]]
    assert {path.stem for path in PROFILES.glob("*.yaml")} <= set(names)
    assert [name for name in names if name not in shown.split()] == []


def test_the_documentation_has_every_pattern_with_its_defaults_and_every_cause():
    text = (ROOT / "docs" / "memory.md").read_text()
    rows = {row.split("`")[1]: row for row in text.splitlines() if row.startswith("| `")}
    for name, form in sim.list_patterns().items():
        for parameter, value in form.defaults.items():
            shown = parameter_text(parameter, value).removesuffix(" B").replace(",", "")
            assert f"`--{parameter.replace('_', '-')}` {shown}" in rows[name], (name, parameter)
    for cause, said in CAUSES.items():
        assert f"| {said} | `{cause}` |" in text


def test_without_numba_the_model_is_said_to_be_slow_and_measures_less(monkeypatch, capsys):
    monkeypatch.setattr(sim.dram, "numba_installed", lambda: False)
    found = record(["run", "--device", "hbm3e", "--pattern", "weights"], capsys)
    assert found["requests"] == 3_000
    assert "pip install 'bandwall[dram]'" in found["notes"][0]


@pytest.fixture(scope="module")
def curve() -> sim.MemoryCurve:
    return sim.memory_curve(sim.load_memory("gddr6"), requests=100)


def test_the_curves_measure_pieces_from_one_transaction_on_and_loads_up_to_each_limit(curve):
    sizes = [point.size for point in curve.chunks]
    assert sizes[0] == curve.studied.memory.system.device.organisation.transaction_bytes
    assert sizes == sorted(set(sizes))
    for point in curve.chunks:
        assert 0 < point.gathered <= 1
        assert point.in_channel <= point.size
    assert curve.chunks[-1].one > 1.5 * curve.chunks[0].one
    for loaded in curve.loads:
        assert [p.load for p in loaded.points] == sorted(p.load for p in loaded.points)
        assert loaded.points[-1].load < loaded.limit <= 1
        assert loaded.points[-1].mean > loaded.points[0].mean


def test_the_curves_page_draws_what_was_measured_and_needs_nothing_from_elsewhere(curve):
    page = sim.html_memory_curve(curve)
    own = page.replace(plotly_js(), "")
    assert not re.search(r"(?:src|href|srcset)\s*=", own)
    assert "http" not in own.partition("Content-Security-Policy")[2].partition(">")[0]
    figures = {
        key: json.loads(data)
        for key, data in re.findall(r'<script type="application/json" id="figure-(\w+)">(.*?)</script>', own)
    }
    assert sorted(figures) == sorted(re.findall(r'data-chart="(\w+)"', own)) == ["chunks", "load"]
    one, gathered, _ = figures["chunks"]["data"]
    assert one["x"] == gathered["x"] == pytest.approx([point.size for point in curve.chunks], rel=1e-4)
    assert one["y"] == pytest.approx([100 * point.one for point in curve.chunks], rel=1e-4)
    assert len(figures["load"]["data"]) == 2 * len(curve.loads)


def test_the_curve_is_printed_and_written(tmp_path, capsys, curve, monkeypatch):
    monkeypatch.setattr(sim, "memory_curve", lambda *_, **__: curve, raising=False)
    page, numbers = tmp_path / "curve.html", tmp_path / "curve.json"
    arguments = ["memory", "curve", "--device", "gddr6", "--html", str(page), "--json", str(numbers)]
    assert execute(arguments) == 0
    assert page.read_text().lower().startswith("<!doctype html>")
    written = json.loads(numbers.read_text())
    assert len(written["chunks"]) == len(curve.chunks)
    out = capsys.readouterr().out
    assert f"{curve.chunks[-1].size:,}" in out
    assert "Read latency against load" in out


def test_a_name_from_a_profile_stays_text_on_the_page(tmp_path, curve):
    hostile = "</script><img src=x>"
    own = tmp_path / "own.yaml"
    text = (PROFILES / "gddr6.yaml").read_text()
    own.write_text(re.sub(r"title: .*", f"title: '{hostile}'", text))
    studied = sim.load_memory(str(own))
    renamed = sim.MemoryCurve(
        studied, curve.requests, curve.seed, curve.stream, curve.chunks, curve.loads, curve.notes
    )
    assert studied.title == hostile
    assert hostile not in sim.html_memory_curve(renamed)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run", "--pattern", "weights"], "--device"),
        (["run", "--pattern", "weights", "--device", "hbm3e", "--chip", "h200"], "one of the two"),
        (["run", "--pattern", "weights", "--device", "hbm33"], "did you mean 'hbm3'"),
        (["run", "--pattern", "weights", "--chip", "h2000"], "did you mean 'h200'"),
        (["run", "--pattern", "weights", "--device", "absent.yaml"], "absent.yaml"),
        (run("weigths"), "did you mean 'weights'"),
        (run("weights", "--stride", "1 KiB"), "it takes no parameter"),
        (run("chunks", "--stride", "1 KiB"), "it takes chunk, write_fraction"),
        (run("chunks", "--chunk", "5 m"), "chunk: '5 m' is not a valid data size"),
        (run("chunks", "--chunk", "0 B"), "1 B"),
        (run("chunks", "--chunk", "512 GiB"), "quarter of the channel"),
        (run("paged-kv", "--block-tokens", "0"), "block_tokens"),
        (run("paged-kv", "--streams", "1000000"), "4,096"),
        (run("random", "--write-fraction", "nan"), "between 0 and 1"),
        (run("step-mix", "--weight-share", "0.9", "--kv-share", "0.2"), "must not exceed 1"),
        (run("weights", "--refresh", "perbank"), "did you mean 'per-bank'"),
        (run("weights", "--load", "nan"), "load"),
        (run("weights", "--load", "1e-9"), "load"),
        (run("weights", "--in-flight", "0"), "in_flight"),
        (run("weights", "--requests", "1"), "requests"),
        (run("weights", "--seed", "-1"), "seed"),
        (["curve", "--device", "hbm3e", "--html", "-"], "only --json"),
        (["curve", "--device", "hbm3e", "--html", "no/page.html"], "no folder"),
    ],
)
def test_a_mistake_is_one_sentence_with_exit_code_two(arguments, part, capsys):
    assert execute(["memory", *arguments]) == 2
    error = capsys.readouterr().err
    assert part in error
    assert len(error.strip().splitlines()) == 1


@needs_numba
def test_the_model_agrees_with_the_simulators_rows(shared, tmp_path, capsys):
    reference = shared / "dram" / "reference.csv"
    target = tmp_path / "agreement.json"
    arguments = ["memory", str(reference), "--configs", str(reference.parent / "configs"), "--every", "60"]
    assert execute(["validate", *arguments, "--json", str(target)]) == 0
    report = json.loads(target.read_text())
    assert report["kind"] == "memory"
    assert [group["mape"] for group in report["groups"]] == sorted(
        (group["mape"] for group in report["groups"]), reverse=True
    )
    assert {entry["metric"] for entry in report["overall"]} == {"bandwidth", "mean_latency", "p99"}
    assert all(entry["within"] >= 0.95 and not math.isnan(entry["mape"]) for entry in report["overall"])
    out = capsys.readouterr().out
    assert "worst" in out
    assert "within tolerance" in out


def test_validation_without_numba_says_how_to_install_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sim.validation.memory, "numba_installed", lambda: False)
    assert execute(["validate", "memory", "x.csv", "--configs", str(tmp_path)]) == 2
    assert "pip install 'bandwall[dram]'" in capsys.readouterr().err


@needs_numba
@pytest.mark.parametrize(
    ("content", "part"),
    [("a,b\n1,2\n", "no column 'simulator'"), (None, "cannot be read")],
)
def test_a_reference_that_is_none_is_refused(content, part, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_text(content)
    assert execute(["validate", "memory", str(path), "--configs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert part in error
    assert len(error.strip().splitlines()) == 1
