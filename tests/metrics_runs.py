"""A miniature service whose run is known to the last number, for the tests of metrics and report.

One step at a time, no leaps: every waiting request that finds a seat is prefilled whole beside the decodes,
and a step of n sequences takes `fixed + per_sequence · n`. Each replica serves every `replicas`-th request.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sim.hardware.chip import Chip, Compute, Dispatch, KernelFamily, Memory, Power, Sram
from sim.hardware.cluster import Cluster
from sim.metrics import SampledSteps, TimeBreakdown, sample_steps, time_breakdown
from sim.metrics.sampled_steps import Explain
from sim.operators.batch import BatchShape
from sim.serving.records import FINISHED, RequestTable, RunResult, Series, StepSegments
from sim.timing.timer import OperatorTime, StepBreakdown


@dataclass
class MiniService:
    """`steps`: one (start, duration, decodes, context, chunk tokens, chunks, replica) per step;
    `gaps`: every inter-token gap that any request saw."""

    fixed: float = 0.020
    per_sequence: float = 0.0005
    seats: int = 32
    replicas: int = 1
    steps: list[tuple[float, float, int, int, int, int, int]] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)

    def run(self, arrival: NDArray, prompt: NDArray, output: NDArray, bins: int = 400) -> RunResult:
        n = len(arrival)
        first, scheduled, finish = (np.full(n, np.nan) for _ in range(3))
        for replica in range(self.replicas):
            self._serve(
                range(replica, n, self.replicas), arrival, prompt, output, scheduled, first, finish, replica
            )
        self.steps.sort()
        zeros = np.zeros(n, np.int64)
        table = RequestTable(
            arrival,
            arrival,
            scheduled,
            first,
            finish,
            prompt,
            output,
            zeros,
            zeros,
            np.arange(n) % self.replicas,
            np.full(n, FINISHED, np.int8),
            zeros,
        )
        end = float(finish.max()) if n else 0.0
        return RunResult(
            requests=table,
            series=self._series(table, end, bins),
            segments=self._segments(),
            duration=end,
            steps=len(self.steps),
            replicas=self.replicas,
            chips=8 * self.replicas,
            kv_blocks=1000,
            block_size=16,
            end_reason="all requests finished",
        )

    def _serve(self, own, arrival, prompt, output, scheduled, first, finish, replica) -> None:
        waiting, running, now = list(own), {}, 0.0
        while waiting or running:
            if not running:
                now = max(now, arrival[waiting[0]])
            chunks = []
            while waiting and arrival[waiting[0]] <= now and len(running) + len(chunks) < self.seats:
                chunks.append(waiting.pop(0))
            decodes = len(running)
            took = self.fixed + self.per_sequence * (decodes + len(chunks))
            context = sum(int(prompt[i]) + done for i, done in running.items())
            tokens = sum(int(prompt[i]) for i in chunks)
            self.steps.append((now, took, decodes, context, tokens, len(chunks), replica))
            self.gaps += [took] * decodes
            for i in chunks:
                scheduled[i], first[i] = now, now + took
            running = {i: done + 1 for i, done in running.items()} | dict.fromkeys(chunks, 1)
            now += took
            for i in [i for i, done in running.items() if done == output[i]]:
                finish[i] = now
                del running[i]

    def _segments(self) -> StepSegments:
        columns = list(zip(*self.steps, strict=True)) or [()] * 7
        floats = [np.array(column, np.float64) for column in columns[:2]]
        ints = [np.array(column, np.int64) for column in columns[2:]]
        decodes, context, tokens, chunks, replica = ints
        return StepSegments(
            start=floats[0],
            first=floats[1],
            slope=np.zeros(len(decodes)),
            steps=np.ones(len(decodes), np.int64),
            decodes=decodes,
            context=context,
            chunk_tokens=tokens,
            chunk_past=np.zeros_like(tokens),
            chunks=chunks,
            replica=replica,
        )

    def _series(self, table: RequestTable, end: float, bins: int) -> Series:
        edges = np.linspace(0.0, end, bins + 1)
        width = end / bins

        def mean_between(start: NDArray, stop: NDArray) -> NDArray:
            """Time-weighted mean number of requests between start and stop, per bin."""
            inside = [np.clip(edge - start, 0, None) - np.clip(edge - stop, 0, None) for edge in edges]
            return np.diff(np.array([one.sum() for one in inside])) / width if width else np.zeros(bins)

        running = mean_between(table.scheduled, table.finish)
        rate = np.histogram(table.finish, edges, weights=table.output_tokens)[0] / max(width, 1e-12)
        return Series(
            time=edges[:-1],
            width=width,
            running=running,
            waiting=mean_between(table.arrival, table.scheduled),
            kv_used=running / self.seats / self.replicas,
            step_time=np.full(bins, self.fixed),
            output_rate=rate,
            prompt_rate=rate,
        )


def poisson_run(
    n: int = 400, rate: float = 4.0, output: int = 64, seed: int = 0, service: MiniService | None = None
) -> RunResult:
    """`n` Poisson arrivals with outputs uniform around `output`."""
    rng = np.random.default_rng(seed)
    arrival = np.cumsum(rng.exponential(1 / rate, n))
    prompts = rng.integers(100, 1000, n)
    outputs = rng.integers(max(1, output // 2), output * 3 // 2 + 2, n)
    return (service or MiniService()).run(arrival, prompts, outputs)


def with_requests(result: RunResult, **columns: NDArray) -> RunResult:
    """The same run with some request columns replaced."""
    return replace(result, requests=replace(result.requests, **columns))


def explain(batch: BatchShape) -> StepBreakdown:
    """A step with a known split: attention reads the context, experts the weights, links carry the tokens."""
    attention = OperatorTime(
        "mla_decode",
        "attention",
        61,
        1e-8 * (batch.context + 1),
        0.8e-8 * (batch.context + 1),
        1e6 * batch.tokens,
        1e3 * batch.context,
        0.0,
        "hbm",
        "analytic",
        {"hbm": 1e-8 * (batch.context + 1)},
    )
    experts = OperatorTime(
        "moe",
        "experts",
        60,
        0.010,
        0.006,
        4e9 * batch.tokens,
        2e10,
        0.0,
        "hbm",
        "analytic",
        {"hbm": 0.007, "compute": 0.002, "launch": 0.001},
    )
    exchange = OperatorTime(
        "all_to_all",
        "exchange",
        60,
        0.005,
        0.002,
        0.0,
        1e6,
        1e7 * batch.tokens,
        "link",
        "analytic",
        {"link": 0.004, "launch": 0.001},
    )
    operators = (attention, experts, exchange)
    total = sum(operator.time for operator in operators)
    return StepBreakdown(batch, operators, total, sum(operator.light for operator in operators), 0.007)


def sampled(result: RunResult, price: Explain = explain, **how: object) -> SampledSteps:
    """The run's sampled steps; decodes alone take what `MiniService` makes them take."""
    service = MiniService()
    return sample_steps(result, price, lambda b: service.fixed + service.per_sequence * b.decodes, **how)


