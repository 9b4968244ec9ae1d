"""What lies on a chip: nothing is lost or counted twice, and the known cases come out as published."""

from dataclasses import replace

import pytest
from deployment_chips import H100, H200, REBEL100, RNGD, chip, cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.deployment import DeploymentSpec, MemoryMap, deploy, enumerate_layouts, memory_map, nearest_fit
from sim.deployment.activations import activation_bytes
from sim.deployment.deployment import Deployment, Parallel, Precision
from sim.deployment.fit import narrower_weights_that_fit
from sim.deployment.kv_cache import cache_growth
from sim.deployment.weights import stage_weights
from sim.errors import UserError
from sim.hardware import load_cluster
from sim.models import load_model, model_names
from sim.models.accounting import (
    indexer_bytes_per_token,
    kv_bytes_per_token,
    state_bytes_per_sequence,
    total_params,
    weight_bytes,
)
from sim.models.architecture import DenseFfn, Gqa, Layer, MoeFfn, Recurrent

K1 = load_model("ax-k1")
LLAMA_8B = load_model("llama-3.1-8b")
CATALOGUE = [load_model(name) for name in model_names()]


def on(chip, weights: str, model=K1, servers: int = 1, engine=None, **parallel: int) -> Deployment:
    spec = DeploymentSpec.model_validate(
        {"precision": {"weights": weights}, "parallel": parallel, "engine": engine or {}}
    )
    return deploy(spec, model, cluster(chip, servers))


def unchecked(chip, weights: str, parallel: Parallel, model=K1) -> Deployment:
    small = on(H200, "bf16", LLAMA_8B)
    return replace(
        small, model=model, cluster=cluster(chip), parallel=parallel, precision=Precision(weights=weights)
    )


def pool(deployment: Deployment) -> MemoryMap:
    return memory_map(deployment)


# The known cases of A.X K1


@pytest.mark.parametrize("chip", [H100, H200], ids=lambda c: c.name)
def test_ax_k1_in_fp8_fits_eight_of_either_hopper(chip):
    assert pool(on(chip, "fp8", tp=8, ep=8)).kv_tokens > 100_000


@pytest.mark.parametrize("chip", [H200, REBEL100], ids=lambda c: c.name)
def test_ax_k1_in_bf16_only_just_fits_with_tens_of_thousands_of_kv_tokens(chip):
    assert 10_000 < pool(on(chip, "bf16", tp=8, ep=8)).kv_tokens < 100_000


def test_ax_k1_in_fp8_does_not_fit_eight_rngd_and_the_nearest_fit_is_two_servers():
    asked = unchecked(RNGD, "fp8", Parallel(tp=8, ep=8))
    assert not pool(asked).fits
    fit = nearest_fit(asked)
    assert fit is not None
    assert fit.servers == 2
    assert fit.deployment.parallel == Parallel(tp=8, pp=2, ep=8)
    assert fit.memory.fits


def test_a_token_of_ax_k1_takes_70272_bytes_of_cache_whole_on_every_tensor_parallel_rank():
    for tp in (1, 8):
        assert cache_growth(K1.layers, "bf16", tp, expand_mla=False).per_token == 70_272
    stage = pool(on(H200, "fp8", tp=8, ep=8)).stages[0]
    assert stage.block == 16 * 70_272


def test_expanding_mla_to_full_heads_takes_128_thirds_of_the_latent_and_is_split_by_heads():
    latent = cache_growth(K1.layers, "bf16", 1, expand_mla=False).per_token
    expanded = cache_growth(K1.layers, "bf16", 1, expand_mla=True).per_token
    assert expanded / latent == pytest.approx(128 / 3)
    assert cache_growth(K1.layers, "bf16", 8, expand_mla=True).per_token == expanded / 8


@pytest.mark.parametrize(
    ("name", "weights", "least", "most"),
    [
        ("h100-hgx", "fp8", 1e5, 1e6),
        ("h200-hgx", "fp8", 1e5, 2e6),
        ("h200-hgx", "bf16", 1e4, 1e5),
        ("rebel100-server", "bf16", 1e4, 1e5),
    ],
)
def test_ax_k1_fits_the_shipped_clusters_as_published_capacities_say(name, weights, least, most):
    shipped, _ = load_cluster(name)
    spec = DeploymentSpec.model_validate({"precision": {"weights": weights}, "parallel": {"tp": 8, "ep": 8}})
    assert least < pool(deploy(spec, K1, shipped)).kv_tokens < most


