"""Deployments for tests of operators, network and timing: real catalogue entries on real profiles."""

from functools import cache

from sim.deployment import Deployment, deploy
from sim.deployment.schema import DeploymentSpec
from sim.hardware import load_cluster
from sim.hardware.cluster import Cluster
from sim.models import load_model
from sim.models.architecture import ModelArchitecture


@cache
def cluster(name: str) -> Cluster:
    return load_cluster(name)[0]


@cache
def model(name: str) -> ModelArchitecture:
    return load_model(name)


@cache
def llama(cluster_name: str = "a100-hgx") -> Deployment:
    """Llama-2-7B in bf16 on one chip."""
    return deployed("llama-2-7b", cluster_name)


@cache
def axk1(cluster_name: str = "h200-hgx") -> Deployment:
    """A.X K1 in fp8 on eight chips, experts in parallel."""
    return deployed("ax-k1", cluster_name, weights="fp8", activations="fp8", tp=8, ep=8)


def deployed(
    model_name: str,
    cluster_name: str,
    weights: str = "bf16",
    activations: str = "bf16",
    kv_cache: str = "bf16",
    engine: dict[str, object] | None = None,
    **parallel: int,
) -> Deployment:
    """A deployment by names."""
    tree = {
        "precision": {"weights": weights, "activations": activations, "kv_cache": kv_cache},
        "parallel": parallel,
        "engine": engine or {},
    }
    return deploy(DeploymentSpec.model_validate(tree), model(model_name), cluster(cluster_name))
