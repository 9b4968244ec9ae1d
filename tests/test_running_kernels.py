"""Software stacks and the maturity of kernels: which operators they change, and on which chips."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.deployment import DeploymentSpec, deploy
from sim.deployment.deployment import Deployment
from sim.errors import UserError
from sim.figures import Resolution
from sim.hardware import load_cluster
from sim.hardware.catalogue import names
from sim.hardware.stacks import SUSTAINED, adjusted, read_stack, stack_names
from sim.models import load_model
from sim.operators import BatchShape
from sim.timing import make_timer
from sim.timing.rates import kernel_key

EXAMPLE = Path(__file__).parents[1] / "examples" / "ax-k1-h200.yaml"
EIGHT = {"tp": 8, "ep": 8}
FP8 = {"weights": "fp8", "activations": "fp8"}


def deployed(
    cluster: str, model: str = "deepseek-v3", resolution: Resolution | None = None, **engine: object
) -> Deployment:
    spec = DeploymentSpec.model_validate({"precision": FP8, "parallel": EIGHT, "engine": engine})
    return deploy(spec, load_model(model), load_cluster(cluster)[0], resolution)


def step_times(deployment: Deployment) -> dict[str, float]:
    """Seconds of a step's operators by name, prompts beside decodes."""
    timer = make_timer(deployment)
    windowed = tuple(32 * min(2048, window) for window in timer.windows)
    batch = BatchShape(decodes=32, context=32 * 2048, windowed=windowed, chunks=((1024, 0),))
    return {o.name: o.time for o in timer.explain(batch).operators}


@pytest.mark.parametrize(
    ("family", "stack"),
    [("vllm", "vllm"), ("sglang", "sglang"), ("trtllm", "trtllm"), ("generic-npu", "none")],
)
def test_an_engine_family_runs_the_kernels_of_its_own_stack(family: str, stack: str) -> None:
    spec = DeploymentSpec.model_validate({"engine": {"family": family}})
    assert spec.engine.stack == stack


def test_a_stack_leaves_chips_alone_that_it_has_no_kernels_for() -> None:
    assert deployed("mi300x-platform", family="vllm").kernels == ()
    assert deployed("h200-hgx", family="vllm").kernels != ()


def test_without_a_stack_every_operator_has_the_parameters_of_the_chips_family() -> None:
    bare = deployed("h200-hgx", stack="none")
    assert bare.kernels == ()
    mature = deployed("h200-hgx", stack="none", maturity={"gemm": 1, "moe": 1})
    assert step_times(mature) == step_times(bare)


def test_a_stack_changes_only_operators_whose_kernels_it_lists() -> None:
    stacked, bare = deployed("h200-hgx", family="vllm"), deployed("h200-hgx", stack="none")
    times, own = step_times(stacked), step_times(bare)
    listed = {kernel.operator for kernel in stacked.kernels}
    assert "moe" in listed
    assert times["experts"] != own["experts"]
    untouched = [
        name for name in own if name.endswith(("_reduce", "norm", "activation")) or name == "embedding"
    ]
    assert untouched
    assert all(times[name] == own[name] for name in untouched)


@pytest.mark.parametrize("operator", ["gemm", "moe", "mla_decode", "mla_prefill"])
def test_less_maturity_makes_the_kernels_of_its_class_slower_and_no_others(operator: str) -> None:
    full, half = (deployed("h200-hgx", stack="none", maturity={operator: degree}) for degree in (1.0, 0.5))
    of_class = {"gemm": "o", "moe": "experts", "mla_decode": "mla_decode", "mla_prefill": "prefill"}
    before, after = step_times(full), step_times(half)
    slower = {name for name in before if after[name] > before[name]}
    assert of_class[operator] in slower
    assert all(after[name] == before[name] for name in before if name not in slower)
    others = set(of_class.values()) - {of_class[operator]}
    assert not others & slower


@given(st.sampled_from(sorted(SUSTAINED)), st.floats(0.05, 20.0))
def test_no_factor_lifts_a_share_of_a_peak_above_one(operator: str, factor: float) -> None:
    kernels = deployed("h100-hgx", model="qwen3-30b-a3b").cluster.chip.kernels
    changed = adjusted(kernels, dict.fromkeys(SUSTAINED[operator], factor))
    for name in SUSTAINED[operator]:
        value = getattr(changed, name)
        shares = list(value.values()) if isinstance(value, dict) else [value]
        if name.endswith(("_mma", "_hbm")):
            assert max(shares) <= 1.0


def test_the_factors_of_a_stack_are_figures_of_the_result_and_can_be_drawn() -> None:
    taken = Resolution("deployment")
    plain = deployed("h200-hgx", resolution=taken, family="vllm")
    place = "deployment.engine.stack.moe.fp8_block.moe_mma"
    assert place in taken.figures
    drawn = deployed("h200-hgx", resolution=Resolution("deployment", {place: 0.95}), family="vllm")
    at_high, at_value = (
        next(k for k in d.kernels if k.operator == "moe").factors["moe_mma"] for d in (drawn, plain)
    )
    assert at_high == pytest.approx(taken.figures[place].high)
    assert at_value == taken.figures[place].value


