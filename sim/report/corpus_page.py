"""The page of a corpus: what it takes, and from how many logits a token on storage decides."""

import numpy as np

from sim.planning.teacher.corpus import Corpus
from sim.report.figure import PALETTE, Chart, Json, axis, rounded
from sim.report.page import cards, page, panels, section
from sim.report.provenance import scenario_section
from sim.report.wording import number, text
from sim.version import __version__


def html_corpus(result: Corpus) -> str:
    """One self-contained page."""
    spec = result.spec
    title = f"{spec.tokens / 1e9:,g} G tokens in {number(result.days.mean)} days"
    chart = _logits(result)
    body = [
        f"<h1>{text(title)}</h1>",
        f'<p class="lead">{text(result.name)}, seed {spec.seed}, {spec.replications} replications of '
        f"{result.simulated:,} tokens</p>",
        cards(_cards(result)),
        section("What is kept of a token", panels([chart])),
        scenario_section(result.scenario.resolved_text()),
    ]
    return page(f"{title} · bandwall", body, [chart], f"bandwall {__version__}")


def _cards(result: Corpus) -> list[tuple[str, str, str]]:
    spec, days = result.spec, result.days
    return [
        ("Days", number(days.mean), f"{number(days.low)} … {number(days.high)}"),
        ("Cost", f"{result.usd:,.0f} USD", f"{result.usd / spec.tokens * 1e6:.2f} USD a million tokens"),
        ("Energy", f"{number(result.joules / 3.6e9)} MWh", "at the meter"),
        ("Answer tokens", f"{result.rate:,.0f} /s", f"{spec.replicas} replicas, {result.chips} chips"),
        ("Written", f"{number(result.size / 1e12)} TB", f"{spec.logits.token_bytes} B a token"),
        ("Bound by", result.bound_by, ""),
    ]


def _logits(result: Corpus) -> Chart:
    """Rates that the replicas compute and that storage takes, against the logits kept of a token."""
    logits = result.spec.logits
    kept = 2.0 ** np.arange(18)
    size = logits.id_bytes + kept * (logits.id_bytes + logits.value_bytes)
    stored = result.stored * logits.token_bytes / size
    lines = {"computed": np.full_like(kept, result.computed), "storage takes": stored}
    traces: list[Json] = [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": rounded(kept), "y": rounded(rates),
            "line": {"color": colour},
        }
        for (name, rates), colour in zip(lines.items(), PALETTE, strict=False)
    ]  # fmt: skip
    chart = Chart(
        "logits",
        "Answer tokens per second, all replicas together",
        traces,
        {"xaxis": axis("logits kept of a token", type="log"), "yaxis": axis("tokens/s", type="log")},
        height=360,
        wide=True,
    )
    chart.mark_x(max(1, logits.top_k), "asked", logarithmic=True)
    return chart
