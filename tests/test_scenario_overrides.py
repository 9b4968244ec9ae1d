"""`--set`: paths, scaling, figures, refusals, on a small schema of its own."""

import contextlib
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from sim.errors import UserError
from sim.figures import BandwidthFigure, NumberFigure
from sim.scenario.overrides import overridden, parse_override
from sim.scenario.paths import root


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    bandwidth: BandwidthFigure
    share: NumberFigure | None = None
    limit: int = 8
    peaks: dict[str, BandwidthFigure] = {}


class Poisson(BaseModel):
    process: Literal["poisson"]
    rate: float


class Closed(BaseModel):
    process: Literal["closed"]
    concurrency: int


class Whole(BaseModel):
    version: Annotated[int, Field(alias="schema")] = 1
    part: Part
    parts: list[Part] = []
    arrivals: Annotated[Poisson | Closed, Field(discriminator="process")]


TREE = {
    "part": {"bandwidth": {"value": "4.8 TB/s", "low": "4 TB/s", "high": "5 TB/s", "basis": "datasheet"}},
    "parts": [{"bandwidth": "1 TB/s"}, {"bandwidth": "2 TB/s"}],
    "arrivals": {"process": "poisson", "rate": 4.0},
}


def applied(*sets: str) -> dict:
    tree: object = TREE
    for text in sets:
        tree = overridden(parse_override(text), tree, root(Whole))
    return tree


def test_an_overridden_figure_loses_its_range_and_says_where_it_comes_from():
    figure = applied("part.bandwidth=6TB/s")["part"]["bandwidth"]
    assert figure == {"value": "6TB/s", "basis": "assumption", "source": "--set"}
    assert Whole.model_validate(applied("part.bandwidth=6TB/s")).part.bandwidth.value == 6e12


def test_the_tree_that_is_overridden_stays_as_it_was():
    before = repr(TREE)
    applied("part.bandwidth=6TB/s", "parts.1.limit=3", "arrivals.rate=x2")
    assert repr(TREE) == before


def test_scaling_a_quantity_keeps_its_unit():
    assert applied("part.bandwidth=x0.5")["part"]["bandwidth"]["value"] == "2.4 TB/s"


def test_overrides_apply_from_left_to_right():
    assert applied("arrivals.rate=10", "arrivals.rate=x1.5")["arrivals"]["rate"] == 15
    assert applied("arrivals.rate=x1.5", "arrivals.rate=10")["arrivals"]["rate"] == 10


def test_scaling_a_default_that_the_file_left_out_starts_from_the_default():
    assert applied("part.limit=x2")["part"]["limit"] == 16


def test_a_list_item_is_addressed_by_its_index():
    assert applied("parts.1.bandwidth=3TB/s")["parts"][1]["bandwidth"]["value"] == "3TB/s"


def test_a_plain_figure_can_be_given_a_range():
    figure = applied("parts.0.bandwidth.low=0.9 TB/s", "parts.0.bandwidth.high=1.1 TB/s")["parts"][0]
    assert Whole.model_validate({**TREE, "parts": [figure]}).parts[0].bandwidth.low == 0.9e12


def test_a_mapping_of_figures_takes_any_key():
    figure = applied("part.peaks.bf16=1TB/s")["part"]["peaks"]["bf16"]
    assert figure["source"] == "--set"


def test_a_field_is_addressed_by_its_alias():
    assert applied("schema=1")["schema"] == 1


def test_a_whole_mapping_can_be_replaced():
    tree = applied("arrivals={process: closed, concurrency: 64}")
    assert Whole.model_validate(tree).arrivals == Closed(process="closed", concurrency=64)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("part.bandwith=6TB/s", "did you mean 'bandwidth'"),
        ("prat.bandwidth=6TB/s", "did you mean 'part'"),
        ("part.bandwidth.valu=6TB/s", "did you mean 'value'"),
        ("parts.2.limit=1", "0 … 1"),
        ("parts.first.limit=1", "0 … 1"),
        ("arrivals.rate.value=1", "'4.0', which has no parts"),
        ("arrivals.process=x2", "no number to scale"),
        ("part.share=x2", "no number to scale"),
        ("part.bandwidth", "PATH=VALUE"),
        ("part..bandwidth=1", "PATH=VALUE"),
        ("=1", "PATH=VALUE"),
        ("part.limit=", "empty"),
        ("part.limit={", "not valid YAML"),
    ],
)
def test_an_impossible_override_is_refused_in_one_sentence_that_quotes_it(text, part):
    with pytest.raises(UserError) as refused:
        applied(text)
    assert part in str(refused.value)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_scaling_twice_is_scaling_by_the_product(a, b):
    twice = applied(f"arrivals.rate=x{a:.6f}", f"arrivals.rate=x{b:.6f}")["arrivals"]["rate"]
    assert twice == pytest.approx(4.0 * float(f"{a:.6f}") * float(f"{b:.6f}"))


@given(st.text(max_size=40))
def test_any_text_is_applied_or_refused(text):
    with contextlib.suppress(UserError):
        applied(text)
