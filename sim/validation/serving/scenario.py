"""The scenario of a measured case, exactly as measured, or the feature it needs that is missing.

What a case leaves open is what its engine does by default (the table of its family and version), the layout
of one that states none the smallest that holds the model and a batch of its requests, in as many replicas as
there are chips for.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sim.deployment import with_engine_defaults
from sim.deployment.schema import FrontEndSpec
from sim.documents import Document
from sim.errors import UserError
from sim.hardware import read_chip
from sim.models import load_model
from sim.models.architecture import MoeFfn
from sim.scenario.prepared import prepare
from sim.scenario.scenario import Scenario, scenario_of
from sim.validation.serving import workload as workloads
from sim.validation.serving.cases import MeasuredCase, as_number
from sim.validation.serving.layout import cluster_of, stated_layout
from sim.validation.serving.names import catalogue_chip, catalogue_model, engine_of
from sim.validation.serving.offload import kv_offload_of, offload_size_known
from sim.validation.serving.phases import (
    Phase,
    expert_loads,
    overlaps_batches,
    placed,
    stated_phases,
    step_tokens,
)
from sim.validation.serving.precision import Types, types_of
from sim.validation.serving.raw import inside_engine, read_lengths, read_recorded
from sim.validation.serving.recipes import decode_backend, expert_backend, harness_settings
from sim.validation.serving.speculation import speculation_of, stated_drafter
from sim.validation.serving.workload import Workload

Tree = dict[str, object]
AT_SCALE = "needs serving-at-scale"
_TENSOR_SIZES = (1, 2, 4, 8, 16, 32)
_ROOM_FOR = 32
"""Sequences of mean length that a layout nobody stated must have room for."""
_SEATS = 256
_NO_SERVER = ("a1", "b2", "b3", "b4", "c3")
"""Steps, offline runs, static batches and MLPerf's scenarios call the engine itself."""


class NotRunnableError(Exception):
    """A case needs what is missing; the message names the feature."""


@dataclass(frozen=True, slots=True)
class BuiltCase:
    """A case as a scenario.

    Attributes:
        family: the engine's.
        replicas: how many the case measured; one of them is simulated, with its part of the requests.
        share: share of the measured run's requests that the scenario holds.
    """

    scenario: Scenario
    family: str
    replicas: int
    share: float


def needs(case: MeasuredCase) -> str | None:
    """The missing feature that keeps a case from running, as far as its words tell; None for none."""
    w = case.workload
    if (stated_drafter(case) or "mtp") != "mtp":
        return "size of the draft model not known"
    if case.label[:2] == "c5":
        return "turns of the replayed agents not at hand"
    if not offload_size_known(case):
        return "size of the KV offload not stated"
    if case.label[:2] == "d2":
        return f"{AT_SCALE}: production service"
    if (as_number(w.get("num_scheduler_steps")) or 1) > 1:
        return "multi-step scheduling"
    return None


def build(case: MeasuredCase, folder: Path) -> BuiltCase:
    """The scenario of a case.

    Args:
        folder: where a trace may be written for it.
    Raises:
        NotRunnableError: naming what is missing.
        UserError: for a case whose parts do not fit together, such as a model that does not fit its chips.
    """
    missing = needs(case)
    if missing:
        raise NotRunnableError(missing)
    model, chip = (
        _found("model", case.model, catalogue_model(case)),
        _found("chip", case.gpu, catalogue_chip(case)),
    )
    family, version = engine_of(case)
    types = types_of(case, model, _peaks(chip))
    engine = _engine(case, family, version) | {"backends": expert_backend(case, family, types)}
    deployment: Tree = {"precision": _precision(types), "engine": engine}
    if stated_drafter(case):
        deployment["speculation"] = drafts = speculation_of(case)
        deployment["engine"] = engine = _with_room_for_drafts(engine, drafts)
    lengths = _lengths(case)
    mixture = any(isinstance(layer.ffn, MoeFfn) for layer in load_model(model).layers)
    if phases := stated_phases(case, mixture=mixture):
        generated = decode_backend(family, types, phases)
        return _in_phases(case, model, chip, deployment, lengths, phases, generated, folder)
    if case.workload.get("disaggregated") or "unknown disaggregated layout" in case.notes:
        raise NotRunnableError("layout of the pools not stated")
    layout, replicas = _layout(case, model, chip, deployment, lengths, mixture)
    chips = layout["tp"] * layout["pp"] * layout["dp"]
    seats = cast("int", with_engine_defaults(engine)["max_num_seqs"]) * layout["dp"]
    part = _workload(case, lengths, folder, seats, replicas)
    deployment |= {"parallel": layout}
    if (offload := kv_offload_of(case, layout["tp"])) is not None:
        deployment["kv_offload"] = offload
    where: Tree = {"cluster": cluster_of(chip, chips), "deployment": deployment}
    scenario = _scenario(case, model, where, part.tree, folder)
    return BuiltCase(scenario, family, replicas, part.share)


