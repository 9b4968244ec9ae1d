"""How tokens of attention-dp ranks reach their experts: gathered on every chip, or sent to their chips."""

import numpy as np
import pytest

from sim.deployment import DeploymentSpec, deploy
from sim.deployment.deployment import Deployment
from sim.hardware import load_cluster
from sim.models import load_model
from sim.operators import BatchShape, Collective, Experts, Operator
from sim.timing import make_timer

FP8 = {"weights": "fp8", "activations": "fp8"}


def deployed(cluster: str, dp: int, **engine: object) -> Deployment:
    spec = {"precision": FP8, "parallel": {"dp": dp, "ep": dp}, "engine": {"max_num_seqs": 64, **engine}}
    return deploy(DeploymentSpec.model_validate(spec), load_model("deepseek-v3"), load_cluster(cluster)[0])


def shared(deployment: Deployment, tokens: int = 512) -> dict[str, Operator]:
    """Operators of the experts of all ranks by name, on so many tokens."""
    return {operator.name: operator for operator in make_timer(deployment).lowering.shared((tokens,))}


@pytest.mark.parametrize(
    ("cluster", "dp", "sends"), [("h200-hgx", 8, False), ("h200-hgx-x4", 32, True), ("gb200-nvl72", 32, True)]
)
def test_unasked_ranks_gather_within_a_server_and_send_between_servers(
    cluster: str, dp: int, *, sends: bool
) -> None:
    assert deployed(cluster, dp).sends_tokens == sends


@pytest.mark.parametrize(("backend", "sends"), [("allgather_reducescatter", False), ("all_to_all", True)])
def test_the_backend_that_is_asked_for_is_taken(backend: str, *, sends: bool) -> None:
    assert deployed("h200-hgx", 8, all2all_backend=backend).sends_tokens == sends
    assert deployed("h200-hgx-x4", 32, all2all_backend=backend).sends_tokens == sends


def test_one_rank_has_nobody_to_send_to() -> None:
    spec = {"precision": FP8, "parallel": {"tp": 8, "ep": 8}, "engine": {"all2all_backend": "all_to_all"}}
    cluster = load_cluster("h200-hgx")[0]
    alone = deploy(DeploymentSpec.model_validate(spec), load_model("deepseek-v3"), cluster)
    assert not alone.sends_tokens


def test_gathered_ranks_move_the_tokens_of_all_to_every_chip_and_sums_back() -> None:
    operators = shared(deployed("h200-hgx", 8), tokens=512)
    dispatch, combine = operators["dispatch"], operators["combine"]
    assert isinstance(dispatch, Collective)
    assert isinstance(combine, Collective)
    assert (dispatch.kind, combine.kind) == ("all_gather", "reduce_scatter")
    np.testing.assert_allclose(dispatch.message, 512 * 7168 * 2)
    np.testing.assert_allclose(combine.message, dispatch.message)


def test_experts_of_gathered_ranks_go_through_all_tokens_and_multiply_the_same() -> None:
    gathered, sent = (
        shared(deployed("h200-hgx", 8, all2all_backend=backend))["experts"]
        for backend in ("allgather_reducescatter", "all_to_all")
    )
    assert isinstance(gathered, Experts)
    assert isinstance(sent, Experts)
    assert (gathered.handled >= sent.handled).all()
    np.testing.assert_array_equal(gathered.flops, sent.flops)


def test_sending_pays_where_a_token_has_few_of_many_chips() -> None:
    batch = BatchShape(decodes=64, context=64 * 1024, windowed=())
    times = {
        backend: make_timer(deployed("h200-hgx-x4", 32, all2all_backend=backend)).durations(batch)[0]
        for backend in ("allgather_reducescatter", "all_to_all")
    }
    assert times["all_to_all"] < times["allgather_reducescatter"]
