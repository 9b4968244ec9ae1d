"""Requests back into trace files: our CSV, or Mooncake's JSONL with block hashes."""

import json

from sim.workload.requests import Pieces, Requests


def csv_text(requests: Requests, comment: str = "") -> str:
    """Our CSV: arrival_s (to the millisecond), prompt_tokens, output_tokens; `comment` as first line."""
    lines = [f"# {comment}"] if comment else []
    lines.append("arrival_s,prompt_tokens,output_tokens")
    rows = zip(requests.arrival, requests.prompt_tokens, requests.output_tokens, strict=True)
    lines.extend(f"{arrival:.3f},{prompt},{output}" for arrival, prompt, output in rows)
    return "\n".join(lines) + "\n"


def mooncake_text(requests: Requests, block_tokens: int = 512, comment: str = "") -> str:
    """Mooncake's JSONL: timestamp in ms, lengths, and one hash id per block of the prompt."""
    lines = [f"# {comment}"] if comment else []
    rows = zip(
        requests.arrival, requests.prompt_tokens, requests.output_tokens, block_ids(requests, block_tokens),
        strict=True,
    )  # fmt: skip
    lines.extend(
        json.dumps({
            "timestamp": round(float(arrival) * 1e3),
            "input_length": int(prompt),
            "output_length": int(output),
            "hash_ids": ids,
        })
        for arrival, prompt, output, ids in rows
    )  # fmt: skip
    return "\n".join(lines) + "\n"


def block_ids(requests: Requests, block_tokens: int) -> list[list[int]]:
    """For each prompt the identities of its blocks, the last one partial; equal where content and all
    content before it are equal. Numbered in order of appearance."""
    number: dict[tuple[int, Pieces], int] = {}
    if requests.pieces is None:
        prompts: tuple[Pieces, ...] = tuple(((i, int(n)),) for i, n in enumerate(requests.prompt_tokens))
    else:
        prompts = requests.pieces
    identities: list[list[int]] = []
    for pieces in prompts:
        before, ids = -1, list[int]()
        for content in _blocks(pieces, block_tokens):
            before = number.setdefault((before, content), len(number))
            ids.append(before)
        identities.append(ids)
    return identities


def _blocks(pieces: Pieces, block_tokens: int) -> list[Pieces]:
    """The content of each block as (segment, end offset) spans; with what comes before it, its identity."""
    blocks: list[Pieces] = []
    block: list[tuple[int, int]] = []
    room = block_tokens
    for segment, length in pieces:
        offset = 0
        while offset < length:
            taken = min(room, length - offset)
            offset, room = offset + taken, room - taken
            block.append((segment, offset))
            if not room:
                blocks.append(tuple(block))
                block, room = [], block_tokens
    return [*blocks, tuple(block)] if block else blocks
