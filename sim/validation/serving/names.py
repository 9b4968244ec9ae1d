"""What a case calls its model, chip and engine, in the words of our catalogues.

Names are compared by their letters and digits alone. A case may say more than a catalogue name ("-Instruct"
behind it); a catalogue name may say more than a case ("-40gb", "-pcie"), if the case's hardware says that
word too; the notes count for a memory size only, because they speak of PCIe and NVLink for other reasons.
"""

import re
from collections.abc import Sequence

from sim.deployment import engine_families, engine_versions
from sim.hardware import chip_names
from sim.models import model_names
from sim.validation.serving.cases import MeasuredCase

_OTHER_NAMES = {"atlas800a3": "ascend-910c"}
"""Products whose name does not contain their chip's."""
_NPU_ENGINES = {"furiosa": "furiosa-llm", "rbln": "vllm-rbln", "rebellions": "vllm-rbln"}
_FIRST_V1 = (0, 8)
"""vLLM's engine was rewritten ("V1"); it is the default from 0.8 on."""


def plain(name: str) -> str:
    """Letters and digits of a name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def catalogue_model(case: MeasuredCase) -> str | None:
    """The catalogue's name of the case's model, None where it has none."""
    wanted = plain(case.model)
    found = [name for name in model_names() if _is_same_or_longer(wanted, plain(name))]
    return max(found, key=lambda name: len(plain(name)), default=None)


def _is_same_or_longer(case: str, ours: str) -> bool:
    rest = case.removeprefix(ours)
    return rest == "" or (rest != case and not rest[0].isdigit())


def catalogue_chip(case: MeasuredCase) -> str | None:
    """The catalogue's name of the case's chip, None where it has none."""
    wanted, printed = plain(case.gpu), plain(case.hardware)
    said = _words(case.hardware) | {word for word in _words(case.notes) if word.endswith("gb")}
    for other, name in _OTHER_NAMES.items():
        if other in printed:
            return name
    variants = [name for name in chip_names() if plain(name).startswith(wanted)]
    named = [name for name in variants if wanted + plain(name).removeprefix(wanted) == plain(name)]
    more = [name for name in named if (rest := plain(name).removeprefix(wanted)) and rest in said]
    if more:
        return more[0]
    return next((name for name in variants if plain(name) == wanted), None)


def _words(text: str) -> set[str]:
    """Words of letters and digits in lower case, a size and its unit as one: "40 GB" is "40gb"."""
    return set(re.findall(r"[a-z0-9]+", re.sub(r"(?<=\d) (?=gb)", "", text.lower())))


def engine_of(case: MeasuredCase) -> tuple[str, str]:
    """(family, version) whose scheduler and costs come nearest to the case's engine."""
    name = case.engine.lower()
    for word, npu in _NPU_ENGINES.items():
        if word in name:
            return npu, engine_versions(npu)[0]
    if "sglang" in name:
        family = "sglang"
    elif "tensorrt" in name:
        family = "trtllm"
    else:
        release = _release(case.version) or _release(case.engine)
        family = "vllm-legacy" if _is_legacy(case, release) else "vllm"
    if family not in engine_families():
        family = "vllm"
    return family, nearest_version(case.version or case.engine, engine_versions(family))


def _is_legacy(case: MeasuredCase, release: tuple[int, ...] | None) -> bool:
    if release is not None:
        return release < _FIRST_V1
    year = re.search(r"\b20(\d\d)\b", case.version)
    return year is not None and int(year[1]) < 25


def nearest_version(text: str, versions: Sequence[str]) -> str:
    """The latest of our versions that is not later than the stated one; the first listed where none is
    stated, the earliest where all are later."""
    release = _release(text)
    if release is None:
        return versions[0]
    ordered = sorted((_release(version) or (), version) for version in versions)
    earlier = [version for known, version in ordered if known <= release]
    return earlier[-1] if earlier else ordered[0][1]


def _release(text: str) -> tuple[int, ...] | None:
    """(0, 19, 0) of "v0.19.0", "vllm 0.19.0" or "vllm/vllm-openai:v0.19.0"; None without one."""
    found = re.search(r"(?:^|[v: ])(\d{1,2})\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        return None
    return tuple(int(part) for part in found.groups() if part is not None)
