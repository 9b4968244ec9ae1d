"""A scenario that runs in some 10 ms, and a plan of a few seconds, for whoever has to run many of them."""

from pathlib import Path

SMALL = """\
schema: 1
model: llama-3.1-8b
cluster: h100-hgx
deployment: {precision: {weights: fp8, activations: fp8}, parallel: {tp: 2}}
workload:
  arrivals: {process: poisson, rate: 6.0}
  prompt_tokens: {distribution: lognormal, mean: 256, cv: 0.5}
  output_tokens: {distribution: constant, value: 24}
  num_requests: 40
slo: {ttft: 1 s, tpot: 50 ms}
"""

SMALL_PLAN: dict[str, object] = {
    "model": "llama-3.1-8b",
    "candidates": [{"cluster": "h100-hgx", "name": "h100"}, "a100-hgx"],
    "max_chips": 8,
    "rate": 60.0,
    "workload": {
        "arrivals": {"process": "poisson", "rate": 1.0},
        "prompt_tokens": {"distribution": "lognormal", "mean": 512, "cv": 0.6},
        "output_tokens": {"distribution": "lognormal", "mean": 96, "cv": 0.5},
        "num_requests": 300,
    },
    "slo": {"ttft": "1 s", "tpot": "15 ms", "attainment": 0.95},
    "search": {
        "precision": [{"weights": "bf16", "activations": "bf16"}],
        "max_num_seqs": [64],
        "requests": 80,
        "replications": 3,
        "simulate": 3,
        "tolerance": 0.1,
    },
}


def write_small(folder: Path, **replaced: str) -> Path:
    """The scenario file in a folder, with texts replaced."""
    text = SMALL
    for old, new in replaced.items():
        text = text.replace(old, new)
    path = folder / "small.yaml"
    path.write_text(text)
    return path
