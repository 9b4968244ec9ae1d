"""The page of models that share a cluster: who answered what, how busy each pool is, where replicas stand."""

from collections import Counter

from sim.planning.teacher.pools_result import Pools
from sim.report.figure import PALETTE, Chart, Json, axis
from sim.report.page import cards, page, panels, section, table
from sim.report.wording import number, percent, seconds, text
from sim.version import __version__


def html_pools(result: Pools) -> str:
    """One self-contained page."""
    models = sum(pool.models for pool in result.pools)
    title = f"{models} models on {result.spec.servers} servers"
    chart = _use(result)
    body = [
        f"<h1>{text(title)}</h1>",
        f'<p class="lead">{text(result.name)}, seed {result.spec.seed}, {number(result.spec.window)} s</p>',
        cards(_cards(result)),
        section("Pools", _pools(result), panels([chart])),
        section("Servers", _servers(result)),
    ]
    return page(f"{title} · bandwall", body, [chart], f"bandwall {__version__}")


def _cards(result: Pools) -> list[tuple[str, str, str]]:
    missed = [pool.name for pool in result.pools if not pool.meets]
    return [
        ("Bounds", "missed" if missed else "met", ", ".join(missed) or "by every pool"),
        ("Servers", f"{len(result.servers)} of {result.spec.servers}", f"{result.left} chips left over"),
        ("Cost", f"{result.bill.usd_per_hour:,.0f} USD/h", ", ".join(result.bill.parts)),
        ("Power", f"{number(result.bill.watts / 1e3)} kW", "at the meter"),
    ]


def _pools(result: Pools) -> str:
    heads = ("pool", "models", "chips", "requests", "spilled", "taken", "TTFT 99 %", "TPOT 99 %", "attained")
    rows = [
        [
            pool.name,
            str(pool.models),
            str(pool.chips),
            f"{pool.requests:,}",
            percent(pool.spilled),
            f"{pool.taken:,}",
            seconds(pool.ttft),
            seconds(pool.tpot),
            percent(pool.attained),
        ]
        for pool in result.pools
    ]
    return table(heads, rows)


def _use(result: Pools) -> Chart:
    trace: Json = {
        "type": "bar",
        "x": [pool.name for pool in result.pools],
        "y": [round(100 * pool.busy, 2) for pool in result.pools],
        "marker": {"color": PALETTE[0]},
    }
    layout: Json = {"yaxis": axis("busy, % of the time", range=[0, 100])}
    return Chart("busy", "How busy the chips of each pool are", [trace], layout, height=320)


def _servers(result: Pools) -> str:
    rows = [
        [str(place + 1), _counted(server.models), str(server.free)]
        for place, server in enumerate(result.servers)
    ]
    return table(("server", "replicas of", "chips free"), rows)


def _counted(models: list[str]) -> str:
    return ", ".join(f"{n} × {model}" if n > 1 else model for model, n in Counter(models).items())
