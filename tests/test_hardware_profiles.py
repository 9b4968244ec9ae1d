"""A user's own profile: what ten lines are enough for, what is refused, what is remarked on."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import UserError
from sim.figures import Resolution
from sim.hardware import (
    ChipProfile,
    ClusterProfile,
    load_chip,
    load_cluster,
    read_chip,
    read_cluster,
    resolve_chip,
)
from sim.hardware.assumed import LINK_RULES, LOW_LATENCY_RULES
from sim.scenario.catalogue import describe_hardware

CHIP = """\
name: mine
family: npu
compute: {cores: 16, clock: 1 GHz, peak: {bf16: 200 TFLOP/s, fp8: 400 TFLOP/s}}
sram: {per_core: 8 MiB}
memory:
  device: HBM3
  stacks: 2
  bandwidth: 1.5 TB/s
  capacity: 48 GiB
links: {scale_up: 64 GB/s, host: 64 GB/s}
power: {tdp: 200 W}
"""
CLUSTER = """\
name: my-box
chip: ./mine.yaml
chips: 8
overhead_power: 150 W
tiers:
  - {name: scale_up, domain: 8, fabric: pcie5-npu}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(CHIP)
    (tmp_path / "box.yaml").write_text(CLUSTER)
    return tmp_path


def test_ten_lines_make_a_chip_and_everything_assumed_is_reported(folder: Path) -> None:
    chip, assumptions = load_chip("./mine.yaml", folder)
    basis = {figure.path: figure.basis for figure in assumptions}
    assert chip.compute.vector_flops == pytest.approx(200e12 / 16)
    assert chip.memory.visible == pytest.approx(0.985 * 48 * 2**30)
    assert basis["power.idle"] == "assumption"
    assert basis["compute.cores"] == "unstated"


def test_a_cluster_finds_its_chip_beside_itself(folder: Path) -> None:
    cluster, _ = load_cluster("box.yaml", folder)
    assert cluster.chip.name == "mine"
    assert cluster.tiers[0].bandwidth == 64e9
    assert load_cluster(str(folder / "box.yaml"))[0] == cluster


def test_a_read_tree_needs_no_other_file_and_resolves_to_the_same(folder: Path, tmp_path: Path) -> None:
    tree = read_cluster("box.yaml", folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "whole.yaml").write_text(yaml.safe_dump(tree))
    assert load_cluster("whole.yaml", elsewhere)[0] == load_cluster("box.yaml", folder)[0]


def test_a_stated_figure_is_never_overwritten_by_an_assumption(folder: Path) -> None:
    (folder / "own.yaml").write_text(CHIP + "dispatch: {gap: 7 us}\nkernels: {gemm_hbm: 0.6}\n")
    chip, _ = load_chip("own.yaml", folder)
    assert chip.dispatch.gap == 7e-6
    assert chip.kernels.gemm_hbm == 0.6
    assert chip.kernels.decode_hbm == load_chip("./mine.yaml", folder)[0].kernels.decode_hbm


