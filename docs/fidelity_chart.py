"""Bars of errors by group, one colour per choice of parameters, as SVG text."""

from collections.abc import Mapping
from html import escape

COLOURS = ("#3b6fb6", "#e08a2e", "#4a9d6a", "#b0b0b0")
LEFT, WIDTH, BAR, GAP, TOP, MOST = 200, 560, 9, 8, 44, 60.0


def drawing(title: str, bars: Mapping[str, Mapping[str, float | None]]) -> str:
    """One group of bars per entry, by name of the choice; bars beyond 60 % are cut and say how long."""
    names = list(dict.fromkeys(name for group in bars.values() for name in group))
    step = len(names) * BAR + GAP
    height = TOP + step * len(bars) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 60} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for i, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        x = LEFT + 190 * (i % 3) + (0 if i < 3 else 190 * 3)
        parts.append(f'<rect x="{x}" y="26" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="35">{escape(name)}</text>')
    for place, (label, group) in enumerate(bars.items()):
        y = TOP + step * place
        middle = y + len(names) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(label)}</text>')
        for i, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
            value = group.get(name)
            if value is None:
                continue
            width = WIDTH * min(value, MOST) / MOST
            at = y + BAR * i
            parts.append(
                f'<rect x="{LEFT}" y="{at}" width="{width:.1f}" height="{BAR - 1}" fill="{colour}"/>'
            )
            parts.append(f'<text x="{LEFT + width + 4:.0f}" y="{at + 8}" font-size="9">{value:.0f}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
