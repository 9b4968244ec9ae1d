"""Whose scheduling decisions an engine takes: one class per family, behind what the engine drives.

vllm         sim.serving.scheduler     vLLM V1; with chunked prefill off also TensorRT-LLM's MAX_UTILIZATION
vllm-legacy  sim.serving.prefill_first vLLM before V1 (with chunked prefill it already mixed as V1 does)
separate     sim.serving.separate      stacks of compiled shapes: chunks of a few prompts, or decodes
sglang       sim.serving.retracting    SGLang
no-evict     sim.serving.no_evict      TensorRT-LLM's GUARANTEED_NO_EVICT

vllm with tiers below the KV cache that are read before a prompt starts: sim.serving.loading.
"""

from sim.serving.batch import SchedulerConfig, SchedulerRules
from sim.serving.book import RequestBook
from sim.serving.loading import LoadingScheduler
from sim.serving.no_evict import NoEvictScheduler
from sim.serving.prefill_first import PrefillFirstScheduler
from sim.serving.retracting import RetractingScheduler
from sim.serving.scheduler import Scheduler
from sim.serving.separate import SeparateScheduler

_CLASSES: dict[SchedulerRules, type[Scheduler]] = {
    "vllm": Scheduler,
    "vllm-legacy": PrefillFirstScheduler,
    "separate": SeparateScheduler,
    "sglang": RetractingScheduler,
    "no-evict": NoEvictScheduler,
}


def make_scheduler(config: SchedulerConfig, book: RequestBook, windows: tuple[int, ...]) -> Scheduler:
    """The scheduler of one engine."""
    if config.rules == "vllm-legacy" and config.enable_chunked_prefill:
        return Scheduler(config, book, windows)
    if config.tiers is not None and not config.tiers.layerwise:
        return LoadingScheduler(config, book, windows)
    return _CLASSES[config.rules](config, book, windows)
