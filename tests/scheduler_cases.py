"""Random small scheduling cases in the conformance trace's terms: a `config` and rows of `requests`.

Small on purpose: few blocks, tight budgets and prompts made of few shared segments, so that hits, eviction,
preemption and starvation are common. `random_case` takes any `random.Random`, so that a property test can let
hypothesis draw (and shrink) it and a long search can run on plain seeds.
"""

from random import Random
from typing import Any, TypeAlias

Config: TypeAlias = dict[str, Any]
Row: TypeAlias = dict[str, Any]
Pieces: TypeAlias = list[list[int]]

PLAIN: Config = {
    "block_size": 4,
    "num_gpu_blocks": 100,
    "max_model_len": 40,
    "max_num_batched_tokens": 40,
    "max_num_scheduled_tokens": None,
    "max_num_seqs": 8,
    "max_num_active_seqs": None,
    "enable_chunked_prefill": True,
    "long_prefill_token_threshold": 0,
    "long_prefill_token_threshold_adaptive": False,
    "enable_prefix_caching": True,
    "policy": "fcfs",
    "watermark": 0.0,
    "scheduler_reserve_full_isl": True,
    "async_scheduling": False,
    "step_time": {"a_ns": 1000, "b_ns_per_scheduled_token": 10, "c_ns_per_context_token": 1},
    "max_steps": None,
}

BLOCK_SIZES = (1, 2, 3, 4, 4, 5, 8, 8, 16, 32, 64)
MOST_STEPS = 1500  # cuts cases that would never end


def random_case(rng: Random) -> tuple[Config, list[Row]]:
    """One configuration and the requests to run on it."""
    config = _config(rng)
    return config, _requests(rng, config)


def _config(rng: Random) -> Config:
    block_size = rng.choice(BLOCK_SIZES)
    max_model_len = rng.randint(3, 12) * rng.choice((1, 2, 5, max(block_size, 4)))
    chunked = rng.random() < 0.75
    budget = rng.randint(1, 2 * max_model_len) if chunked else max_model_len + rng.randint(0, max_model_len)
    whole = -(-max_model_len // block_size)  # blocks of the longest sequence; with fewer, some never fit
    usable = (
        rng.randint(1, whole)
        if rng.random() < 0.25
        else whole + rng.randint(0, rng.choice((1, whole, 4 * whole)))
    )
    seats = rng.randint(1, 10)
    reserve = rng.random() < 0.6
    cut = rng.random() < 0.1
    return {
        "block_size": block_size,
        "num_gpu_blocks": usable + 1,
        "max_model_len": max_model_len,
        "max_num_batched_tokens": budget,
        "max_num_scheduled_tokens": rng.randint(1, budget) if rng.random() < 0.3 else None,
        "max_num_seqs": seats,
        "max_num_active_seqs": rng.randint(1, seats) if rng.random() < 0.2 else None,
        "enable_chunked_prefill": chunked,
        "long_prefill_token_threshold": rng.randint(1, max_model_len) if rng.random() < 0.4 else 0,
        "long_prefill_token_threshold_adaptive": rng.random() < 0.4,
        "enable_prefix_caching": rng.random() < 0.75,
        "policy": rng.choice(("fcfs", "priority")),
        "watermark": rng.choice((0.0, 0.0, 0.05, 0.2, 0.5)),
        "scheduler_reserve_full_isl": reserve,
        "async_scheduling": rng.random() < 0.5,
        "step_time": {
            "a_ns": rng.choice((0, 1, 7, 1000)),
            "b_ns_per_scheduled_token": rng.choice((0, 0, 3, 50)),
            "c_ns_per_context_token": rng.choice((0, 0, 1, 4)),
        },
        "max_steps": rng.randint(1, 60) if cut else None if reserve and rng.random() < 0.5 else MOST_STEPS,
    }


def _requests(rng: Random, config: Config) -> list[Row]:
    longest: int = config["max_model_len"]
    typical = rng.choice((3, config["block_size"], longest // 3 + 1))  # length of a piece
    most_outputs = rng.choice((1, 4, 20, longest))
    segments = rng.randint(1, 5)
    unit = max(config["step_time"]["a_ns"], 1)
    gap = rng.choice((0, 1, 3, 20))  # in steps
    on_boundaries = rng.random() < 0.5
    priorities = rng.randint(0, 3)
    rows: list[Row] = []
    arrival = 0
    for index in range(rng.randint(1, 24)):
        if rng.random() < 0.6:
            arrival += unit * rng.randint(0, gap) if on_boundaries else rng.randint(0, unit * gap)
        pieces, out_seg = _content(rng, rows, typical, segments, 1000 + index)
        if rng.random() < 0.97:
            pieces = _shortened(pieces, longest - 1)
        rows.append({
            "arrival_ns": arrival,
            "priority": rng.randint(0, priorities),
            "max_tokens": rng.randint(1, most_outputs),
            "out_seg": out_seg,
            "pieces": pieces,
        })  # fmt: skip
    return rows


def _content(
    rng: Random, earlier: list[Row], typical: int, segments: int, own_output: int
) -> tuple[Pieces, int]:
    """Pieces and output segment: a path in a tree of prefixes, a repetition, or a conversation's turn."""
    kind = rng.random()
    if earlier and kind < 0.2:
        past = rng.choice(earlier)
        return list(past["pieces"]), rng.choice((past["out_seg"], own_output))
    if earlier and kind < 0.5:
        past = rng.choice(earlier)
        said = past["max_tokens"] if rng.random() < 0.8 else rng.randint(0, past["max_tokens"])
        question = [rng.randint(1, segments), rng.randint(1, typical)]
        return [*past["pieces"], [past["out_seg"], said], question], own_output
    depth = rng.randint(0 if rng.random() < 0.05 else 1, 4)
    pieces = [
        [rng.randint(1, segments), rng.choice((typical, rng.randint(0, typical)))] for _ in range(depth)
    ]
    if rng.random() < 0.4:
        pieces.append([2000 + own_output, rng.randint(1, 2 * typical)])
    return pieces, own_output


def _shortened(pieces: Pieces, most: int) -> Pieces:
    """The first `most` tokens."""
    kept: Pieces = []
    for segment, length in pieces:
        kept.append([segment, min(length, most)])
        most -= kept[-1][1]
    return kept if most else [[s, n] for s, n in kept if n]