def test_a_fabric_is_given_the_figures_of_collectives_and_of_low_latency_kernels_where_it_has_them(
    folder: Path,
) -> None:
    def assumed(tier: str) -> set[str]:
        (folder / "own.yaml").write_text(CLUSTER.replace("fabric: pcie5-npu}", tier))
        cluster, figures = load_cluster("own.yaml", folder)
        assert cluster.tiers[0].ramp == 1.3
        paths = {a.path for a in figures if a.basis == "assumption"}
        return paths & {f"tiers.0.{name}" for name in (*LINK_RULES, *LOW_LATENCY_RULES)}

    library = {f"tiers.0.{name}" for name in LINK_RULES if name != "ramp"}
    assert assumed("fabric: pcie5-npu, ramp: 1.3}") == library
    low_latency = {f"tiers.0.{name}" for name in LOW_LATENCY_RULES}
    assert assumed("fabric: pcie5-npu, ramp: 1.3, low_latency: 5 us}") == library | low_latency
    stated = assumed("fabric: pcie5-npu, ramp: 1.3, widening: 0.3, peer_share: null}")
    assert stated == library - {"tiers.0.widening"}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("clock:", "clok:", "mine.yaml:3: compute.clok: unknown field; did you mean 'clock'?"),
        ("bandwidth: 1.5 TB/s", "bandwidth: 1.5 tb/s", "mine.yaml:8: memory.bandwidth: '1.5 tb/s'"),
        ("bandwidth: 1.5 TB/s", "bandwidth: 1.5", "mine.yaml:8: memory.bandwidth: 1.5 needs a unit"),
        ("bandwidth: 1.5 TB/s", "bandwidth: 0 B/s", "must be more than 0"),
        ("bandwidth: 1.5 TB/s", "bandwidth: nan TB/s", "mine.yaml:8: memory.bandwidth"),
        ("capacity: 48 GiB", "capacity: 48 GiB/s", "mine.yaml:9: memory.capacity"),
        ("  capacity: 48 GiB\n", "", "memory: 'capacity' is missing"),
        (
            "  capacity: 48 GiB\n",
            "  capacity: 48 GiB\n  visible: 50 GiB\n",
            "50 GiB is more than the capacity",
        ),
        (
            "  stacks: 2\n",
            "  stacks: 2\n  pin_rate: 6.4 Gb/s\n",
            "1.5 TB/s is more than 2 % off 2 stacks of 1024 pins at 6.4 Gb/s, which is 1.638 TB/s",
        ),
        ("cores: 16", "cores: 16.5", "must be a whole number"),
        ("cores: 16", "cores: 0", "must be a whole number"),
        ("device: HBM3", "device: HBM33", "unknown memory device 'HBM33'; did you mean 'HBM3'?"),
        ("family: npu", "family: npuu", "mine.yaml:2: family: unknown family 'npuu'; did you mean 'npu'?"),
        ("family: npu", "family: 3", "mine.yaml:2: family"),
        ("fp8: 400", "fp9: 400", "compute.peak.fp9"),
        ("name: mine", "schema: 2\nname: mine", "mine.yaml:1: schema: found 2, must be 1"),
        ("power:", "kernels: {gemm_hbm: 1.2}\npower:", "kernels.gemm_hbm: 1.2 is a share"),
        (
            "power:",
            "kernels: {gemm_hbn: 0.8}\npower:",
            "kernels.gemm_hbn: unknown field; did you mean 'gemm_hbm'?",
        ),
        ("power:", "kernels: 3\npower:", "mine.yaml:11: kernels: found 3"),
        ("power:", "noc: {bandwidth: {value: 3 B/s, low: 4 B/s, high: 5 B/s}}\npower:", "lies outside"),
        (CHIP, "[1, 2]", "a profile is a mapping"),
        (CHIP, "name: x", "is missing"),
    ],
)
def test_a_faulty_chip_is_refused_with_line_field_and_fault(
    folder: Path, old: str, new: str, sentence: str
) -> None:
    assert old in CHIP
    (folder / "mine.yaml").write_text(CHIP.replace(old, new))
    with pytest.raises(UserError) as caught:
        read_chip("./mine.yaml", folder)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("domain: 8", "domain: 4", "box.yaml:5: tiers: the outermost domain is 4, but chips is 8"),
        ("domain: 8", "domain: 8.5", "box.yaml:6: tiers.0.domain"),
        (
            "fabric: pcie5-npu",
            "fabric: pcie5-npuu",
            "box.yaml:6: tiers.0.fabric: unknown fabric 'pcie5-npuu'; did you mean 'pcie5-npu'?",
        ),
        ("fabric: pcie5-npu", "topology: switch", "tiers.0: 'latency' is missing"),
        ("name: scale_up", "name: backplane", "tier 'backplane' needs a 'bandwidth'"),
        ("name: scale_up", "name: scale_out", "tier 'scale_out' needs a 'bandwidth'"),
        ("./mine.yaml", "h2000", "box.yaml:2: chip: unknown chip 'h2000'"),
        ("./mine.yaml", "./nowhere.yaml", "cannot read"),
        ("chip: ./mine.yaml\n", "", "'chip' is missing"),
        ("chips: 8", "chip_count: 8", "unknown field"),
        (
            "fabric: pcie5-npu}",
            "fabric: pcie5-npu}\n  - {name: scale_out, domain: 8, fabric: roce-400}",
            "domain 8 must be a larger multiple of the domain 8 inside it",
        ),
        ("tiers:\n  - {name: scale_up, domain: 8, fabric: pcie5-npu}", "tiers: []", "tiers"),
    ],
)
def test_a_faulty_cluster_is_refused_with_line_field_and_fault(
    folder: Path, old: str, new: str, sentence: str
) -> None:
    assert old in CLUSTER
    (folder / "box.yaml").write_text(CLUSTER.replace(old, new))
    with pytest.raises(UserError) as caught:
        read_cluster("box.yaml", folder)
    assert sentence in str(caught.value)


def test_a_fault_in_the_chip_is_told_with_the_chips_file(folder: Path) -> None:
    (folder / "mine.yaml").write_text(CHIP.replace("stacks: 2", "stacks: two"))
    with pytest.raises(UserError, match=r"mine\.yaml:7: memory\.stacks"):
        load_cluster("box.yaml", folder)


@pytest.mark.parametrize(
    ("kernels", "sentence"),
    [
        ("name: own", "'kernels' is missing; a family file needs it"),
        ("like: npu\nkernels: {gemm_mma: 3}", "kernels.gemm_mma: found 3"),
        ("kernels: {gemm_mma: {bf16: 0.8}}", "is missing"),
        ("[1]", "a profile is a mapping"),
    ],
)
def test_a_faulty_family_is_refused(folder: Path, kernels: str, sentence: str) -> None:
    (folder / "own.yaml").write_text(kernels)
    (folder / "mine.yaml").write_text(CHIP.replace("family: npu", "family: ./own.yaml"))
    with pytest.raises(UserError) as caught:
        load_chip("./mine.yaml", folder)
    assert sentence in str(caught.value)


