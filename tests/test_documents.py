"""Files a user writes: what YAML means, how a fault is told and where, how outputs are written."""

import json
import math
import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from sim.documents import load, overlaid, parse, validate, write_bytes, write_text
from sim.errors import UserError
from sim.figures import BandwidthFigure
from sim.units import Seconds


class Poisson(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    process: Literal["poisson"]
    rate: float


class Gamma(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    process: Literal["gamma"]
    rate: float
    cv: float = 1.0


class Box(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    arrivals: Annotated[Poisson | Gamma, Field(discriminator="process")] | None = None
    bandwidth: BandwidthFigure | None = None
    parts: list[Poisson] = []
    named: dict[str, Poisson] = {}
    count: int = 1
    wait: Seconds = 1.0
    kind: Literal["alpha", "beta"] = "alpha"


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-3", -3),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("1_000", "1_000"),
        ("2026-11-24", "2026-11-24"),
        ("4.8 TB/s", "4.8 TB/s"),
        ("'10'", "10"),
        ('"true"', "true"),
        ("!!str 10", "10"),
        ("-.inf", -math.inf),
    ],
)
def test_an_unquoted_word_means_what_yaml_1_2_says(word: str, value: object) -> None:
    tree = parse(f"x: {word}", "f.yaml").tree
    assert tree == {"x": value}
    assert isinstance(tree, dict)
    assert type(tree["x"]) is type(value)


def test_keys_are_always_strings() -> None:
    assert parse("1: a\ntrue: b\nnull: c", "f.yaml").tree == {"1": "a", "true": "b", "null": "c"}


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc", min_size=1), PLAIN, min_size=1, max_size=4))
def test_json_says_the_same_in_a_json_and_in_a_yaml_file(tree: dict[str, object]) -> None:
    text = json.dumps(tree, ensure_ascii=False)
    assert parse(text, "f.json").tree == tree
    assert parse(text, "f.yaml").tree == tree


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_a_user_error(text: str) -> None:
    for name in ("f.yaml", "f.json"):
        sentence = ""
        try:
            parse(text, name)
        except UserError as error:
            sentence = str(error)
        assert not sentence or name in sentence
        assert "\n" not in sentence


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 9), min_size=1))
def test_a_key_given_twice_is_refused_wherever_it_stands(tree: dict[str, int]) -> None:
    key = next(iter(tree))
    lines = [f"{name}: {value}" for name, value in tree.items()] + [f"{key}: 3"]
    with pytest.raises(UserError, match=f":{len(lines)}: '{key}' is given twice"):
        parse("\n".join(lines), "f.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "f.yaml is empty"),
        (" \n\t\n", "f.yaml is empty"),
        ("# nothing\n", "only comments"),
        ("a: [1\n", "f.yaml:2: not valid YAML"),
        ("a: 1\n b: 2", "f.yaml:2: not valid YAML"),
        ("\ta: 1", "f.yaml:1: not valid YAML"),
        ("a: \x01", "not valid YAML"),
        ("a: \ud800", "characters that are not text"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document"),
        ("a: &x 1", "f.yaml:1: anchors"),
        ("a: *x", "f.yaml:1"),
        ("a: !!python/object:os.system x", "f.yaml:1: the tag"),
        ("a: !!float 3", "the tag"),
        ("? [1]\n: 2", "f.yaml:1: a key must be a plain word"),
        ("a: " + "9" * 5000, "too many digits"),
        ("[" * 100_000, "nested more than"),
        ("- " * 100_000, "nested more than"),
    ],
)
def test_a_faulty_yaml_text_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, "f.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1,\n "a": 2}', "'a' is given twice"),
        ('{"a": 1,\n}', "f.json:2: not valid JSON"),
        ("[" * 100_000, "nested more than"),
        ("[" * 70 + "]" * 70, "nested more than"),
        ("9" * 5000, "too many digits"),
    ],
)
def test_a_faulty_json_text_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text, "f.json")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["f.yaml", "f.json"])
def test_an_entry_knows_its_line_and_an_absent_one_the_line_around_it(name: str) -> None:
    document = parse('{"a": 1,\n "b": {\n  "c": [1,\n   2]}}', name)
    assert document.line(["a"]) == 1
    assert document.line(["b", "c"]) == 3
    assert document.line(["b", "c", 1]) == 4
    assert document.line(["b", "missing"]) == 2
    assert document.line([]) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "arrivals: {process: poison}",
            "f.yaml:1: arrivals: unknown process 'poison'; did you mean 'poisson'?",
        ),
        ("arrivals: {rate: 1}", "f.yaml:1: arrivals: 'process' is missing (known: gamma, poisson)"),
        (
            "arrivals:\n  process: gamma\n  rte: 1",
            "f.yaml:3: arrivals.rte: unknown field; did you mean 'rate'?",
        ),
        ("arrivals: {process: gamma}", "f.yaml:1: arrivals: 'rate' is missing"),
        ("arrivals: {process: gamma, rate: x}", "arrivals.rate: found 'x'; it should be a valid number"),
        ("arrivals: 3", "arrivals: found 3, needs fields"),
        ("bandwidth: 4.8 tb/s", "f.yaml:1: bandwidth: '4.8 tb/s' is not a valid bandwidth"),
        (
            "\nparts:\n - {process: poisson, rat: 2}",
            "f.yaml:3: parts.0.rat: unknown field; did you mean 'rate'?",
        ),
        ("named: {x: {process: poisson, rat: 2}}", "named.x.rat: unknown field; did you mean 'rate'?"),
        ("count: 1.5", "count: found 1.5; it should be a valid integer"),
        ("count: {a: 1}", "count: found a mapping"),
        ("wait: 3 m", "wait: '3 m' is not a valid time"),
        ("wait: -3 s", "must not be less than 0"),
        ("kind: 3", "kind: found 3, must be 'alpha' or 'beta'"),
        ("count: " + "x" * 99, "xxx…; it should"),
        ("kind: alpa", "kind: found 'alpa', must be 'alpha' or 'beta'; did you mean 'alpha'?"),
        ("[]", "f.yaml:1: found a list, needs fields"),
        ("arivals: 3\ncount: x", "f.yaml:1: arivals: unknown field; did you mean 'arrivals'?"),
    ],
)
def test_a_fault_is_one_sentence_with_file_line_field_and_what_is_allowed(text: str, sentence: str) -> None:
    document = parse(text, "f.yaml")
    with pytest.raises(UserError) as caught:
        validate(Box, document.tree, document=document)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_that_is_no_yaml_is_read_without_lines() -> None:
    document = parse('{\n"a": "\\ud83d\\ude00"}', "f.json")
    assert document.tree == {"a": "😀"}
    assert document.where(["a"]) == "f.json: a"


