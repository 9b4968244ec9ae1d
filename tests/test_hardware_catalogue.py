"""Every shipped chip and cluster: it loads, it is plausible, and it says of each number how it is known."""

import os
import subprocess
import sys
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sim.documents import Document
from sim.figures import Resolution
from sim.hardware import (
    ChipProfile,
    ClusterProfile,
    chip_names,
    cluster_names,
    load_chip,
    load_cluster,
    read_chip,
    read_cluster,
    resolve_cluster,
)
from sim.hardware.catalogue import complete_chip, names
from sim.hardware.kernels import DTYPES
from sim.network import all_reduce
from sim.network.stacks import stack
from sim.scenario.catalogue import describe_hardware

TEMPLATE = "npu-template"
GROUPS = ["npu_hbm", "npu_mma", "npu_launch", "x330_variant", "rngd_next_peak"]
KOREAN_NPUS = ["atom-max", "rebel100", "rngd", "rngd-next", "x330", "bertha500"]


@pytest.mark.parametrize("name", chip_names())
def test_a_shipped_chip_is_plausible_and_named_as_its_file(name: str) -> None:
    profile = describe_hardware(name)
    assert profile.remarks == ()
    assert profile.chip.name == name
    assert profile.title != name


@pytest.mark.parametrize("name", chip_names())
def test_a_shipped_chip_resolves_to_positive_numbers(name: str) -> None:
    chip, _ = load_chip(name)
    assert chip.compute.cores >= 1
    assert min(chip.compute.peak.values()) > 0
    assert min(chip.memory.bandwidth, chip.memory.capacity, chip.sram.bandwidth, chip.compute.exp_rate) > 0
    assert 0 < chip.memory.visible <= chip.memory.capacity
    assert 0 < chip.power.idle < chip.power.tdp


@pytest.mark.parametrize("name", chip_names())
def test_full_arithmetic_and_full_bandwidth_together_stay_near_the_thermal_power(name: str) -> None:
    """Matrix engines and memory at their peaks draw between a third of TDP and half as much again."""
    chip, _ = load_chip(name)
    busy = (
        chip.power.idle + chip.power.pj_flop * chip.peak("bf16") + chip.power.pj_byte * chip.memory.bandwidth
    )
    assert 0.33 * chip.power.tdp < busy < 1.5 * chip.power.tdp


@pytest.mark.parametrize("name", [name for name in chip_names() if name != TEMPLATE])
def test_every_number_of_a_shipped_chip_has_a_basis_and_a_source(name: str) -> None:
    bare = [f.path for f in describe_hardware(name).assumptions if f.basis == "unstated" or not f.source]
    assert bare == []


@pytest.mark.parametrize("name", [name for name in cluster_names() if not name.startswith(TEMPLATE)])
def test_every_number_of_a_shipped_cluster_has_a_basis_and_a_source(name: str) -> None:
    bare = [f.path for f in describe_hardware(name).assumptions if f.basis == "unstated" or not f.source]
    assert bare == []


@pytest.mark.parametrize("name", KOREAN_NPUS)
def test_nothing_of_a_domestic_npu_counts_as_measured(name: str) -> None:
    assert [f.path for f in describe_hardware(name).assumptions if f.basis == "measured"] == []


@pytest.mark.parametrize("name", chip_names())
def test_an_assumption_has_a_range(name: str) -> None:
    """What is assumed can be varied, unless it is the same as a sibling's."""
    bare = [
        figure.path
        for figure in describe_hardware(name).assumptions
        if figure.basis == "assumption" and "…" not in figure.text and "as " not in figure.source
    ]
    assert [path for path in bare if path not in ("memory.stacks", "dispatch.gap")] == []


@pytest.mark.parametrize("name", cluster_names())
def test_a_shipped_cluster_resolves_and_is_named_as_its_file(name: str) -> None:
    cluster, _ = load_cluster(name)
    assert cluster.name == name
    assert cluster.tiers[-1].domain == cluster.chips
    for tier in cluster.tiers:
        assert 0 < tier.efficiency <= 1
        assert tier.bandwidth > 0 or tier.domain == 1
        assert tier.reduction <= tier.bandwidth
        assert tier.low_latency < tier.launch + 14 * tier.hop


@pytest.mark.parametrize("name", cluster_names())
def test_an_outer_tier_is_never_faster_than_the_one_inside_it(name: str) -> None:
    tiers = load_cluster(name)[0].tiers
    for inner, outer in pairwise(tiers):
        assert outer.bandwidth * outer.efficiency <= inner.bandwidth * inner.efficiency
        assert outer.latency >= inner.latency


