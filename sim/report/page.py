"""The page: one file that needs nothing else. plotly.js lies inside it; its content policy forbids the rest.

Whatever comes from a user's file reaches the page escaped (`wording.text`) or as JSON in which `<`, `>` and
`&` are written as \\u escapes, so that no name can end a script or start a tag.
"""

import json
from collections.abc import Sequence
from importlib import resources

from sim.report.figure import Chart
from sim.report.wording import text

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f7f8fa; color: #1f2933; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 48px; }
h1 { font-size: 24px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 36px 0 10px; }
h3 { font-size: 14px; font-weight: 600; margin: 0 0 6px; }
.lead { color: #616e7c; margin: 0 0 18px; }
.notes { background: #fff7e6; border-left: 4px solid #d97706; padding: 10px 14px; margin: 0 0 18px; }
.notes p { margin: 2px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 12px; }
.card, .panel { background: white; border: 1px solid #e4e7eb; border-radius: 6px; padding: 12px 14px; }
.card .name { color: #616e7c; font-size: 12.5px; }
.card .value { font-size: 19px; font-weight: 600; white-space: nowrap; }
.card .more { color: #616e7c; font-size: 12.5px; }
.charts { display: grid; grid-template-columns: repeat(6, 1fr); gap: 14px; margin-top: 14px; }
.charts .panel { grid-column: span 3; min-width: 0; }
.charts .panel.wide { grid-column: span 6; }
.charts.three .panel { grid-column: span 2; }
@media (max-width: 900px) { .charts .panel, .charts.three .panel { grid-column: span 6; } }
.note { color: #616e7c; font-size: 12.5px; margin: 4px 0 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: #616e7c; font-weight: 600; border-bottom: 1px solid #cbd2d9; }
td, th { padding: 4px 10px 4px 0; vertical-align: top; }
td { border-bottom: 1px solid #eef1f4; }
.right { text-align: right; }
.weak { color: #b45309; font-weight: 600; }
code, pre { font-family: ui-monospace, monospace; font-size: 12.5px; }
td code { overflow-wrap: anywhere; }
pre { background: white; border: 1px solid #e4e7eb; border-radius: 6px; padding: 12px; overflow-x: auto; }
summary { cursor: pointer; color: #2563eb; margin: 8px 0; }
footer { color: #616e7c; font-size: 12.5px; margin-top: 36px; }
"""

DRAW = """
for (const panel of document.querySelectorAll("[data-chart]")) {
  const figure = JSON.parse(document.getElementById("figure-" + panel.dataset.chart).textContent);
  Plotly.newPlot(panel, figure.data, figure.layout, {responsive: true, displayModeBar: false});
}
"""


def page(title: str, body: Sequence[str], charts: Sequence[Chart], footer: str) -> str:
    """A whole HTML document; `body` is HTML, `title` and `footer` plain text."""
    figures = "\n".join(_figure(chart) for chart in charts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{"".join(body)}
<footer>{text(footer)}</footer>
</main>
{figures}
<script>{plotly_js()}</script>
<script>{DRAW}</script>
</body>
</html>
"""


def plotly_js() -> str:
    """The plotly.js that the plotly package ships."""
    return resources.files("plotly").joinpath("package_data/plotly.min.js").read_text("utf-8")


def _figure(chart: Chart) -> str:
    data = json.dumps(chart.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&":
        data = data.replace(mark, f"\\u{ord(mark):04x}")
    return f'<script type="application/json" id="figure-{text(chart.key)}">{data}</script>'


def section(title: str, *content: str) -> str:
    """A heading and its content, which is HTML."""
    return f"<section><h2>{text(title)}</h2>{''.join(content)}</section>\n"


def panels(charts: Sequence[Chart], arrangement: str = "") -> str:
    """The places where charts are drawn."""
    return f'<div class="charts {arrangement}">{"".join(_panel(chart) for chart in charts)}</div>'


def _panel(chart: Chart) -> str:
    note = f'<p class="note">{text(chart.note)}</p>' if chart.note else ""
    wide = " wide" if chart.wide else ""
    return (
        f'<div class="panel{wide}"><h3>{text(chart.title)}</h3>'
        f'<div data-chart="{text(chart.key)}" style="height:{chart.height}px"></div>{note}</div>'
    )


def cards(rows: Sequence[tuple[str, str, str]]) -> str:
    """Key figures as (name, value, what else), plain text."""
    return (
        '<div class="cards">'
        + "".join(
            f'<div class="card"><div class="name">{text(name)}</div><div class="value">{text(value)}</div>'
            f'<div class="more">{text(more)}</div></div>'
            for name, value, more in rows
        )
        + "</div>"
    )


def notes(sentences: Sequence[str]) -> str:
    """What the reader must know first."""
    if not sentences:
        return ""
    return '<div class="notes">' + "".join(f"<p>{text(sentence)}</p>" for sentence in sentences) + "</div>"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table of plain text; the first `words` columns are flush left, the others right."""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{'' if i < words else ' class=right'}>{text(cell)}</{tag}>" for i, cell in enumerate(row)
        )

    lines = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', columns)}</tr></thead>"
    return f'<div class="panel scroll"><table>{head}<tbody>{lines}</tbody></table></div>'
