"""Models: architectures as data, the catalogue, import from Hugging Face, and what they add up to."""

from sim.models.architecture import ModelArchitecture
from sim.models.build import build_model
from sim.models.describe import ModelDescription, describe_model
from sim.models.kv_groups import KvGroup, kv_groups, windows
from sim.models.read import load_model, model_names, read_model
from sim.models.schema import ModelSpec

__all__ = [
    "KvGroup",
    "ModelArchitecture",
    "ModelDescription",
    "ModelSpec",
    "build_model",
    "describe_model",
    "kv_groups",
    "load_model",
    "model_names",
    "read_model",
    "windows",
]
