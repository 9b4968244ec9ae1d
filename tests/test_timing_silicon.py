"""The analytic timer against measured kernels: a coarse gate on its structure, far above its best error.

Needs the tables of ../shared/opdata (NVIDIA aiconfigurator, Apache-2.0), and pyarrow to read them.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sim.operators import (
    DecodeAttention,
    Experts,
    Gemm,
    Heads,
    Operator,
    PrefillAttention,
    chunk_work,
    expert_loads,
)
from sim.timing import CALM
from sim.timing.pricer import AnalyticPricer
from sim.timing.rates import rates
from tests.chips import cluster

SHARED = Path(os.environ.get("BANDWALL_SHARED", Path(__file__).parents[1] / "../shared"))
TABLES = SHARED / "opdata" / "open"
SAMPLE = 250

pytestmark = pytest.mark.skipif(not TABLES.is_dir(), reason=f"no operator tables in {TABLES}")

Row = dict[str, float]


def sampled(table: str, dtype: str, keep: Callable[[Row], bool], chip: str = "h100_sxm") -> list[Row]:
    """A fixed sample of TensorRT-LLM or vLLM rows of one chip and type."""
    parquet = pytest.importorskip("pyarrow.parquet")
    filters = [("chip", "==", chip), ("dtype", "==", dtype), ("outlier", "==", False)]
    rows: list[Row] = parquet.read_table(TABLES / f"{table}.parquet", filters=filters).to_pylist()
    kept = [r for r in rows if r.get("kv_dtype", "bfloat16") == "bfloat16" and keep(r)]
    places = np.random.default_rng(0).choice(len(kept), min(SAMPLE, len(kept)), replace=False)
    return [kept[i] for i in places]


def mean_error(rows: list[Row], operator: Callable[[Row], Operator], profile: str = "h100-hgx") -> float:
    """Mean |simulated/measured − 1|."""
    of = cluster(profile)
    pricer = AnalyticPricer(rates(of.chip, CALM), of)
    simulated = np.array([float(pricer.price(operator(r)).total[0]) for r in rows]) * 1e6
    return float(np.abs(simulated / np.array([r["latency_us"] for r in rows]) - 1).mean())


def as_gemm(r: Row) -> Gemm:
    return Gemm("x", "x", 1, np.array([float(r["m"])]), int(r["k"]), int(r["n"]), "bf16", "bf16", "bf16")


def as_decode(r: Row) -> DecodeAttention:
    batch, past, heads, kv, dim = (
        int(r[c]) for c in ("batch_size", "kv_len_past", "num_heads", "num_kv_heads", "head_dim")
    )
    sequences, context = np.array([float(batch)]), np.array([float(batch * (past + 1))])
    of = Heads(heads, kv, dim, dim, 2 * kv * dim, "bf16", "bf16")
    return DecodeAttention("x", "x", 1, sequences, context, of)


def as_prefill(r: Row) -> PrefillAttention:
    batch, new, heads, kv, dim = (
        int(r[c]) for c in ("batch_size", "isl", "num_heads", "num_kv_heads", "head_dim")
    )
    work = chunk_work([(new, 0)] * batch)
    return PrefillAttention("x", "x", 1, work, Heads(heads, kv, dim, dim, 2 * kv * dim, "bf16", "bf16"))


def as_mla_decode(r: Row) -> DecodeAttention:
    batch, past, heads = (int(r[c]) for c in ("batch_size", "kv_len_past", "num_heads"))
    sequences, context = np.array([float(batch)]), np.array([float(batch * (past + 1))])
    of = Heads(heads, 1, 576, 512, 576, "bf16", "bf16")
    return DecodeAttention("x", "x", 1, sequences, context, of, latent=True)


def as_mla_prefill(r: Row) -> PrefillAttention:
    batch, new, heads = (int(r[c]) for c in ("batch_size", "isl", "num_heads"))
    work = chunk_work([(new, 0)] * batch)
    return PrefillAttention("x", "x", 1, work, Heads(heads, heads, 192, 128, heads * 320, "bf16", "bf16"))


def as_experts(r: Row, dtype: str = "bf16") -> Experts:
    """A row of balanced loads: the remainder dealt out rank by rank."""
    tokens, experts, ep = int(r["num_tokens"]), int(r["num_experts"]), int(r["moe_ep_size"])
    pairs = tokens * int(r["topk"])
    counts = np.full(experts, pairs // experts, np.float64)
    order = np.arange(experts).reshape(ep, experts // ep).T.ravel()
    counts[order[: pairs % experts]] += 1
    loads = expert_loads(counts[None, None, :], np.array([float(tokens)]), ep)
    inter = int(r["inter_size"]) // int(r["moe_tp_size"])
    return Experts("x", "x", 1, loads, int(r["hidden_size"]), inter, True, dtype, dtype, dtype, gathered=True)


@pytest.mark.parametrize("profile", ["h100-hgx", "a100-hgx"])
def test_products_are_within_a_fifth_of_silicon(profile: str) -> None:
    chip = profile.replace("-hgx", "_sxm")
    rows = sampled("gemm", "bfloat16", lambda r: r["n"] >= 128 and r["k"] >= 128, chip)
    assert mean_error(rows, as_gemm, profile) < 0.2


def test_long_products_on_an_unfitted_generation_are_within_a_seventh_of_silicon() -> None:
    def long(r: Row) -> bool:
        return r["m"] >= 2048 and r["n"] >= 1024 and r["k"] >= 1024

    assert mean_error(sampled("gemm", "bfloat16", long, "b200_sxm"), as_gemm, "b200-hgx") < 1 / 7


def test_grouped_decode_attention_is_within_a_fifth_of_silicon() -> None:
    def keep(r: Row) -> bool:
        groups = r["num_heads"] / r["num_kv_heads"]
        return 2 <= groups <= 16 and r["kv_len_past"] >= 256 and not r["window_size"]

    assert mean_error(sampled("attn_decode", "bfloat16", keep), as_decode) < 0.2


def test_prefill_attention_is_within_a_third_of_silicon() -> None:
    rows = sampled("attn_prefill", "bfloat16", lambda r: r["isl"] >= 16 and not r["window_size"])
    assert mean_error(rows, as_prefill) < 0.33


def test_latent_attention_is_within_a_fifth_of_silicon() -> None:
    rows = sampled("mla_decode", "bfloat16", lambda r: r["kv_len_past"] >= 256)
    assert mean_error(rows, as_mla_decode) < 0.2
    rows = sampled("mla_prefill", "bfloat16", lambda r: r["isl"] >= 16 and r["framework"] == "trtllm")
    assert mean_error(rows, as_mla_prefill) < 0.2


def test_experts_are_within_a_quarter_of_silicon_where_kernels_are_tuned() -> None:
    rows = sampled(
        "moe", "bfloat16", lambda r: r["distribution"] == "balanced" and r["framework"] == "trtllm"
    )
    assert mean_error(rows, as_experts) < 0.25


@pytest.mark.parametrize("profile", ["h100-hgx", "h200-hgx"])
def test_block_scaled_experts_are_within_a_quarter_of_silicon_in_every_stack_on_long_steps(
    profile: str,
) -> None:
    def keep(r: Row) -> bool:
        return r["distribution"] == "balanced" and r["num_tokens"] >= 256 and r["framework"] != "sglang"

    rows = sampled("moe", "fp8_block", keep, profile.replace("-hgx", "_sxm"))
    assert mean_error(rows, lambda r: as_experts(r, "fp8"), profile) < 0.25


def test_one_row_beyond_a_full_tile_costs_what_it_costs_on_silicon_within_a_factor_of_two() -> None:
    rows = {(r["m"], r["n"], r["k"], r["framework"]): r for r in sampled_pairs()}
    pairs = [(a, rows[257, *key[1:]]) for key, a in rows.items() if key[0] == 256 and (257, *key[1:]) in rows]
    measured = np.median([b["latency_us"] / a["latency_us"] - 1 for a, b in pairs])
    pricer = AnalyticPricer(rates(cluster("h100-hgx").chip, CALM), cluster("h100-hgx"))

    def time(r: Row) -> float:
        return float(pricer.price(as_gemm(r)).total[0])

    simulated = np.median([time(b) / time(a) - 1 for a, b in pairs])
    assert measured / 2 <= simulated <= measured * 2


def sampled_pairs() -> list[Row]:
    parquet = pytest.importorskip("pyarrow.parquet")
    filters = [
        ("chip", "==", "h100_sxm"), ("dtype", "==", "bfloat16"), ("outlier", "==", False),
        ("m", "in", [256, 257]), ("n", ">=", 128), ("k", ">=", 128),
    ]  # fmt: skip
    return parquet.read_table(TABLES / "gemm.parquet", filters=filters).to_pylist()
