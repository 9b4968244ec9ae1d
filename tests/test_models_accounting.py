"""What an architecture adds up to: closed forms, conservation, bounds, and the published counts."""

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import UserError
from sim.models import kv_groups, load_model, model_names, windows
from sim.models.accounting import (
    active_params,
    context_flops,
    deployed_dtypes,
    flops_by_kind,
    flops_per_token,
    indexer_bytes_per_token,
    kv_bytes_per_token,
    layer_params,
    mtp_params,
    params_by_kind,
    state_bytes_per_sequence,
    total_params,
    weight_bytes,
)
from sim.models.architecture import DenseFfn, Gqa, Layer, Mla, ModelArchitecture, MoeFfn, Recurrent
from sim.models.dtypes import BYTES_PER_VALUE, weight_bytes_per_value
from sim.models.matrices import attention_matrices, layer_matrices, mixer_params, vectors

IN_FACTS = {
    "ax-k1": "A.X-K1",
    "ax-k2": "A.X-K2",
    "ax-k2-light": "A.X-K2-Light-21B-A3B",
    "solar-open-100b": "Solar-Open-100B",
    "hyperclovax-seed-think-32b": "HyperCLOVAX-SEED-Think-32B",
    "k-exaone-236b": "K-EXAONE-236B-A23B",
    "vaetki-112b": "VAETKI-112B",
    "deepseek-v3": "DeepSeek-V3-R1-671B",
    "deepseek-r1": "DeepSeek-V3-R1-671B",
    "deepseek-v3.2": "DeepSeek-V3.2-DSA",
    "kimi-k2": "Kimi-K2-1T",
    "qwen3-235b-a22b": "Qwen3-235B-A22B",
    "qwen3-coder-480b-a35b": "Qwen3-Coder-480B-A35B",
    "qwen3-30b-a3b": "Qwen3-30B-A3B",
    "qwen3-8b": "Qwen3-8B",
    "qwen3-32b": "Qwen3-32B",
    "glm-4.5": "GLM-4.5-355B-A32B",
    "glm-4.5-air": "GLM-4.5-Air-106B",
    "glm-5": "GLM-5-744B-A40B",
    "minimax-m2": "MiniMax-M2",
    "gpt-oss-120b": "gpt-oss-120b",
    "gpt-oss-20b": "gpt-oss-20b",
    "llama-3.1-8b": "Llama-3.1-8B",
    "llama-3.1-70b": "Llama-3.1-70B",
    "llama-3.1-405b": "Llama-3.1-405B",
    "llama-4-maverick": "Llama-4-Maverick-400B-A17B",
    "mixtral-8x22b": "Mixtral-8x22B",
    "step-3": "Step-3-321B-A38B",
    "longcat-flash": "LongCat-Flash-560B-A27B",
}

CHUNKED = {"llama-4-maverick"}
"""The reference counts chunked attention as unbounded, we as a window."""


@pytest.fixture(scope="session")
def facts(shared: Path) -> dict[str, Any]:
    text = (shared / "facts" / "models.yaml").read_text("utf-8")
    return yaml.load(text, yaml.CSafeLoader)["models"]


@pytest.mark.parametrize("name", IN_FACTS)
def test_counts_of_a_catalogue_entry_equal_the_reference_exactly(name: str, facts: dict[str, Any]) -> None:
    model, computed = load_model(name), facts[IN_FACTS[name]]["computed"]
    assert total_params(model) == computed["total_params"]
    assert active_params(model) == computed["active_params"]
    assert active_params(model, embedding=False) == computed["active_params_no_embed"]
    assert kv_bytes_per_token(model) == computed["kv_bytes_per_token_bf16"]
    assert indexer_bytes_per_token(model) == computed["indexer_cache_bytes_per_token_bf16"]
    if name not in CHUNKED:
        unbounded = kv_bytes_per_token(model, unbounded=True)
        assert unbounded == computed["kv_bytes_per_token_bf16_unbounded_layers"]


