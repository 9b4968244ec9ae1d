"""What HBM does not decide: work that takes the cores or the shared memory, whatever HBM delivers.

The same operators were measured on H100 and on H200, the same die with 1.43 times the bandwidth
(aiconfigurator tables). What became faster there is HBM's, what did not is not.
"""

from dataclasses import replace

import numpy as np
import pytest

from sim.hardware import load_chip
from sim.operators import DecodeAttention, Gemm, Heads, PrefillAttention
from sim.operators.chunks import chunk_work
from sim.timing import CALM
from sim.timing.attention import price_decode, price_prefill
from sim.timing.measured.bench import Bench
from sim.timing.measured.dense import price_absorptions
from sim.timing.measured.modules import price_modules
from sim.timing.measured.rows import Rows
from sim.timing.products import price_gemm
from sim.timing.rates import Rates, rates

H100, H200, B200 = (load_chip(name)[0] for name in ("h100", "h200", "b200"))


def of_hopper(chip: str) -> Rates:
    """A chip with Hopper's kernels."""
    found = load_chip(chip)[0]
    return rates(replace(found, kernels=H100.kernels), CALM)


def streamed(of: Rates) -> float:
    """Share of HBM's peak that a product of few rows and large weights gets."""
    gemm = Gemm("x", "x", 1, np.array([1.0]), 16384, 65536, "bf16", "bf16", "bf16")
    return float(gemm.weight_bytes / price_gemm(gemm, of).total[0] / of.hbm)


def test_more_bandwidth_per_core_is_used_to_a_smaller_share() -> None:
    """Products of up to 64 rows and 200 M weights or more: 0.85 of H100's peak, 0.81 of B200's (medians)."""
    shares = [streamed(of_hopper(chip)) for chip in ("h100", "h200", "b200")]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.8
    assert 0.7 < shares[2] < shares[0] - 0.03


def test_a_core_with_more_memory_of_its_own_keeps_more_in_flight() -> None:
    of = of_hopper("b200")
    assert streamed(replace(of, scratchpad=4 * of.scratchpad)) > streamed(of)


def heads(cache: str) -> Heads:
    return Heads(32, 8, 128, 128, 2048, cache, "bf16")


def test_rows_that_the_kernel_before_has_written_are_found_in_the_shared_memory() -> None:
    """Prompts of 20 to 2,000 µs take as long on H200 as on H100, within 4 %, in three stacks."""
    attention = PrefillAttention("a", "", 1, chunk_work([(512, 0)]).times(8), heads("bf16"))
    slow, fast = (sum(price_prefill(attention, of_hopper(chip))) for chip in ("h100", "h200"))
    assert fast == pytest.approx(slow, rel=0.04)
    without = replace(of_hopper("h100"), shared=0.0)
    assert sum(price_prefill(attention, without)) != slow


def test_converting_a_narrow_cache_takes_the_cores_not_memory() -> None:
    """FlashAttention 3 on an fp8 cache: H200 takes 0.93 to 0.98 of H100's time, 0.7 were HBM's."""
    n = np.array([64.0])
    attention = DecodeAttention("a", "", 1, n, n * 8192, heads("fp8"), latent=False)

    def seconds(chip: str, ops: float) -> float:
        of = of_hopper(chip)
        kernels = replace(of.kernels, decode_convert={**of.kernels.decode_convert, "fp8": ops})
        return float(price_decode(attention, replace(of, kernels=kernels)).total[0])

    assert seconds("h200", 1.0) < 0.85 * seconds("h100", 1.0)
    assert seconds("h200", 60.0) > 0.95 * seconds("h100", 60.0)


def module(tokens: int, cache: str, stack: str) -> Rows:
    words = {
        "op": "mla_module_prefill", "gemm_dtype": "bfloat16", "dtype": "bfloat16", "kv_dtype": cache,
        "framework": stack, "kernel": "",
    }  # fmt: skip
    numbers = {"batch_size": 8, "isl": tokens, "kv_len_past": 0, "num_heads": 128}
    columns = {name: np.array([value]) for name, value in (words | numbers).items()}
    return Rows("mla_module", columns, np.arange(1))


def test_short_prompts_that_run_like_decodes_take_the_arithmetic_of_decodes() -> None:
    """vLLM on Hopper: 8 prompts of 512 tokens take 1.5 times as long as expanded ones, of 1,536 the same."""
    bench = Bench(H100)

    def ratio(tokens: int) -> float:
        own, other = (price_modules(module(tokens, "bfloat16", s), bench)[0] for s in ("vllm", "trtllm"))
        return float(own / other)

    assert ratio(512) > 1.3
    assert ratio(1536) < 1.2
    assert (
        price_modules(module(512, "fp8", "vllm"), bench)[0]
        < price_modules(module(512, "bfloat16", "vllm"), bench)[0]
    )


def test_weights_that_were_widened_before_they_serve_cost_what_wide_weights_cost() -> None:
    def seconds(dtype: str, kernel: str) -> float:
        words = {
            "op": "mla_gen_pre", "dtype": dtype, "kv_dtype": "", "framework": "trtllm", "kernel": kernel,
        }  # fmt: skip
        columns = {**words, "num_tokens": 64, "num_heads": 128}
        rows = Rows("mla_bmm", {n: np.array([v]) for n, v in columns.items()}, np.arange(1))
        return float(price_absorptions(rows, Bench(B200))[0])

    assert seconds("fp8", "trtllm_bmm_out_dequant_bf16") == seconds("bfloat16", "trtllm_bmm_out")
    assert seconds("fp8", "trtllm_fp8_block_scaling_bmm_out") > seconds("bfloat16", "trtllm_bmm_out")
