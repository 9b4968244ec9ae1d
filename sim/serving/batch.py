"""What a scheduler is told, and what one of its calls decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sim.serving.tiers.config import TiersConfig

SchedulerRules = Literal["vllm", "vllm-legacy", "separate", "sglang", "no-evict"]


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Limits and switches of one scheduler, with vLLM's names and meanings.

    `num_blocks` are usable blocks (vLLM's num_gpu_blocks less its null block); `watermark_blocks` is the
    watermark in blocks; `async_scheduling` keeps two batches in flight. `sequence_blocks` is what a
    running sequence holds beside the blocks of its tokens: windows and recurrent state. With speculation
    `acceptance` has, for each of the drafts a decode verifies in a step, the probability that it and all
    before it are right; `recompute_last_block` leaves the last block of a prefix hit out, as drafts from
    hidden states need (vLLM's `use_eagle`). `rules` names whose
    decisions they are (sim.serving.schedulers); `recv_interval` is how many decode steps lie between two
    looks at the inbox (SGLang's scheduler_recv_interval); `max_prefills` how many prompts a step prefills.
    `batch_wait_iters` is for how many steps prompts may be held back until they and the decodes come to
    `batch_wait_tokens` tokens (TensorRT-LLM's batch_wait_timeout_iters and batch_wait_max_tokens_ratio).
    `tiers` are stores below the KV cache.
    """

    block_size: int
    num_blocks: int
    max_model_len: int
    max_num_scheduled_tokens: int
    max_num_batched_tokens: int
    max_num_seqs: int
    enable_chunked_prefill: bool = True
    enable_prefix_caching: bool = True
    async_scheduling: bool = True
    priority: bool = False
    watermark_blocks: int = 0
    scheduler_reserve_full_isl: bool = True
    long_prefill_token_threshold: int = 0
    long_prefill_adaptive: bool = False
    sequence_blocks: int = 0
    acceptance: tuple[float, ...] = ()
    recompute_last_block: bool = False
    rules: SchedulerRules = "vllm"
    recv_interval: int = 1
    max_prefills: int | None = None
    batch_wait_iters: int = 0
    batch_wait_tokens: float = 0.0
    tiers: TiersConfig | None = None

    @property
    def queries(self) -> int:
        """Tokens that a decode computes in a step: one, and one more for each draft."""
        return 1 + len(self.acceptance)


class Batch:
    """One scheduled step; written out by hand because every step makes one.

    `decodes` sequences decode with the aggregates `sums`; `chunks` are (new, past) of the others, in order.
    `admitted` lists (request, new, past, resumed), `advanced` (request, new) of running prefills, and
    `preempted` the victims. `firsts` get a token from a completed prefill, `finishing` their last one;
    `late` are running sequences left out of the call after this batch, whose token is still to come, and
    `left_out` those that this call leaves out. `order` lists (request, new) of the running part where every
    sequence was looked at in turn; None where all of the running list advanced. `ranks` holds the
    batches of data-parallel ranks that step together. `yielded` counts the tokens that the decodes get.
    `until` is a time before which the step cannot end: what it computes on is being loaded.
    """

    __slots__ = (
        "admitted", "advanced", "chunks", "decodes", "finishing", "firsts", "late", "left_out", "order",
        "preempted", "ranks", "sums", "until", "yielded",
    )  # fmt: skip

    def __init__(self, decodes: int, sums: list[float], finishing: Sequence[int] = ()) -> None:
        self.decodes = decodes
        self.sums = sums
        self.chunks: list[tuple[int, int]] = []
        self.admitted: list[tuple[int, int, int, bool]] = []
        self.advanced: list[tuple[int, int]] = []
        self.firsts: list[int] = []
        self.finishing = finishing
        self.preempted: Sequence[int] = ()
        self.late: Sequence[int] = ()
        self.left_out: Sequence[int] = ()
        self.order: list[tuple[int, int]] | None = None
        self.ranks: Sequence[Batch] = ()
        self.yielded = decodes
        self.until = 0.0

    @property
    def empty(self) -> bool:
        """Nothing was scheduled."""
        return not self.decodes and not self.chunks
