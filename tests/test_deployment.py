"""A deployment comes out even, has the arithmetic, fits, or is refused in one sentence that says why."""

from dataclasses import replace

import pytest
from deployment_chips import A100, H100, H200, RNGD, cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.deployment import (
    Deployment,
    DeploymentSpec,
    arithmetic_type,
    deploy,
    engine_versions,
    enumerate_layouts,
    layout_problem,
    read_deployment,
    stage_layers,
)
from sim.deployment.deploy import graph_sizes
from sim.deployment.deployment import Parallel
from sim.deployment.layout import divisors
from sim.errors import UserError
from sim.figures import Resolution
from sim.hardware.cluster import Cluster
from sim.models import ModelArchitecture, load_model

K1 = load_model("ax-k1")
LLAMA_8B = load_model("llama-3.1-8b")
LLAMA_405B = load_model("llama-3.1-405b")


def spec(**tree: object) -> DeploymentSpec:
    return DeploymentSpec.model_validate(tree)


def refusal(model_spec: DeploymentSpec, model=K1, on: Cluster | None = None) -> str:
    with pytest.raises(UserError) as caught:
        deploy(model_spec, model, on or cluster(H200))
    return str(caught.value)


def fp8(**parallel: int) -> DeploymentSpec:
    return spec(precision={"weights": "fp8", "activations": "fp8"}, parallel=parallel)


# What a user may write


def test_an_empty_deployment_is_one_chip_in_bf16_with_the_default_engine():
    empty = spec()
    assert empty.parallel.tp == empty.replicas == 1
    assert empty.precision.weights == "bf16"
    assert (empty.engine.family, empty.engine.version) == ("vllm", engine_versions("vllm")[0])
    assert (empty.engine.max_num_batched_tokens, empty.engine.max_num_seqs) == (8192, 1024)
    assert empty.engine.async_scheduling
    assert empty.engine.enable_prefix_caching


def test_what_the_user_states_overrides_the_family_table_field_by_field():
    engine = spec(engine={"block_size": 32, "host": {"overlapped": {"fixed": "1 ms"}}}).engine
    assert engine.block_size == 32
    assert engine.host.overlapped.fixed.value == 1e-3
    assert engine.host.overlapped.fixed.basis == "unstated"
    assert engine.host.exposed == spec().engine.host.exposed
    assert engine.max_num_seqs == spec().engine.max_num_seqs


def test_both_spellings_of_the_memory_share_are_one_field():
    assert spec(engine={"npu_memory_utilization": 0.8}).engine.gpu_memory_utilization == 0.8
    with pytest.raises(ValidationError, match="give one"):
        spec(engine={"npu_memory_utilization": 0.8, "gpu_memory_utilization": 0.8})


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ({"family": "vlm"}, "did you mean 'vllm'"),
        ({"family": 3}, "unknown engine family '3'"),
        ({"version": "0.1"}, "known: 0.32"),
        ({"max_num_seqs": 0}, "max_num_seqs"),
        ({"max_num_seqs": 512, "max_num_batched_tokens": 256}, "must be at least max_num_seqs 512"),
        ({"enable_chunked_prefill": False, "max_model_len": 9000}, "a prompt must fit one step"),
        ({"gpu_memory_utilization": 1.5}, "gpu_memory_utilization"),
        ({"gpu_memory_utilization": float("nan")}, "gpu_memory_utilization"),
        ({"policy": "sjf"}, "policy"),
        ({"enable_prefix_caching": "yes"}, "enable_prefix_caching"),
        ({"no_such_field": 1}, "no_such_field"),
        ({"reserve": "3"}, "reserve"),
        (7, "engine"),
    ],
)
def test_a_wrong_engine_field_is_refused_by_name(engine: object, says: str):
    with pytest.raises(ValidationError) as caught:
        spec(engine=engine)
    assert says in str(caught.value)


def test_an_older_version_states_only_what_differs():
    old, new = spec(engine={"version": "0.12"}).engine, spec().engine
    assert not old.async_scheduling
    assert old.host.exposed == new.host.exposed
    assert old.host.overlapped.fixed.value > new.host.overlapped.fixed.value
    assert old.max_num_batched_tokens == new.max_num_batched_tokens