def _found(kind: str, wanted: str, found: str | None) -> str:
    if found is None:
        raise NotRunnableError(f"{kind} {wanted} is not in the catalogue")
    return found


def _in_phases(
    case: MeasuredCase,
    model: str,
    chip: str,
    deployment: Tree,
    lengths: tuple[float, float],
    phases: Mapping[str, Phase],
    decoding: Mapping[str, str],
    folder: Path,
) -> BuiltCase:
    """Both phases under the load that was measured, or the one that was, under as much as it can take."""
    family = cast("str", cast("Tree", deployment["engine"])["family"])
    if len(phases) > 1:
        part = _closed_loop(case, lengths)
    elif "decode" in phases:
        if case.count("batch_per_gpu") is None:
            raise NotRunnableError("batch of the decode phase not stated")
        part = Workload(workloads.idle(), 1)
    else:
        layout = phases["prefill"].layout
        deployment = deployment | {"engine": _with_step_of(case, deployment, layout["tp"] * layout["pp"])}
        part = workloads.at_once(case, workloads.offline_count(case), (lengths[0], 1.0), 0)
    deployment = deployment | expert_loads(case)
    if overlaps_batches(case):
        deployment = deployment | {"overlap": "two-batch"}
    tree = placed(phases, chip, deployment, early=family == "sglang")
    if decoding:
        pool = cast("Tree", tree["deployment"])
        tree["deployment"] = pool | {"engine": cast("Tree", pool["engine"]) | {"backends": dict(decoding)}}
    return BuiltCase(_scenario(case, model, tree, part.tree, folder), family, 1, part.share)


def _with_step_of(case: MeasuredCase, deployment: Tree, chips: int) -> Tree:
    engine, tokens = cast("Tree", deployment["engine"]), step_tokens(case)
    return engine if tokens is None else engine | {"max_num_batched_tokens": tokens * chips}


def _scenario(case: MeasuredCase, model: str, where: Tree, workload: Tree, folder: Path) -> Scenario:
    """`where`: the cluster and the deployment on it, and those of a second pool."""
    tree: Tree = {"schema": 1, "model": model, **where, "workload": workload}
    if "overlap" in cast("Tree", where["deployment"]):
        tree["fidelity"] = "event"  # which alone has streams that overlap
    return scenario_of(Document(case.id, tree), folder)


def _peaks(chip: str) -> set[str]:
    compute = cast("Mapping[str, object]", read_chip(chip)["compute"])
    return {*cast("Mapping[str, object]", compute["peak"])}


def _precision(types: Types) -> Tree:
    tree: Tree = {
        "weights": types.weights,
        "activations": types.activations,
        "kv_cache": types.kv_cache,
    }
    stated = {"attention": types.attention, "fp8_scales": types.fp8_scales}
    return tree | {name: word for name, word in stated.items() if word is not None}


def _engine(case: MeasuredCase, family: str, version: str) -> Tree:
    """The engine's settings that the case states, in our names."""
    w = case.workload
    engine: Tree = {"family": family, "version": version, "enable_prefix_caching": _caches(case)}
    engine |= harness_settings(case, family)
    seats = case.count("max_num_seqs") or case.count("max_batch_size") or case.count("max_batch")
    budget = case.count("max_num_batched_tokens") or case.count("max_num_tokens")
    if seats is None and case.label[:2] == "b3":
        seats = case.count("concurrency")
    if budget is not None:
        engine["max_num_batched_tokens"] = budget
    if seats is not None:
        most = budget or cast("int", with_engine_defaults(engine)["max_num_batched_tokens"])
        engine["max_num_seqs"] = min(seats, most)
    if (chunked := str(w.get("enable_chunked_prefill") or "").lower()) in ("true", "false"):
        engine["enable_chunked_prefill"] = chunked == "true"
    if (block := case.count("block_size")) is not None:
        engine["block_size"] = block
    if (share := re.match(r"0\.\d+", str(w.get("kv_cache_free_gpu_mem_fraction") or ""))) is not None:
        engine["gpu_memory_utilization"] = float(share[0])
    if _is_eager(case):
        engine["max_cudagraph_capture_size"] = 0
    if case.label[:2] in _NO_SERVER or inside_engine(case):
        engine["host"] = {"front_end": dict.fromkeys(FrontEndSpec.model_fields, "0 s")}
    return _with_room_for_a_prompt(engine, case)


def _with_room_for_a_prompt(engine: Tree, case: MeasuredCase) -> Tree:
    """An engine that takes prompts whole needs a step that holds one beside its decodes, or serves none."""
    full = with_engine_defaults(engine)
    if full["enable_chunked_prefill"] or full["scheduler"] != "no-evict":
        return engine
    decodes = min(case.count("concurrency") or _SEATS, cast("int", full["max_num_seqs"]))
    samples = read_lengths(case)
    longest = int(case.number("isl") or 0) if samples is None else int(samples[:, 0].max())
    needed = longest + decodes
    if needed <= cast("int", full["max_num_batched_tokens"]):
        return engine
    return engine | {"max_num_batched_tokens": needed}


