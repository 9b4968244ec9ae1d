"""A config.json that remembers which of its keys were read, so that none is passed over in silence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from sim.errors import UserError

Tree = dict[str, object]

INERT = frozenset({
    # how the file came about
    "_name_or_path", "architectures", "auto_map", "dtype", "model_type", "torch_dtype",
    "transformers_version", "language_model_only",
    # position encoding, norm and activation details: same shapes, same bytes
    "attention_value_scale", "attn_logit_softcapping", "attn_scale", "attn_temperature_tuning", "clip_qkv",
    "default_theta", "final_logit_softcapping", "floor_scale", "hidden_act", "hidden_activation",
    "indexer_rope_interleave", "layer_norm_eps", "layer_norm_epsilon", "layernorm_epsilon", "logit_scale",
    "max_window_layers", "mrope_interleaved", "no_rope_layer_interval", "no_rope_layers", "norm_eps",
    "original_max_position_embeddings", "initial_context_length", "partial_rotary_factor",
    "position_embedding_type", "query_pre_attn_scalar", "rms_norm_eps", "rotary_dim", "swa_rope_theta",
    "output_gate_type", "swiglu_alpha", "swiglu_limit", "use_mrope",
    # scalar factors (Granite, HyperCLOVA X, MiniMax)
    "attention_multiplier", "embedding_multiplier", "logits_scaling", "residual_multiplier",
    # router arithmetic: what is chosen, not how many or how large
    "aux_loss_alpha", "enable_moe_fp32_combine", "moe_norm_min", "moe_renormalize",
    "moe_router_activation_func", "moe_router_dtype", "norm_topk_prob", "output_router_logits",
    "routed_scaling_factor", "router_aux_loss_coef", "router_jitter_noise", "router_scaling_factor",
    "scoring_func", "seq_aux", "z_loss_coefficient",
    # training and generation
    "ep_size", "initializer_range", "label2id", "id2label", "num_logits_to_keep", "pretraining_tp",
    "use_cache", "use_bfloat16", "use_mamba_kernels", "torchscript", "do_sample", "temperature", "top_k",
    "top_p", "typical_p", "num_beams", "num_beam_groups", "num_return_sequences", "max_length",
    "min_length", "length_penalty", "repetition_penalty", "diversity_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "early_stopping", "bad_words_ids", "begin_suppress_tokens",
    "suppress_tokens", "exponential_decay_length_penalty", "remove_invalid_values", "return_dict",
    "return_dict_in_generate", "output_attentions", "output_hidden_states", "output_scores",
    "problem_type", "finetuning_task", "task_specific_params", "tokenizer_class", "prefix",
    "chunk_size_feed_forward", "is_decoder", "tf_legacy_loss", "tie_encoder_decoder",
})  # fmt: skip
"""Keys that change neither a shape nor what is kept per token, whatever their value."""

_INERT_ENDINGS = ("_token_id", "_token_ids", "_token_index", "_dropout", "_pdrop")
_INERT_BEGINNINGS = ("rope_",)


@dataclass(slots=True)
class Config:
    """One text model's configuration under its architecture's name."""

    file: str
    architecture: str
    tree: Mapping[str, object]
    read: set[str] = field(default_factory=set)

    def get(self, *keys: str) -> object:
        """The value of the first of these keys that is given and not null; None without any."""
        self.read.update(keys)
        return next((self.tree[k] for k in keys if self.tree.get(k) is not None), None)

    def count(self, *keys: str, default: int | None = None) -> int:
        """A whole number of at least 0; keys after the first are other names of it.

        Raises:
            UserError: for another kind of value, or none where the config class has no default.
        """
        value = self.get(*keys)
        if value is None:
            if default is None:
                raise self.error(f"{keys[0]} is missing")
            return default
        return self._whole(keys[0], value)

    def maybe(self, *keys: str) -> int | None:
        """A whole number, or None where it is absent or null."""
        value = self.get(*keys)
        return None if value is None else self._whole(keys[0], value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"{key}: found {value!r}; true or false is needed")
        return value

    def words(self, *keys: str) -> list[str] | None:
        """A list of words, None where it is absent."""
        found = self._items(keys)
        if found is None:
            return None
        if not all(isinstance(x, str) for x in found):
            raise self.error(f"{keys[0]}: a list of words is needed")
        return [str(x) for x in found]

    def numbers(self, *keys: str) -> list[int] | None:
        """A list of whole numbers, None where it is absent."""
        found = self._items(keys)
        return None if found is None else [self._whole(keys[0], x) for x in found]

    def mapping(self, key: str) -> Tree:
        """A mapping inside the file; empty where it is absent."""
        value = self.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(f"{key}: found {value!r}; a mapping is needed")
        return cast("Tree", value)

    def only(self, key: str, *allowed: object) -> None:
        """The key may be absent, null or one of these: any other value is an architecture not understood."""
        value = self.get(key)
        if value is not None and value not in allowed:
            shown = " or ".join(str(a).lower() if isinstance(a, bool) else str(a) for a in allowed) or "null"
            raise self.error(f"{key}: found {value!r}; only {shown} is understood")

    def inert(self, *keys: str) -> None:
        """Keys that change nothing in this architecture though they might in another."""
        self.read.update(keys)

    def refuse_unread(self) -> None:
        """Raises:
        UserError: naming the keys that nothing has read and that are not known to be inert.
        """
        unread = [
            k for k, v in self.tree.items() if k not in self.read and v is not None and not _is_inert(k)
        ]
        if unread:
            shown = ", ".join(f"{k} = {self.tree[k]!r:.40}" for k in sorted(unread)[:8])
            more = f" and {len(unread) - 8} more" if len(unread) > 8 else ""
            raise self.error(f"not understood: {shown}{more}; write the model in Bandwall's own form instead")

    def error(self, sentence: str) -> UserError:
        """An error that names file and architecture."""
        return UserError(f"{self.file}: {self.architecture}: {sentence}")

    def _items(self, keys: Iterable[str]) -> list[object] | None:
        value = self.get(*keys)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.error(f"{next(iter(keys))}: found {value!r}; a list is needed")
        return cast("list[object]", value)

    def _whole(self, key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f"{key}: found {value!r}; a whole number of at least 0 is needed")
        return value


def _is_inert(key: str) -> bool:
    return key in INERT or key.endswith(_INERT_ENDINGS) or key.startswith(_INERT_BEGINNINGS)
