"""What a result rests on: its assumptions, weakest first, and the scenario as it was run."""

from collections import Counter
from collections.abc import Sequence

from sim.figures import Assumption
from sim.report.page import section
from sim.report.wording import text

WEAKEST_FIRST = ("unstated", "assumption", "estimate", "press", "datasheet", "measured")
WEAK = ("unstated", "assumption", "estimate")


def assumptions_section(assumptions: Sequence[Assumption]) -> str:
    """Every figure with value, range, basis and source."""
    counts = Counter(a.basis for a in assumptions)
    said = ", ".join(f"{counts[basis]} {basis}" for basis in WEAKEST_FIRST if counts[basis])
    rows = "".join(_row(a) for a in sorted(assumptions, key=lambda a: WEAKEST_FIRST.index(a.basis)))
    head = "".join(f"<th>{name}</th>" for name in ("figure", "value", "range", "basis", "source"))
    return section(
        f"What this rests on: {len(assumptions)} figures ({said})",
        f'<div class="panel scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>',
    )


def _row(assumption: Assumption) -> str:
    value, _, span = assumption.text.partition(" (")
    weak = ' class="weak"' if assumption.basis in WEAK else ""
    return (
        f"<tr><td><code>{text(assumption.path)}</code></td><td>{text(value)}</td>"
        f"<td>{text(span.removesuffix(')'))}</td><td{weak}>{text(assumption.basis)}</td>"
        f"<td>{text(assumption.source)}</td></tr>"
    )


def scenario_section(resolved: str) -> str:
    """The resolved scenario, which runs again as it stands."""
    return section(
        "The scenario as it was run",
        "<details><summary>Show the resolved scenario: all profiles and defaults filled in</summary>"
        f"<pre>{text(resolved)}</pre></details>",
    )