def test_ax_k1_in_fp8_is_refused_on_the_shipped_rngd_server_with_the_shortfall():
    shipped, _ = load_cluster("rngd-server")
    spec = DeploymentSpec.model_validate({"precision": {"weights": "fp8"}, "parallel": {"tp": 8, "ep": 8}})
    with pytest.raises(UserError, match=r"short by \d+\.\d GB per chip .* the nearest layout that fits is"):
        deploy(spec, K1, shipped)


# Weights


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda m: m.name)
def test_one_chip_holds_every_parameter_once(model):
    held = stage_weights(model, model.layers, True, True, Parallel(), Precision())
    assert sum(held.values()) == 2 * total_params(model)


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda m: m.name)
def test_the_chips_of_a_replica_together_hold_at_least_every_parameter(model):
    for parallel in enumerate_layouts(model, 4):
        held = memory_map(unchecked(H200, "bf16", parallel, model)).stages
        per_stage = parallel.chips // len(held)
        together = sum(per_stage * sum(stage.weights.values()) for stage in held)
        assert together >= 2 * total_params(model) * (1 - 1e-12)


def test_a_pipeline_holds_each_layer_once_the_embedding_first_and_the_head_last():
    stages = pool(on(H200, "fp8", servers=2, tp=8, pp=2, ep=8)).stages
    assert [stage.layers for stage in stages] == [31, 30]
    assert "embedding" in stages[0].weights
    assert "embedding" not in stages[1].weights
    assert "head" in stages[1].weights
    assert "head" not in stages[0].weights
    assert "dense_ffn" not in stages[1].weights


def test_a_tied_head_is_stored_once_where_embedding_and_head_meet_and_twice_where_they_do_not():
    tied = replace(LLAMA_8B, tied=True)
    table = tied.vocab * tied.hidden * 2
    layers = tied.layers
    one = stage_weights(tied, layers, True, True, Parallel(), Precision())
    assert one["embedding"] == table
    assert "head" not in one
    assert stage_weights(tied, layers, False, True, Parallel(pp=2), Precision())["head"] == table


def test_weights_type_covers_matrices_and_leaves_embedding_head_norms_and_router():
    half = stage_weights(K1, K1.layers, True, True, Parallel(), Precision())
    fp8 = stage_weights(K1, K1.layers, True, True, Parallel(), Precision(weights="fp8"))
    for kind in ("embedding", "head", "norms", "router"):
        assert fp8[kind] == half[kind]
    for kind in ("attention", "dense_ffn", "experts", "shared_experts"):
        assert fp8[kind] == pytest.approx(half[kind] / 2, rel=1e-3)
    own = Precision(weights="fp8", head="fp8", router="fp16", embedding="int8", norms="fp16")
    assert stage_weights(K1, K1.layers, True, True, Parallel(), own)["head"] < fp8["head"]
    assert sum(fp8.values()) == pytest.approx(weight_bytes(K1, "fp8"), rel=0.01)
    assert sum(fp8.values()) == pytest.approx(519e9, rel=0.01)
    assert sum(half.values()) == pytest.approx(1038e9, rel=0.001)


def test_data_parallel_ranks_each_hold_attention_and_share_experts():
    tp = pool(on(H200, "fp8", tp=8, ep=8)).stages[0].weights
    dp = pool(on(H200, "fp8", dp=8, ep=8)).stages[0].weights
    assert dp["experts"] == tp["experts"]
    assert dp["attention"] > 3 * tp["attention"]
    split = pool(on(H200, "fp8", tp=8, ep=1)).stages[0].weights
    assert split["experts"] == pytest.approx(tp["experts"])


def test_kv_projections_are_copied_when_there_are_fewer_kv_heads_than_ranks():
    share = {
        tp: stage_weights(LLAMA_8B, LLAMA_8B.layers, False, False, Parallel(tp=tp), Precision())["attention"]
        for tp in (1, 8, 16)
    }
    attention = LLAMA_8B.layers[0].attention
    assert isinstance(attention, Gqa)
    kv_of_one_head = 2 * len(LLAMA_8B.layers) * LLAMA_8B.hidden * 2 * attention.head_dim
    assert share[8] == share[1] / 8
    assert share[16] == pytest.approx((share[1] - 8 * kv_of_one_head) / 16 + kv_of_one_head)


# KV cache


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda m: m.name)
def test_on_one_rank_the_cache_equals_the_models_own_accounting(model):
    growth = cache_growth(model.layers, "bf16", 1, expand_mla=False)
    grown = growth.per_token + sum(size for _, size in growth.windows)
    assert grown == pytest.approx(kv_bytes_per_token(model) + indexer_bytes_per_token(model))
    assert growth.state == pytest.approx(state_bytes_per_sequence(model))