def test_the_raw_tree_names_every_field_so_that_overrides_can_address_it():
    tree = read_deployment({"parallel": {"tp": 8}, "engine": {"block_size": 32}})
    assert isinstance(tree, dict)
    assert DeploymentSpec.model_validate(tree) == spec(parallel={"tp": 8}, engine={"block_size": 32})
    assert tree["engine"].keys() == DeploymentSpec().engine.model_dump().keys()
    assert tree["parallel"].keys() == DeploymentSpec().parallel.model_dump().keys()
    assert tree["precision"].keys() == DeploymentSpec().precision.model_dump().keys()


def test_a_dumped_deployment_reads_back_as_itself():
    first = spec(parallel={"tp": 8}, engine={"reserve": "2 GiB"})
    again = DeploymentSpec.model_validate(first.model_dump())
    assert again == first


@pytest.mark.parametrize("wrong", [3, "tp 8", [1]])
def test_a_raw_tree_of_the_wrong_shape_is_left_for_validation_to_refuse(wrong: object):
    assert read_deployment(wrong) == wrong
    parts = dict.fromkeys(("engine", "parallel", "precision", "routing"), wrong)
    assert read_deployment(parts) == parts | {"replicas": 1, "overlap": "none"}


# Splits


@pytest.mark.parametrize(
    ("parallel", "says"),
    [
        (
            {"tp": 8, "dcp": 3},
            "dcp: 3 does not divide the 8 ranks that tp 8 leaves with the same keys and values; 1, 2, 4, 8",
        ),
        ({"tp": 3}, "tp: 3 does not divide the 64 attention heads; 1, 2, 4, 8, 16, 32, 64 are allowed"),
        ({"tp": 8, "ep": 3}, "ep: 3 does not divide tp·dp·pcp = 8; 1, 2, 4, 8 are allowed"),
        ({"pp": 62}, "pp: 62 stages for the 61 layers of ax-k1; give at most 61"),
        ({"tp": 16, "dp": 5, "ep": 5}, "ep: 5 does not divide the 192 experts"),
    ],
)
def test_an_uneven_split_is_refused_with_the_sizes_that_are_allowed(parallel: dict[str, int], says: str):
    assert says in refusal(fp8(**parallel), on=cluster(H200, servers=16))


