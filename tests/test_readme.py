"""What the README shows is what the project does."""

import re
import runpy
from pathlib import Path

import pytest

from sim.cli import execute

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_chip_in_the_readme_is_the_one_of_the_example():
    assert (ROOT / "examples" / "own-npu" / "npu.yaml").read_text() in README


def test_the_output_in_the_readme_is_the_commands_own(capsys, request):
    assert execute(["run", str(ROOT / "examples" / "ax-k1-h200.yaml")]) == 0
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines()).strip("\n")
    before, _, rest = README.partition("--html report.html\n```\n\n```\n")
    shown, _, after = rest.partition("\n```\n")
    if request.config.getoption("--write-golden"):
        new = f"{before}--html report.html\n```\n\n```\n{printed}\n```\n{after}"
        (ROOT / "README.md").write_text(new)
        shown = printed
    assert shown == printed


def test_the_chart_shows_the_golden_summaries(request):
    chart = runpy.run_path(str(ROOT / "docs" / "where_the_time_goes.py"))
    if request.config.getoption("--write-golden"):
        chart["TARGET"].write_text(chart["drawing"]())
    assert chart["TARGET"].read_text() == chart["drawing"](), "run docs/where_the_time_goes.py"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_link_leads_to_a_file(document):
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