PLAINS = st.dictionaries(
    st.sampled_from("abc"), st.integers(0, 3) | st.dictionaries(st.sampled_from("xyz"), st.integers())
)


@given(PLAINS, PLAINS)
def test_what_is_laid_over_wins_and_what_only_lies_below_stays(
    below: dict[str, object], above: dict[str, object]
) -> None:
    merged = overlaid(below, above)
    assert set(merged) == set(below) | set(above)
    assert overlaid(merged, above) == merged
    for key, value in above.items():
        assert merged[key] == value or isinstance(merged[key], dict)
    for key in set(below) - set(above):
        assert merged[key] == below[key]


def test_a_figure_is_laid_over_as_a_whole() -> None:
    below = {"rate": {"value": 1, "low": 0, "high": 2}, "other": {"x": 1}}
    assert overlaid(below, {"rate": {"value": 5}}) == {"rate": {"value": 5}, "other": {"x": 1}}


def test_a_part_of_a_document_is_located_by_its_prefix() -> None:
    document = parse("x: 1\nbox:\n  count: x", "f.yaml")
    with pytest.raises(UserError, match=r"f\.yaml:3: box\.count: found 'x'"):
        validate(Box, {"count": "x"}, document=document, prefix=("box",))


def test_a_tree_without_document_is_told_by_name() -> None:
    with pytest.raises(UserError, match=r"--set: count: found 'x'"):
        validate(Box, {"count": "x"}, name="--set")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \xc3\x28"])
def test_a_file_that_is_not_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"f\.yaml"):
        load(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load(path).tree == {"a": 1}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path, Path("a\0b.yaml")):
        with pytest.raises(UserError, match="cannot read"):
            load(path)


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    with path.open("wb") as stream:
        stream.truncate(17 * 2**20)
    with pytest.raises(UserError, match="larger than 16 MiB"):
        load(path)


def test_a_written_file_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_text(path, "first")
    write_text(path, "zweiter ✓")
    assert path.read_text(encoding="utf-8") == "zweiter ✓"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.json"
    write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path / "absent" / "out.json", "x")
    with pytest.raises(UserError, match="cannot write"):
        write_text(tmp_path, "x")


def test_writing_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_to_directly() -> None:
    write_text(Path(os.devnull), "x")
    assert Path(os.devnull).is_char_device()


def test_without_libyaml_the_tree_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: {b: [1, 'x', on]}\nc: |\n  two\n  lines\n"
    with_libyaml = parse(text, "f.yaml")
    monkeypatch.setattr("sim.documents.yaml_tree._LOADER", yaml.SafeLoader)
    assert parse(text, "f.yaml") == with_libyaml
