"""The pages are whole, safe and say what the run said."""

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from report_outcomes import EXAMPLE, HOSTILE, WORKLOAD, explanation, hostile_outcome, outcome

import sim
from sim.metrics import SloSpec
from sim.report.breakdowns import step_breakdown
from sim.report.distributions import _chart, distributions
from sim.report.figure import rounded
from sim.report.over_time import over_time
from sim.report.page import plotly_js
from sim.report.wording import milliseconds, number, percent, scaled, seconds


class Page(HTMLParser):
    """The tags of a page with their attributes, its figures, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.figures: dict[str, dict] = {}
        self.words: list[str] = []
        self._open: tuple[str, dict[str, str | None]] = ("", {})
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._open = (tag, dict(attrs))
        self.tags.append(self._open)

    def handle_endtag(self, tag):
        self._open = ("", {})

    def handle_data(self, data):
        tag, attributes = self._open
        if tag == "script" and attributes.get("type") == "application/json":
            self.figures[attributes["id"].removeprefix("figure-")] = json.loads(data)
        elif tag not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def charts(self) -> list[str]:
        return [attributes["data-chart"] for _, attributes in self.tags if "data-chart" in attributes]


@pytest.fixture(scope="module")
def report() -> Page:
    return Page(sim.html_report(outcome()))


@pytest.fixture(scope="module")
def explained() -> Page:
    return Page(sim.html_explain(explanation()))


def test_the_run_page_has_every_chart(report):
    latencies = ["ttft", "tpot", "itl", "ttft_parts", "tpot_parts"]
    over_time, shares = ["throughput", "queue", "steps", "kv"], ["by_resource", "by_operator"]
    assert sorted(report.charts) == sorted([*latencies, *over_time, *shares, "memory"])


def test_the_explain_page_has_its_charts_and_a_row_per_operator(explained):
    assert sorted(explained.charts) == ["causes", "memory", "roofline", "step"]
    for operator in explanation().step.operators:
        assert operator.name in explained.text


@pytest.mark.parametrize("page", ["report", "explained"])
def test_every_place_for_a_chart_has_its_figure_and_every_figure_its_place(page, request):
    found = request.getfixturevalue(page)
    assert sorted(found.charts) == sorted(found.figures)


@pytest.mark.parametrize("page", ["report", "explained"])
def test_a_page_asks_for_nothing_from_elsewhere(page, request):
    found = request.getfixturevalue(page)
    assert not [tag for tag, _ in found.tags if tag in ("link", "img", "iframe", "object", "embed", "base")]
    assert not [a for _, attributes in found.tags for a in attributes if a in ("src", "href", "srcset")]
    policy = next(a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_the_page_without_plotly_is_small(report):
    assert len(sim.html_report(outcome())) - len(plotly_js()) < 1_000_000


def test_names_from_files_stay_text():
    html = sim.html_report(hostile_outcome())
    page = Page(html)
    assert HOSTILE not in html
    assert HOSTILE in page.text
    assert [tag for tag, _ in page.tags].count("script") == len(page.figures) + 2
    assert "img" not in [tag for tag, _ in page.tags]


def test_the_cards_show_the_records_numbers(report):
    values = outcome().summary.values
    assert number(values["output_throughput"], "tokens/s") in report.text
    assert milliseconds(values["p99_ttft_ms"]) in report.text
    assert percent(values["slo_attainment"]) in report.text


def test_the_page_lists_every_assumption_and_the_scenario(report):
    for assumption in outcome().summary.assumptions:
        assert assumption.path in report.text
    assert outcome().scenario.resolved_text().splitlines()[-1] in report.text


def test_histogram_shares_add_up_to_all_but_the_slowest_half_percent(report):
    for key in ("ttft", "tpot", "itl"):
        shares = report.figures[key]["data"][0]["y"]
        assert 99.0 <= sum(shares) <= 100.01


def test_the_cumulative_share_rises(report):
    for key in ("ttft", "tpot", "itl"):
        curve = report.figures[key]["data"][1]
        assert curve["x"] == sorted(curve["x"])
        assert curve["y"] == sorted(curve["y"])


def test_the_charts_of_time_add_up(report):
    by_resource = sum(trace["x"][0] for trace in report.figures["by_resource"]["data"])
    by_operator = sum(sum(trace["x"]) for trace in report.figures["by_operator"]["data"])
    assert by_resource == pytest.approx(100.0, abs=0.01)
    assert by_operator == pytest.approx(100.0, abs=0.01)


def test_the_memory_bar_is_what_the_driver_reports(report):
    total = sum(trace["x"][0] for trace in report.figures["memory"]["data"])
    assert total == pytest.approx(outcome().memory.stages[0].visible / 1e9, rel=1e-3)


def test_the_steps_operators_add_up_to_its_time(explained):
    bars = [trace for trace in explained.figures["step"]["data"] if trace["type"] == "bar"]
    total = sum(sum(trace["x"]) for trace in bars)
    assert total == pytest.approx(1e6 * explanation().step.total, rel=1e-3)


def test_no_operator_lies_above_its_roofline(explained):
    ceiling, *dots = explained.figures["roofline"]["data"]
    for trace in dots:
        for x, y in zip(trace["x"], trace["y"], strict=True):
            assert y <= 1.001 * np.interp(np.log(x), np.log(ceiling["x"]), ceiling["y"])


def test_the_same_run_gives_the_same_page():
    assert sim.html_report(_run()) == sim.html_report(outcome())


def _run(*workload: str) -> sim.Outcome:
    """The run of the tests anew, with some of its workload replaced."""
    sets = [WORKLOAD % (8.0, 300), *(f"workload.{one}" for one in workload)]
    return sim.simulate(sim.load(EXAMPLE, sets))


def test_a_saturated_run_says_so_first():
    page = Page(sim.html_report(outcome(rate=200.0, requests=1500)))
    assert "not steady" in page.text
    assert [tag for tag, attributes in page.tags if attributes.get("class") == "notes"]


def test_a_run_without_slo_or_breakdown_still_makes_a_page():
    bare = outcome()
    spec = bare.scenario.spec.model_copy(update={"slo": None})
    summary = replace(bare.summary, breakdown=None)
    page = Page(sim.html_report(replace(bare, scenario=replace(bare.scenario, spec=spec), summary=summary)))
    assert "by_operator" not in page.charts
    assert "none asked for" in page.text


def test_a_run_in_which_nothing_finished_makes_a_page_without_empty_charts():
    page = Page(sim.html_report(_run("prompt_tokens={distribution: constant, value: 500000}")))
    assert page.charts == ["memory"]
    assert "No request finished." in page.text


def test_latencies_that_are_all_alike_still_show_every_request():
    closed = "arrivals={process: closed, concurrency: 16}"
    alike = [f"{side}_tokens={{distribution: constant, value: 40}}" for side in ("prompt", "output")]
    page = Page(sim.html_report(_run(closed, *alike)))
    for key in ("ttft", "tpot", "itl"):
        assert 99.0 <= sum(page.figures[key]["data"][0]["y"]) <= 100.01


def test_one_value_alone_is_one_bar():
    bar = _chart("x", "X", np.full(9, 0.25), np.ones(9), "requests", None).traces[0]
    assert [x for x, share in zip(bar["x"], bar["y"], strict=True) if share] == [
        pytest.approx(250.0, rel=0.02)
    ]
    assert sum(bar["y"]) == pytest.approx(100.0)


@pytest.mark.parametrize("bins", [3, 40, 500, 2000])
def test_the_throughput_chart_keeps_the_mean_however_many_bins_the_run_has(bins):
    summary, result = outcome().summary, outcome().result
    series = result.series
    rate = np.random.default_rng(bins).random(bins)
    states = replace(series, **{name: rate for name in type(series).__slots__ if name != "width"})
    drawn = over_time(replace(result, series=states), summary)[0].traces[0]
    assert len(drawn["y"]) <= 125
    if bins % len(drawn["y"]) == 0:
        assert np.mean(drawn["y"]) == pytest.approx(rate.mean(), rel=1e-3)


@pytest.mark.parametrize(("bound", "place"), [("1 us", "left"), ("1 h", "right")])
def test_a_bound_far_off_is_said_instead_of_drawn(bound, place):
    far = distributions(outcome().result, SloSpec(ttft=bound))[0]
    assert f"lies {place} of this" in far.note
    assert not far.shapes


def test_a_bound_near_by_is_drawn_at_its_place_on_either_kind_of_axis():
    straight = _chart("x", "X", np.linspace(0.1, 0.2, 50), np.ones(50), "requests", 0.25)
    skewed = _chart("x", "X", np.geomspace(0.01, 10.0, 50), np.ones(50), "requests", 5.0)
    assert straight.shapes[0]["x0"] == straight.annotations[0]["x"] == 250.0
    assert skewed.layout["xaxis"]["type"] == "log"
    assert skewed.shapes[0]["x0"] == 5000.0
    assert skewed.annotations[0]["x"] == pytest.approx(np.log10(5000.0))


def test_a_step_without_arithmetic_has_no_roofline():
    step = explanation().step
    links = replace(step, operators=tuple(replace(o, flops=0.0) for o in step.operators))
    page = Page(sim.html_explain(replace(explanation(), step=links)))
    assert "roofline" not in page.charts


def test_a_step_of_few_operators_is_shown_whole():
    step = explanation().step
    few = replace(step, operators=step.operators[:3])
    assert step_breakdown(few).traces[0]["y"] == [
        o.name for o in sorted(few.operators, key=lambda o: -o.time)
    ]


def test_one_token_answers_leave_out_the_charts_they_have_no_data_for():
    page = Page(sim.html_report(_run("output_tokens={distribution: constant, value: 1}")))
    assert "ttft" in page.charts
    assert "tpot" not in page.charts
    assert "itl" not in page.charts


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (number(0.0), "0"),
        (number(1234567), "1,234,567"),
        (number(0.012345), "0.0123"),
        (number(12.345, "tokens/s"), "12.3 tokens/s"),
        (number(math.nan), "–"),
        (number(None), "–"),
        (number(True), "–"),
        (percent(0.1234), "12.3 %"),
        (percent(None), "–"),
        (milliseconds(999.0), "999 ms"),
        (milliseconds(1500.0), "1.50 s"),
        (milliseconds(None), "–"),
        (seconds(2e-5), "20.0 µs"),
        (seconds(0.25), "250 ms"),
        (seconds(None), "–"),
        (scaled(4.8e12, "B/s"), "4.80 TB/s"),
        (scaled(12.0, "B"), "12.0 B"),
    ],
)
def test_numbers_are_worded_with_three_digits_and_their_unit(said, expected):
    assert said == expected


def test_chart_numbers_keep_five_digits_and_drop_what_is_not_finite():
    assert rounded([1234567.0, 0.00012345678, 0.0, math.nan, math.inf]) == [
        1234600.0,
        0.00012346,
        0.0,
        None,
        None,
    ]


def test_no_script_in_the_page_can_be_closed_by_data():
    html = sim.html_report(hostile_outcome())
    blocks = re.findall(r'<script type="application/json" id="figure-[a-z_]+">(.*?)</script>', html)
    assert len(blocks) == len(Page(html).figures)
    assert not [block for block in blocks if "<" in block or ">" in block]
