"""Kinds of DRAM as data: the shipped profiles, their scaling with the pin rate, a user's own."""

import os
from pathlib import Path

import pytest

from sim.dram import Device, device_names, load_device, read_device
from sim.dram.commands import COMMAND_NAMES, REFPB
from sim.errors import UserError
from sim.figures import Resolution

SHARED = Path(os.environ.get("BANDWALL_SHARED", Path(__file__).parents[2] / "shared")) / "dram" / "configs"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no reference configurations here")

HBM3_GB_S = 819.2


def test_the_shipped_devices_are_there() -> None:
    assert {"hbm2", "hbm2e", "hbm3", "hbm3e", "hbm4"} <= set(device_names())
    assert {"gddr6", "gddr6x", "gddr7", "lpddr5", "lpddr5x"} <= set(device_names())


@pytest.mark.parametrize("name", device_names())
def test_channels_add_up_to_the_pins_times_their_rate(name: str) -> None:
    device = load_device(name)
    channel = device.channel()
    assert channel.peak * device.channels == pytest.approx(device.profile.pins * device.pin_rate)
    assert channel.organisation.columns * channel.organisation.transaction_bytes in (1024, 2048)


def test_hbm3_is_what_the_standard_says() -> None:
    device = load_device("HBM3")
    assert device.bandwidth == pytest.approx(HBM3_GB_S * 1e9)
    o = device.channel().organisation
    assert (device.channels, o.pseudo_channels, o.bank_groups, o.group_banks) == (16, 2, 4, 4)


@pytest.mark.parametrize("name", device_names())
@pytest.mark.parametrize("faster", [1.0, 1.37, 2.0])
def test_a_higher_pin_rate_never_shortens_a_time_of_the_cells(name: str, faster: float) -> None:
    device = load_device(name)
    slow, fast = device.channel(), device.channel(device.pin_rate * faster)
    assert fast.peak == pytest.approx(slow.peak * faster)
    by_rule = {(c.level, c.previous, c.following, c.window, c.sibling): c.ticks for c in slow.constraints}
    cycles = 8 * slow.tick_ns  # commands of several cycles and distances counted in clocks
    for c in fast.constraints:
        before = by_rule[c.level, c.previous, c.following, c.window, c.sibling] * slow.tick_ns
        assert c.ticks * fast.tick_ns >= before - cycles - 4 * slow.tick_ns
        assert c.ticks * fast.tick_ns <= before + 4 * slow.tick_ns


def longest(device: Device) -> dict[tuple[int, ...], int]:
    """Per rule the longest distance listed, refreshes of other banks apart (the preset halves their gap)."""
    found: dict[tuple[int, ...], int] = {}
    for c in device.constraints:
        if c.previous != REFPB:
            key = (c.level, c.previous, c.following, c.window, c.sibling)
            found[key] = max(found.get(key, 0), c.ticks)
    return found


@needs_shared
@pytest.mark.parametrize(
    ("name", "gigabits", "file"),
    [
        ("hbm2", 2.0, "hbm2_2.0_ch"),
        ("hbm2", 3.2, "hbm2e_3.2_pc"),
        ("hbm3", 6.4, "hbm3_6.4_ch"),
        ("hbm3", 8.0, "hbm3e_8.0_ch"),
        ("hbm4", 8.0, "hbm4_8.0_ch"),
    ],
)
def test_constraints_built_from_times_are_those_the_reference_enforces(
    name: str, gigabits: float, file: str
) -> None:
    from sim.validation.memory_configs import read_device as read_reference

    ours = longest(load_device(name).channel(gigabits * 1e9 / 8))
    theirs = longest(read_reference(SHARED / f"device__ram2__{file}.json"))
    for rule in ours.keys() & theirs.keys():
        assert ours[rule] == theirs[rule], [COMMAND_NAMES[c] for c in rule[1:3]]
    assert len(ours.keys() & theirs.keys()) > 60


def write(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def shipped(name: str) -> str:
    from importlib.resources import files

    return (files("hardware_profiles") / "memory" / f"{name}.yaml").read_text()


def test_a_device_of_ones_own_is_read_from_a_file(tmp_path: Path) -> None:
    odd = shipped("hbm4").replace("transaction: 32 B", "transaction: 24 B")
    with pytest.raises(UserError, match="whole number of clocks"):
        read_device(write(tmp_path, odd))
    wider = shipped("hbm4").replace("pins: 2048", "pins: 4096").replace("channels: 32", "channels: 64")
    assert load_device(write(tmp_path, wider)).bandwidth == 2 * load_device("hbm4").bandwidth


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("bank_groups: 4", "bank_groups: 3", "bank_groups must be a power of two, found 3"),
        ("bus: row-and-column", "bus: column", "bus"),
        ("  faw:", "  fww:", "fww"),
        ("ccd_l: 4", "ccd_l: four", "ccd_l"),
    ],
)
def test_a_faulty_profile_is_one_sentence_naming_the_field(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    with pytest.raises(UserError, match=says) as error:
        read_device(write(tmp_path, shipped("hbm3").replace(before, after)))
    assert "own.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_device_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'hbm3e'"):
        read_device("hbm3x-e")


def test_every_figure_of_a_device_is_an_assumption_with_its_source() -> None:
    from sim.dram import resolve_device

    resolution = Resolution(prefix="memory")
    resolve_device(read_device("hbm3e"), resolution)
    paths = {a.path for a in resolution.assumptions}
    assert {"memory.pin_rate", "memory.timing.faw", "memory.timing.rfc_pb"} <= paths
    assert all(a.source for a in resolution.assumptions)