def test_fp8_is_scaled_in_blocks_in_mixtures_and_by_tensor_in_dense_models_unless_said_otherwise() -> None:
    mixture, dense = (load_model(name) for name in ("deepseek-v3", "llama-3.1-70b"))
    cluster, _ = load_cluster("h200-hgx")
    tensor = DeploymentSpec.model_validate({"precision": FP8, "parallel": {"tp": 8}})
    assert deploy(tensor, dense, cluster).precision.fp8_scales == "tensor"
    spec = DeploymentSpec.model_validate({"precision": FP8, "parallel": EIGHT})
    assert deploy(spec, mixture, cluster).precision.fp8_scales == "block"
    stated = DeploymentSpec.model_validate({"precision": FP8 | {"fp8_scales": "tensor"}, "parallel": EIGHT})
    assert deploy(stated, mixture, cluster).precision.fp8_scales == "tensor"


def test_a_kernel_that_only_tables_name_is_never_taken_unasked() -> None:
    for name in stack_names():
        profile = read_stack(name)
        for kernel in profile.kernels:
            if kernel.families == ():
                types = kernel.types or ("bfloat16",)
                for family, dtype in product(profile.families, types):
                    taken = profile.unasked(family, kernel.operator, dtype, dispatched=False)
                    assert taken is not kernel


def test_behind_a_dispatch_no_kernel_goes_through_the_pairs_of_all_ranks() -> None:
    for name in stack_names():
        profile = read_stack(name)
        for dtype in ("bfloat16", "fp8_block", "int4_wo", "w4a16_mxfp4"):
            for family in profile.families:
                taken = profile.unasked(family, "moe", dtype, dispatched=True)
                assert taken is None or not taken.needs_all_tokens


def test_every_family_that_a_stack_names_ships() -> None:
    for name in stack_names():
        profile = read_stack(name)
        named = {*profile.families, *(f for k in profile.kernels for f in k.families or ())}
        assert named <= set(names("family"))


def test_an_unknown_stack_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(UserError, match=r"unknown engine\.stack 'sglan'; did you mean 'sglang'\?"):
        deployed("h200-hgx", stack="sglan")


@pytest.mark.parametrize("degree", [0, 1.5, {"value": 0.8, "low": 0.5, "high": 1.2}])
def test_a_maturity_outside_zero_to_one_is_refused(degree: object) -> None:
    with pytest.raises(ValueError, match="at most 1, a mature kernel"):
        DeploymentSpec.model_validate({"engine": {"maturity": {"moe": degree}}})


def test_maturity_can_be_set_from_the_command_line() -> None:
    scenario = sim.load(EXAMPLE, sets=["deployment.engine.maturity.moe=0.5"])
    slow = sim.explain(scenario, decode=32, context=1024).step.total
    assert slow > sim.explain(sim.load(EXAMPLE), decode=32, context=1024).step.total


def test_roofline_knows_no_kernels() -> None:
    stacked, bare = deployed("h200-hgx", family="vllm"), deployed("h200-hgx", stack="none")
    batch = BatchShape(decodes=8, context=8 * 512, windowed=())
    light = [make_timer(d, "roofline").durations(batch) for d in (stacked, bare)]
    np.testing.assert_array_equal(*light)


def test_event_fidelity_runs_the_same_kernels() -> None:
    slow = deployed("h200-hgx", stack="none", maturity={"moe": 0.4})
    batch = BatchShape(decodes=8, context=8 * 512, windowed=())
    timers = [make_timer(d, "event") for d in (slow, replace(slow, kernels=()))]
    first, second = (timer.durations(batch)[0] for timer in timers)
    assert first > second


def test_every_operator_of_a_step_has_a_kernel_class_or_none() -> None:
    lowering = make_timer(deployed("h200-hgx", family="sglang")).lowering
    keys = {kernel_key(o)[0] for o in lowering.tokens(np.array([8.0]))}
    assert keys <= {"", *SUSTAINED}


def mixture_of_fp4_experts(cluster: str, **engine: object) -> Deployment:
    spec = DeploymentSpec.model_validate(
        {"precision": {"weights": "fp4", "attention": "bf16"}, "parallel": {"tp": 2}, "engine": engine}
    )
    return deploy(spec, load_model("gpt-oss-120b"), load_cluster(cluster)[0])


def kernel_of_experts(deployment: Deployment) -> str:
    return next(kernel.text for kernel in deployment.kernels if kernel.operator == "moe")


@pytest.mark.parametrize("family", ["vllm", "sglang", "trtllm"])
def test_every_engine_multiplies_mxfp4_experts_on_hopper_with_openais_kernels(family: str) -> None:
    assert "OpenAI Triton kernels" in kernel_of_experts(mixture_of_fp4_experts("h200-hgx", family=family))


def test_a_backend_takes_the_place_of_the_kernel_that_the_engine_takes_by_itself() -> None:
    chosen = mixture_of_fp4_experts("h200-hgx", family="vllm", backends={"moe": "marlin"})
    assert "Marlin" in kernel_of_experts(chosen)
    both = [step_times(d) for d in (chosen, mixture_of_fp4_experts("h200-hgx", family="vllm"))]
    assert {name for name in both[0] if both[0][name] != both[1][name]} == {"experts"}


@pytest.mark.parametrize(
    ("cluster", "told"), [("h200-hgx", r"\(known: marlin, triton\)"), ("mi300x-platform", r"\(known: \)")]
)
def test_a_backend_that_the_stack_has_not_is_refused_with_those_it_has(cluster: str, told: str) -> None:
    with pytest.raises(UserError, match=f"unknown engine.backends.moe for .* 'marlyn'.*{told}"):
        mixture_of_fp4_experts(cluster, family="vllm", backends={"moe": "marlyn"})