def breakdown_of(result: RunResult, price: Explain = explain, **how: object) -> TimeBreakdown:
    """Where the run's time goes."""
    return time_breakdown(result, sampled(result, price, **how))


def mini_cluster(
    *,
    peak: float = 1e15,
    bandwidth: float = 4.8e12,
    rental: float = 2.5,
    idle: float = 100.0,
    tdp: float = 700.0,
    pj: float = 1e-12,
) -> Cluster:
    """Eight chips of which only what metrics look at has a meaning; 50 W of the box per chip."""
    kernel_numbers = {
        name: {"bf16": 0.8} if name in ("gemm_mma", "prefill_mma", "moe_mma", "moe_io_passes") else 0.8
        for name in KernelFamily.__slots__
        if name not in ("name", "gemm_tiles")
    }
    chip = Chip(
        name="mini",
        title="Mini",
        vendor="none",
        compute=Compute(1, 1e9, {"bf16": peak}, (16, 16, 16), 1e13, 1e12),
        sram=Sram(2e5, 5e7, 1e13),
        noc_bandwidth=0.0,
        memory=Memory("hbm3e", 6, bandwidth, 141e9, 139e9, 1e6),
        dispatch=Dispatch(1e-6, 1024),
        dma_engines=1,
        power=Power(idle, tdp, pj, pj),
        kernels=KernelFamily(name="mini", **kernel_numbers),
        rental=rental,
    )
    return Cluster("mini", "Mini box", chip, 8, (), 64e9, 50.0)
