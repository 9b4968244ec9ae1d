"""`bandwall corpus`: days, cost and energy of a corpus that a teacher writes."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import HtmlFile, JsonFile
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.wording import significant

if TYPE_CHECKING:
    from sim.planning.plan.fleet import Interval

CorpusFile = Annotated[
    Path, typer.Argument(metavar="CORPUS", help="File of the corpus (YAML).", show_default=False)
]


def corpus(file: CorpusFile, json: JsonFile = None, html: HtmlFile = None) -> None:
    """Find how long a teacher writes a corpus with its logits, at what cost and energy."""
    import sim

    require_outputs(file, json, html, role="the corpus")
    gc.enable()
    result = sim.corpus(file)
    write_json(json, result.to_json())
    if html is not None:
        write_page(html, sim.html_corpus(result))
    spec, out = result.spec, console(json)
    rows = [
        ("days", _interval(result.days)),
        ("cost", f"{result.usd:,.0f} USD, {result.usd / spec.tokens * 1e6:.2f} a million tokens"),
        ("energy at the meter", f"{significant(result.joules / 3.6e9)} MWh"),
        ("answers", f"{result.documents:,.0f}"),
        ("written", f"{significant(result.size / 1e12)} TB, {spec.logits.token_bytes} B a token"),
        ("answer tokens of a replica", f"{_interval(result.each)} /s"),
        ("… of all, computed", f"{result.computed:,.0f} /s"),
        ("… that storage takes", f"{result.stored:,.0f} /s"),
        ("bound by", result.bound_by),
    ]
    title = (
        f"{result.name}: {spec.tokens / 1e9:,g} G tokens on {spec.replicas} replicas, {result.chips} chips"
    )
    out.print(table(title, ("", ""), rows, "ll"))
    out.print(
        f"{spec.replications} runs of {result.simulated:,} tokens stand for the whole; intervals (95 %) are "
        "those of the runs, not of the figures they rest on.",
        style="dim",
        markup=False,
    )


def _interval(found: "Interval") -> str:
    return f"{significant(found.mean)} ({significant(found.low)} … {significant(found.high)})"
