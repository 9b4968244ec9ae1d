"""Draws docs/dram-pieces.svg and docs/dram-load.svg by the DRAM model: `python docs/dram_curves.py`."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from sim.scenario.memory import load_memory
from sim.scenario.memory_curve import MemoryCurve, memory_curve

DOCS = Path(__file__).parent
CHIPS = {"a100": "A100 (HBM2E)", "h100": "H100 (HBM3)", "b200": "B200 (HBM3E)", "l40s": "L40S (GDDR6)"}
COLOURS = ("#4a9d6a", "#3b6fb6", "#e08a2e", "#6d6d6d")
REQUESTS = 12_000
LEFT, TOP, WIDTH, HEIGHT = 60, 40, 520, 240

Points = Sequence[tuple[float, float]]


def chart(
    title: str, lines: Mapping[str, Points], x_ticks: Mapping[float, str], top: float, unit: str
) -> str:
    """An SVG of lines over an axis from the first to the last of `x_ticks` and one from 0 to `top`."""
    first, last = min(x_ticks), max(x_ticks)

    def place(x: float, y: float) -> str:
        across, up = (x - first) / (last - first), min(y, top) / top
        return f"{LEFT + WIDTH * across:.1f},{TOP + HEIGHT * (1 - up):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 190} {TOP + HEIGHT + 40}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>',
    ]
    for step in range(6):
        y = top * step / 5
        at = place(first, y).split(",")[1]
        parts.append(f'<path d="M{place(first, y)} L{place(last, y)}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at}" text-anchor="end">{y:g}{unit}</text>')
    for x, label in x_ticks.items():
        at = place(x, 0).split(",")[0]
        parts.append(f'<text x="{at}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{escape(label)}</text>')
    for points, colour in zip(lines.values(), COLOURS, strict=False):
        path = " L".join(place(x, y) for x, y in points if first <= x <= last)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for n, (label, colour) in enumerate(zip(lines, COLOURS, strict=False)):
        y = TOP + 10 + 20 * n
        parts.append(f'<rect x="{LEFT + WIDTH + 14}" y="{y - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + WIDTH + 32}" y="{y}">{escape(label)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def pieces(curves: Mapping[str, MemoryCurve]) -> str:
    """Fraction of the peak against contiguous bytes, eight readers side by side."""
    lines = {
        name: [(math.log2(point.size), 100 * point.gathered) for point in curve.chunks]
        for name, curve in curves.items()
    }
    sizes = {5: "32 B", 7: "128 B", 9: "512 B", 12: "4 KiB", 15: "32 KiB", 18: "256 KiB"}
    return chart("Gathered pieces: % of the peak by contiguous bytes", lines, sizes, 100.0, " %")


def load(curve: MemoryCurve) -> str:
    """Mean latency of reads against the share of what the pattern gets at most."""
    lines = {
        loaded.pattern.name: [(p.load / loaded.limit, 1e9 * p.mean) for p in loaded.points]
        for loaded in curve.loads
    }
    shares = {share: f"{100 * share:.0f} %" for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.98)}
    return chart("H100: mean read latency by load", lines, shares, 300.0, " ns")


def main() -> None:
    """Draws both."""
    curves = {title: memory_curve(load_memory(chip=chip), requests=REQUESTS) for chip, title in CHIPS.items()}
    (DOCS / "dram-pieces.svg").write_text(pieces(curves))
    (DOCS / "dram-load.svg").write_text(load(curves[CHIPS["h100"]]))


if __name__ == "__main__":
    main()
