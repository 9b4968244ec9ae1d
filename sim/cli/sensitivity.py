"""`bandwall sensitivity` and `run --uncertainty`: how sure a result is, and which assumption decides it."""

from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import FidelityName, HtmlFile, JsonFile, ScenarioFile, Sets, overrides
from sim.cli.output import console, require_outputs, table, write_json, write_page
from sim.cli.sweep import BackendName, Workers, progress_bar
from sim.cli.wording import ABSENT, percent, significant

if TYPE_CHECKING:
    from rich.console import Console

    from sim.planning.uncertainty.spread import Spread
    from sim.planning.uncertainty.study import Study

SHOWN_FACTORS, SHOWN_DECIDING = 15, 2

OutputName = Annotated[str, typer.Option("--output", metavar="NAME", help="Field of the run's record.")]
MethodName = Annotated[
    str, typer.Option("--method", help="tornado, elasticity, or morris and sobol with SALib.")
]
Samples = Annotated[
    int, typer.Option("--samples", metavar="N", min=2, help="Trajectories of Morris, base samples of Sobol.")
]
Vary = Annotated[
    list[str] | None,
    typer.Option(
        "--vary",
        metavar="PATH=LOW..HIGH",
        help="Something that is uncertain beside the figures, as in workload.output_tokens.mean=x0.8..x1.25. "
        "Repeatable.",
        show_default=False,
    ),
]


def sensitivity(
    scenario: ScenarioFile,
    output: OutputName = "tokens_per_s_per_user",
    method: MethodName = "tornado",
    samples: Samples = 8,
    sets: Sets = None,
    vary: Vary = None,
    fidelity: FidelityName = None,
    backend: BackendName = None,
    workers: Workers = None,
    json: JsonFile = None,
    html: HtmlFile = None,
) -> None:
    """Rank the uncertain figures of a scenario by how far each moves an output of its run."""
    import sim

    require_outputs(scenario, json, html)
    loaded = sim.load(scenario, overrides(sets, fidelity))
    with progress_bar("runs") as progress:
        study = sim.sensitivity(
            loaded, output, method=method, samples=samples, vary=varied(vary), backend=backend,
            workers=workers, progress=progress,
        )  # fmt: skip
    write_json(json, study.to_json())
    if html is not None:
        write_page(html, sim.html_sensitivity(study))
    _print_study(console(json), study)


def varied(texts: list[str] | None) -> dict[str, str]:
    """`--vary`s by path."""
    from sim.errors import UserError

    pairs = [text.partition("=") for text in texts or ()]
    for path, equals, value in pairs:
        if not equals:
            raise UserError(f"--vary {path}: write PATH=LOW..HIGH, as in workload.arrivals.rate=x0.8..x1.25")
        del value
    return {path.strip(): value.strip() for path, _, value in pairs}


def print_spread(out: "Console", spread: "Spread") -> None:
    """Bands of the outputs and the factor that decides each."""
    from sim.planning.outputs import BY_NAME

    rows = [
        (
            output.title,
            *(significant(value) for value in (band.p10, band.p50, band.p90)),
            output.unit,
            percent(spread.model[name].share) if name in spread.model else ABSENT,
            ", ".join(
                f"{short(i.factor)} {i.correlation:+.2f}"
                for i in spread.influences[name][:SHOWN_DECIDING]
                if i.correlation
            ),
        )
        for name, output in BY_NAME.items()
        if (band := spread.bands.get(name)) is not None
    ]
    title = f"Under {spread.samples} draws of what is uncertain"
    columns = ("output", "P10", "P50", "P90", "", "of it the model's", "decided by")
    out.print(table(title, columns, rows, "lrrrlrl"))
    if spread.refused:
        out.print(f"{spread.refused} draws make the layout impossible and are left out", markup=False)


def short(factor: str) -> str:
    """A factor's name where there is little room: a figure of the chip without saying so."""
    return factor.removeprefix("cluster.chip.")


def _print_study(out: "Console", study: "Study") -> None:
    from sim.planning.outputs import BY_NAME
    from sim.planning.uncertainty.elasticity import Elasticity
    from sim.planning.uncertainty.sensitivity import Bar, Effect

    rows: list[list[str]] = []
    for row in study.rows[:SHOWN_FACTORS]:
        if isinstance(row, Bar):
            ends = [f"{row.at_low} … {row.at_high}", significant(row.low), significant(row.high)]
            rows.append(
                [row.factor, *ends, ABSENT if row.elasticity != row.elasticity else f"{row.elasticity:+.2f}"]
            )
        elif isinstance(row, Elasticity):
            rows.append([row.words(BY_NAME[study.output]), f"{row.elasticity:+.2f}"])
        elif isinstance(row, Effect):
            rows.append([row.factor, significant(row.mu_star), significant(row.sigma)])
        else:
            rows.append([row.factor, f"{row.first:.3f} ± {row.first_confidence:.3f}", f"{row.total:.3f}"])
    columns = {
        "tornado": ("factor", "from … to", "at low", "at high", "elasticity"),
        "morris": ("factor", "µ*", "σ"),
        "sobol": ("factor", "alone", "in all"),
        "elasticity": ("a tenth more of a resource", "elasticity"),
    }[study.method]
    value = "" if study.value is None else f" ({significant(study.value)})"
    out.print(table(f"What moves {study.output}{value}: {study.method}, {study.runs} runs", columns, rows))
