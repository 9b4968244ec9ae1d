"""`calibrate`: few measurements help, outliers and silence do no harm, and the profile it writes loads."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.calibration import calibrate_rows
from sim.calibration.classes import CLASSES
from sim.calibration.posterior import Prior, most_probable
from sim.errors import UserError
from sim.hardware import load_chip
from sim.timing.measured import PRICES
from sim.timing.measured.bench import Bench
from sim.timing.measured.rows import Rows
from sim.timing.measured.tables import Measured

RNG_SHAPES = [(m, n, k) for m in (1, 17, 300, 4096) for n, k in ((4096, 4096), (14336, 4096), (8192, 8192))]


def products(n: int, seed: int = 0) -> Rows:
    """Products of a chip that sustains 0.6 of its peak, 0.7 of its HBM, and launches in 4 µs, 3 % noise."""
    rng = np.random.default_rng(seed)
    shapes = np.array([RNG_SHAPES[i % len(RNG_SHAPES)] for i in rng.permutation(max(n, 12))[:n]])
    words = {
        "chip": "h100_sxm",
        "op": "gemm",
        "dtype": "bfloat16",
        "kv_dtype": "",
        "framework": "",
        "kernel": "",
    }
    columns = {name: np.full(n, word) for name, word in words.items()} | dict(
        zip("mnk", shapes.T, strict=True)
    )
    chip = load_chip("h100")[0]
    mma = {**chip.kernels.gemm_mma, "bf16": 0.6}
    truth = replace(chip, kernels=replace(chip.kernels, gemm_mma=mma, gemm_hbm=0.7, gemm_launch=4e-6))
    rows = Rows("gemm", columns, np.arange(n))
    noise = np.exp(0.03 * rng.standard_normal(n))
    return replace(rows, columns=columns | {"latency_us": 1e6 * PRICES["gemm"](rows, Bench(truth)) * noise})


def error(profile: str, rows: Rows, tmp_path: Path) -> float:
    """Mean error of a profile on rows it has not seen, percent."""
    path = tmp_path / "profile.yaml"
    path.write_text(profile)
    simulated = 1e6 * PRICES["gemm"](rows, Bench(load_chip(str(path))[0]))
    return float(100 * np.abs(simulated / rows.numbers("latency_us") - 1).mean())


@pytest.mark.parametrize(("n", "bound"), [(1, 1.05), (3, 0.9), (24, 0.35)])
def test_few_measurements_help_on_rows_that_were_not_fitted(n: int, bound: float, tmp_path: Path) -> None:
    unseen = products(12, seed=9)
    uncalibrated = 1e6 * PRICES["gemm"](unseen, Bench(load_chip("h100")[0]))
    before = 100 * np.abs(uncalibrated / unseen.numbers("latency_us") - 1).mean()
    _, profile = calibrate_rows([Measured(products(n), 0, "rows")], "h100")
    assert error(profile, unseen, tmp_path) < bound * before


def test_a_quarter_of_wild_outliers_does_not_spoil_a_calibration(tmp_path: Path) -> None:
    rows = products(24)
    wild = rows.numbers("latency_us").copy()
    wild[::4] *= 8.0
    _, clean = calibrate_rows([Measured(rows, 0, "rows")], "h100")
    _, spoilt = calibrate_rows(
        [Measured(replace(rows, columns={**rows.columns, "latency_us": wild}), 0, "rows")], "h100"
    )
    unseen = products(12, seed=9)
    assert error(spoilt, unseen, tmp_path) < error(clean, unseen, tmp_path) + 10


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=4), st.integers(0, 5))
def test_whatever_is_measured_every_parameter_stays_in_its_widened_range(
    factors: list[float], seed: int
) -> None:
    rows = products(len(factors), seed)
    times = rows.numbers("latency_us") * np.array(factors)
    columns = {**rows.columns, "latency_us": times}
    found, _ = calibrate_rows([Measured(replace(rows, columns=columns), 0, "rows")], "h100")
    for name, figure in found.classes[0].figures.items():
        prior = found.classes[0].priors[name]
        assert prior.low is not None
        assert prior.high is not None
        slack = (prior.high / prior.low) ** 0.5
        assert prior.low / slack * 0.999 <= figure.value <= prior.high * slack * 1.001
        if name.startswith(("gemm_mma", "gemm_hbm")):
            assert figure.value <= 1.0
    assert found.classes[0].n == len(factors)


def test_measurements_that_say_nothing_of_a_parameter_leave_its_prior() -> None:
    priors = [Prior(2.0, 1.0, 4.0), Prior(0.5, 0.25, 0.9, most=1.0)]
    found = most_probable(lambda values: np.array([np.log(values[0] / 3.0)] * 50), priors)
    assert found[0] == pytest.approx(3.0, rel=0.02)
    assert found[1] == pytest.approx(0.5)


def test_the_profile_says_what_it_was_fitted_to_and_keeps_the_rest(tmp_path: Path) -> None:
    found, text = calibrate_rows([Measured(products(24), 2, "rows")], "h100")
    (tmp_path / "mine.yaml").write_text(text)
    chip, figures = load_chip(str(tmp_path / "mine.yaml"))
    fitted = {f.path: f for f in figures if f.source.startswith("24 measurements of gemm")}
    assert set(fitted) == {f"kernels.{name}" for name in found.classes[0].figures}
    assert all(f.basis == "measured" for f in fitted.values())
    assert chip.kernels.decode_hbm == load_chip("h100")[0].kernels.decode_hbm
    assert chip.kernels.gemm_mma["bf16"] == pytest.approx(0.6, rel=0.15)
    assert found.skipped["flagged as an outlier of its series"] == 2
    assert json.loads(json.dumps(found.to_json()))["classes"][0]["class"] == "products"
    assert yaml.safe_load(text)["name"] == "h100"


def test_rows_of_another_chip_do_not_calibrate_this_one() -> None:
    with pytest.raises(UserError, match="no row of these tables can calibrate b200"):
        calibrate_rows([Measured(products(3), 0, "rows")], "b200")


def test_every_free_parameter_is_one_of_the_family() -> None:
    kernels = load_chip("h100")[0].kernels
    for c in CLASSES.values():
        for name in (*c.plain, *c.by_arithmetic, *c.by_cache):
            assert hasattr(kernels, name)


class Tensor:
    def __init__(self, *shape: int, **_: object) -> None:
        self.shape = shape


def fake_torch() -> SimpleNamespace:
    """As much of PyTorch as the microbenchmark touches, on a device that does nothing."""
    functional = SimpleNamespace(
        linear=lambda x, w: (x, w), scaled_dot_product_attention=lambda q, k, v, **_: (q, k, v)
    )
    xpu = SimpleNamespace(is_available=lambda: True, synchronize=lambda: None)
    return SimpleNamespace(
        randn=Tensor, bfloat16="bfloat16", nn=SimpleNamespace(functional=functional), xpu=xpu
    )


def test_a_microbenchmark_calibrates_products_and_prefill(monkeypatch: pytest.MonkeyPatch) -> None:
    from sim.calibration import microbenchmark

    monkeypatch.setitem(__import__("sys").modules, "torch", fake_torch())
    monkeypatch.setattr(microbenchmark, "ROUND_SECONDS", 1e-5)
    found, text = sim.calibrate_device("h100")
    assert [c.name for c in found.classes] == ["products", "prefill"]
    assert sum(c.n for c in found.classes) == len(microbenchmark.PRODUCTS) + len(microbenchmark.PROMPTS)
    assert "measurements of gemm" in text


def test_without_pytorch_the_microbenchmark_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(UserError, match="needs PyTorch, which is not installed"):
        sim.calibrate_device("h100")
