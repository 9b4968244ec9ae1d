"""Fills hardware_profiles/model_error.yaml: `python docs/model_error.py FOLDER_OF_TABLES`.

For each class of operators and each level of calibration, σ of ln(simulated / measured):

    σ = weighted 90 % quantile of |ln(simulated / measured)| / 1.645

so that e^±1.645σ holds nine rows of ten; every group of chip, type and stack weighs alike, however many rows
it has. A bias is part of σ: nothing corrects it.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from sim.validation.network import validate_network
from sim.validation.operators import validate_operators
from sim.validation.operators.bands import OPERATOR_CLASSES

TARGET = Path(__file__).parent.parent / "hardware_profiles" / "model_error.yaml"
EVERY = 5
"""Rows of the operator tables, of which one is taken."""
DEVIATIONS = 1.6448536269514722
LEVELS = {
    "own": ("profile", ("a100", "h100")),
    "sample": ("profile", ("b200",)),
    "architecture": ("family:h100", ("h200",)),
    "generation": ("family:h100", ("b200",)),
    "prior": ("prior", ("a100", "h100", "h200", "b200")),
}
"""Level → parameters that the comparison used, chips it is read from."""
Groups = dict[tuple[str, ...], list[float]]


def main(folder: Path) -> None:
    """Writes the σ of every class and level below what the file says of levels."""
    tables = sorted(folder.glob("*.parquet"))
    logs = {name: _operators(tables, name) for name in {parameters for parameters, _ in LEVELS.values()}}
    links = _links(tables)
    classes = [*dict.fromkeys(OPERATOR_CLASSES.values())]
    written, _, _ = TARGET.read_text(encoding="utf-8").partition("sigma:")
    lines = [*written.splitlines(), "sigma:"]
    for level, (parameters, chips) in LEVELS.items():
        found = {name: _sigma(logs[parameters], name, chips) for name in classes}
        found["communication"] = _sigma(links, "communication", tuple({chip for _, chip, *_ in links}))
        lines.append(f"  {level}:")
        lines += [f"    {name}: {sigma:.2f}" for name, sigma in found.items()]
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _operators(tables: list[Path], parameters: str) -> Groups:
    """ln(simulated / measured) by class, chip, type and stack."""
    found: Groups = defaultdict(list)
    for comparison in validate_operators(tables, parameters_name=parameters, every=EVERY).compared:
        logs = np.log(comparison.simulated / comparison.measured)
        for (table, *group), error in zip(comparison.groups.tolist(), logs.tolist(), strict=True):
            if table in OPERATOR_CLASSES:
                found[OPERATOR_CLASSES[table], *group].append(error)
    return found


def _links(tables: list[Path]) -> Groups:
    found: Groups = defaultdict(list)
    for row in validate_network([t for t in tables if t.name.startswith(("comm", "moe_a2a"))]).rows:
        group = (row.keys["chip"], row.keys["operator"], row.keys["stack"])
        found["communication", *group].append(float(np.log(row.simulated / row.measured)))
    return found


def _sigma(logs: Groups, name: str, chips: tuple[str, ...]) -> float:
    """The weighted quantile over the groups of a class on these chips."""
    groups = [errors for (kind, chip, *_), errors in logs.items() if kind == name and chip in chips]
    sizes = np.abs(np.concatenate(groups))
    weights = np.concatenate([np.full(len(group), 1.0 / len(group)) for group in groups])
    order = np.argsort(sizes)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(sizes[order][np.searchsorted(share, 0.9)]) / DEVIATIONS


if __name__ == "__main__":
    main(Path(sys.argv[1]))
