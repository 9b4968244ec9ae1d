"""The reference of profiles says what the schemas say, and its examples load."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from sim.hardware import chip_names, load_chip, load_cluster
from sim.hardware.assumed import LINK_RULES, LOW_LATENCY_RULES, RULES
from sim.hardware.catalogue import names
from sim.hardware.chip import KernelFamily
from sim.hardware.kernels import Kernels
from sim.hardware.memory_devices import PINS
from sim.hardware.schema import ChipProfile, ClusterProfile, TierProfile

TEXT = (Path(__file__).parents[1] / "docs" / "hardware-profiles.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for example in EXAMPLES:
        if named := re.match(r"# (\S+\.yaml)\n", example):
            (tmp_path / named[1]).write_text(example)
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_reference_loads(folder: Path, example: str) -> None:
    (folder / "example.yaml").write_text(example)
    if "tiers:" in example:
        assert load_cluster("example.yaml", folder)[0].chips >= 8
    elif example.startswith("# my-family"):
        chip = (folder / "my-npu.yaml").read_text().replace("family: npu", "family: ./my-family.yaml")
        (folder / "other.yaml").write_text(chip)
        assert load_chip("other.yaml", folder)[0].kernels.gemm_mma["fp8"] == 0.6
    else:
        assert load_chip("example.yaml", folder)[0].compute.cores == 64


def _fields(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _sections(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The parts of a profile, whether they may be left out or not; `kernels` has a section of its own."""
    found: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel) and part is not Kernels:
                found[name] = part
    return found


def test_every_field_of_a_profile_is_in_the_reference() -> None:
    named = set(re.findall(r"`([\w.]+)`", TEXT))
    sections = _sections(ChipProfile)
    assert set(sections) >= {"compute", "memory", "noc", "dma"}
    assert set(_fields(ChipProfile)) - set(sections) <= named
    for section, model in sections.items():
        assert {f"{section}.{name}" for name in _fields(model)} <= named
    for model in (ClusterProfile, TierProfile):
        assert set(_fields(model)) <= named


def test_every_kernel_parameter_rule_device_and_family_is_in_the_reference() -> None:
    named = set(re.findall(r"`([\w.-]+)`", TEXT))
    assert {field for field in KernelFamily.__dataclass_fields__ if field != "name"} <= named
    assert {path.removesuffix(".0").removesuffix(".1").removesuffix(".2") for path in RULES} <= named
    assert {*LINK_RULES, *LOW_LATENCY_RULES} <= named
    assert set(names("family")) <= named
    for device in PINS:
        assert device in TEXT


def test_the_template_is_the_chip_of_the_reference_with_every_line_explained(folder: Path) -> None:
    template, example = load_chip("npu-template")[0], load_chip("my-npu.yaml", folder)[0]
    assert template.compute == example.compute
    assert template.memory == example.memory
    assert template.power == example.power
    assert "npu-template" in chip_names()