def _with_room_for_drafts(engine: Tree, drafts: Tree) -> Tree:
    """As many sequences as a step holds with all their drafts."""
    full, each = with_engine_defaults(engine), 1 + cast("int", drafts["num_speculative_tokens"])
    seats = min(cast("int", full["max_num_seqs"]), cast("int", full["max_num_batched_tokens"]) // each)
    return engine | {"max_num_seqs": seats}


def _caches(case: MeasuredCase) -> bool:
    words = str(case.workload.get("prefix_cache") or "").lower()
    return words.startswith(("on", "enabled"))


def _is_eager(case: MeasuredCase) -> bool:
    """Whether graphs are off on the case's chip: "yes", or "MI300X: yes; H100: no"."""
    words = str(case.workload.get("enforce_eager") or "").lower()
    for part in words.split(";"):
        chip, _, answer = part.rpartition(":")
        if not chip or chip.strip() in case.gpu.lower():
            return answer.strip().startswith(("yes", "true"))
    return False


def _lengths(case: MeasuredCase) -> tuple[float, float]:
    """Mean prompt and output tokens."""
    prompt, output = case.number("isl"), case.number("osl")
    if case.label[:2] == "a1" and output is None:
        return 1024.0, 128.0  # a step is priced from its own shape; its scenario only has to exist
    if case.label[:2] == "d1" and output is None:
        output = 1.0  # only what comes up to the first token was measured
    if prompt is None or output is None:
        raise NotRunnableError("lengths not stated")
    return prompt, output


def _layout(
    case: MeasuredCase, model: str, chip: str, deployment: Tree, lengths: tuple[float, float], mixture: bool
) -> tuple[dict[str, int], int]:
    """(layout of a replica, replicas)."""
    if case.devices is None:
        raise NotRunnableError("number of chips not stated")
    stated = stated_layout(case, mixture=mixture)
    if stated is None:
        stated = _smallest(case, model, chip, deployment, lengths, mixture)
    if not mixture and stated["dp"] > 1:
        return stated | {"dp": 1}, stated["dp"]
    return stated, max(1, case.devices // (stated["tp"] * stated["pp"] * stated["dp"]))


def _smallest(
    case: MeasuredCase, model: str, chip: str, deployment: Tree, lengths: tuple[float, float], mixture: bool
) -> dict[str, int]:
    """The least tensor parallelism with room for the weights and a batch of requests."""
    devices, tokens = case.devices or 1, sum(lengths)
    idle = workloads.idle()
    for tp in _TENSOR_SIZES:
        layout = {"tp": tp, "pp": 1, "dp": 1, "ep": tp if mixture else 1}
        if tp > devices:
            break
        where: Tree = {"cluster": cluster_of(chip, tp), "deployment": deployment | {"parallel": layout}}
        try:
            memory = prepare(_scenario(case, model, where, idle, case.folder)).memory
        except UserError:
            continue
        if memory.kv_tokens >= _ROOM_FOR * tokens:
            return layout
    raise NotRunnableError("layout not stated, and none on a server fits")


def _workload(
    case: MeasuredCase, lengths: tuple[float, float], folder: Path, seats: int, replicas: int
) -> Workload:
    kind, concurrency = case.label[:2], case.count("concurrency")
    records = read_recorded(case) if kind in ("c1", "c4") else None
    if kind == "a1" and case.number("osl") is None:
        return Workload(workloads.idle(), 1)
    if records is not None:
        return workloads.recorded(records, folder, concurrency if kind == "c4" else None)
    if kind in ("c1", "c4"):
        raise NotRunnableError("per-request records not at hand")
    if kind in ("a1", "b3"):
        return workloads.at_once(case, concurrency or 1, lengths, seats)
    if kind in ("b1", "d1"):
        return _closed_loop(case, lengths)
    table = read_lengths(case)
    if kind == "c3":
        rate = case.number("request_rate")
        if rate is None:
            raise NotRunnableError("request rate not stated")
        return workloads.server(case, rate / replicas, lengths, table, folder)
    count = -(-workloads.offline_count(case) // replicas)
    if kind == "b2" and concurrency is not None and concurrency < count:
        return workloads.closed_loop(case, concurrency, lengths)
    return workloads.at_once(case, count, lengths, seats, table, folder)


def _closed_loop(case: MeasuredCase, lengths: tuple[float, float]) -> Workload:
    concurrency = case.count("concurrency")
    if concurrency is None:
        raise NotRunnableError("concurrency not stated")
    return workloads.closed_loop(case, concurrency, lengths)
