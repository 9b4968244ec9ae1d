"""f_dram: tables of achieved fractions, between their nodes, where they are kept, and how prices use them."""

import json
import os
import stat
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.dram import DramEfficiency, dram_efficiency, load_device, numba_installed
from sim.dram import stored_tables as stored
from sim.dram.cache_folder import cache_folder, keep, read_cached
from sim.dram.causes import CAUSES
from sim.dram.derive import derive_table, entry, without_reversals
from sim.dram.devices import MemoryDevice, device_names, read_device
from sim.dram.fraction_table import ENTRIES, RATES, SIZE, WINDOWS, FractionTable
from sim.dram.interleaving import contiguous_in_channel, row_piece_lines
from sim.errors import UserError
from sim.figures import Resolution
from sim.hardware import load_chip
from sim.hardware.chip import Memory
from sim.hardware.memory_profile import plain_device
from sim.operators import ACTIVATIONS, WEIGHTS, Access
from sim.timing import CALM, Conditions
from sim.timing.rates import rates


def memory(chip: str = "h100", **changed: object) -> Memory:
    return replace(load_chip(chip)[0].memory, **changed)  # type: ignore[arg-type]


def blocks(size: float) -> Access:
    return Access("gather", "blocks", size)


def fraction(of: Memory, access: Access) -> float:
    return dram_efficiency(of).of(access).fraction


# the axes


def synthetic() -> FractionTable:
    """A memory bound by its peak, by 64 B an activation at most, and by latency: 1/f is their sum."""
    found = [
        0.9 / (1.0 + 0.2 * rate + 4.0 / window + (1.0 / lines if lines else 0.0))
        for rate in RATES
        for window in WINDOWS
        for _, lines in ENTRIES
    ]
    return FractionTable(tuple(found))


@given(st.floats(RATES[0], 3.0), st.floats(1.0, WINDOWS[0]), st.floats(1.0, 512.0))
def test_where_one_limit_rules_the_fraction_between_nodes_is_exact(
    rate: float, window: float, lines: float
) -> None:
    exact = 0.9 / (1.0 + 0.2 * rate + 4.0 / window + 1.0 / lines)
    assert synthetic().at(rate, window, "gather", lines)[0] == pytest.approx(exact, rel=1e-9)


def test_beyond_the_axes_the_nearest_node_counts_where_memory_can_only_get_better() -> None:
    table = synthetic()
    assert table.at(0.1, 1000, "gather", 1e6) == table.at(RATES[0], WINDOWS[0], "gather", 512)
    assert table.at(1.0, 128, "gather", 0.2) == table.at(1.0, 128, "gather", 1)


def test_the_cause_is_that_of_the_nearest_node() -> None:
    table = replace(synthetic(), causes=tuple(f"{n}" for n in range(SIZE)))
    entry_of = ENTRIES.index(("gather", 8))
    at = (RATES.index(1.0) * len(WINDOWS) + WINDOWS.index(128)) * len(ENTRIES) + entry_of
    assert table.at(1.02, 120, "gather", 8.1)[1] == str(at)


def test_noise_that_reverses_an_axis_is_taken_out() -> None:
    noisy = np.array(synthetic().fractions) * np.random.default_rng(1).uniform(0.97, 1.0, SIZE)
    shape = len(RATES), len(WINDOWS), len(ENTRIES)
    clean = np.array(without_reversals(noisy.tolist())).reshape(shape)
    speeds = clean * np.array(RATES)[:, None, None]
    assert (np.diff(speeds, axis=0) >= -1e-12).all()
    assert (np.diff(speeds, axis=1) <= 1e-12).all()
    assert (clean.ravel() >= noisy - 1e-12).all()


# what lies together