@pytest.mark.parametrize("name", ["ax-k1", "deepseek-v3", "deepseek-v3.2", "glm-4.5", "glm-4.5-air", "glm-5"])
def test_an_mtp_module_has_the_reference_count_and_the_correction_bias(
    name: str, facts: dict[str, Any]
) -> None:
    model = load_model(name)
    ffn = model.layers[-1].ffn
    bias = ffn.experts if isinstance(ffn, MoeFfn) and ffn.router_bias else 0
    assert mtp_params(model) - bias == facts[IN_FACTS[name]]["computed"]["mtp_module_params_if_moe_layer"]


@pytest.mark.parametrize("name", IN_FACTS)
def test_weight_gigabytes_equal_the_reference_up_to_fp8_block_scales(
    name: str, facts: dict[str, Any]
) -> None:
    model, expected = load_model(name), facts[IN_FACTS[name]]["computed"]["weight_gb"]
    assert weight_bytes(model, "bf16") / 1e9 == pytest.approx(expected["bf16"], abs=0.06)
    assert weight_bytes(model, "fp8") / 1e9 == pytest.approx(expected["fp8"], abs=0.06, rel=3e-4)
    assert weight_bytes(model, "fp4") / 1e9 == pytest.approx(expected["fp4_incl_scales"], abs=0.06)


def test_ax_k1_is_519_gb_in_fp8_and_1038_gb_in_bf16() -> None:
    model = load_model("ax-k1")
    assert total_params(model) == 518_983_059_456
    assert round(weight_bytes(model, "fp8") / 1e9) == 519
    assert round(weight_bytes(model, "bf16") / 1e9) == 1038


def test_an_engine_that_expands_mla_to_full_heads_caches_42_7_times_the_latent() -> None:
    model = load_model("ax-k1")
    assert kv_bytes_per_token(model) == 70_272
    assert kv_bytes_per_token(model, expand_mla=True) == 61 * 2 * 64 * 192 * 2
    ratio = kv_bytes_per_token(model, expand_mla=True) / kv_bytes_per_token(model)
    assert ratio == pytest.approx(2 * 64 * 192 / 576)
    assert round(ratio, 1) == 42.7


def test_the_dense_twin_of_ax_k1_is_the_nearest_its_divisibility_allows() -> None:
    model, twin = load_model("ax-k1"), load_model("ax-k1-dense")
    ffn = twin.layers[0].ffn
    assert isinstance(ffn, DenseFfn)
    assert ffn.inter % (8 * 128) == 0
    step = len(twin.layers) * 3 * twin.hidden * 8 * 128
    assert abs(total_params(twin) - total_params(model)) <= step / 2
    assert active_params(twin) == total_params(twin)
    same = [(m.hidden, m.vocab, len(m.layers), m.layers[0].attention) for m in (model, twin)]
    assert same[0] == same[1]


def test_an_mla_layer_has_the_tensors_of_the_checkpoint() -> None:
    attention = Mla(heads=128, q_lora_rank=1536, kv_lora_rank=512, qk_nope=128, qk_rope=64, v_head=128)
    tensors = [
        (1536, 7168),  # q_a_proj
        (128 * 192, 1536),  # q_b_proj
        (576, 7168),  # kv_a_proj_with_mqa
        (128 * 256, 512),  # kv_b_proj
        (7168, 128 * 128),  # o_proj
        (1536,),  # q_a_layernorm
        (512,),  # kv_a_layernorm
    ]
    layer = Layer(attention, DenseFfn(1), norms=0)
    counted = sum(m.params for m in attention_matrices(attention, 7168)) + vectors(layer, 7168)
    assert counted == sum(prod(shape) for shape in tensors)


