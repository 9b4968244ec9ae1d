"""Small clusters for the deployment tests: only memory, peaks and the server's size matter here."""

from dataclasses import replace

from sim.hardware import load_cluster
from sim.hardware.chip import Chip, Compute, Dispatch, KernelFamily, Memory, Power, Sram
from sim.hardware.cluster import Cluster

GIB, MIB = 2.0**30, 2.0**20

_NO_KERNELS = KernelFamily(
    name="none", gemm_mma={}, gemm_hbm=1, gemm_launch=0, gemm_feed=1, gemm_unpack=0,
    gemm_core_hbm=1, gemm_split_k={}, gemm_largest_tile={}, tile_latency=0, split_k_launch=0, overlap_norm=1,
    gemm_beyond=0, gemm_step=0, quant_row=0,
    quant_launch=0, quant_kernels={}, quant_passes={}, prefill_mma={}, prefill_exp=1, prefill_launch=0,
    prefill_passes={}, mla_prefill_passes={}, mla_prefill_expands=1, decode_convert={}, mla_decode_convert={},
    core_fill=1, moe_io_ops=0,
    mla_decode_split=1, moe_own_pairs=1,
    prefill_tile_latency=0, decode_hbm=1, decode_mma=1, decode_launch=0, decode_core_hbm=1,
    mla_decode_hbm=1, mla_decode_mma=1, mla_decode_launch=0, moe_mma={},
    moe_hbm=1, moe_launch=0, moe_unpack=0, moe_io_passes={}, elementwise_hbm=1, elementwise_launch=0,
)  # fmt: skip


def chip(name: str, visible: float, peak: dict[str, float]) -> Chip:
    """A chip of which only the visible memory and the arithmetic types are meant."""
    return Chip(
        name=name, title=name, vendor="", compute=Compute(8, 1e9, peak, (16, 16, 16), 1e12, 1e12),
        sram=Sram(1e6, 0.0, 1e13), noc_bandwidth=0.0,
        memory=Memory("hbm3", 4, 3e12, visible, visible, 1e4), dispatch=Dispatch(1e-6, 64),
        dma_engines=2, power=Power(100, 700, 1, 30), kernels=_NO_KERNELS, rental=0.0,
    )  # fmt: skip


def cluster(one: Chip, servers: int = 1, server: int = 8) -> Cluster:
    """`servers` boxes of `server` chips."""
    inner = replace(load_cluster("h100-hgx")[0].tiers[0], domain=server)
    tiers = (inner,) if servers == 1 else (inner, replace(inner, name="scale_out", domain=server * servers))
    return Cluster(f"{one.name}-server", one.name, one, server * servers, tiers, 5e10, 100.0)


H100 = chip("h100", 81559 * MIB, {"bf16": 989e12, "fp8": 1979e12, "int8": 1979e12})
H200 = chip("h200", 143771 * MIB, {"bf16": 989e12, "fp8": 1979e12, "int8": 1979e12})
A100 = chip("a100", 81920 * MIB * 0.985, {"bf16": 312e12, "int8": 624e12})
REBEL100 = chip("rebel100", 144 * GIB * 0.985, {"bf16": 1e15, "fp8": 2e15})
RNGD = chip("rngd", 47.5 * GIB, {"bf16": 256e12, "fp8": 512e12, "int8": 512e12})
