"""The shipped chips against the collection of public figures they were written from."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

import pytest
import yaml

from sim.hardware import ChipProfile, load_chip, read_chip

FACTS = {
    "a100": "A100-80G-SXM",
    "h100": "H100-SXM",
    "h800": "H800",
    "h20": "H20",
    "h200": "H200-SXM",
    "b200": "B200-HGX",
    "b300": "B300-HGX",
    "gb200": "GB200-NVL72",
    "gb300": "GB300-NVL72",
    "rtx-pro-6000": "RTX-PRO-6000-SE",
    "l40s": "L40S",
    "mi300x": "MI300X",
    "mi325x": "MI325X",
    "mi355x": "MI355X",
    "tpu-v6e": "TPU-v6e",
    "tpu-v7": "TPU-v7",
    "gaudi3": "Gaudi3",
    "trainium2": "Trainium2",
    "ascend-910c": "Ascend-910C",
    "atom-max": "ATOM-Max",
    "rebel100": "Rebel100",
    "rngd": "RNGD",
    "rngd-next": "RNGD-next",
    "x330": "SAPEON-X330",
    "bertha500": "Bertha500",
}
Fact = Mapping[str, object]


@cache
def _facts(folder: Path) -> Mapping[str, Fact]:
    return yaml.load((folder / "facts" / "chips.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)[
        "chips"
    ]


@pytest.fixture(params=sorted(FACTS))
def pair(request: pytest.FixtureRequest, shared: Path) -> tuple[str, Fact]:
    name = cast("str", request.param)
    return name, _facts(shared)[FACTS[name]]


def _value(fact: Fact, *path: str) -> float | None:
    here: object = fact
    for step in path:
        if not isinstance(here, Mapping):
            return None
        here = here.get(step)
    if isinstance(here, Mapping):
        here = here.get("value")
    return float(here) if isinstance(here, int | float) else None


def test_peaks_are_the_published_ones(pair: tuple[str, Fact]) -> None:
    name, fact = pair
    for dtype, peak in load_chip(name)[0].compute.peak.items():
        published = _value(fact, "peak_dense_tflops", dtype) or _value(fact, "peak_dense_tflops", "fp16")
        assert peak / 1e12 == pytest.approx(published), dtype


def test_memory_bandwidth_is_the_published_one(pair: tuple[str, Fact]) -> None:
    name, fact = pair
    assert load_chip(name)[0].memory.bandwidth / 1e12 == pytest.approx(
        _value(fact, "memory", "bandwidth_tbs")
    )


def test_capacity_is_the_printed_number_in_binary_or_more(pair: tuple[str, Fact]) -> None:
    """A printed '80 GB' is 80 GiB; of a raw capacity some is kept back, 7 % at most."""
    name, fact = pair
    printed = _value(fact, "memory", "capacity_gb")
    assert printed is not None
    assert printed <= load_chip(name)[0].memory.capacity / 2**30 <= 1.07 * printed


def test_power_is_the_published_one(pair: tuple[str, Fact]) -> None:
    name, fact = pair
    assert load_chip(name)[0].power.tdp == pytest.approx(_value(fact, "tdp_w"))


def test_links_are_the_published_ones_per_direction(pair: tuple[str, Fact]) -> None:
    name, fact = pair
    links = ChipProfile.model_validate(read_chip(name)).links
    up, host = _value(fact, "scale_up", "gb_s_per_chip_uni"), _value(fact, "host_link", "gb_s_uni")
    assert links.scale_up.value / 1e9 == pytest.approx(up)
    assert links.host.value / 1e9 == pytest.approx(host)


def test_the_range_of_a_published_figure_is_kept(pair: tuple[str, Fact]) -> None:
    name, fact = pair
    profile = ChipProfile.model_validate(read_chip(name))
    memory = cast("Fact", fact["memory"])
    published = memory["bandwidth_tbs"]
    if isinstance(published, Mapping) and "range" in published:
        low, high = published["range"]
        figure = profile.memory.bandwidth
        assert figure.low is not None
        assert figure.high is not None
        assert (figure.low / 1e12, figure.high / 1e12) == pytest.approx((low, high), rel=0.03)
