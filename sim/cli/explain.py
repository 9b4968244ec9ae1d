"""`bandwall explain`: where one engine step's time goes, operator by operator."""

from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import FidelityName, HtmlFile, JsonFile, ScenarioFile, Sets, TimelineFile, overrides
from sim.cli.output import console, require_outputs, side_by_side, table, write_json, write_page
from sim.cli.wording import ABSENT, layout, percent, significant
from sim.dram.causes import CAUSES

if TYPE_CHECKING:
    from rich.console import Console

    from sim import Explanation

_MOST_NAMES = 2

Decodes = Annotated[int, typer.Option("--decode", metavar="N", help="Sequences that decode one token each.")]
Context = Annotated[int, typer.Option("--context", metavar="L", help="Tokens each of them reads.")]
Prefill = Annotated[int, typer.Option("--prefill", metavar="T", help="New prompt tokens in the same step.")]
Prefix = Annotated[int, typer.Option("--prefix", metavar="P", help="Prompt tokens already computed.")]

WholeModel = Annotated[
    bool,
    typer.Option("--whole-model", help="At fidelity event: simulate every layer, also where layers repeat."),
]


def explain(
    scenario: ScenarioFile,
    decode: Decodes = 1,
    context: Context = 1024,
    prefill: Prefill = 0,
    prefix: Prefix = 0,
    sets: Sets = None,
    fidelity: FidelityName = None,
    whole_model: WholeModel = False,
    json: JsonFile = None,
    html: HtmlFile = None,
    timeline: TimelineFile = None,
) -> None:
    """Show where one engine step's time goes, operator by operator, against the speed of light."""
    import sim
    from sim.cli.run_tables import print_assumptions

    require_outputs(scenario, json, html, timeline)
    loaded = sim.load(scenario, overrides(sets, fidelity))
    step = sim.explain(
        loaded, decode=decode, context=context, prefill=prefill, prefix=prefix, whole_model=whole_model
    )
    write_json(json, step.to_json())
    if html is not None:
        write_page(html, sim.html_explain(step))
    if timeline is not None:
        sim.write_step_trace(step, timeline)
    out = console(json)
    _print_step(out, step)
    print_assumptions(out, step.assumptions)


def _print_step(out: "Console", explanation: "Explanation") -> None:
    step, batch = explanation.step, explanation.step.batch
    out.print(f"{explanation.scenario.name}: {layout(explanation.deployment)}", markup=False)
    chunks = "".join(f", a prefill chunk of {new:,} tokens after {past:,}" for new, past in batch.chunks)
    out.print(f"{batch.decodes} decodes reading {explanation.context:,} tokens each{chunks}\n", markup=False)
    _print_operators(out, explanation)
    _print_kernels(out, explanation)
    _print_dram(out, explanation)
    totals = [
        ("step time", f"{significant(step.total * 1e3)} ms"),
        ("sum of operator bounds", f"{significant(step.serial * 1e3)} ms"),
        ("busiest resource alone", f"{significant(step.light * 1e3)} ms"),
        ("output tokens per user", f"{significant(explanation.tokens_per_s_per_user)} /s"),
        ("output tokens per chip", f"{significant(explanation.tokens_per_s_per_chip)} /s"),
        ("MFU, MBU", f"{percent(explanation.mfu)}, {percent(explanation.mbu)}"),
    ]
    totals += [
        (f"energy of a chip, {state}", f"{significant(joules)} J")
        for state, joules in explanation.energy.items()
    ]
    if explanation.joules_per_output_token:
        totals.append(("an output token", f"{significant(explanation.joules_per_output_token)} J"))
    causes = [
        (cause, f"{significant(seconds * 1e6)} µs", percent(seconds / step.total))
        for cause, seconds in explanation.attribution.items()
    ]
    whole = ("the step", f"{significant(step.total * 1e6)} µs", percent(1.0))
    shares = table("Where its time goes", ("", "", ""), [*causes, whole])
    out.print(side_by_side([table("The step", ("", ""), totals)], [shares]))


def _print_operators(out: "Console", explanation: "Explanation") -> None:
    from sim.scenario.measured import priced_as, priced_by

    step = explanation.step
    measured = explanation.scenario.spec.fidelity == "tables"
    rows = [
        (
            operator.name,
            operator.group,
            operator.bound,
            str(operator.count),
            significant(operator.time * 1e6),
            percent(operator.time / step.total),
            significant(operator.flops / 1e9),
            significant(operator.hbm_bytes / 1e6),
            significant(operator.wire_bytes / 1e6),
            significant(operator.energy * 1e3),
            percent(operator.light / operator.time) if operator.time else "–",
            *([priced_as(operator.source)] if measured else []),
        )
        for operator in sorted(step.operators, key=lambda o: -o.time)
    ]
    columns = (
        "operator",
        "group",
        "bound by",
        "times",
        "µs",
        "share",
        "GFLOP",
        "HBM MB",
        "wire MB",
        "mJ",
        "of light",
        *(["priced by"] if measured else []),
    )
    out.print(table("One step on the slowest chip", columns, rows, "lllrrrrrrrrl"[: len(columns)]))
    if measured:
        out.print(f"{priced_by(explanation.priced_by)}\n", markup=False)


def _print_kernels(out: "Console", explanation: "Explanation") -> None:
    """The kernels that are not those of the chip's family; at the speed of light there are none."""
    kernels = explanation.deployment.kernels
    if not kernels or explanation.scenario.spec.fidelity == "roofline":
        return
    rows = [
        (
            kernel.operator,
            "/".join(kernel.types),
            kernel.text or ABSENT,
            ", ".join(f"{name} ×{significant(factor)}" for name, factor in kernel.factors.items()),
        )
        for kernel in kernels
    ]
    columns = ("kernels", "types", "from", "times the family's")
    out.print(table("Kernels of the engine's stack", columns, rows, "llll"))


def _print_dram(out: "Console", explanation: "Explanation") -> None:
    """How the operators go through memory, and what DRAM gives them; nothing at the speed of light."""
    rows = [
        (
            use.what,
            _listed(names),
            f"{use.contiguous:,.0f}" if use.contiguous else ABSENT,
            f"{use.in_channel:,.0f}" if use.contiguous else ABSENT,
            percent(use.fraction),
            significant(use.bandwidth / 1e9),
            CAUSES.get(use.cause, ABSENT),
        )
        for use, names in explanation.dram_uses.items()
    ]
    if not rows:
        return
    columns = (
        "what",
        "operators",
        "contiguous B",
        "in a channel",
        "f_dram",
        "GB/s",
        "most of the rest lost to",
    )
    out.print(table("What DRAM gives", columns, rows, "llrrrrl"))
    if explanation.vendor_ceiling:
        out.print(f"{explanation.vendor_ceiling}\n", markup=False)


def _listed(names: tuple[str, ...]) -> str:
    """The first names and how many more."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
