"""The pages in a headless browser: every chart is drawn and the console stays clean."""

import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_outcomes import explanation, hostile_outcome, outcome
from small_review import small_review
from small_scenario import SMALL_PLAN, write_small

import sim
from sim.planning.executors.serial import SerialExecutor
from sim.planning.plan.plan import run_plan
from sim.planning.plan.schema import PlanSpec

BROWSER = next(
    filter(
        None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
    ),
    None,
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium to open the page in")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,3000",
    "--virtual-time-budget=20000",
    "--enable-logging=stderr",
    "--v=0",
    "--dump-dom",
]


class Drawn(HTMLParser):
    """Of a page as the browser left it: its title, the charts that hold a drawing, and marks in each."""

    def __init__(self, dom: str) -> None:
        super().__init__()
        self.title = ""
        self.marks: dict[str, int] = {}
        self._chart = ""
        self._in_title = False
        self.feed(dom)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self._in_title = tag == "title"
        if "data-chart" in attributes:
            self._chart = attributes["data-chart"]
        drawn = {"main-svg", "js-line", "point", "points"} & set((attributes.get("class") or "").split())
        if self._chart and drawn:
            self.marks[self._chart] = self.marks.get(self._chart, 0) + len(drawn)

    def handle_endtag(self, tag):
        self._in_title = False

    def handle_data(self, data):
        if self._in_title:
            self.title += data


def opened(html: str, folder) -> tuple[Drawn, list[str]]:
    """The page after its scripts ran, and what the console said."""
    page = folder / "page.html"
    page.write_text(html, "utf-8")
    profile = folder / "profile"
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if re.search(r":CONSOLE[:(]", line)]
    return Drawn(done.stdout), console


def planned() -> sim.PlanResult:
    return run_plan(PlanSpec.model_validate(SMALL_PLAN), Path(), "small.yaml", SerialExecutor())


def swept() -> sim.SweepResult:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_small(folder)
        axes = "{workload.arrivals.rate: [3.0, 6.0, 9.0], deployment.parallel.tp: [1, 2, 3]}"
        (folder / "sweep.yaml").write_text(f"scenario: small.yaml\naxes: {axes}\n")
        return sim.sweep(folder / "sweep.yaml", backend="serial")


def reviewed() -> sim.Review:
    with tempfile.TemporaryDirectory() as name:
        return small_review(write_small(Path(name)))


@pytest.mark.parametrize(
    ("make", "charts"),
    [
        (
            lambda: sim.html_report(outcome()),
            {
                "ttft",
                "tpot",
                "itl",
                "ttft_parts",
                "tpot_parts",
                "throughput",
                "queue",
                "steps",
                "kv",
                "by_resource",
                "by_operator",
                "memory",
            },
        ),
        (lambda: sim.html_explain(explanation()), {"causes", "step", "roofline", "memory"}),
        (
            lambda: sim.html_memory_curve(sim.memory_curve(sim.load_memory("hbm3e"), requests=100)),
            {"chunks", "load"},
        ),
        (
            lambda: sim.html_sweep(swept()),
            {"points", "pareto", "heat", "along-workload.arrivals.rate", "along-deployment.parallel.tp"},
        ),
        (lambda: sim.html_plan(planned()), {"cost", "pareto", "load"}),
        (
            lambda: sim.html_review(reviewed()),
            {
                "roofline-decode",
                "roofline-prefill",
                "by-batch",
                "by-context",
                "memory",
                "largest",
                "binding",
                "layouts",
                "variation",
                "influence",
                "requirement-0",
                "requirement-1",
                "requirement-2",
            },
        ),
    ],
    ids=["run", "explain", "memory", "sweep", "plan", "review"],
)
def test_a_page_draws_every_chart_and_leaves_the_console_clean(make, charts, tmp_path):
    drawn, console = opened(make(), tmp_path)
    assert console == []
    # two drawing layers are there for an empty chart too; marks come on top
    assert {chart for chart, marks in drawn.marks.items() if marks > 2} == charts


def test_the_browser_blocks_what_the_policy_forbids_and_the_console_check_sees_it(tmp_path):
    html = sim.html_explain(explanation())
    drawn, console = opened(
        html.replace("</main>", '<img src="https://example.invalid/x.png"></main>'), tmp_path
    )
    assert any("Content Security Policy" in line for line in console)
    assert drawn.marks


def test_a_hostile_name_does_not_run(tmp_path):
    drawn, console = opened(sim.html_report(hostile_outcome()), tmp_path)
    assert "bandwall" in drawn.title
    assert console == []
