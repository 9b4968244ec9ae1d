"""Trees written as YAML are read back as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import documents
from sim.scenario.yaml_text import yaml_text

PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**15), 10**15), st.floats(allow_nan=False), PRINTABLE
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(PRINTABLE, TREES, min_size=1, max_size=4))
def test_a_tree_survives_writing_and_reading(tree):
    assert documents.parse(yaml_text(tree), "tree.yaml").tree == tree


WORDS = ["1e3", ".5", "on", "no", "12:30", "0x1F", "0o7", "null", "~", "", "010", "1_0", "="]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_looks_like_something_else_stays_a_word(word):
    assert documents.parse(yaml_text({"word": word}), "tree.yaml").tree == {"word": word}


def test_a_value_that_occurs_twice_is_written_twice():
    shared = {"value": "4.8 TB/s"}
    assert "&" not in yaml_text({"a": shared, "b": shared})
