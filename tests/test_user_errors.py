"""The sentence a misspelt name is answered with."""

from hypothesis import given
from hypothesis import strategies as st

from sim.errors import nearest, unknown

NAMES = ["a100-hgx", "h100-hgx", "h200-hgx", "rebel100-server"]


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    assert nearest("rebell100-server", NAMES) == "; did you mean 'rebel100-server'?"


def test_a_name_like_no_other_is_answered_with_the_list_alone() -> None:
    assert nearest("zzzz", NAMES) == ""
    assert str(unknown("cluster", "zzzz", NAMES)) == f"unknown cluster 'zzzz' (known: {', '.join(NAMES)})"


def test_a_long_list_is_cut() -> None:
    sentence = str(unknown("thing", "x", (f"name{i:03}" for i in range(100))))
    assert sentence.endswith("name029, …)")


@given(st.sampled_from(NAMES), st.integers(0, 7))
def test_a_name_with_one_letter_missing_finds_itself(name: str, place: int) -> None:
    assert f"'{name}'" in nearest(name[:place] + name[place + 1 :], [name, "zzzzzzzz"])