@given(st.integers(1, 400), st.sampled_from([256, 512, 1024]), st.integers(1, 128))
def test_a_pieces_channels_share_it(units: int, interleave: int, channels: int) -> None:
    size = 64 * units
    share = contiguous_in_channel(size, interleave, channels)
    if size >= interleave * channels:
        assert share == size / channels
        return
    places = range(0, interleave * size, size)  # one after another, pieces come to lie everywhere they can
    touched = [(at % interleave + size - 1) // interleave + 1 for at in places]
    assert share == pytest.approx(size / np.mean(touched))


def test_a_rows_pieces_are_powers_of_two_lines_within_the_row() -> None:
    assert [row_piece_lines(size, 32, 1024) for size in (1, 32, 170, 256, 400, 5000)] == [1, 1, 4, 8, 16, 32]


# the tables of the wheel


@pytest.mark.parametrize("name", device_names())
def test_every_device_has_a_table_of_its_present_profile(name: str) -> None:
    device = plain_device(read_device(name), Resolution())
    text = (files("hardware_profiles") / "dram_tables" / f"{name}.json").read_text()
    assert json.loads(text)["key"] == stored.key(device), "out of date: make tables"
    facts, tables = stored.shipped(name)
    assert facts == stored.device_facts(device)
    assert len(tables) == 8
    assert stored.shipped_text(device, tables) == text
    for table in tables.values():
        assert len(table.fractions) == len(table.causes) == SIZE
        assert 0 < min(table.fractions) <= max(table.fractions) <= 1


@pytest.mark.skipif(not numba_installed(), reason="the DRAM model is too slow without numba")
@pytest.mark.parametrize("name", ["hbm3", "hbm3e", "gddr6"])
def test_entries_derived_anew_are_those_of_the_wheel(name: str) -> None:
    _, tables = stored.shipped(name)
    device, table = load_device(name), tables["per-bank 256"]
    for kind, lines in (("stream", 0), ("mixed", 16), ("gather", 1), ("gather", 16)):
        at = (RATES.index(1.0) * len(WINDOWS) + WINDOWS.index(128)) * len(ENTRIES) + ENTRIES.index(
            (kind, lines)
        )  # type: ignore[arg-type]
        found, cause = entry(device, 256, "per-bank", at, requests=10_000, causes=True)
        assert found == pytest.approx(table.fractions[at], abs=0.03), "out of date: make tables"
        assert cause in CAUSES


# what a chip gets


@pytest.mark.parametrize("chip", ["a100", "h100", "h200", "b200", "rebel100", "rngd", "l40s", "bertha500"])
def test_streams_get_most_of_the_peak_and_single_lines_least(chip: str) -> None:
    of = dram_efficiency(memory(chip))
    by_size = [of.of(blocks(size)).fraction for size in (32, 64, 256)]
    assert by_size == sorted(by_size)
    assert by_size[0] < 0.6 < 0.9 < of.of(WEIGHTS).fraction <= 1
    assert by_size[-1] <= of.of(WEIGHTS).fraction
    assert of.of(blocks(32)).cause == "act_rate"


def test_blocks_of_keys_are_gathered_at_the_rate_kernels_show_on_a100_and_h100() -> None:
    for chip in ("a100", "h100"):
        for size in (2048, 4096, 16 * 1152, 65536):
            assert 0.9 < fraction(memory(chip), blocks(size)) <= 1


def test_less_in_flight_all_bank_refresh_and_smaller_turns_give_less() -> None:
    base = fraction(memory(), blocks(4096))
    assert fraction(memory(outstanding=1e5), blocks(4096)) < 0.7 * base
    assert fraction(memory(queue=16.0), blocks(4096)) < 0.8 * base
    assert fraction(memory(refresh="all-bank"), WEIGHTS) == pytest.approx(0.9, abs=0.02)
    assert fraction(memory(interleave=64.0), blocks(4096)) < 0.9 * base
    assert fraction(memory(queue=16.0), ACTIVATIONS) < fraction(memory(), ACTIVATIONS)


@given(st.floats(0.3, 3.0), st.floats(1.0, 2.0), st.sampled_from([32, 256, 4096, 1152]))
def test_more_bandwidth_never_gives_less(scale: float, more: float, size: int) -> None:
    def achieved(bandwidth: float) -> float:
        return bandwidth * fraction(memory(bandwidth=bandwidth), blocks(size))

    peak = memory().bandwidth * scale
    assert achieved(peak * more) >= achieved(peak) * (1 - 1e-4)  # tables hold four digits


def test_a_piece_shorter_than_a_transaction_uses_its_share_of_it() -> None:
    assert fraction(memory(), blocks(8)) == pytest.approx(fraction(memory(), blocks(32)) / 4)


def test_prices_take_what_dram_gives_less_what_others_take() -> None:
    chip = load_chip("h100")[0]
    free, shared = rates(chip, CALM), rates(chip, Conditions(hbm_taken=0.25))
    assert free.achieved(WEIGHTS) == chip.memory.bandwidth * fraction(chip.memory, WEIGHTS)
    assert shared.achieved(WEIGHTS) == 0.75 * free.achieved(WEIGHTS)
    assert free.hbm == chip.memory.bandwidth


def test_a_vendors_ceiling_bounds_only_where_the_profile_says_so() -> None:
    chip = load_chip("rebel100")[0]
    assert chip.memory.ceiling == 2.7e12
    assert rates(chip, CALM).achieved(WEIGHTS) > 4e12
    bounded = replace(chip, memory=replace(chip.memory, ceiling_applies=True))
    assert rates(bounded, CALM).achieved(WEIGHTS) == 2.7e12
    assert rates(bounded, CALM).use(WEIGHTS).bandwidth == 2.7e12


# a device of one's own


@pytest.fixture
def own_chip(tmp_path: Path) -> Path:
    """A chip on a kind of HBM with a stricter activation rate, in a folder of its own."""
    text = (files("hardware_profiles") / "memory" / "hbm3.yaml").read_text()
    text = text.replace("name: hbm3", "name: my-hbm").replace("faw: {value: 15 ns", "faw: {value: 40 ns")
    (tmp_path / "my-hbm.yaml").write_text(text)
    (tmp_path / "my-chip.yaml").write_text(
        "name: my-chip\nfamily: npu\n"
        "compute: {cores: 64, clock: 1.5 GHz, peak: {bf16: 800 TFLOP/s}}\n"
        "sram: {per_core: 4 MiB}\n"
        "memory: {device: ./my-hbm.yaml, stacks: 4, bandwidth: 3.2 TB/s, capacity: 96 GiB}\n"
        "links: {scale_up: 128 GB/s, host: 64 GB/s}\npower: {tdp: 600 W}\n"
    )
    return tmp_path / "my-chip.yaml"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stored.derived.cache_clear()
    return tmp_path / "cache" / "bandwall" / "dram"


def derivations(monkeypatch: pytest.MonkeyPatch, requests: int | None = None) -> list[int]:
    """Requests of each derivation from now on; `requests` replaces how many are served."""
    counted: list[int] = []

    def counting(*arguments: object, **options: int) -> FractionTable:
        counted.append(options["requests"])
        if requests:
            options["requests"] = requests
        return derive_table(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("sim.dram.derive.derive_table", counting)
    return counted


@pytest.mark.skipif(not numba_installed(), reason="the DRAM model is too slow without numba")
def test_a_device_of_ones_own_is_derived_once_and_kept(
    own_chip: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = derivations(monkeypatch, requests=1_500)
    own, figures = load_chip(str(own_chip))
    assert own.memory.device == "my-hbm"
    assert "memory.device_profile.timing.faw" in {figure.path for figure in figures}
    lines = blocks(32)
    assert fraction(own.memory, lines) < 0.6 * fraction(memory("tpu-v6e"), lines)
    faster = replace(own.memory, bandwidth=4e12, interleave=1024.0, queue=64.0)
    assert 0 < fraction(faster, lines) < fraction(own.memory, lines)
    assert counted == [stored.REQUESTS]
    assert len(list(cache.iterdir())) == 1
    stored.derived.cache_clear()
    kept = fraction(own.memory, lines)
    stored.derived.cache_clear()
    next(cache.iterdir()).write_text("{damaged")
    assert fraction(own.memory, lines) == pytest.approx(kept, rel=0.01)
    assert len(counted) == 2


def test_a_device_of_ones_own_whose_sizes_do_not_fit_is_refused_by_its_files_name(own_chip: Path) -> None:
    device = own_chip.with_name("my-hbm.yaml")
    device.write_text(device.read_text().replace("bank_groups: 4", "bank_groups: 3"))
    with pytest.raises(UserError, match=r"my-hbm\.yaml: organisation\.bank_groups must be a power of two"):
        load_chip(str(own_chip))


def test_an_unknown_device_is_refused_with_line_and_nearest_name(own_chip: Path) -> None:
    own_chip.write_text(own_chip.read_text().replace("./my-hbm.yaml", "HBM3a"))
    with pytest.raises(UserError, match=r"my-chip\.yaml:5: memory\.device: .*did you mean 'HBM3'"):
        load_chip(str(own_chip))


def test_without_numba_fewer_requests_are_served_and_it_is_said(
    own_chip: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load_chip(str(own_chip))[0].memory
    asked: list[int] = []

    def instead(*_: object, requests: int, causes: bool) -> FractionTable:
        asked.append(requests)
        return synthetic()

    monkeypatch.setattr("sim.dram.derive.derive_table", instead)
    monkeypatch.setattr("sim.dram.compiled.numba_installed", lambda: False)
    with pytest.warns(UserWarning, match=r"pip install 'bandwall\[dram\]'"):
        fraction(own, WEIGHTS)
    assert asked == [stored.REQUESTS_UNCOMPILED]


def test_a_size_of_row_pieces_that_the_wheel_lacks_is_derived(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.dram.derive.derive_table", lambda *_, **__: synthetic())
    of = dram_efficiency(memory(row_piece=64.0))
    assert of.of(WEIGHTS).fraction == synthetic().at(of.rate, of.window, "stream", 0)[0]
    assert len(list(cache.iterdir())) == 1


def test_the_device_of_a_plain_tree_is_the_device_itself() -> None:
    device = plain_device(read_device("gddr6"), Resolution())
    assert MemoryDevice.of_tree(device).channel() == load_device("gddr6").channel()


# the cache folder


def test_the_cache_folder_follows_the_platforms_custom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/bandwall")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    for platform, folder in (
        ("linux", Path.home() / ".cache" / "bandwall"),
        ("darwin", Path.home() / "Library" / "Caches" / "bandwall"),
        ("win32", Path("/local/bandwall/Cache")),
    ):
        monkeypatch.setattr("sys.platform", platform)
        assert cache_folder() == folder


def test_a_text_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    assert read_cached(tmp_path / "none") is None
    keep(tmp_path / "a" / "b", "text")
    assert read_cached(tmp_path / "a" / "b") == "text"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    keep(tmp_path / "a" / "b" / "c", "below a file")
    assert read_cached(tmp_path / "a" / "b" / "c") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    keep(tmp_path / "x", "text")
    assert read_cached(tmp_path / "x") is None


def test_the_row_of_a_chips_memory_is_an_efficiency_on_its_axes() -> None:
    of = dram_efficiency(memory("h200"))
    assert isinstance(of, DramEfficiency)
    assert of.rate == pytest.approx(4.8e12 / (6 * load_device("hbm3e").bandwidth), rel=1e-9)
    assert of.window == 128
    assert of.channels == 96


# what a step shows of it


def step(example: str, *sets: str, fidelity: str = "analytic") -> sim.Explanation:
    path = Path(__file__).parents[1] / "examples" / f"{example}.yaml"
    return sim.explain(sim.load(path, [*sets, f"fidelity={fidelity}"]), decode=16, context=2048)


def test_a_step_shows_how_each_operator_goes_through_memory_and_what_it_gets() -> None:
    found = step("ax-k1-h200")
    by_name = {operator.name: operator.dram for operator in found.step.operators}
    decode, experts, norm = by_name["mla_decode"], by_name["experts"], by_name["norm"]
    assert decode is not None
    assert experts is not None
    assert norm is not None
    assert (decode.pattern, decode.contiguous, decode.in_channel) == ("gather", 16 * 576 * 2, 512)
    assert experts.contiguous > 1e6
    assert norm.pattern == "mixed"
    assert norm.cause == "turnaround"
    assert 0 < norm.fraction < decode.fraction < 1
    assert decode.bandwidth == pytest.approx(decode.fraction * 4.8e12)
    assert by_name["attention_all_reduce"] is None
    assert {name for names in found.dram_uses.values() for name in names} == {
        operator.name for operator in found.step.operators if operator.dram is not None
    }
    assert not found.vendor_ceiling
    assert "What DRAM gives" in sim.html_explain(found)


def test_the_speed_of_light_goes_through_memory_at_its_peak() -> None:
    found = step("ax-k1-h200", fidelity="roofline")
    assert not found.dram_uses
    assert "What DRAM gives" not in sim.html_explain(found)


def test_larger_blocks_and_other_turns_of_the_channels_move_a_step() -> None:
    usual = step("ax-k1-rebel100").step.total
    assert step("ax-k1-rebel100", "cluster.chip.memory.interleave=64 B").step.total > usual
    assert step("ax-k1-rebel100", "cluster.chip.memory.queue=16").step.total > 1.2 * usual
    rows = step("ax-k1-rebel100", "deployment.engine.block_size=1", "cluster.chip.memory.interleave=64 B")
    blocks_of_16 = step("ax-k1-rebel100", "cluster.chip.memory.interleave=64 B")
    assert rows.step.total >= blocks_of_16.step.total


def test_a_vendors_ceiling_is_shown_and_said_not_to_be_applied() -> None:
    stated = step("ax-k1-rebel100").vendor_ceiling
    assert stated.startswith("The vendor states 2.7 TB/s of 4.8 TB/s")
    assert "not applied" in stated
    applied = step("ax-k1-rebel100", "cluster.chip.memory.ceiling_applies=true")
    assert applied.vendor_ceiling.endswith(": applied.")
    assert applied.step.total > 1.1 * step("ax-k1-rebel100").step.total
    assert "The vendor states" in sim.html_explain(applied)
