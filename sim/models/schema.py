"""How a user writes a model: a catalogue YAML, or the `model:` tree of a resolved scenario.

Blocks are named once under `attention` and `ffn`; `layers` is a list of runs, each saying how many layers
it has and which block each of them uses, as one name or as a pattern repeated over the run.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from sim.documents import WRITTEN
from sim.errors import nearest
from sim.models.dtypes import Dtype

Count = Annotated[int, Field(ge=1, le=10**9)]
Width = Annotated[int, Field(ge=1, le=10**7)]
Names = str | Annotated[list[str], Field(min_length=1, max_length=64)]


class _Written(BaseModel):
    model_config = WRITTEN


class IndexerSpec(_Written):
    """DeepSeek sparse attention's lightning indexer."""

    heads: Width
    head_dim: Width
    top_k: Count


class GqaSpec(_Written):
    """Grouped-query attention; heads = kv_heads is multi-head attention."""

    kind: Literal["gqa"]
    heads: Width
    kv_heads: Width
    head_dim: Width
    v_head_dim: Width | None = Field(None, description="width of a value head, head_dim if left out")
    window: Count | None = Field(None, description="sliding window in tokens; left out for full attention")
    qkv_bias: bool = False
    output_bias: bool = False
    qk_norm: Literal["none", "head", "full"] = "none"
    output_gate: bool = False
    sinks: bool = False
    q_lora_rank: Width | None = None

    @model_validator(mode="after")
    def _groups_are_whole(self) -> "GqaSpec":
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of kv_heads {self.kv_heads}")
        return self


class MlaSpec(_Written):
    """Multi-head latent attention."""

    kind: Literal["mla"]
    heads: Width
    q_lora_rank: Width | None = Field(None, description="left out: the query is projected directly")
    kv_lora_rank: Width
    qk_nope: Width
    qk_rope: Annotated[int, Field(ge=0, le=10**7)]
    v_head: Width
    window: Count | None = None
    indexer: IndexerSpec | None = None
    output_gate: bool = False


class RecurrentSpec(_Written):
    """Linear attention or a state-space mixer: a fixed state per sequence."""

    kind: Literal["gated_delta_net", "mamba2", "kda", "lightning"]
    heads: Width = Field(description="value heads")
    key_heads: Width = Field(description="key and query heads; groups of Mamba2")
    key_dim: Width = Field(description="per head; state size of Mamba2")
    value_dim: Width = Field(description="per head; head size of Mamba2")
    conv: Annotated[int, Field(ge=0, le=64)] = Field(4, description="width of the causal convolution")
    state_dtype_bytes: Literal[2, 4] = 4

    @model_validator(mode="after")
    def _groups_are_whole(self) -> "RecurrentSpec":
        if self.heads % self.key_heads:
            raise ValueError(f"heads {self.heads} must be a multiple of key_heads {self.key_heads}")
        return self


class DenseSpec(_Written):
    """A feed-forward block: three matrices if gated (SwiGLU), two otherwise."""

    kind: Literal["dense"]
    inter: Width
    gated: bool = True
    bias: bool = False


class MoeSpec(_Written):
    """Mixture of experts with optional shared experts and node-limited routing."""

    kind: Literal["moe"]
    experts: Width
    top_k: Width
    inter: Width
    shared_inter: Annotated[int, Field(ge=0, le=10**7)] = Field(0, description="width of all shared experts")
    groups: Width = 1
    top_groups: Width = 1
    router_bias: bool = False
    bias: bool = False
    shared_gate: bool = False
    gated: bool = True
    zero_experts: Annotated[int, Field(ge=0, le=10**6)] = 0

    @model_validator(mode="after")
    def _routing_is_possible(self) -> "MoeSpec":
        if self.top_k > self.experts:
            raise ValueError(f"top_k {self.top_k} exceeds the {self.experts} experts")
        if self.experts % self.groups:
            raise ValueError(f"experts {self.experts} must be a multiple of groups {self.groups}")
        if self.top_groups > self.groups:
            raise ValueError(f"top_groups {self.top_groups} exceeds the {self.groups} groups")
        if self.top_k * self.groups > self.experts * self.top_groups:
            raise ValueError(f"top_k {self.top_k} exceeds the experts of {self.top_groups} groups")
        return self


AttentionSpec = Annotated[GqaSpec | MlaSpec | RecurrentSpec, Field(discriminator="kind")]
FfnSpec = Annotated[DenseSpec | MoeSpec, Field(discriminator="kind")]


class RunSpec(_Written):
    """`count` layers; a list of block names is repeated over them: [local, local, local, full]."""

    count: Annotated[int, Field(ge=1, le=1000)]
    attention: Names
    ffn: Names
    norms: Annotated[int, Field(ge=0, le=16)] = 2
    norm_gate_rank: Annotated[int, Field(ge=0, le=4096)] = 0
    gated_norms: Annotated[int, Field(ge=0, le=16)] | None = None


class MtpSpec(_Written):
    """Multi-token-prediction modules; without blocks each holds a copy of the last layer."""

    layers: Annotated[int, Field(ge=1, le=16)]
    attention: str | None = None
    ffn: str | None = None


class PublishedSpec(_Written):
    """What the authors print: parameter counts, and the checkpoint's exact count where it is known."""

    total: Annotated[float, Field(gt=0)] | None = None
    active: Annotated[float, Field(gt=0)] | None = None
    exact_total: Annotated[int, Field(ge=1)] | None = None


class ModelSpec(_Written):
    """A decoder-only model. The vocabulary is the embedding's row count, padding included."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    title: str = ""
    hidden: Width
    vocab: Width
    context: Count
    tied: bool = False
    final_norm: bool = True
    attention: Annotated[dict[str, AttentionSpec], Field(min_length=1)]
    ffn: Annotated[dict[str, FfnSpec], Field(min_length=1)]
    layers: Annotated[list[RunSpec], Field(min_length=1)]
    mtp: MtpSpec | None = None
    released_dtype: Dtype = "bf16"
    published: PublishedSpec = PublishedSpec()
    source: str = ""

    @model_validator(mode="after")
    def _blocks_are_named(self) -> "ModelSpec":
        for i, run in enumerate(self.layers):
            _check_names(f"layers[{i}].attention", run.attention, self.attention)
            _check_names(f"layers[{i}].ffn", run.ffn, self.ffn)
        if self.mtp is not None:
            _check_names("mtp.attention", self.mtp.attention or [], self.attention)
            _check_names("mtp.ffn", self.mtp.ffn or [], self.ffn)
        return self


def _check_names(field: str, used: Names, blocks: dict[str, AttentionSpec] | dict[str, FfnSpec]) -> None:
    for name in [used] if isinstance(used, str) else used:
        if name not in blocks:
            known = ", ".join(blocks)
            raise ValueError(f"{field} names the block '{name}'{nearest(name, blocks)} (known: {known})")
