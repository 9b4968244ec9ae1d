"""Import of Hugging Face configs: equal to the catalogue, to published counts, or refused by name."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_configs import EXPECTED, FP8, IN_CATALOGUE, PUBLISHED, ROUNDED, SMALL, config

from sim.errors import UserError
from sim.models import ModelArchitecture, load_model, windows
from sim.models.accounting import state_bytes_per_sequence, total_params
from sim.models.architecture import DenseFfn, Gqa, MoeFfn
from sim.models.huggingface import READERS, convert
from sim.models.huggingface.decoder import runs
from sim.models.kv_groups import kv_groups


def imported(tree: dict[str, Any], folder: Path) -> ModelArchitecture:
    (folder / "config.json").write_text(json.dumps(tree), "utf-8")
    return load_model("config.json", folder)


def shapes(model: ModelArchitecture) -> ModelArchitecture:
    """The architecture without what no config.json says."""
    return replace(
        model, name="", title="", source="", published_total=0.0, published_active=0.0, exact_total=None
    )


@pytest.mark.parametrize("name", IN_CATALOGUE)
def test_an_imported_config_is_the_catalogue_entry(name: str, tmp_path: Path) -> None:
    assert shapes(imported(IN_CATALOGUE[name], tmp_path)) == shapes(load_model(name))


@pytest.mark.parametrize(("total", "tree"), PUBLISHED, ids=[t["architectures"][0] for _, t in PUBLISHED])
def test_an_import_has_the_parameter_count_of_the_released_checkpoint(
    total: int, tree: dict[str, Any], tmp_path: Path
) -> None:
    assert total_params(imported(tree, tmp_path)) == total


@pytest.mark.parametrize(("total", "tree"), ROUNDED, ids=[t["architectures"][0] for _, t in ROUNDED])
def test_an_import_has_the_parameter_count_its_authors_print(
    total: float, tree: dict[str, Any], tmp_path: Path
) -> None:
    assert total_params(imported(tree, tmp_path)) == pytest.approx(total, rel=4e-3)


def test_no_reader_is_left_untested() -> None:
    """Families that only differ in their name from a tested one are listed here."""
    alike = {"KimiK2ForCausalLM", "MinistralForCausalLM", "ExaoneMoEForCausalLM", "MiniMaxForCausalLM"}
    small = {t["architectures"][0] for t in SMALL}
    tested = {t["architectures"][0] for _, t in PUBLISHED + ROUNDED}
    tested |= {str(t["architectures"][0]) for t in IN_CATALOGUE.values()}
    towers = {"Gemma3ForCausalLM", "Qwen3_5MoeForCausalLM", "Llama4ForCausalLM"}
    assert set(READERS) - tested - alike - small - towers == set()


@pytest.mark.parametrize("tree", SMALL, ids=[t["architectures"][0] for t in SMALL])
def test_a_small_import_has_the_tensors_of_its_modelling_code(tree: dict[str, Any], tmp_path: Path) -> None:
    assert total_params(imported(tree, tmp_path)) == EXPECTED[tree["architectures"][0]]


def test_windows_and_states_are_imported_layer_by_layer(tmp_path: Path) -> None:
    olmo3 = imported(SMALL[4], tmp_path)
    assert [layer.attention.window for layer in olmo3.layers] == [16, 16, 16, None] * 2  # type: ignore[union-attr]
    assert windows(olmo3) == (16,)
    bamba = imported(ROUNDED[0][1], tmp_path)
    assert {(g.form, g.layers) for g in kv_groups(bamba)} == {("state", 29), ("full", 3)}
    assert state_bytes_per_sequence(bamba) == 29 * (128 * 64 * 128 * 4 + 3 * (2 * 128 + 8192) * 2)


def test_qwen2_windows_begin_at_max_window_layers_only_where_switched_on(tmp_path: Path) -> None:
    tree = config("Qwen2ForCausalLM", 64, 256, 4, 4, num_key_value_heads=2, vocab_size=100, sliding_window=16,
                  max_window_layers=3, use_sliding_window=True)  # fmt: skip
    assert [a.attention.window for a in imported(tree, tmp_path).layers] == [None] * 3 + [16]  # type: ignore[union-attr]
    tree["use_sliding_window"] = False
    assert windows(imported(tree, tmp_path)) == ()


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        (None, "bf16"),
        (FP8, "fp8"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4"),
        ({"quant_method": "awq", "bits": 4}, "int4"),
        ({"quant_method": "mxfp4"}, "fp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "fp4"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "a": {"weights": {"num_bits": 8, "type": "float"}},
                    "b": {"weights": {"num_bits": 4, "type": "int"}},
                },
            },
            "int4",
        ),
    ],
)
def test_the_released_type_follows_the_quantisation(
    quantization: dict[str, Any] | None, expected: str, tmp_path: Path
) -> None:
    tree = IN_CATALOGUE["llama-3.1-405b"] | {"quantization_config": quantization}
    assert imported(tree, tmp_path).released_dtype == expected


def refused(tree: dict[str, Any], folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        imported(tree, folder)
    assert "config.json" in str(caught.value)
    return str(caught.value)


LLAMA = IN_CATALOGUE["llama-3.1-405b"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"architectures": ["LlamaForCausalLN"]}, "did you mean 'LlamaForCausalLM'"),
        ({"architectures": ["JambaForCausalLM"]}, "unknown architecture 'JambaForCausalLM'"),
        ({"architectures": []}, "'architectures' must name"),
        ({"num_experts": 8}, "not understood: num_experts = 8"),
        ({"sliding_window": 4096, "kv_sharing": True}, "kv_sharing = True, sliding_window = 4096"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": "big"}, "hidden_size: found 'big'"),
        ({"hidden_size": True}, "hidden_size: found True"),
        ({"hidden_size": 1000, "num_attention_heads": 3}, "no multiple of num_attention_heads"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: found 0"),
        ({"mlp_bias": "yes"}, "mlp_bias: found 'yes'"),
        ({"torch_dtype": "int4"}, "torch_dtype: found 'int4'"),
        ({"quantization_config": {"quant_method": "spqr"}}, "'spqr' is not understood"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 3}}, "with 3 bits"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder: found True"),
        ({"num_key_value_heads": 7}, "multiple of kv_heads 7"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(
    change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    assert expected in refused(LLAMA | change, tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("deepseek-v3", {"attention_bias": True}, "attention_bias: found True"),
        ("deepseek-v3", {"topk_method": "greedy"}, "topk_method: found 'greedy'"),
        ("deepseek-v3", {"kv_lora_rank": None}, "kv_lora_rank is missing"),
        ("deepseek-v3", {"mlp_layer_types": ["dense"]}, "1 entries for 61 layers"),
        ("deepseek-v3.2", {"layer_types": ["full_attention"] * 61}, "'full_attention' is not understood"),
        ("glm-5", {"index_topk_freq": 4}, "index_topk_freq: found 4; only 1"),
        ("gpt-oss-120b", {"sliding_window": None}, "sliding_window is missing"),
        ("k-exaone-236b", {"sliding_window_pattern": "LLX"}, "letters L and G"),
        ("minimax-m2", {"use_qk_norm": False}, "use_qk_norm: found False"),
        ("mimo-v2-flash", {"hybrid_layer_pattern": [0, 1]}, "one entry per layer"),
        ("kimi-linear-48b-a3b", {"linear_attn_config": None}, "each of the 27 layers once"),
        ("qwen3.5-35b-a3b", {"text_config": None}, "text_config must be a mapping"),
    ],
)
def test_a_variant_that_the_family_does_not_know_is_refused(
    name: str, change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    assert expected in refused(IN_CATALOGUE[name] | change, tmp_path)


def test_a_key_that_only_repeats_a_default_or_is_null_is_accepted(tmp_path: Path) -> None:
    changed = imported(LLAMA | {"kv_sharing": None, "mlp_bias": None, "attention_bias": False}, tmp_path)
    assert changed == imported(LLAMA, tmp_path)


def test_a_folder_is_read_through_its_config_and_lends_its_name(tmp_path: Path) -> None:
    (tmp_path / "my-llama").mkdir()
    (tmp_path / "my-llama" / "config.json").write_text(json.dumps(LLAMA), "utf-8")
    model = load_model("./my-llama", tmp_path)
    assert model.name == "my-llama"
    assert model.source == "config.json (LlamaForCausalLM)"


def test_our_own_form_may_be_json_too(tmp_path: Path) -> None:
    form = convert(LLAMA, "x/config.json")
    (tmp_path / "own.json").write_text(json.dumps(form), "utf-8")
    assert shapes(load_model("own.json", tmp_path)) == shapes(load_model("llama-3.1-405b"))


def test_grouped_routing_and_shared_experts_are_imported(tmp_path: Path) -> None:
    ffn = imported(IN_CATALOGUE["deepseek-v3"], tmp_path).layers[-1].ffn
    assert ffn == MoeFfn(256, 8, 2048, shared_inter=2048, groups=8, top_groups=4, router_bias=True)
    attention = imported(IN_CATALOGUE["gpt-oss-120b"], tmp_path).layers[0].attention
    assert attention == Gqa(64, 8, 64, 64, window=128, qkv_bias=True, output_bias=True, sinks=True)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), min_size=1, max_size=60))
def test_runs_spell_out_the_layers_they_came_from(layers: list[tuple[str, str]]) -> None:
    spelled: list[tuple[str, str]] = []
    for run in runs(layers):
        mixers, feeds = ([v] if isinstance(v, str) else v for v in (run["attention"], run["ffn"]))
        assert isinstance(mixers, list)
        assert isinstance(feeds, list)
        count = run["count"]
        assert isinstance(count, int)
        spelled += [(mixers[i % len(mixers)], feeds[i % len(feeds)]) for i in range(count)]
    assert spelled == layers


def test_a_repeated_pattern_is_one_run() -> None:
    assert runs([("a", "x"), ("a", "x"), ("b", "x")] * 20) == [
        {"count": 60, "attention": ["a", "a", "b"], "ffn": "x"}
    ]


values = (
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.integers(0, 3), max_size=3)
)


@settings(max_examples=200)
@given(st.sampled_from(sorted(IN_CATALOGUE)), st.data())
def test_a_damaged_config_ends_in_a_model_or_one_sentence(name: str, data: st.DataObject) -> None:
    tree = dict(IN_CATALOGUE[name])
    inner = dict(tree.get("text_config") or tree)
    for key in data.draw(st.lists(st.sampled_from(sorted(inner)), max_size=3)):
        inner[key] = data.draw(values)
    damaged = tree | {"text_config": inner} if "text_config" in tree else inner
    with suppress(UserError):
        assert convert(damaged, "config.json")["layers"]


def test_exaone_patterns_are_a_word_a_period_or_none(tmp_path: Path) -> None:
    tree = config("Exaone4ForCausalLM", 64, 256, 6, 4, num_key_value_heads=2, vocab_size=100)
    assert windows(imported(tree, tmp_path)) == ()
    by_word = imported(tree | {"sliding_window": 32, "sliding_window_pattern": "LLG"}, tmp_path)
    by_period = imported(tree | {"sliding_window": 32, "sliding_window_pattern": 3}, tmp_path)
    assert by_word == by_period
    assert {(g.form, g.layers) for g in kv_groups(by_word)} == {("window", 4), ("full", 2)}


def test_a_granite_hybrid_without_experts_has_the_shared_block_alone(tmp_path: Path) -> None:
    tree = ROUNDED[1][1]
    dense = imported(tree | {"num_local_experts": 0, "num_experts_per_tok": 0}, tmp_path)
    assert all(isinstance(layer.ffn, DenseFfn) and layer.ffn.inter == 1536 for layer in dense.layers)
    assert "mamba_d_head" in refused(tree | {"mamba_d_head": "half"}, tmp_path)
    assert "inner width" in refused(tree | {"mamba_d_head": 32}, tmp_path)
    automatic = imported(tree | {"mamba_d_head": "auto"}, tmp_path)
    assert automatic == imported(tree, tmp_path)


@pytest.mark.parametrize(
    "quantization",
    [
        {"quant_method": "compressed-tensors", "config_groups": {}},
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"a": {"weights": {"num_bits": 3, "type": "int"}}},
        },
        {"quant_method": "modelopt", "quant_algo": "MYSTERY"},
    ],
)
def test_a_quantisation_that_is_not_understood_is_refused(
    quantization: dict[str, Any], tmp_path: Path
) -> None:
    assert "quantization_config" in refused(LLAMA | {"quantization_config": quantization}, tmp_path)
