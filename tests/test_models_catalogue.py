"""The catalogue and a user's own model files: what is read, merged, checked and refused."""

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import UserError
from sim.models import ModelSpec, build_model, describe_model, load_model, model_names, read_model
from sim.models.accounting import total_params

OWN = """
name: own
hidden: 1024
vocab: 1000
context: 4096
attention:
  local: {kind: gqa, heads: 8, kv_heads: 2, head_dim: 128, window: 512}
  full: {kind: gqa, heads: 8, kv_heads: 2, head_dim: 128}
ffn:
  dense: {kind: dense, inter: 4096}
layers:
  - {count: 7, attention: [local, local, local, full], ffn: dense}
"""

REQUIRED = {
    "ax-k1", "ax-k2", "ax-k1-dense", "deepseek-v3", "deepseek-r1", "kimi-k2", "qwen3-235b-a22b",
    "qwen3-30b-a3b", "qwen3-32b", "qwen3-8b", "k-exaone-236b", "solar-open-100b", "glm-4.5",
    "gpt-oss-120b", "llama-2-7b", "llama-2-70b", "llama-3.1-8b", "llama-3.1-70b", "llama-3.1-405b",
    "mixtral-8x22b",
}  # fmt: skip


def write(folder: Path, text: str, name: str = "own.yaml") -> str:
    (folder / name).write_text(text, "utf-8")
    return name


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as caught:
        load_model(write(folder, text), folder)
    return str(caught.value)


def test_the_promised_models_are_in_the_catalogue() -> None:
    assert set(model_names()) >= REQUIRED


@pytest.mark.parametrize("name", model_names())
def test_a_catalogue_entry_is_named_as_its_file_and_says_its_source_and_derivation(name: str) -> None:
    model = load_model(name)
    assert model.name == name
    assert model.source
    text = (Path(__file__).parents[1] / "sim" / "models" / "catalogue" / f"{name}.yaml").read_text("utf-8")
    assert text.startswith("# ")
    if "based_on:" not in text:
        assert f"{total_params(model):,}" in text


@pytest.mark.parametrize("name", model_names())
def test_the_tree_that_is_read_is_complete_and_reads_as_itself(name: str, tmp_path: Path) -> None:
    tree = read_model(name)
    assert "based_on" not in tree
    file = write(tmp_path, yaml.safe_dump(tree, sort_keys=False))
    assert load_model(file, tmp_path) == load_model(name) == build_model(ModelSpec.model_validate(tree))


def test_identical_layers_are_one_shared_object() -> None:
    layers = load_model("ax-k1").layers
    assert len(layers) == 61
    assert len({id(layer) for layer in layers}) == 2


def test_a_pattern_of_blocks_repeats_over_its_run(tmp_path: Path) -> None:
    model = load_model(write(tmp_path, OWN), tmp_path)
    windows = [layer.attention.window for layer in model.layers]  # type: ignore[union-attr]
    assert windows == [512, 512, 512, None, 512, 512, 512]


def test_a_path_is_relative_to_the_base_folder(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write(tmp_path / "models", OWN)
    assert load_model("models/own.yaml", tmp_path) == load_model(str(tmp_path / "models" / "own.yaml"))


def test_an_entry_based_on_another_takes_its_shapes_and_keeps_its_own_names(tmp_path: Path) -> None:
    longer = load_model(write(tmp_path, "based_on: ax-k1\nname: longer\ncontext: 262144\n"), tmp_path)
    parent = load_model("ax-k1")
    assert (longer.name, longer.context) == ("longer", 262144)
    assert longer.layers == parent.layers
    assert longer.exact_total == parent.exact_total


def test_an_entry_that_changes_shapes_does_not_inherit_published_counts(tmp_path: Path) -> None:
    text = "based_on: ax-k1\nname: more-experts\nffn: {moe: {experts: 256}}\n"
    more = load_model(write(tmp_path, text), tmp_path)
    assert more.exact_total is None
    assert more.published_total == 0
    assert total_params(more) - total_params(load_model("ax-k1")) == 60 * 64 * (3 * 7168 * 2048 + 7168)


def test_a_count_that_the_dimensions_contradict_is_refused(tmp_path: Path) -> None:
    exact = total_params(load_model(write(tmp_path, OWN), tmp_path))
    load_model(write(tmp_path, f"{OWN}published: {{exact_total: {exact}}}\n"), tmp_path)
    message = refusal(tmp_path, f"{OWN}published: {{exact_total: {exact + 1}}}\n")
    assert f"{exact + 1:,}" in message
    assert f"{exact:,}" in message
    assert "(-1)" in message
    load_model(write(tmp_path, f"{OWN}published: {{total: {exact * 1.049}}}\n"), tmp_path)
    assert "published.total" in refusal(tmp_path, f"{OWN}published: {{total: {exact * 1.06}}}\n")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("hidden: 1024", "hiden: 1024", ["own.yaml", "hiden", "hidden"]),
        ("hidden: 1024", "hidden: -4", ["own.yaml", "hidden", "-4"]),
        ("hidden: 1024", "hidden: .nan", ["own.yaml", "hidden"]),
        ("kind: dense", "kind: dence", ["ffn.dense", "dence", "dense"]),
        ("kv_heads: 2", "kv_heads: 3", ["attention.local", "8", "3"]),
        ("ffn: dense", "ffn: dense2", ["layers[0].ffn", "dense2", "did you mean 'dense'"]),
        ("count: 7", "count: 0", ["layers.0.count", "0"]),
        ("inter: 4096", "inter: 4096, gatd: true", ["ffn.dense", "gatd", "gated"]),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_field(
    old: str, new: str, expected: list[str], tmp_path: Path
) -> None:
    message = refusal(tmp_path, OWN.replace(old, new, 1))
    assert "\n" not in message
    for part in expected:
        assert part in message


@pytest.mark.parametrize(
    ("moe", "expected"),
    [
        ("experts: 8, top_k: 9", "top_k 9 exceeds the 8 experts"),
        ("experts: 8, top_k: 2, groups: 3", "multiple of groups 3"),
        ("experts: 8, top_k: 2, groups: 2, top_groups: 3", "top_groups 3"),
        ("experts: 8, top_k: 5, groups: 2, top_groups: 1", "top_k 5 exceeds the experts of 1 groups"),
    ],
)
def test_an_impossible_routing_is_refused(moe: str, expected: str, tmp_path: Path) -> None:
    text = OWN.replace("kind: dense, inter: 4096", f"kind: moe, inter: 64, {moe}")
    assert expected in refusal(tmp_path, text)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match=r"unknown model 'ax-k3'; did you mean 'ax-k[12]'"):
        read_model("ax-k3")
    with pytest.raises(UserError, match=r"nothing\.yaml"):
        read_model("nothing.yaml")


