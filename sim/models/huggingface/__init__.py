"""Import of a Hugging Face config.json: understood completely, or refused naming what was not.

Each family is a function that reads every key it depends on; a key that nobody read and that is not known
to be inert stops the import. A multimodal config is read for its text decoder; towers are not counted.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import cast

from sim.errors import UserError, unknown
from sim.models.huggingface import deepseek, exaone, gemma, gpt_oss, hybrids, llama, mixtral, olmo, qwen
from sim.models.huggingface.config import Config, Tree
from sim.models.huggingface.quantization import released_dtype

READERS: dict[str, Callable[[Config], Tree]] = (
    deepseek.READERS
    | exaone.READERS
    | gemma.READERS
    | gpt_oss.READERS
    | hybrids.READERS
    | llama.READERS
    | mixtral.READERS
    | olmo.READERS
    | qwen.READERS
)

TEXT_DECODERS = {
    "Gemma3ForConditionalGeneration": "Gemma3ForCausalLM",
    "KimiK25ForConditionalGeneration": "DeepseekV3ForCausalLM",
    "Llama4ForConditionalGeneration": "Llama4ForCausalLM",
    "Qwen3VLForConditionalGeneration": "Qwen3ForCausalLM",
    "Qwen3VLMoeForConditionalGeneration": "Qwen3MoeForCausalLM",
    "Qwen3_5ForConditionalGeneration": "Qwen3_5ForCausalLM",
    "Qwen3_5MoeForConditionalGeneration": "Qwen3_5MoeForCausalLM",
}
"""Multimodal architectures whose `text_config` is that of another architecture."""

_SHARED_WITH_TEXT = ("quantization_config", "tie_word_embeddings", "torch_dtype", "dtype")


def convert(tree: Mapping[str, object], file: str) -> Tree:
    """The written form of a config.json.

    Args:
        tree: the file's content; file: its name, for errors and for the model's name.
    Raises:
        UserError: for an architecture, a key, a value or a quantisation that is not understood.
    """
    architecture = _architecture(tree, file)
    if architecture in TEXT_DECODERS:
        architecture, tree = TEXT_DECODERS[architecture], _text_config(tree, file)
    if architecture not in READERS:
        problem = unknown("architecture", architecture, [*READERS, *TEXT_DECODERS])
        raise UserError(f"{file}: {problem}")
    config = Config(file, architecture, tree)
    config.only("add_cross_attention", False)
    config.only("is_encoder_decoder", False)
    config.only("pruned_heads", {})
    form = READERS[architecture](config)
    names: Tree = {"name": _name(file), "released_dtype": released_dtype(config)}
    config.refuse_unread()
    return names | form | {"source": f"{PurePath(file).name} ({architecture})"}


def is_config(tree: object) -> bool:
    """Whether a JSON tree is a Hugging Face configuration rather than our own form."""
    return isinstance(tree, dict) and ("architectures" in tree or "model_type" in tree)


def _architecture(tree: Mapping[str, object], file: str) -> str:
    named = tree.get("architectures")
    first = cast("list[object]", named)[0] if isinstance(named, list) and named else None
    if not isinstance(first, str):
        raise UserError(f"{file}: 'architectures' must name the model's class, such as LlamaForCausalLM")
    return first


def _text_config(tree: Mapping[str, object], file: str) -> Mapping[str, object]:
    text = tree.get("text_config")
    if not isinstance(text, dict):
        raise UserError(f"{file}: text_config must be a mapping, as in a multimodal config.json")
    outer = {key: tree[key] for key in _SHARED_WITH_TEXT if key in tree}
    return outer | {k: v for k, v in cast("Tree", text).items() if v is not None}


def _name(file: str) -> str:
    path = PurePath(file)
    return path.parent.name if path.stem == "config" and path.parent.name else path.stem
