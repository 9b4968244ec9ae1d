"""The page of a memory's curves: bandwidth against the size of pieces, latency against load."""

from sim.report.figure import BLUE, MUTED, ORANGE, PALETTE, Chart, Json, axis, line
from sim.report.page import cards, notes, page, panels, section, table
from sim.report.provenance import assumptions_section
from sim.report.wording import nanoseconds, percent, scaled, text
from sim.scenario.memory_curve import ENGINES, MemoryCurve
from sim.units import BYTES, show
from sim.version import __version__

_MOST_TICKS = 9
_NEAR_LIMIT = 0.9


def html_memory_curve(curve: MemoryCurve) -> str:
    """One self-contained page: both curves, their numbers, and the figures they rest on."""
    charts = [_chunk_chart(curve), _load_chart(curve)]
    title = curve.studied.title
    body = [
        f"<h1>What the memory of {text(title)} gives</h1>",
        f'<p class="lead">{text(curve.studied.text)}</p>',
        notes(curve.notes),
        cards(_cards(curve)),
        section("Curves", panels(charts)),
        section("Random pieces", _chunk_table(curve)),
        section("Latency against load", _load_table(curve)),
        assumptions_section(curve.studied.assumptions),
    ]
    footer = (
        f"bandwall {__version__}. Each point: {curve.requests:,} requests on one channel, seed {curve.seed}; "
        "all channels carry equal shares."
    )
    return page(f"{title} · bandwall", body, charts, footer)


def _cards(curve: MemoryCurve) -> list[tuple[str, str, str]]:
    peak = curve.studied.memory.bandwidth
    smallest, stream, random = curve.chunks[0], curve.loads[0], curve.loads[-1]
    near = next(p for p in stream.points if p.load >= _NEAR_LIMIT * stream.limit * (1 - 1e-9))
    return [
        ("Peak", scaled(peak, "B/s"), f"{curve.studied.stacks} × {curve.studied.device}"),
        ("A stream", percent(curve.stream), scaled(curve.stream * peak, "B/s")),
        (f"Random {_size(smallest.size)}", percent(smallest.one), scaled(smallest.one * peak, "B/s")),
        ("Latency at low load", nanoseconds(random.points[0].mean), "mean of random reads"),
        (
            "Latency of a stream near its limit",
            nanoseconds(near.mean),
            f"99 % within {nanoseconds(near.p99)}",
        ),
    ]


def _chunk_chart(curve: MemoryCurve) -> Chart:
    """Share of the peak against contiguous bytes, logarithmic."""
    sizes = [point.size for point in curve.chunks]
    ticks = sizes[:: -(-len(sizes) // _MOST_TICKS)]
    custom = [[_size(point.size), _size(point.in_channel)] for point in curve.chunks]
    hover = "%{customdata[0]}, %{customdata[1]} of it in a channel: %{y:.1f} % of the peak"
    marked: Json = {"mode": "lines+markers", "customdata": custom, "hovertemplate": hover}
    stream = 100 * curve.stream
    return Chart(
        "chunks",
        _chunk_title(curve),
        [
            line("one reader", sizes, [100 * p.one for p in curve.chunks], BLUE, **marked),
            line(
                f"{ENGINES} readers side by side",
                sizes,
                [100 * p.gathered for p in curve.chunks],
                ORANGE,
                **marked,
            ),
            line(
                "a stream without end",
                [sizes[0], sizes[-1]],
                [stream, stream],
                MUTED,
                line={"color": MUTED, "width": 1.5, "dash": "dot"},
                hovertemplate="%{y:.1f} % of the peak",
            ),
        ],
        {
            "xaxis": axis(
                "contiguous bytes", type="log", tickvals=ticks, ticktext=[_size(size) for size in ticks]
            ),
            "yaxis": axis("achieved, % of the peak", range=[0, 104]),
        },
        height=360,
        wide=True,
        note=f"A channel holds {curve.studied.memory.interleave:.0f} B before the next has its turn: a piece "
        f"between that and a turn of all {curve.studied.memory.channels} channels only touches more of them.",
    )


def _chunk_title(curve: MemoryCurve) -> str:
    """From which size on gathered pieces get most of what a stream gets."""
    stream = percent(curve.stream)
    enough = next((p for p in curve.chunks if p.gathered >= _NEAR_LIMIT * curve.stream), None)
    if enough is None:
        last = curve.chunks[-1]
        return f"Pieces of {_size(last.size)} get {percent(last.gathered)} of the peak, a stream {stream}"
    return (
        f"Gathered pieces need {_size(enough.size)} to come within a tenth of a stream's {stream} of the peak"
    )


def _load_chart(curve: MemoryCurve) -> Chart:
    """Latency against load: the mean as a line, 99 % dotted; each pattern ends where it is saturated."""
    traces: list[Json] = []
    for loaded, colour in zip(curve.loads, PALETTE, strict=False):
        loads = [100 * point.load for point in loaded.points]
        for kind, dash in (("mean", "solid"), ("p99", "dot")):
            traces.append(
                line(
                    f"{loaded.pattern.name}, {kind}",
                    loads,
                    [1e9 * getattr(point, kind) for point in loaded.points],
                    colour,
                    mode="lines+markers",
                    line={"color": colour, "width": 1.8, "dash": dash},
                    hovertemplate="%{x:.1f} % of the peak: %{y:,.0f} ns",
                )
            )
    return Chart(
        "load",
        "Latency stays flat until a pattern nears what it can get: "
        + ", ".join(f"{loaded.pattern.name} {percent(loaded.limit)}" for loaded in curve.loads),
        traces,
        {
            "xaxis": axis("load, % of the peak", range=[0, 104]),
            "yaxis": axis("read latency, ns", rangemode="tozero"),
        },
        height=360,
        wide=True,
        note="From arrival in front of the controller to the end of the data; beyond its limit a pattern's "
        "queue grows without end.",
    )


def _chunk_table(curve: MemoryCurve) -> str:
    peak = curve.studied.memory.bandwidth
    rows = [
        [
            _size(point.size),
            _size(point.in_channel),
            *(f"{percent(share)}, {scaled(share * peak, 'B/s')}" for share in (point.one, point.gathered)),
        ]
        for point in curve.chunks
    ]
    return table(("contiguous", "of it in a channel", "one reader", f"{ENGINES} side by side"), rows)


def _load_table(curve: MemoryCurve) -> str:
    peak = curve.studied.memory.bandwidth
    rows = [
        [
            loaded.pattern.text,
            percent(point.load),
            scaled(point.load * peak, "B/s"),
            percent(point.load / loaded.limit),
            *(nanoseconds(latency) for latency in (point.mean, point.p50, point.p99)),
        ]
        for loaded in curve.loads
        for point in loaded.points
    ]
    return table(("pattern", "load", "", "of its limit", "mean", "p50", "p99"), rows)


def _size(size: int) -> str:
    """256 as '256 B', 4096 as '4 KiB'."""
    return show(size, BYTES)
