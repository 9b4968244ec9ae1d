"""What benchmarks leave behind and feed on: vLLM's detailed result file, and ShareGPT-like conversations."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from sim.errors import UserError
from sim.workload.traces.columns import Column
from sim.workload.traces.json_lines import Record, read_records
from sim.workload.traces.table import TraceTable
from sim.workload.traces.text import malformed, read_text


def read_vllm_bench(path: Path) -> TraceTable:
    """A result of `vllm bench serve --save-detailed`: `input_lens`, `output_lens`, `start_times` if there.

    Failed requests (no output) are left out.

    Raises:
        UserError: not such a file.
    """
    result = _json(path)
    if not isinstance(result, dict):
        raise UserError(f"{path.name}: needs one JSON object with input_lens and output_lens")
    tree = cast("Mapping[str, object]", result)
    inputs, outputs = _list(path, tree, "input_lens"), _list(path, tree, "output_lens")
    starts = _list(path, tree, "start_times") if "start_times" in tree else None
    for name, values in (("output_lens", outputs), ("start_times", starts)):
        if values is not None and len(values) != len(inputs):
            raise UserError(f"{path.name}: {name} has {len(values)} values, input_lens {len(inputs)}")
    answered = [i for i, tokens in enumerate(outputs) if tokens != 0]
    if not answered:
        raise UserError(f"{path.name} holds no answered requests")

    def column(name: str, values: Sequence[object]) -> Column:
        return Column(path, name, [0] * len(answered), [values[i] for i in answered])  # a list has no lines

    arrival = None if starts is None else column("start_times", starts).seconds()
    return TraceTable(
        prompt_tokens=column("input_lens", inputs).tokens(),
        output_tokens=column("output_lens", outputs).tokens(),
        arrival=None if arrival is None else arrival - arrival.min(),
    )


def read_sharegpt(path: Path, characters_per_token: float) -> TraceTable:
    """Conversations as ShareGPT has them: the first message is the prompt, the second the answer.

    Texts are counted in characters and divided by `characters_per_token`: an estimate, since token counts
    are the tokeniser's. Conversations with fewer than two messages are left out. No times.

    Raises:
        UserError: not such a file, or no conversation of two messages.
    """
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        lines, records = read_records(path)
    else:
        tree = _json(path)
        if not isinstance(tree, list):
            raise UserError(f"{path.name}: needs a JSON list of records with 'conversations'")
        records = cast("list[Record]", tree)
        lines = [0] * len(records)  # a list has no lines
    pairs = [
        pair for line, record in zip(lines, records, strict=True) if (pair := _messages(path, line, record))
    ]
    if not pairs:
        raise UserError(f"{path.name} holds no conversation of two messages")
    counts = np.ceil(np.array(pairs, float) / characters_per_token).astype(np.int64)
    return TraceTable(
        prompt_tokens=np.maximum(counts[:, 0], 1),
        output_tokens=np.maximum(counts[:, 1], 1),
        note=f"lengths estimated at {characters_per_token:g} characters per token",
    )


def _messages(path: Path, line: int, record: object) -> tuple[int, int] | None:
    """Characters of the first two messages; None for a shorter conversation."""
    if not isinstance(record, dict):
        raise malformed(path, line, "record", type(record).__name__, "an object with 'conversations'")
    turns = cast("Record", record).get("conversations")
    if not isinstance(turns, list):
        raise malformed(path, line, "conversations", turns, "a list of messages")
    first_two = cast("list[object]", turns)[:2]
    texts = [cast("Record", turn).get("value") for turn in first_two if isinstance(turn, dict)]
    if len(texts) != len(first_two) or not all(isinstance(text, str) for text in texts):
        raise malformed(
            path, line, "conversations", str(cast("object", turns))[:40], "messages with a text 'value'"
        )
    sizes = [len(cast("str", text)) for text in texts]
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None


def _json(path: Path) -> object:
    try:
        return cast("object", json.loads(read_text(path)))
    except json.JSONDecodeError as error:
        raise UserError(f"{path.name}:{error.lineno}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path.name}: not valid JSON: too deep or too long a number") from None


def _list(path: Path, tree: Mapping[str, object], name: str) -> list[object]:
    values = tree.get(name)
    if not isinstance(values, list):
        raise malformed(path, None, name, values, "a list, as --save-detailed writes it")
    return cast("list[object]", values)
