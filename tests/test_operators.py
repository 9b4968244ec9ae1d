"""Operators: what a step computes is what the model says, cut up without loss."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.deployment import Deployment
from sim.deployment.kv_cache import cache_growth
from sim.deployment.schema import POPULARITY
from sim.models.accounting import flops_by_kind, params_by_kind
from sim.models.dtypes import weight_bytes_per_value
from sim.operators import (
    BatchShape,
    Collective,
    DecodeAttention,
    Elementwise,
    Experts,
    Gemm,
    Operator,
    PrefillAttention,
    Routing,
    chunk_work,
    expert_loads,
    lower,
    sample_loads,
)
from sim.operators.chunks import TILE, causal_pairs
from sim.operators.loads import DRAWS, LOAD_GRID, distinct_ranks
from tests.chips import axk1, deployed, llama

chunk_lists = st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 5000)), min_size=1, max_size=4)


def gemms(operators: Iterable[Operator]) -> list[Gemm]:
    return [o for o in operators if isinstance(o, Gemm)]


def gemm_flops(operators: Iterable[Operator]) -> float:
    return sum(g.count * float(g.flops[0]) for g in gemms(operators))


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_the_chips_of_a_dense_model_together_multiply_exactly_what_the_model_does(tp: int) -> None:
    deployment = deployed("llama-2-70b", "h200-hgx", tp=tp)
    operators = lower(deployment, BatchShape(decodes=3, context=300))
    expected = flops_by_kind(deployment.model, 100)
    assert tp * gemm_flops(operators) == pytest.approx(3 * (sum(expected.values()) - expected["context"]))
    attention = [o for o in operators if isinstance(o, DecodeAttention)]
    assert tp * sum(o.count * float(o.flops[0]) for o in attention) == pytest.approx(3 * expected["context"])


@pytest.mark.parametrize("tp", [2, 8])
def test_every_weight_of_a_dense_model_is_read_once_by_some_chip(tp: int) -> None:
    deployment = deployed("llama-2-70b", "h200-hgx", tp=tp)
    read = sum(g.count * g.weight_bytes for g in gemms(lower(deployment, BatchShape(decodes=1, context=9))))
    params = params_by_kind(deployment.model)
    matrices = sum(n for kind, n in params.items() if kind not in ("embedding", "norms"))
    assert tp * read == pytest.approx(matrices * weight_bytes_per_value("bf16"))


def test_replicated_latent_projections_are_whole_on_every_chip_and_the_rest_is_split() -> None:
    whole, split = (
        {g.name: g for g in gemms(lower(d, BatchShape(decodes=4, context=400)))}
        for d in (
            deployed("deepseek-v3", "h200-hgx-x4", tp=1, dp=32, ep=32),
            deployed("deepseek-v3", "h200-hgx-x4", tp=4, dp=8, ep=32),
        )
    )
    assert split["q_a+kv_a"].columns == whole["q_a+kv_a"].columns
    assert split["router"].columns == whole["router"].columns
    assert 4 * split["q_b"].columns == whole["q_b"].columns
    assert 4 * split["o"].inner == whole["o"].inner
    assert 4 * split["absorb_q"].batch == whole["absorb_q"].batch


def test_fewer_kv_heads_than_ranks_leave_one_on_each() -> None:
    attention = next(
        o
        for o in lower(
            deployed("qwen3-235b-a22b", "h200-hgx", tp=8, ep=8), BatchShape(decodes=2, context=200)
        )
        if isinstance(o, DecodeAttention)
    )
    assert (attention.heads.query, attention.heads.kv) == (8, 1)


def test_a_norm_over_all_heads_is_completed_across_ranks_and_one_per_head_is_not() -> None:
    def exchanged(model: str, **parallel: int) -> list[float]:
        batch = BatchShape(decodes=4, context=400)
        operators = lower(deployed(model, "b200-hgx", "fp8", "fp8", "bf16", {}, ep=4, **parallel), batch)
        return [
            float(o.message[0])
            for o in operators
            if isinstance(o, Collective) and o.name == "qk_norm_all_reduce"
        ]

    assert exchanged("minimax-m2.5", tp=4) == [4 * 2 * 4], "two fp32 sums of each of four tokens"
    assert exchanged("minimax-m2.5", dp=4) == []
    assert exchanged("qwen3-235b-a22b", tp=4) == []


def test_the_routed_experts_of_all_ranks_compute_top_k_experts_per_token() -> None:
    deployment = axk1()
    experts = next(
        o for o in lower(deployment, BatchShape(decodes=48, context=4800)) if isinstance(o, Experts)
    )
    per_layer = flops_by_kind(deployment.model, 100)["experts"] / experts.count
    assert experts.rank_flops.sum(axis=2) == pytest.approx(np.full((1, DRAWS), 48 * per_layer))


def test_an_mla_decode_reads_the_latent_whole_on_every_chip() -> None:
    attention = next(
        o for o in lower(axk1(), BatchShape(decodes=8, context=8000)) if isinstance(o, DecodeAttention)
    )
    assert attention.count * attention.heads.cache_bytes == pytest.approx(70_272)


def test_an_engine_that_expands_mla_reads_full_heads_and_absorbs_nothing() -> None:
    operators = lower(
        deployed("ax-k1", "h200-hgx", "fp8", "fp8", engine={"expand_mla": True}, tp=8, ep=8),
        BatchShape(decodes=2, context=200, chunks=((64, 0),)),
    )
    names = {o.name for o in operators}
    assert "absorb_q" not in names
    decode = next(o for o in operators if isinstance(o, DecodeAttention))
    assert decode.heads.cache_values == 2 * 8 * 192
    assert any("kv_b" in g.name and float(g.rows[0]) == 66 for g in gemms(operators))


def test_a_window_bounds_what_the_windowed_layers_read_and_nothing_else() -> None:
    deployment = deployed("gpt-oss-120b", "h200-hgx", tp=2, ep=2)
    operators = lower(deployment, BatchShape(decodes=4, context=8000, windowed=(512,)))
    read = sorted(float(o.context[0]) for o in operators if isinstance(o, DecodeAttention))
    assert read == [512, 8000]


def test_sparse_attention_scores_the_whole_context_but_reads_its_top_k() -> None:
    deployment = deployed("deepseek-v3.2", "h200-hgx", "fp8", "fp8", tp=8, ep=8)
    operators = lower(deployment, BatchShape(decodes=2, context=20_000, windowed=(4096,)))
    by_name = {o.name: o for o in operators if isinstance(o, DecodeAttention)}
    assert float(by_name["index_scores"].context[0]) == 20_000
    assert float(by_name["mla_decode"].context[0]) == 4096


def test_eight_bit_products_are_preceded_by_a_quantiser_and_sixteen_bit_ones_are_not() -> None:
    def quantisers(operators: list[Operator]) -> int:
        return sum(isinstance(o, Elementwise) and bool(o.produces) for o in operators)

    batch = BatchShape(decodes=1, context=10)
    assert quantisers(lower(llama(), batch)) == 0
    assert quantisers(lower(axk1(), batch)) > 0


def test_weights_stored_narrower_than_the_activations_are_multiplied_in_the_activations_type() -> None:
    deployment = deployed("llama-2-7b", "a100-hgx", "int8", "bf16")
    up = next(g for g in gemms(lower(deployment, BatchShape(decodes=1, context=9))) if g.name == "ffn_up")
    assert (up.weights, up.arithmetic) == ("int8", "bf16")


@given(st.integers(1, 400), st.integers(0, 400), st.none() | st.integers(1, 500))
def test_causal_pairs_count_what_each_token_sees(new: int, past: int, window: int | None) -> None:
    seen = [past + i + 1 for i in range(new)]
    expected = sum(seen if window is None else [min(s, window) for s in seen])
    assert causal_pairs(new, past, window) == expected


@given(chunk_lists, st.none() | st.integers(1, 4000))
def test_padded_tiles_hold_every_pair_and_every_token(
    chunks: list[tuple[int, int]], window: int | None
) -> None:
    work = chunk_work(chunks, window)
    assert work.tiles * TILE * TILE >= work.pairs
    assert work.rows >= work.new
    assert work.seen_rows >= work.seen
    assert work.pairs <= work.new * work.seen


@given(chunk_lists)
def test_a_chunk_cut_in_two_has_the_same_pairs(chunks: list[tuple[int, int]]) -> None:
    cut = [piece for new, past in chunks for piece in ((new // 2, past), (new - new // 2, past + new // 2))]
    whole, halves = chunk_work(chunks), chunk_work([c for c in cut if c[0]])
    assert (halves.new, halves.pairs) == (whole.new, whole.pairs)


def test_prefill_attention_counts_the_flops_of_its_pairs() -> None:
    operators = lower(llama(), BatchShape(chunks=((300, 200),)))
    prefill = next(o for o in operators if isinstance(o, PrefillAttention))
    assert prefill.flops == 2 * 32 * 256 * (300 * 200 + 300 * 301 / 2)


SKEW = POPULARITY.value
ROUTING = Routing(experts=192, top_k=8, ep=8, skew=SKEW)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20_000))
def test_every_token_is_routed_to_top_k_experts(tokens: int) -> None:
    pairs = sample_loads(ROUTING, (tokens,)).pairs.sum(axis=2)
    assert pairs == pytest.approx(np.full_like(pairs, 8.0 * tokens), rel=0.02)


def test_one_token_activates_exactly_its_experts() -> None:
    assert (sample_loads(ROUTING, (1,)).active.sum(axis=2) == 8).all()


def test_loads_only_grow_with_the_tokens_one_by_one_up_to_64_and_from_node_to_node_beyond() -> None:
    loads = sample_loads(ROUTING, (*range(1, 65), *[n for n in LOAD_GRID if 64 < n <= 20_000]))
    for field in (loads.pairs, loads.active, loads.tiles):
        assert all((after >= before).all() for before, after in pairwise(field))


def test_no_expert_gets_more_tokens_than_there_are() -> None:
    hot = Routing(experts=8, top_k=2, ep=8, skew=4.0)
    tokens = (3, 64, 100, 5000)
    assert (sample_loads(hot, tokens).pairs <= np.array(tokens)[:, None, None]).all()


def test_a_popular_few_experts_spare_a_short_step_weights_and_cost_the_busiest_rank_work() -> None:
    def loads(skew: float) -> tuple[float, float]:
        alone = sample_loads(Routing(experts=256, top_k=8, ep=1, skew=skew), (32,))
        spread = sample_loads(Routing(experts=256, top_k=8, ep=8, skew=skew), (4096,))
        return float(alone.active.mean()), float(spread.pairs.max(axis=2).mean())

    uniform, usual, power_law = loads(0.0), loads(SKEW), loads(1.2)
    assert power_law[0] < usual[0] < uniform[0]
    assert power_law[1] > usual[1] > uniform[1]


def test_the_same_routing_gives_the_same_loads_and_another_epoch_others() -> None:
    again = sample_loads(ROUTING, (37, 500)).pairs
    assert (sample_loads(ROUTING, (500,)).pairs == again[1:]).all()
    other = sample_loads(Routing(experts=192, top_k=8, ep=8, skew=SKEW, epoch=1), (500,)).pairs
    assert (other != again[1:]).any()


def test_uniform_routing_activates_the_expected_number_of_experts() -> None:
    uniform = Routing(experts=256, top_k=8, ep=1, skew=0.0)
    for tokens in (4, 16, 64, 256):
        expected = 256 * (1 - (1 - 8 / 256) ** tokens)
        assert sample_loads(uniform, (tokens,)).active.mean() == pytest.approx(expected, rel=0.06)


def test_node_limited_routing_visits_fewer_nodes() -> None:
    free = Routing(experts=256, top_k=8, ep=64)
    limited = Routing(experts=256, top_k=8, ep=64, groups=8, top_groups=4)
    assert distinct_ranks(limited, 8) <= 4 < distinct_ranks(free, 8)
    assert distinct_ranks(free, 1) == 1


def test_padding_to_row_tiles_never_loses_tokens() -> None:
    counts = np.array([[[0.0, 1.0, 16.0, 17.0]]])
    loads = expert_loads(counts, np.array([34.0]), ep=2)
    assert loads.active.tolist() == [[[1.0, 2.0]]]
    assert loads.tiles[0, 0, :, 0].tolist() == [1.0, 3.0]


def test_a_replica_of_one_chip_communicates_nothing() -> None:
    assert not [o for o in lower(llama(), BatchShape(2, 99, (), ((10, 0),))) if o.group == "communication"]


def test_pipeline_stages_pass_activations_on_and_take_smaller_micro_batches() -> None:
    deployment = deployed("llama-2-70b", "h200-hgx", tp=2, pp=4)
    operators = lower(deployment, BatchShape(decodes=8, context=8000))
    hops = [o for o in operators if o.name == "stage_hop"]
    assert len(hops) == 3
    assert {float(g.rows[0]) for g in gemms(operators)} == {2.0}


def test_data_parallel_ranks_send_tokens_to_experts_and_back() -> None:
    deployment = deployed("qwen3-235b-a22b", "h200-hgx", tp=2, dp=4, ep=8)
    names = [o.name for o in lower(deployment, BatchShape(decodes=4, context=400))]
    assert {"dispatch", "combine", "expert_all_gather"} <= set(names)
    assert "expert_all_reduce" not in names


def test_an_indexer_scores_fp8_keys_with_their_scales_where_the_chip_multiplies_fp8() -> None:
    sparse = deployed("deepseek-v3.2", "h200-hgx", "fp8", "fp8", tp=8, ep=8)
    chip = sparse.cluster.chip
    peaks = {name: rate for name, rate in chip.compute.peak.items() if name != "fp8"}
    older = replace(chip, compute=replace(chip.compute, peak=peaks))
    batch = BatchShape(2, 20_000, (4096,))

    def scores(of: Deployment) -> DecodeAttention:
        operators = (o for o in lower(of, batch) if isinstance(o, DecodeAttention))
        return next(o for o in operators if o.name == "index_scores")

    new = scores(sparse)
    old = scores(replace(sparse, cluster=replace(sparse.cluster, chip=older)))
    assert new.flops[0] == old.flops[0] == 20_000 * 2 * 64 * 128
    assert new.read_bytes[0] == 20_000 * 132
    assert old.read_bytes[0] == 20_000 * 256
    assert (new.arithmetic, old.arithmetic) == ("fp8", "bf16")


def test_the_cache_holds_index_keys_as_they_are_scored() -> None:
    layers = deployed("deepseek-v3.2", "h200-hgx", "fp8", "fp8", tp=8, ep=8).model.layers
    fp8, bf16 = (cache_growth(layers, "bf16", 8, False, index_fp8=index).per_token for index in (True, False))
    assert fp8 == 61 * (2 * 576 + 132)
    assert bf16 == 61 * (2 * 576 + 256)