def test_experts_are_not_cut_through_a_quantisation_block():
    # 2,048 wide in fp8 blocks of 128: sixteen shares at most.
    assert layout_problem(K1, Parallel(tp=16, ep=1), "fp8") is None
    assert "moe_tp" in (layout_problem(K1, Parallel(tp=32, ep=1), "fp8") or "")
    assert layout_problem(K1, Parallel(tp=32, ep=1), "bf16") is None
    assert layout_problem(K1, Parallel(tp=32, ep=32 // 16), "fp8") is None


def test_kv_heads_may_be_fewer_than_tensor_parallel_ranks_but_not_uneven():
    assert layout_problem(LLAMA_8B, Parallel(tp=32), "bf16") is None
    six_kv = replace(
        LLAMA_8B.layers[0], attention=replace(LLAMA_8B.layers[0].attention, heads=24, kv_heads=6)
    )
    model = replace(LLAMA_8B, layers=(six_kv,) * 4)
    assert layout_problem(model, Parallel(tp=2), "bf16") is None
    assert "6 KV heads" in (layout_problem(model, Parallel(tp=4), "bf16") or "")


def test_expert_parallelism_of_a_dense_model_is_refused():
    assert "has no experts" in refusal(spec(parallel={"tp": 2, "ep": 2}), LLAMA_8B)


def test_more_chips_than_the_cluster_has_are_refused():
    assert "tp 16, ep 16 on 16 chips, but cluster h200-server has 8" in refusal(fp8(tp=16, ep=16))
    sentence = refusal(DeploymentSpec.model_validate({"replicas": 3, "parallel": {"tp": 4}}), LLAMA_8B)
    assert "3 replicas of 4 chips take 12" in sentence
    assert "at most 2 fit" in sentence


@given(st.sampled_from([K1, LLAMA_8B]), st.sampled_from([1, 2, 4, 6, 8, 12, 16, 32, 64]))
def test_every_enumerated_layout_is_allowed_distinct_and_uses_exactly_the_chips(model, chips: int):
    layouts = list(enumerate_layouts(model, chips, "fp8"))
    assert len(set(layouts)) == len(layouts)
    for layout in layouts:
        assert layout.chips == chips
        assert layout.ep * layout.moe_tp == layout.tp * layout.dp
        assert layout_problem(model, layout, "fp8") is None


def test_enumeration_misses_no_layout():
    chips = 16
    brute = {
        Parallel(tp, pp, dp, ep)
        for tp in range(1, 17) for pp in range(1, 17) for dp in range(1, 17) for ep in range(1, 17)
        if tp * pp * dp == chips and layout_problem(K1, Parallel(tp, pp, dp, ep), "fp8") is None
    }  # fmt: skip
    assert set(enumerate_layouts(K1, chips, "fp8")) == brute
    assert brute


@given(st.integers(1, 3000))
def test_divisors_are_all_and_only_divisors(n: int):
    assert divisors(n) == [d for d in range(1, n + 1) if n % d == 0]


@given(st.integers(1, 61))
def test_pipeline_stages_hold_every_layer_once_in_order_and_differ_by_at_most_one(pp: int):
    stages = stage_layers(K1, pp)
    assert sum(stages, ()) == K1.layers
    sizes = [len(stage) for stage in stages]
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


# Arithmetic


def test_arithmetic_runs_at_the_wider_type():
    assert arithmetic_type("fp8", "bf16") == "bf16"
    assert arithmetic_type("bf16", "fp8") == "bf16"
    assert arithmetic_type("int4", "fp8") == "fp8"
    assert arithmetic_type("int8", "fp8") == "fp8"


def test_activations_the_chip_cannot_multiply_are_refused_naming_what_it_can():
    sentence = refusal(spec(precision={"weights": "fp8", "activations": "fp8"}), LLAMA_8B, cluster(A100))
    assert sentence == (
        "deployment.precision.activations: chip a100 has no fp8 arithmetic (it has: bf16, fp16, int8)"
    )


def test_weights_the_chip_cannot_multiply_are_dequantised_not_refused():
    stored = deploy(spec(precision={"weights": "fp8"}), LLAMA_8B, cluster(A100))
    assert stored.precision.weights == "fp8"
    assert stored.precision.activations == "bf16"


def test_weights_wider_than_the_activations_need_their_own_arithmetic():
    only_fp8 = replace(H100, compute=replace(H100.compute, peak={"fp8": 1e15}))
    sentence = refusal(spec(precision={"weights": "fp8", "activations": "fp8"}), LLAMA_8B, cluster(only_fp8))
    assert "deployment.precision.head: bf16 under fp8 activations is multiplied in bf16" in sentence


# Engine limits and costs


def test_async_scheduling_chooses_the_host_costs_and_they_are_remembered():
    resolution = Resolution("deployment")
    fast = deploy(spec(), LLAMA_8B, cluster(H100), resolution)
    slow = deploy(spec(engine={"async_scheduling": False}), LLAMA_8B, cluster(H100))
    assert fast.host.fixed == pytest.approx(0.5e-3)
    assert slow.host.fixed == pytest.approx(2e-3)
    assert slow.host.per_sequence > fast.host.per_sequence
    assert [a.path for a in resolution.assumptions] == [
        "deployment.engine.host.overlapped.fixed",
        "deployment.engine.host.overlapped.per_sequence",
        "deployment.engine.host.launch",
        "deployment.engine.host.front_end.latency",
        "deployment.engine.host.front_end.request",
        "deployment.engine.host.front_end.prompt_token",
        "deployment.engine.host.front_end.stream",
        "deployment.engine.reserve",
    ]


def test_a_draw_moves_the_host_costs_within_their_range():
    path = "deployment.engine.host.overlapped.fixed"
    ends = [
        deploy(spec(), LLAMA_8B, cluster(H100), Resolution("deployment", {path: u})).host.fixed
        for u in (0.05, 0.95)
    ]
    assert ends == pytest.approx([0.3e-3, 0.8e-3])


def test_graphs_are_captured_up_to_the_limit_or_not_at_all():
    sizes = graph_sizes(512)
    assert sizes[:5] == (1, 2, 4, 8, 16)
    assert sizes[-1] == 512
    assert list(sizes) == sorted(set(sizes))
    assert graph_sizes(0) == ()
    assert deploy(spec(engine={"max_num_seqs": 8}), LLAMA_8B, cluster(H100)).host.graph_sizes[-1] == 16
    few = {"max_num_seqs": 40, "max_num_batched_tokens": 64}
    assert deploy(spec(engine=few), LLAMA_8B, cluster(H100)).host.graph_sizes[-1] == 64


def test_an_unstated_model_length_is_the_context_or_what_the_cache_holds():
    roomy = deploy(fp8(tp=8, ep=8), K1, cluster(H200))
    assert roomy.engine.max_model_len == K1.context
    tight = deploy(spec(parallel={"tp": 8, "ep": 8}), K1, cluster(H200))
    assert 10_000 < tight.engine.max_model_len < K1.context
    whole_prompts = deploy(spec(engine={"enable_chunked_prefill": False}), LLAMA_8B, cluster(H100))
    assert whole_prompts.engine.max_model_len == 8192


def test_a_stated_model_length_beyond_the_cache_or_the_context_is_refused():
    tight = spec(parallel={"tp": 8, "ep": 8}, engine={"max_model_len": 100_000})
    sentence = refusal(tight, on=cluster(H200))
    assert "max_model_len: 100000 tokens, but the KV cache beside ax-k1" in sentence
    assert "the nearest layout that fits is" in sentence
    too_long = spec(engine={"max_model_len": 200_000}, precision={"weights": "fp8"})
    assert "exceed the context of llama-3.1-8b, 131072" in refusal(too_long, LLAMA_8B, cluster(H200))


def test_the_refusal_of_a_layout_that_does_not_fit_names_shortfall_and_remedy():
    sentence = refusal(fp8(tp=8, ep=8), on=cluster(RNGD))
    assert "ax-k1 with fp8 weights does not fit tp 8, ep 8 on 8 chips of rngd-server" in sentence
    assert "short by 22.9 GB per chip and 183.2 GB in all" in sentence
    assert "the nearest layout that fits is tp 8, pp 2, ep 8 on 16 chips, 2 such servers" in sentence
    assert "\n" not in sentence


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["bf16", "fp8", "int4"]),
    st.builds(dict, tp=st.integers(1, 16), pp=st.integers(1, 4), dp=st.integers(1, 8), ep=st.integers(1, 16)),
    st.sampled_from([H100, H200, RNGD, A100]),
    st.sampled_from([K1, LLAMA_8B, LLAMA_405B]),
)
def test_any_layout_ends_in_a_deployment_or_one_sentence(weights, parallel, chip, model):
    wanted = spec(precision={"weights": weights}, parallel=parallel)
    outcome = attempt(wanted, model, cluster(chip, 2))
    if isinstance(outcome, str):
        assert outcome.startswith("deployment")
        assert "\n" not in outcome
    else:
        assert 1 <= outcome.engine.max_model_len <= model.context


def attempt(wanted: DeploymentSpec, model: ModelArchitecture, on: Cluster) -> Deployment | str:
    try:
        return deploy(wanted, model, on)
    except UserError as error:
        return str(error)


def test_answers_may_be_longer_than_a_step_where_nobody_is_recomputed():
    whole = {"enable_chunked_prefill": False, "max_num_batched_tokens": 4096, "max_num_seqs": 64}
    lengths = {
        rules: deploy(spec(engine=whole | {"scheduler": rules}), LLAMA_8B, cluster(H100)).engine.max_model_len
        for rules in ("no-evict", "vllm-legacy")
    }
    assert lengths["vllm-legacy"] == 4096
    assert lengths["no-evict"] > 4096
