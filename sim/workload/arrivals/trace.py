"""Replay of recorded requests: their arrivals, lengths and shared prefixes.

    arrival = (recorded time - start) · time_scale

With `rate` or `concurrency` the recorded times are set aside: the requests come in file order as a Poisson
process or in a closed loop; where turns wait for answers, it is the sessions that do. A file without times
(ShareGPT, most benchmark results) needs one of them. The reader of a format is loaded when a trace of that
format is read.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sim.errors import UserError
from sim.units import Seconds
from sim.workload.arrivals.renewal import Policy, Rate, renewal_times
from sim.workload.extent import Extent
from sim.workload.prompts import prompts_of_blocks, prompts_of_parents, renumbered
from sim.workload.requests import Follows, Requests
from sim.workload.streams import stream
from sim.workload.traces.table import TraceTable

Format = Literal[
    "csv", "jsonl", "mooncake", "azure", "burstgpt", "vllm-bench", "sharegpt", "weka", "llmservingsim"
]
OurColumn = Literal[
    "arrival_s",
    "prompt_tokens",
    "output_tokens",
    "session",
    "turn",
    "prefix_of",
    "priority",
    "client",
    "pause_s",
]
Scale = Annotated[float, Field(gt=0, le=1e6, strict=True)]
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class Trace(Policy):
    """Requests as somebody recorded them."""

    process: Literal["trace"]
    path: str = Field(description="the file, plain or gzip'ed, relative to the scenario")
    format: Format = Field(default="csv", description="what the file looks like")
    columns: dict[OurColumn, str] = Field(
        default_factory=dict[OurColumn, str], description="our column → the file's, for csv and jsonl"
    )
    time_unit: Literal["s", "ms", "us", "ns"] = Field(
        default="s", description="unit of csv and jsonl arrivals"
    )
    time_scale: Scale = Field(default=1.0, description="factor on the recorded times: 0.5 doubles the load")
    prompt_scale: Scale = Field(
        default=1.0, description="factor on the prompts' lengths, shared parts included"
    )
    output_scale: Scale = Field(default=1.0, description="factor on the outputs' lengths")
    start: Seconds = Field(default=0.0, description="recorded time at which the replay begins")
    rate: Rate | None = Field(
        default=None, description="Poisson arrivals at this rate instead of recorded times"
    )
    concurrency: Annotated[int, Field(ge=1, strict=True)] | None = Field(
        default=None, description="closed loop instead of recorded times"
    )
    characters_per_token: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = Field(
        default=4.0, description="for sharegpt, whose texts have no token counts"
    )

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        if self.rate is not None and self.concurrency is not None:
            raise ValueError("a trace takes 'rate' or 'concurrency', not both")
        if self.columns and self.format not in ("csv", "jsonl"):
            raise ValueError(f"'columns' is for csv and jsonl; the columns of {self.format} are fixed")
        return self

    def requests(self, extent: Extent, seed: int, base: Path | None) -> Requests:
        """The recorded requests within `extent`.

        Raises:
            UserError: an unreadable or malformed file, no times where they are needed, nothing left.
        """
        path = (base or Path()) / self.path
        table = self._read(path).scaled(self.prompt_scale, self.output_scale)
        arrival, rows = self._arrivals(table, path, extent, seed)
        if not len(rows):
            raise UserError(
                f"{path.name}: none of its {len(table.prompt_tokens)} requests lies within start and duration"
            )
        return _requests(table, arrival, rows, self.concurrency)

    def _read(self, path: Path) -> TraceTable:
        if self.format in ("csv", "azure", "burstgpt"):
            return self._read_csv(path)
        if self.format in ("jsonl", "mooncake", "weka", "llmservingsim"):
            return self._read_json_lines(path)
        from sim.workload.traces.benchmark_results import read_sharegpt, read_vllm_bench

        if self.format == "vllm-bench":
            return read_vllm_bench(path)
        return read_sharegpt(path, self.characters_per_token)

    def _read_csv(self, path: Path) -> TraceTable:
        from sim.workload.traces.csv_trace import read_azure, read_burstgpt, read_csv

        if self.format == "azure":
            return read_azure(path)
        if self.format == "burstgpt":
            return read_burstgpt(path)
        return read_csv(path, self._mapping, TIME_UNITS[self.time_unit])

    def _read_json_lines(self, path: Path) -> TraceTable:
        from sim.workload.traces.agentic import read_llmservingsim, read_weka
        from sim.workload.traces.json_lines import read_jsonl, read_mooncake

        if self.format == "mooncake":
            return read_mooncake(path)
        if self.format == "weka":
            return read_weka(path)
        if self.format == "llmservingsim":
            return read_llmservingsim(path)
        return read_jsonl(path, self._mapping, TIME_UNITS[self.time_unit])

    @property
    def _mapping(self) -> dict[str, str]:
        return {str(ours): theirs for ours, theirs in self.columns.items()}

    def _arrivals(
        self, table: TraceTable, path: Path, extent: Extent, seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Arrival times (s) and the rows they belong to, in order of arrival."""
        rows = len(table.prompt_tokens)
        if self.concurrency is not None or self.rate is not None:
            starts = np.array([not before for before in table.before] or [True] * rows)
            return self._replaced_arrivals(starts, extent, seed)
        if table.arrival is None:
            mapped = ", or map a column: columns: {arrival_s: …}" if self.format in ("csv", "jsonl") else ""
            raise UserError(
                f"{path.name} has no arrival times; give arrivals.rate or arrivals.concurrency{mapped}"
            )
        order = np.argsort(table.arrival, kind="stable")
        times = (table.arrival[order] - self.start) * self.time_scale
        wanted = times >= 0
        if extent.duration is not None:
            wanted &= times <= extent.duration
        return times[wanted][: extent.count], order[wanted][: extent.count]

    def _replaced_arrivals(
        self, starts: NDArray[np.bool_], extent: Extent, seed: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Times of the rows that wait for nobody; the others have that of the start before them."""
        rows = len(starts) if extent.count is None else min(len(starts), extent.count)
        if self.rate is None:
            return np.zeros(rows), np.arange(rows)
        count = int(np.count_nonzero(starts[:rows]))
        draws = stream(seed, "arrivals").standard_exponential
        times = renewal_times(draws, self.rate, Extent(count, extent.duration))
        number = np.cumsum(starts[:rows]) - 1
        kept = np.flatnonzero(number < len(times))
        return times[number[kept]], kept


def _follows(table: TraceTable, rows: NDArray[np.int64], concurrency: int | None) -> Follows | None:
    """Who waits for whom among the kept rows; under a closed loop of sessions each follows an earlier one."""
    if not table.before:
        return None
    place = {row: i for i, row in enumerate(cast("list[int]", rows.tolist()))}
    edges = [
        (i, place[before]) for row, i in place.items() for before in table.before[row] if before in place
    ]
    pause = table.pause[rows]
    if concurrency is not None:
        waiting = {i for i, _ in edges}
        starts = [i for i in range(len(rows)) if i not in waiting]
        last = {int(table.session[row]): i for row, i in place.items()}
        ends = [last[int(table.session[rows[start]])] for start in starts]
        edges += list(zip(starts[concurrency:], ends, strict=False))
        pause[starts] = 0.0
    request, before = np.array(edges, np.int64).reshape(-1, 2).T
    return Follows(request, before, pause)


def _requests(
    table: TraceTable, arrival: NDArray[np.float64], rows: NDArray[np.int64], concurrency: int | None
) -> Requests:
    def taken(column: NDArray[np.int64]) -> NDArray[np.int64]:
        return column[rows] if len(column) else column

    prompt, output = table.prompt_tokens[rows], table.output_tokens[rows]
    pieces, answers = None, np.empty(0, np.int64)
    if table.blocks is not None:
        kept = [table.blocks[row] for row in cast("list[int]", rows.tolist())]
        pieces, answers = prompts_of_blocks(kept, table.block_tokens, prompt)
    elif len(table.parent):
        pieces, answers = prompts_of_parents(renumbered(table.parent, rows), prompt, output)
    follows = _follows(table, rows, concurrency)
    return Requests(
        arrival=arrival,
        prompt_tokens=prompt,
        output_tokens=output,
        priority=taken(table.priority),
        pieces=pieces,
        output_segment=answers,
        session=taken(table.session),
        client=taken(table.client),
        clients=table.clients,
        concurrency=concurrency if follows is None else None,
        synthetic=table.note,
        follows=follows,
    )