def test_an_unknown_parent_is_refused(tmp_path: Path) -> None:
    assert "unknown model 'ax-k9'" in refusal(tmp_path, "based_on: ax-k9\nname: own\n")
    assert "based_on" in refusal(tmp_path, "based_on: [ax-k1]\nname: own\n")


def test_a_hub_id_without_huggingface_hub_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UserError, match="install huggingface_hub"):
        read_model("skt/A.X-K1")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "name: [", "name: own\nname: own\n"])
def test_a_file_that_is_no_model_is_refused(text: str, tmp_path: Path) -> None:
    assert "own.yaml" in refusal(tmp_path, text)


leaves = st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats() | st.text(max_size=6)
trees = st.recursive(
    leaves, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=6), x, max_size=3)
)
FIELDS = [
    "name",
    "hidden",
    "vocab",
    "context",
    "attention",
    "ffn",
    "layers",
    "mtp",
    "published",
    "based_on",
    "tied",
]


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(FIELDS), trees, max_size=4))
def test_any_tree_ends_in_a_model_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("models")
    own: dict[str, object] = yaml.safe_load(OWN)
    file = write(folder, yaml.safe_dump(own | tree, allow_unicode=True))
    with suppress(UserError):
        describe_model(load_model(file, folder))


def test_the_description_holds_computed_and_published_side_by_side() -> None:
    shown = describe_model(load_model("ax-k1"))
    assert shown.total_params == shown.exact_total == 518_983_059_456
    assert shown.total_vs_published == pytest.approx(518_983_059_456 / 519e9 - 1)
    assert shown.layers == [
        "1 × MLA, 64 heads, latent 512 + 64; dense FFN 18432",
        "60 × MLA, 64 heads, latent 512 + 64; 192 experts of 2048, top 8 within 4 of 8 groups, shared 2048",
    ]
    assert shown.kv_bytes_per_token_expanded is not None
    assert shown.weight_bytes["fp8"] < shown.weight_bytes_deployed["fp8"] < shown.weight_bytes["bf16"]
    assert max(shown.flops_per_token) <= shown.context
    assert shown.to_json()["name"] == "ax-k1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-2-7b", "32 × MHA, 32/32 heads of 128; dense FFN 11008"),
        ("step-3", "5 × MQA, 64/1 heads of 256; dense FFN 18432"),
        ("gpt-oss-20b", "12 × GQA, 64/8 heads of 64, window 128; 32 experts of 2880, top 4"),
        (
            "qwen3.5-27b",
            "48 × Gated DeltaNet, 48 heads, state 128×128; dense FFN 17408",
        ),
        (
            "deepseek-v3.2",
            "3 × MLA, 128 heads, latent 512 + 64, top 2048 of a 64-head indexer; dense FFN 18432",
        ),
    ],
)
def test_layers_are_described_in_words(name: str, expected: str) -> None:
    assert expected in describe_model(load_model(name)).layers


def test_a_model_without_mla_has_no_expanded_cache() -> None:
    assert describe_model(load_model("llama-2-7b")).kv_bytes_per_token_expanded is None
    assert describe_model(load_model("qwen3-8b")).published_total == 8.2e9
    assert describe_model(load_model("ax-k1-dense")).total_vs_published is None