MIXERS = {
    "gated_delta_net": (
        Recurrent("gated_delta_net", heads=32, key_heads=16, key_dim=128, value_dim=128, conv=4, params=0),
        [(12288, 2048), (64, 2048), (8192, 1, 4), (32,), (32,), (128,), (2048, 4096)],
    ),
    "mamba2": (
        Recurrent("mamba2", heads=128, key_heads=1, key_dim=128, value_dim=64, conv=4, params=0),
        [(16768, 2048), (8448, 1, 4), (8448,), (128,), (128,), (128,), (8192,), (2048, 8192)],
    ),
    "kda": (
        Recurrent("kda", heads=32, key_heads=32, key_dim=128, value_dim=128, conv=4, params=0),
        [(4096, 2048)] * 3
        + [(4096, 1, 4)] * 3
        + [
            (128, 2048),
            (4096, 128),
            (4096,),
            (32,),
            (32, 2048),
            (128, 2048),
            (4096, 128),
            (128,),
            (2048, 4096),
        ],
    ),
    "lightning": (
        Recurrent("lightning", heads=64, key_heads=64, key_dim=128, value_dim=128, conv=0, params=0),
        [(3 * 8192, 2048), (8192, 2048), (8192,), (2048, 8192)],
    ),
}


@pytest.mark.parametrize("form", MIXERS)
def test_a_recurrent_mixer_has_the_tensors_of_its_modelling_code(form: str) -> None:
    mixer, tensors = MIXERS[form]
    assert mixer_params(mixer, 2048) == sum(prod(shape) for shape in tensors)


def test_a_recurrent_layer_keeps_a_state_that_no_context_changes() -> None:
    model = load_model("qwen3.5-35b-a3b")
    state = 32 * 128 * 128 * 4 + 3 * (2 * 16 * 128 + 32 * 128) * 2
    assert state_bytes_per_sequence(model) == 30 * state
    mixer = next(layer.attention for layer in model.layers if isinstance(layer.attention, Recurrent))
    assert context_flops(mixer, 10) == context_flops(mixer, 100_000)
    assert mixer.params == mixer_params(mixer, model.hidden)


def test_layers_are_grouped_by_how_they_keep_context() -> None:
    groups = {(g.form, g.layers, g.values, g.reads) for g in kv_groups(load_model("k-exaone-236b"))}
    assert groups == {("window", 36, 2048, 128), ("full", 12, 2048, None)}
    groups = {(g.form, g.layers, g.values, g.reads) for g in kv_groups(load_model("deepseek-v3.2"))}
    assert groups == {("full", 61, 576, 2048), ("index", 61, 128, None)}
    groups = {(g.form, g.layers) for g in kv_groups(load_model("qwen3.5-35b-a3b"))}
    assert groups == {("state", 30), ("full", 10)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ax-k1", ()),
        ("ax-k2", (2048,)),
        ("k-exaone-236b", (128,)),
        ("gemma-3-27b", (1024,)),
        ("qwen3-8b", ()),
    ],
)
def test_windows_are_sliding_windows_and_top_k_of_indexers(name: str, expected: tuple[int, ...]) -> None:
    assert windows(load_model(name)) == expected


def test_context_flops_are_twice_the_products_of_scores_and_weighted_sum() -> None:
    gqa = Gqa(heads=32, kv_heads=8, head_dim=128, v_head_dim=64)
    assert context_flops(gqa, 1000) == 2 * 32 * (128 + 64) * 1000
    mla = Mla(heads=64, q_lora_rank=1536, kv_lora_rank=512, qk_nope=128, qk_rope=64, v_head=128)
    assert context_flops(mla, 1000) == 2 * 64 * (576 + 512) * 1000


@pytest.mark.parametrize("name", model_names())
def test_kinds_add_up_and_every_layer_is_counted(name: str) -> None:
    model = load_model(name)
    layers = sum(sum(layer_params(layer, model.hidden).values()) for layer in model.layers)
    outside = model.vocab * model.hidden * (1 if model.tied else 2) + model.hidden
    assert total_params(model) == sum(params_by_kind(model).values()) == layers + outside
    assert active_params(model, embedding=False) <= active_params(model) <= total_params(model)


@pytest.mark.parametrize("name", model_names())
def test_flops_at_a_context_of_nothing_are_twice_the_active_matrices(name: str) -> None:
    model = load_model(name)
    flops = flops_by_kind(model, 0)
    matrices = sum(
        m.used * m.inputs * m.outputs for layer in model.layers for m in layer_matrices(layer, model.hidden)
    )
    assert sum(flops.values()) - flops["context"] == 2 * (matrices + model.vocab * model.hidden)
    active = active_params(model, embedding=False)
    assert 0.99 * 2 * active < sum(flops.values()) - flops["context"] <= 2 * active