def test_shares_without_a_default_are_refused(folder: Path) -> None:
    tree = read_chip("./mine.yaml", folder)
    kernels = tree["kernels"]
    assert isinstance(kernels, dict)
    kernels["gemm_mma"] = {"bf16": 0.8}
    (folder / "whole.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(UserError, match=r"kernels\.gemm_mma: needs the key 'default'"):
        load_chip("whole.yaml", folder)


def test_a_chip_may_stand_inside_its_cluster(folder: Path) -> None:
    chip = "".join(f"  {line}\n" for line in CHIP.splitlines())
    text = CLUSTER.replace("chip: ./mine.yaml\n", f"chip:\n{chip}")
    (folder / "box.yaml").write_text(text)
    assert load_cluster("box.yaml", folder)[0].chip == load_chip("./mine.yaml", folder)[0]
    (folder / "box.yaml").write_text(text.replace("cores", "core"))
    with pytest.raises(UserError, match=r"box\.yaml:5: chip\.compute\.core: unknown field"):
        load_cluster("box.yaml", folder)


@pytest.mark.parametrize("name", ["h200hgx", "H200-HGX", "", "../h200"])
def test_an_unknown_cluster_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        load_cluster(name)


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'h200-hgx'"):
        load_cluster("h200hgx")
    with pytest.raises(UserError, match="did you mean 'rebel100'"):
        load_chip("rebell100")
    with pytest.raises(UserError, match="did you mean 'rngd-server'"):
        describe_hardware("rngd-sever")


def test_families_that_are_like_each_other_are_refused(folder: Path) -> None:
    (folder / "one.yaml").write_text("like: ./two.yaml\nkernels: {}\n")
    (folder / "two.yaml").write_text("like: ./one.yaml\nkernels: {}\n")
    (folder / "mine.yaml").write_text(CHIP.replace("family: npu", "family: ./one.yaml"))
    with pytest.raises(UserError, match="leads in a circle"):
        load_chip("./mine.yaml", folder)


def test_a_family_of_the_users_own_states_only_what_differs(folder: Path) -> None:
    (folder / "own.yaml").write_text("like: npu\nkernels: {gemm_mma: {fp8: 0.33}}\n")
    (folder / "mine.yaml").write_text(CHIP.replace("family: npu", "family: ./own.yaml"))
    kernels = load_chip("./mine.yaml", folder)[0].kernels
    shipped = load_chip("npu-template")[0].kernels
    assert kernels.gemm_mma["fp8"] == 0.33
    assert kernels.gemm_mma["bf16"] == shipped.gemm_mma["bf16"]
    assert kernels.moe_launch == shipped.moe_launch


@pytest.mark.parametrize(
    ("old", "new", "remark"),
    [
        ("200 TFLOP/s", "200 GFLOP/s", "accelerators lie between"),
        ("1.5 TB/s", "1.5 GB/s", "accelerators lie between"),
        ("400 TFLOP/s", "4 PFLOP/s", "more than four times"),
        ("1 GHz", "1 MHz", "FLOP per core and clock"),
        ("tdp: 200 W", "tdp: 200 W, idle: 300 W", "power.idle is not below"),
    ],
)
def test_a_slip_of_a_prefix_is_remarked_on(folder: Path, old: str, new: str, remark: str) -> None:
    (folder / "mine.yaml").write_text(CHIP.replace(old, new))
    assert remark in " ".join(describe_hardware("./mine.yaml", folder).remarks)


def test_a_plausible_chip_draws_no_remark(folder: Path) -> None:
    profile = describe_hardware("./mine.yaml", folder)
    assert profile.remarks == ()
    assumed = [f for f in profile.assumptions if f.basis in ("assumption", "unstated")]
    assert profile.assumed == len(assumed) > 20
    assert describe_hardware("box.yaml", folder).kind == "cluster"
    assert describe_hardware("h200").kind == "chip"
    assert describe_hardware("h200-hgx").kind == "cluster"


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_bandwidth_is_drawn_from_a_higher_u(one: float, other: float) -> None:
    profile = ChipProfile.model_validate(read_chip("b200"))
    lower, upper = sorted((one, other))
    drawn = [
        resolve_chip(profile, Resolution(draw={"memory.bandwidth": u})).memory.bandwidth
        for u in (lower, upper)
    ]
    assert drawn[0] <= drawn[1] * (1 + 1e-12)
    if lower >= 0.05 and upper <= 0.95:
        assert 7.7e12 * (1 - 1e-9) <= drawn[0] <= drawn[1] <= 8.0e12 * (1 + 1e-9)


def test_what_is_assumed_visible_follows_a_drawn_capacity() -> None:
    profile = ChipProfile.model_validate(read_chip("x330"))
    for u in (0.0, 0.5, 1.0):
        memory = resolve_chip(profile, Resolution(draw={"memory.capacity": u})).memory
        assert memory.visible == pytest.approx(0.985 * memory.capacity)


def test_the_schema_of_a_profile_can_be_written_out() -> None:
    properties = ClusterProfile.model_json_schema(by_alias=True)["properties"]
    assert {"schema", "chip", "chips", "tiers", "overhead_power"} <= set(properties)