@pytest.mark.parametrize("name", cluster_names())
def test_every_path_that_is_reported_exists_in_the_tree(name: str) -> None:
    tree = read_cluster(name)
    for figure in describe_hardware(name).assumptions:
        here: object = tree
        for step in figure.path.split("."):
            if isinstance(here, list):
                here = here[int(step)]
            else:
                assert isinstance(here, dict)
                assert step in here or figure.path.endswith("memory.visible"), figure.path
                here = here.get(step)


@pytest.mark.parametrize("name", cluster_names())
def test_no_path_is_reported_twice_but_a_shared_link(name: str) -> None:
    paths = [figure.path for figure in describe_hardware(name).assumptions]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("extreme", [0.0, 1.0])
@pytest.mark.parametrize("name", cluster_names())
def test_an_extreme_draw_of_everything_is_still_a_cluster(name: str, extreme: float) -> None:
    profile = ClusterProfile.model_validate(read_cluster(name))
    plain = Resolution()
    resolve_cluster(profile, plain)
    draw = {figure.path: extreme for figure in plain.assumptions}
    draw |= dict.fromkeys(GROUPS, extreme)
    cluster = resolve_cluster(profile, Resolution(draw=draw))
    kernels = cluster.chip.kernels
    assert cluster.chip.memory.visible <= cluster.chip.memory.capacity
    assert cluster.chip.compute.cores >= 1
    for share in (kernels.gemm_hbm, kernels.decode_hbm, kernels.mla_decode_hbm, kernels.moe_hbm):
        assert 0 < share <= 1


@pytest.mark.parametrize("name", names("family"))
def test_a_family_is_complete_with_every_type(name: str) -> None:
    tree = read_chip("h100") | {"family": name, "kernels": {}}
    profile = ChipProfile.model_validate(complete_chip(tree, Document("test", tree), None))
    assert set(profile.kernels.gemm_mma) >= {"bf16", "default"}


@pytest.mark.parametrize("name", chip_names())
def test_a_type_without_kernel_figures_takes_those_of_the_default(name: str) -> None:
    kernels = load_chip(name)[0].kernels
    for shares in (kernels.gemm_mma, kernels.prefill_mma, kernels.moe_mma, kernels.moe_io_passes):
        assert set(shares) == {*DTYPES, "fp16", "default"}
        assert shares["fp16"] == shares["bf16"]


def test_the_capacities_that_drivers_report_are_the_binary_ones() -> None:
    mebibyte = 2**20
    assert load_chip("h200")[0].memory.visible == 143771 * mebibyte
    assert load_chip("h100")[0].memory.visible == 81559 * mebibyte
    assert load_chip("rngd")[0].memory.visible == 47.5 * 1024 * mebibyte
    assert load_chip("rebel100")[0].memory.visible == pytest.approx(0.985 * 144 * 1024 * mebibyte)


def test_an_all_reduce_on_each_measured_box_takes_what_was_measured() -> None:
    """NCCL of 512 B (µs) and 512 MiB (ms) on eight, a one-shot kernel of 256 B (µs)."""
    measured = {
        "a100-hgx": (22.6, 4.226, 4.4),
        "h100-hgx": (15.6, 2.111, 3.2),
        "h200-hgx": (16.0, 2.040, 3.05),
        "b200-hgx": (25.1, 1.335, 5.0),
        "b300-hgx": (24.6, 1.335, None),
        "l40s-server": (22.6, 649.5, None),
        "rtx-pro-6000-server": (24.6, 38.07, None),
    }
    kernels = stack("trtllm", "1.3.0")
    for name, (small, large, one_shot) in measured.items():
        cluster = load_cluster(name)[0]
        library = all_reduce(cluster, 8, np.array([512, 512 * 2.0**20]), stack=None).total
        assert library[0] * 1e6 == pytest.approx(small, rel=0.2), name
        assert library[1] * 1e3 == pytest.approx(large, rel=0.2), name
        if one_shot is not None:
            kernel = all_reduce(cluster, 8, np.array([256.0]), stack=kernels).total
            assert kernel * 1e6 == pytest.approx(one_shot, rel=0.2), name


def test_profiles_are_read_from_inside_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "bandwall.zip"
    root = Path(__file__).parents[1]
    with zipfile.ZipFile(archive, "w") as target:
        for package in ("sim", "hardware_profiles"):
            for path in (root / package).rglob("*"):
                if path.suffix in (".py", ".yaml"):
                    target.write(path, path.relative_to(root))
    code = (
        "from sim.hardware import load_cluster as f; import sim; print(f('h200-hgx')[0].chips, sim.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": str(archive)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    chips, origin = ran.stdout.split()
    assert chips == "8"
    assert str(archive) in origin
