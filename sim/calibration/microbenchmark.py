"""Measuring products and attention on whatever device PyTorch sees, in the tables' own form.

CUDA and ROCm appear as "cuda", Intel as "xpu", Ascend plug-ins as "npu"; without any of them the host's CPU.
Each shape is run `WARM_UP` times, then timed over rounds long enough to read a clock (the device finishes
before the clock is read); the fastest of three rounds counts. Launches are PyTorch's own, not those of a
graph, and part of what is measured: on a fast device short products tell what a launch costs.
"""

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sim.errors import UserError
from sim.timing.measured.tables import Measured, to_rows

DEVICES = ("cuda", "xpu", "npu")
WARM_UP, ROUNDS, ROUND_SECONDS = 3, 3, 0.02
PRODUCTS = tuple(
    (m, n, k) for m in (1, 16, 128, 2048) for n, k in ((4096, 4096), (14336, 4096), (4096, 14336))
)
PROMPTS = ((1, 512), (1, 2048), (4, 1024), (1, 8192))
"""Prompts as (batch, tokens), 32 query and 8 key-value heads of 128."""
HEADS, KV_HEADS, HEAD_DIM = 32, 8, 128


def measure_device(chip: str) -> list[Measured]:
    """Tables of products and of prefill attention measured on the device, as rows of `chip`.

    Raises:
        UserError: without PyTorch.
    """
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        raise UserError(
            "--microbenchmark needs PyTorch, which is not installed (pip install 'bandwall[torch]')"
        ) from None
    device, finish = _device(torch)
    return [_products(torch, device, finish, chip), _prompts(torch, device, finish, chip)]


def _device(torch: Any) -> tuple[str, Callable[[], None]]:
    """The first accelerator there is, and how to wait for it."""
    for name in DEVICES:
        backend = getattr(torch, name, None)
        if backend is not None and backend.is_available():
            return name, backend.synchronize
    return "cpu", lambda: None


def _products(torch: Any, device: str, finish: Callable[[], None], chip: str) -> Measured:
    times: list[float] = []
    for m, n, k in PRODUCTS:
        x = torch.randn(m, k, device=device, dtype=torch.bfloat16)
        w = torch.randn(n, k, device=device, dtype=torch.bfloat16)
        times.append(_microseconds(lambda x=x, w=w: torch.nn.functional.linear(x, w), finish))
    shape = {name: np.array(column) for name, column in zip("mnk", zip(*PRODUCTS, strict=True), strict=True)}
    return _table("gemm", shape, times, chip)


def _prompts(torch: Any, device: str, finish: Callable[[], None], chip: str) -> Measured:
    times: list[float] = []
    attend = torch.nn.functional.scaled_dot_product_attention
    for batch, tokens in PROMPTS:
        q = torch.randn(batch, HEADS, tokens, HEAD_DIM, device=device, dtype=torch.bfloat16)
        kv = torch.randn(batch, KV_HEADS, tokens, HEAD_DIM, device=device, dtype=torch.bfloat16)
        times.append(
            _microseconds(lambda q=q, kv=kv: attend(q, kv, kv, is_causal=True, enable_gqa=True), finish)
        )
    n = len(PROMPTS)
    batches, lengths = (np.array(column) for column in zip(*PROMPTS, strict=True))
    shape = {
        "batch_size": batches,
        "isl": lengths,
        "num_heads": np.full(n, HEADS),
        "num_kv_heads": np.full(n, KV_HEADS),
        "head_dim": np.full(n, HEAD_DIM),
        "window_size": np.zeros(n, np.int64),
        "kv_dtype": np.full(n, "bfloat16"),
    }
    return _table("attn_prefill", shape, times, chip)


def _table(op: str, shape: dict[str, Any], times: list[float], chip: str) -> Measured:
    n = len(times)
    words = {"chip": chip, "op": op, "dtype": "bfloat16", "framework": "torch"}
    named = {name: np.full(n, word) for name, word in words.items()}
    return to_rows(shape | named | {"latency_us": np.array(times)}, "microbenchmark")


def _microseconds(run: Callable[[], object], finish: Callable[[], None]) -> float:
    for _ in range(WARM_UP):
        run()
    finish()
    start = time.perf_counter()
    run()
    finish()
    repeats = max(1, round(ROUND_SECONDS / max(time.perf_counter() - start, 1e-7)))
    return 1e6 * min(_round(run, finish, repeats) for _ in range(ROUNDS))


def _round(run: Callable[[], object], finish: Callable[[], None], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    finish()
    return (time.perf_counter() - start) / repeats
