"""Tables of an installed aiconfigurator-core: a package of its layout with a row or two in each table."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import sim
from sim.errors import UserError
from sim.timing.measured.installed import FORMS
from sim.timing.measured.tables import read_tables
from sim.validation.operators import validate_operators
from tests.small_scenario import SMALL

WHO = {"framework": "VLLM", "version": "1", "device": "NVIDIA H100 80GB HBM3", "kernel_source": "some_kernel"}
HEADS = {"num_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "beam_width": 1, "window_size": 0}
ATTENTION = {"attn_dtype": "bfloat16", "kv_cache_dtype": "fp8"}
LATENT = {
    "mla_dtype": "bfloat16",
    "kv_cache_dtype": "bfloat16",
    "num_heads": 16,
    "tp_size": 1,
    "batch_size": 4,
}
ROWS: dict[str, Mapping[str, object]] = {
    "gemm/gemm": {"op_name": "gemm", "gemm_dtype": "fp8", "m": 64, "n": 4096, "k": 4096},
    "mla_bmm/mla_bmm": {"op_name": "mla_gen_pre", "bmm_dtype": "bfloat16", "num_tokens": 8, "num_heads": 16},
    "attention/context_attention": {
        "op_name": "context_attention", "batch_size": 2, "isl": 512, "step": 0, **HEADS, **ATTENTION,
    },
    "attention/generation_attention": {
        "op_name": "generation_attention", "batch_size": 2, "isl": 1, "step": 511, **HEADS, **ATTENTION,
    },
    "mla/context_mla": {"op_name": "context_mla", "isl": 512, "step": 0, **LATENT},
    "mla/generation_mla": {"op_name": "generation_mla", "isl": 1, "step": 511, **LATENT},
    "mla/mla_context_module": {
        "op_name": "mla_context_module", "isl": 512, "step": 0, "gemm_type": "fp8_block", **LATENT,
    },
    "mla/mla_generation_module": {
        "op_name": "mla_generation_module", "isl": 1, "step": 511, "gemm_type": "fp8_block", **LATENT,
    },
    "moe/moe": {
        "op_name": "moe", "moe_dtype": "fp8", "num_tokens": 64, "hidden_size": 4096, "inter_size": 1024,
        "topk": 2, "num_experts": 8, "moe_tp_size": 1, "moe_ep_size": 1, "distribution": "balanced",
    },
}  # fmt: skip
CURRENT = """\
schema_version: 1
defaults:
  trtllm: {current: "2"}
  sglang: {current: "2"}
  vllm: {current: "2"}
overrides:
  h100_sxm:
    vllm: {current: "1", previous: null}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package on the path; its own code fails if it is run."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    systems = tmp_path / "aiconfigurator_core" / "systems"
    systems.mkdir(parents=True)
    (systems.parent / "__init__.py").write_text("raise RuntimeError('nothing of the package is run')\n")
    (systems / "query_versions.yaml").write_text(CURRENT)
    for name, row in ROWS.items():
        folder, _, file = name.partition("/")
        for version in ("1", "0.9"):
            at = systems / "data" / "h100_sxm" / folder / "vllm" / version
            at.mkdir(parents=True, exist_ok=True)
            columns = {key: [value] for key, value in {**WHO, **row, "latency": 0.25}.items()}
            parquet.write_table(arrow.table(columns), at / f"{file}_perf.parquet")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield systems
    assert "aiconfigurator_core" not in sys.modules


@pytest.mark.usefixtures("package")
def test_every_table_of_the_package_becomes_one_of_ours() -> None:
    found = {
        f"{f.folder}/{f.file}": t.rows
        for f, t in zip(FORMS, read_tables("aiconfigurator:h100_sxm"), strict=True)
    }
    assert [rows.table for rows in found.values()] == [
        "gemm", "mla_bmm", "attn_prefill", "attn_decode", "mla_prefill", "mla_decode", "mla_module",
        "mla_module", "moe",
    ]  # fmt: skip
    for rows in found.values():
        assert (rows.n, rows.numbers("latency_us")[0]) == (1, 250.0)
        assert (rows.words("chip")[0], rows.words("framework")[0]) == ("h100_sxm", "vllm")
        assert rows.words("kernel")[0] == "some_kernel"
    assert found["gemm/gemm"].words("dtype")[0] == "fp8"
    assert found["attention/context_attention"].numbers("isl")[0] == 512
    decode = found["attention/generation_attention"]
    assert (decode.numbers("kv_len_past")[0], decode.numbers("num_kv_heads")[0]) == (511, 8)
    module = found["mla/mla_generation_module"]
    assert (module.words("op")[0], module.words("gemm_dtype")[0]) == ("mla_module_decode", "fp8_block")


@pytest.mark.usefixtures("package")
def test_a_reference_is_compared_like_a_file() -> None:
    report = validate_operators(["aiconfigurator:h100_sxm/vllm/0.9"])
    assert report.n == len(ROWS)
    assert {a.keys["chip"] for a in report.groups} == {"h100"}


@pytest.mark.usefixtures("package")
def test_a_scenario_goes_by_installed_tables(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = SMALL + "fidelity: tables\ntables: ['aiconfigurator:h100_sxm/vllm']\n"
    path.write_text(text)
    step = sim.explain(sim.load(path), decode=4, context=100)
    assert "border of aiconfigurator:h100_sxm/vllm gemm" in step.priced_by


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("h200_sxm", "unknown chip of aiconfigurator 'h200_sxm'"),
        ("h100_sxm/vlm", "did you mean 'vllm'"),
        ("h100_sxm/vllm/3", r"no tables of that stack and version \(versions: 0.9, 1\)"),
        ("h100_sxm/sglang", "no tables of that stack and version"),
    ],
)
def test_what_the_package_lacks_is_told_with_what_it_has(reference: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_tables(f"aiconfigurator:{reference}")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.timing.measured.installed.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"aiconfigurator:x needs aiconfigurator-core.*bandwall\[silicon\]"):
        read_tables("aiconfigurator:x")
