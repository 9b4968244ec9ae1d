"""The free parameters of each class of operators: few, physical, and what a datasheet does not say.

A class is calibrated by itself, from the tables that are its own. Parameters "by type" have one value for
each type that the measurements contain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim.timing.measured.bench import ARITHMETIC, CACHE
from sim.timing.measured.rows import Rows


@dataclass(frozen=True, slots=True)
class OperatorClass:
    """Tables that share parameters.

    Attributes:
        tables: their kinds; plain: parameters of one value; by_arithmetic, by_cache: one per type.
    """

    name: str
    tables: Sequence[str]
    plain: Sequence[str]
    by_arithmetic: Sequence[str] = ()
    by_cache: Sequence[str] = ()

    def free(self, rows: Sequence[Rows]) -> list[str]:
        """The parameters that these rows can say something about, as in "gemm_mma.bf16"."""
        found = list(self.plain)
        for table in rows:
            arithmetic = {_arithmetic(dtype) for dtype in set(table.words("dtype").tolist())}
            cache = {CACHE[dtype] for dtype in set(table.words("kv_dtype").tolist())}
            found += [f"{p}.{t}" for p in self.by_arithmetic for t in sorted(arithmetic)]
            found += [f"{p}.{t}" for p in self.by_cache for t in sorted(cache)]
        return list(dict.fromkeys(found))


def _arithmetic(dtype: str) -> str:
    return ARITHMETIC[dtype][2]


CLASSES: Mapping[str, OperatorClass] = {
    c.name: c
    for c in (
        OperatorClass("products", ("gemm",), ("gemm_hbm", "gemm_launch", "quant_launch"), ("gemm_mma",)),
        OperatorClass(
            "prefill",
            ("attn_prefill", "mla_prefill"),
            ("prefill_launch",),
            ("prefill_mma",),
            ("prefill_passes", "mla_prefill_passes"),
        ),
        OperatorClass("decode", ("attn_decode",), ("decode_hbm", "decode_launch")),
        OperatorClass(
            "latent decode", ("mla_decode",), ("mla_decode_hbm", "mla_decode_mma", "mla_decode_launch")
        ),
        OperatorClass("experts", ("moe",), ("moe_hbm", "moe_launch"), ("moe_mma", "moe_io_passes")),
        OperatorClass("streaming", ("elementwise",), ("elementwise_hbm", "elementwise_launch")),
    )
}
"""All classes by name."""