def test_gqa_heads_are_split_until_one_is_left_per_rank():
    per_token = [cache_growth(LLAMA_8B.layers, "bf16", tp, False).per_token for tp in (1, 2, 8, 16, 32)]
    assert per_token[1] == per_token[0] / 2
    assert per_token[2] == per_token[0] / 8
    assert per_token[2] == per_token[3] == per_token[4]


def test_blocks_are_what_the_free_bytes_hold_and_replica_tokens_count_every_dp_rank():
    for deployment in (on(H200, "fp8", tp=8, ep=8), on(H200, "fp8", tp=2, dp=4, ep=8)):
        mapped = pool(deployment)
        stage = mapped.stages[0]
        assert stage.free == stage.usable - stage.needed
        assert mapped.kv_blocks == stage.free // stage.block
        assert mapped.kv_tokens == deployment.parallel.dp * mapped.kv_blocks * 16


def test_the_smallest_pool_of_all_stages_counts():
    mapped = pool(on(H200, "fp8", servers=2, tp=8, pp=2, ep=8))
    assert mapped.kv_blocks == min(int(stage.free // stage.block) for stage in mapped.stages)


def windowed_model(full: int, windows: list[int], recurrent: int):
    attention = Gqa(heads=8, kv_heads=2, head_dim=64, v_head_dim=64)
    mixer = Recurrent("gated_delta_net", 8, 4, 64, 64, 4, 0)
    layers = (
        [Layer(attention, DenseFfn(1024))] * full
        + [Layer(replace(attention, window=w), DenseFfn(1024)) for w in windows]
        + [Layer(mixer, DenseFfn(1024))] * recurrent
    )
    return replace(LLAMA_8B, hidden=512, layers=tuple(layers), exact_total=None)


def test_windows_and_states_are_charged_once_per_sequence_and_only_full_layers_per_token():
    plain, mixed = windowed_model(4, [], 0), windowed_model(4, [128, 128], 3)
    base, more = pool(on(H100, "bf16", plain)), pool(on(H100, "bf16", mixed))
    assert more.stages[0].block == base.stages[0].block
    assert base.sequence_blocks == 0
    per_layer = 2 * (64 + 64) * 2
    state = 8 * 64 * 64 * 4 + 3 * (2 * 4 * 64 + 8 * 64) * 2
    assert more.stages[0].sequence == 2 * (128 + 16) * per_layer + 3 * state
    assert more.sequence_blocks == -(-int(more.stages[0].sequence) // int(more.stages[0].block))


def test_without_a_hybrid_cache_every_layer_keeps_every_token():
    model = load_model("gpt-oss-120b")
    hybrid, whole = (
        memory_map(on(H200, "fp4", model, engine={"disable_hybrid_kv_cache_manager": off}))
        for off in (False, True)
    )
    assert hybrid.sequence_blocks > 0
    assert whole.sequence_blocks == 0
    assert whole.stages[0].block == pytest.approx(
        2 * hybrid.stages[0].block
    )  # every second layer has a window
    assert whole.kv_tokens < hybrid.kv_tokens


@pytest.mark.parametrize(("family", "whole"), [("vllm", False), ("sglang", False), ("trtllm", True)])
def test_unasked_tensorrt_llm_alone_keeps_tokens_beyond_a_window(family, whole):
    spec = DeploymentSpec.model_validate({"engine": {"family": family}})
    assert spec.engine.disable_hybrid_kv_cache_manager == whole


def test_without_a_layer_that_keeps_every_token_the_widest_window_grows():
    stage = pool(on(H100, "bf16", windowed_model(0, [128, 512], 0))).stages[0]
    per_layer = 2 * (64 + 64) * 2
    assert stage.block == 16 * per_layer
    assert stage.sequence == (128 + 16) * per_layer


def test_a_purely_recurrent_model_is_bounded_by_sequences_not_tokens():
    deployment = on(H100, "bf16", windowed_model(0, [], 4), engine={"max_num_seqs": 7})
    mapped = pool(deployment)
    assert mapped.longest_sequence >= deployment.engine.max_model_len
    assert mapped.kv_blocks == 7 * deployment.engine.max_model_len // 16 + 1


def test_an_fp8_cache_holds_twice_the_tokens_of_a_bf16_one():
    tree = {"precision": {"weights": "fp8", "kv_cache": "fp8"}, "parallel": {"tp": 8, "ep": 8}}
    half = pool(deploy(DeploymentSpec.model_validate(tree), K1, cluster(H200)))
    assert half.kv_blocks == pytest.approx(2 * pool(on(H200, "fp8", tp=8, ep=8)).kv_blocks, abs=1)


# Activations


def test_activations_are_the_larger_of_the_widest_layer_and_the_logits():
    layers, hidden = K1.layers, K1.hidden
    moe = K1.layers[-1].ffn
    assert isinstance(moe, MoeFfn)
    one = activation_bytes(K1, layers, True, Parallel(tp=8, ep=8), 8192, 64)
    rows = 8192 * moe.top_k
    expected = 3 * hidden * 8192 + rows * (hidden + moe.inter) + 3 * moe.shared_inter // 8 * 8192
    assert one == 2 * expected
    assert activation_bytes(K1, layers, True, Parallel(tp=8, ep=8), 64, 8192) == 8192 * K1.vocab * 6
    assert activation_bytes(K1, layers, False, Parallel(tp=8, ep=8), 64, 8192) < 1e9


@given(st.integers(1, 16384), st.integers(1, 16384), st.sampled_from([1, 2, 4, 8]))
def test_activations_grow_with_tokens_and_shrink_with_tensor_parallelism(a: int, b: int, tp: int):
    low, high = sorted((a, b))
    sizes = [activation_bytes(LLAMA_8B, LLAMA_8B.layers, True, Parallel(tp), n, 1) for n in (low, high)]
    assert sizes[0] <= sizes[1]
    assert activation_bytes(LLAMA_8B, LLAMA_8B.layers, True, Parallel(2 * tp), high, 1) <= sizes[1]


def test_the_pool_of_a_measured_engine_is_met_within_two_percent():
    # vLLM 0.19 with Llama-3.1-8B in bf16 on an RTX 4090 (25,250,627,584 B) reported 2,588 blocks of 16;
    # LLMServingSim, bench/examples, commit 5daddb21.
    measured = chip("rtx-4090", 25_250_627_584, {"bf16": 165e12})
    engine = {"max_num_batched_tokens": 2048, "max_num_seqs": 256}
    mapped = pool(deploy(DeploymentSpec.model_validate({"engine": engine}), LLAMA_8B, cluster(measured)))
    assert mapped.kv_blocks == pytest.approx(2588, rel=0.02)


# Nearest fit


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["bf16", "fp8", "fp4"]),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from([RNGD, H100]),
    st.sampled_from([K1, LLAMA_8B]),
)
def test_the_nearest_fit_fits_and_nothing_with_fewer_chips_in_its_order_does(weights, tp, chip, model):
    asked = unchecked(chip, weights, Parallel(tp=tp), model)
    fit = nearest_fit(asked)
    assert fit is not None
    assert memory_map(fit.deployment) == fit.memory
    assert fit.memory.fits
    smaller = fit.deployment.parallel.chips // 2
    if smaller >= tp:
        for layout in enumerate_layouts(model, smaller, weights):
            assert not memory_map(replace(asked, parallel=layout)).fits


def test_a_dense_model_is_spread_by_tensor_parallelism_before_pipeline_stages():
    fit = nearest_fit(unchecked(H100, "bf16", Parallel(tp=1), load_model("llama-3.1-70b")))
    assert fit is not None
    assert (fit.deployment.parallel.tp, fit.deployment.parallel.pp) == (2, 1)
    fit = nearest_fit(unchecked(H100, "bf16", Parallel(tp=1), load_model("llama-3.1-405b")))
    assert fit is not None
    assert (fit.deployment.parallel.tp, fit.deployment.parallel.pp) == (8, 2)


def test_a_layout_that_fits_is_its_own_nearest_fit():
    asked = on(H200, "fp8", tp=8, ep=8)
    fit = nearest_fit(asked)
    assert fit is not None
    assert fit.deployment.parallel == asked.parallel


def test_fewer_bits_per_weight_are_named_only_where_they_fit():
    assert narrower_weights_that_fit(unchecked(H100, "bf16", Parallel(tp=8, ep=8))) == "fp8"
    assert narrower_weights_that_fit(unchecked(RNGD, "fp8", Parallel(tp=8, ep=8))) == "fp4"
    assert narrower_weights_that_fit(unchecked(RNGD, "bf16", Parallel(tp=1))) is None


def test_a_share_of_what_is_left_is_a_share_of_the_room_for_cache():
    def free(of: str, share: float) -> tuple[float, float]:
        engine = {"memory_share_of": of, "gpu_memory_utilization": share}
        layout = DeploymentSpec.model_validate({"engine": engine})
        stage = memory_map(deploy(layout, LLAMA_8B, load_cluster("h100-1")[0])).stages[0]
        return stage.free, stage.visible - stage.needed

    for share in (0.5, 0.9, 1.0):
        left, room = free("free", share)
        assert left == pytest.approx(share * room)
    assert free("free", 1.0)[0] == pytest.approx(free("visible", 1.0)[0])
    assert free("free", 0.9)[0] > free("visible", 0.9)[0]
