"""Catalogues of measured cases made up for tests, in the form of the real ones."""

import json
from pathlib import Path
from typing import Any

BASE: dict[str, Any] = {
    "id": "one",
    "source": {"doc": "somewhere"},
    "category": "engine_fixed_conc",
    "category_label": "b1 single engine, fixed concurrency",
    "model": "Llama-3.1-8B",
    "hardware": "H100 SXM 80GB",
    "gpu": "H100",
    "n_devices": 1,
    "parallelism": {"tp": 1, "pp": 1, "dp": 1, "ep": 1},
    "precision": {"weights": "bf16", "activations": "bf16", "kv": "bf16 (auto)"},
    "engine": {"name": "vLLM", "version": "0.19.0"},
    "workload": {"isl": 200, "osl": 40, "concurrency": 4, "arrival": "closed loop", "n_requests": 12},
    "metrics": {"tpot_mean_ms": {"value": 7.0, "unit": "ms"}, "ttft_mean_ms": {"value": 30.0, "unit": "ms"}},
    "quality": "A",
    "notes": "",
    "raw": None,
}


def case(**changes: Any) -> dict[str, Any]:
    """The base case with other fields; workload, engine and the like are laid over field by field."""
    changed = dict(BASE)
    for name, value in changes.items():
        merged = isinstance(value, dict) and name != "metrics"
        changed[name] = {**BASE[name], **value} if merged else value
    return changed


def catalogue(folder: Path, *cases: dict[str, Any]) -> Path:
    """A file of the cases, one a line."""
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in cases), encoding="utf-8")
    return path


def metrics(**values: float) -> dict[str, Any]:
    """Values by name, with the unit that the name ends in."""
    return {name: {"value": value, "unit": name.rpartition("_")[2]} for name, value in values.items()}
