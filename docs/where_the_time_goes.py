"""Draws docs/where-the-time-goes.svg from the golden summaries: `python docs/where_the_time_goes.py`.

One bar per example: the share of busy time by resource, beside it the median TPOT.
"""

import json
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "where-the-time-goes.svg"
BARS = {
    "ax-k1-h200": "A.X K1, 8 × H200",
    "ax-k1-rebel100": "A.X K1, 8 × Rebel100",
    "ax-k1-own-npu": "A.X K1, 8 × NPU of ten lines",
    "ax-k1-dense-h200": "dense twin, 8 × H200, a tenth of the load",
    "llama-3.1-405b-h200": "Llama-3.1-405B, 8 × H200",
}
COLOURS = {
    "hbm": "#3b6fb6",
    "compute": "#e08a2e",
    "link": "#4a9d6a",
    "launch": "#b0b0b0",
    "host": "#6d6d6d",
    "imbalance": "#b5443f",
    "bubble": "#c9a227",
}
LEFT, WIDTH, ROW, TOP = 300, 520, 34, 40


def drawing() -> str:
    """The SVG text."""
    height = TOP + ROW * len(BARS) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 130} {height}" '
        'font-family="sans-serif" font-size="14">',
        f'<rect width="100%" height="{height}" fill="white"/>',
        *_legend(),
    ]
    for index, (example, label) in enumerate(BARS.items()):
        parts += _bar(TOP + ROW * index, label, _record(example))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _record(example: str) -> dict[str, object]:
    return json.loads((ROOT / "tests" / "golden" / f"{example}.json").read_text())


def _shares(record: dict[str, object]) -> dict[str, float]:
    shares = record["time_by_resource"]
    assert isinstance(shares, dict)
    return shares


def _legend() -> list[str]:
    parts = [f'<text x="10" y="22" font-weight="bold">{escape("Share of busy time")}</text>']
    present = [r for r in COLOURS if any(r in _shares(_record(example)) for example in BARS)]
    for index, resource in enumerate(present):
        x = LEFT + 85 * index
        parts.append(f'<rect x="{x}" y="10" width="14" height="14" fill="{COLOURS[resource]}"/>')
        parts.append(f'<text x="{x + 20}" y="22">{resource}</text>')
    parts.append(f'<text x="{LEFT + WIDTH + 12}" y="22">median TPOT</text>')
    return parts


def _bar(y: int, label: str, record: dict[str, object]) -> list[str]:
    shares = _shares(record)
    parts = [f'<text x="{LEFT - 12}" y="{y + 17}" text-anchor="end">{escape(label)}</text>']
    x = float(LEFT)
    for resource, colour in COLOURS.items():
        width = WIDTH * shares.get(resource, 0.0)
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="24" fill="{colour}"/>')
        if width > 42:
            text = f'<text x="{x + width / 2:.1f}" y="{y + 17}" text-anchor="middle" fill="white">'
            parts.append(f"{text}{100 * width / WIDTH:.0f} %</text>")
        x += width
    parts.append(f'<text x="{LEFT + WIDTH + 12}" y="{y + 17}">{record["p50_tpot_ms"]:.1f} ms</text>')
    return parts


if __name__ == "__main__":
    TARGET.write_text(drawing())