@st.composite
def architectures(draw: st.DrawFn) -> ModelArchitecture:
    """Small models with every kind of attention and feed-forward block."""
    kv_heads = draw(st.integers(1, 4))
    gqa = Gqa(
        heads=kv_heads * draw(st.integers(1, 4)),
        kv_heads=kv_heads,
        head_dim=draw(st.integers(1, 32)),
        v_head_dim=draw(st.integers(1, 32)),
        window=draw(st.none() | st.integers(1, 64)),
        qkv_bias=draw(st.booleans()),
        output_gate=draw(st.booleans()),
        qk_norm=draw(st.sampled_from(["none", "head", "full"])),
    )
    mla = Mla(
        heads=draw(st.integers(1, 8)),
        q_lora_rank=draw(st.none() | st.integers(1, 32)),
        kv_lora_rank=draw(st.integers(1, 32)),
        qk_nope=draw(st.integers(1, 16)),
        qk_rope=draw(st.integers(0, 16)),
        v_head=draw(st.integers(1, 16)),
    )
    experts = draw(st.integers(1, 8))
    moe = MoeFfn(experts, draw(st.integers(1, experts)), draw(st.integers(1, 64)), draw(st.integers(0, 64)))
    blocks = st.tuples(
        st.sampled_from([gqa, mla]), st.sampled_from([moe, DenseFfn(draw(st.integers(1, 64)))])
    )
    layers = tuple(Layer(a, f) for a, f in draw(st.lists(blocks, min_size=1, max_size=5)))
    return ModelArchitecture("m", "m", draw(st.integers(1, 64)), draw(st.integers(1, 500)), layers, 4096)


@given(architectures())
def test_a_router_that_chooses_all_experts_leaves_nothing_inactive(model: ModelArchitecture) -> None:
    def all_chosen(layer: Layer) -> Layer:
        ffn = layer.ffn
        return replace(layer, ffn=replace(ffn, top_k=ffn.experts)) if isinstance(ffn, MoeFfn) else layer

    everything = replace(model, layers=tuple(map(all_chosen, model.layers)))
    assert active_params(everything) == total_params(everything) == total_params(model)
    assert active_params(model) <= active_params(everything)


@given(architectures(), st.integers(0, 200), st.integers(0, 200))
def test_a_longer_context_never_costs_fewer_flops(model: ModelArchitecture, context: int, more: int) -> None:
    assert flops_per_token(model, context) <= flops_per_token(model, context + more)


@given(architectures())
def test_layer_order_changes_no_sum_and_layers_add_up(model: ModelArchitecture) -> None:
    turned = replace(model, layers=model.layers[::-1])
    twice = replace(model, layers=model.layers * 2)
    assert params_by_kind(turned) == params_by_kind(model)
    assert kv_bytes_per_token(twice) == 2 * kv_bytes_per_token(model)
    assert sum(g.layers for g in kv_groups(model)) == len(model.layers)
    empty = replace(model, layers=())
    assert total_params(twice) - total_params(model) == total_params(model) - total_params(empty)


@given(architectures(), st.sampled_from(sorted(BYTES_PER_VALUE)))
def test_weights_in_one_type_are_the_parameters_times_its_bytes(model: ModelArchitecture, dtype: str) -> None:
    assert weight_bytes(model, dtype) == pytest.approx(total_params(model) * weight_bytes_per_value(dtype))
    deployed = weight_bytes(model, deployed_dtypes(dtype))
    assert weight_bytes(model, dtype) <= deployed <= weight_bytes(model, "bf16")


def test_an_unknown_type_is_refused_naming_those_known() -> None:
    with pytest.raises(UserError, match=r"unknown type 'fp9'.*fp8"):
        weight_bytes(load_model("llama-3.1-8b"), "fp9")
    with pytest.raises(UserError, match="unknown type 'int3'"):
        kv_bytes_per_token(load_model("llama-3.1-8b"), "int3")
