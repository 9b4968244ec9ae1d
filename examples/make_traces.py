"""Writes the synthetic traces in examples/traces: run `python examples/make_traces.py` from anywhere.

Each is drawn from a preset of `sim/workload/presets/`, whose comment says where its statistics come from.
"""

from pathlib import Path

from sim.workload import Requests, WorkloadSpec, generate
from sim.workload.writing import csv_text, mooncake_text

FOLDER = Path(__file__).parent / "traces"


def requests(preset: str, rate: float, count: int) -> Requests:
    """`count` requests of a preset at `rate` per second, seed 0."""
    arrivals = {"process": "synthetic", "preset": preset, "rate": rate}
    return generate(WorkloadSpec.model_validate({"arrivals": arrivals, "num_requests": count}), seed=0)


def traces() -> dict[str, str]:
    """The text of each file by name."""
    chat = requests("azure-conv-like", rate=4.0, count=1000)
    reasoning = requests("servegen-deepseek-r1-like", rate=1.0, count=500)
    sessions = requests("chat-sessions-like", rate=4.0, count=1000)
    return {
        "chat-synthetic.csv": csv_text(chat, comment=chat.synthetic),
        "reasoning-synthetic.csv": csv_text(reasoning, comment=reasoning.synthetic),
        "chat-sessions-synthetic.jsonl": mooncake_text(sessions),
    }


if __name__ == "__main__":
    for name, text in traces().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
