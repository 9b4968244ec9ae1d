"""A rigid matrix array: what its padding and filling take, and where they show."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.figures import Resolution
from sim.hardware import ChipProfile, load_chip, load_cluster, read_chip
from sim.hardware.chip import ArrayKernels, Chip
from sim.hardware.resolve import resolve_chip
from sim.operators import DecodeAttention, Gemm, Heads, Operator, PrefillAttention
from sim.operators.chunks import chunk_work
from sim.timing import CALM
from sim.timing.matrix_array import MatrixArray, matrix_array
from sim.timing.pricer import AnalyticPricer
from sim.timing.rates import rates
from sim.timing.roofline import limits

CLUSTER = load_cluster("tpu-v6e-8")[0]
sizes = st.integers(1, 4096)
sides = st.sampled_from([1, 8, 32, 64, 128, 256, 512])


def chip(shape: tuple[int, int, int], load: float = 1.0, fill: float = 0.5) -> Chip:
    """A TPU v6e with another array of the same peak."""
    own = CLUSTER.chip
    return replace(
        own,
        compute=replace(own.compute, matrix_shape=shape),
        kernels=replace(own.kernels, array=ArrayKernels(load, fill)),
    )


def seconds(operator: Operator, of: Chip) -> float:
    return float(AnalyticPricer(rates(of, CALM), CLUSTER).price(operator).total[0])


def product(rows: int, inner: int = 4096, columns: int = 4096) -> Gemm:
    return Gemm("x", "x", 1, np.array([float(rows)]), inner, columns, "bf16", "bf16", "bf16")


def decode(heads: Heads, n: int = 64, context: int = 2048) -> DecodeAttention:
    n_ = np.array([float(n)])
    return DecodeAttention("a", "", 1, n_, n_ * context, heads, latent=False)


GROUPED = Heads(32, 8, 128, 128, 2048, "bf16", "bf16")


@given(sizes, sizes, sizes, sides, sides, sides)
def test_an_array_multiplies_no_less_than_asked_and_less_than_one_array_more_on_each_side(
    r: int, c: int, d: int, m: int, n: int, k: int
) -> None:
    array = MatrixArray(m, n, k, float(max(m, k)), 0.0)
    done = float(array.multiplied(np.array(float(r)), np.array(float(c)), np.array(float(d))))
    assert r * c * d <= done <= max(r + m, m, k) * (c + n) * (d + k)


def test_a_product_of_whole_arrays_is_multiplied_exactly() -> None:
    array = MatrixArray(8, 128, 128, 128.0, 0.0)
    assert array.multiplied(np.array(512.0), np.array(384.0), np.array(1024.0)) == 512 * 384 * 1024


@given(sizes, sizes, sizes, sides)
def test_a_doubled_array_never_multiplies_less(r: int, c: int, d: int, side: int) -> None:
    small, large = (
        float(MatrixArray(8, s, s, float(s), 0.0).multiplied(*(np.array(float(x)) for x in (r, c, d))))
        for s in (side, 2 * side)
    )
    assert large >= small


def test_few_rows_take_as_long_as_weights_take_to_be_shifted_in() -> None:
    """Half of Trainium's 128 rows of weights, so that 1 to 64 rows cost the same."""
    trainium = load_chip("trainium2")[0]
    array = matrix_array(trainium, 1.0)
    assert array is not None
    one, half, full = (
        float(array.multiplied(np.array(rows), np.array(128.0), np.array(128.0)))
        for rows in (1.0, 64.0, 128.0)
    )
    assert one == half == full / 2


@pytest.mark.parametrize("operator", [product(8), product(300), decode(GROUPED)])
def test_an_array_of_twice_the_sides_at_equal_peak_is_never_faster(operator: Operator) -> None:
    times = [seconds(operator, chip((8, side, side))) for side in (64, 128, 256, 512)]
    assert times == sorted(times)
    assert times[-1] > times[0]


def test_a_large_product_of_whole_arrays_pays_only_for_filling() -> None:
    large = product(65536, 8192, 8192)
    rigid, flexible = chip((8, 256, 256), fill=0.0), replace(CLUSTER.chip.kernels, array=None)
    assert seconds(large, rigid) == seconds(large, replace(rigid, kernels=flexible))
    assert seconds(large, chip((8, 256, 256), fill=1.0)) > seconds(large, rigid)


def test_heads_narrower_than_the_array_waste_it_in_prompts_too() -> None:
    """128 values of a head on 256 × 256: half for scores, half for values; on 128 × 128 nothing."""
    prompt = PrefillAttention("a", "", 1, chunk_work([(8192, 0)]), GROUPED)
    exact, wide = (seconds(prompt, chip((8, side, side))) for side in (128, 256))
    none = replace(CLUSTER.chip, kernels=replace(CLUSTER.chip.kernels, array=None))
    assert exact == pytest.approx(seconds(prompt, none))
    assert wide > 1.2 * exact


def test_no_array_is_faster_than_light() -> None:
    for operator in (product(1), product(4096), decode(GROUPED)):
        for array in (chip((1, 32, 32), 0.0, 0.0), chip((8, 512, 512), 1.0, 1.0)):
            light = float(limits(operator, rates(array, CALM), CLUSTER).bound[0])
            assert seconds(operator, array) >= light


def test_padding_is_told_apart_and_never_more_than_the_compute_it_is_part_of() -> None:
    for operator in (product(8), product(1000), decode(GROUPED)):
        pricer = AnalyticPricer(rates(chip((8, 512, 512)), CALM), CLUSTER)
        padding = float(pricer.padding(operator)[0])
        assert 0 < padding <= float(pricer.price(operator).compute[0])


def test_instruction_fed_engines_have_no_array() -> None:
    for name in ("a100", "h100", "b200", "mi300x", "ascend-910c"):
        assert matrix_array(load_chip(name)[0], 1.0) is None


def test_a_chip_that_says_nothing_of_its_array_has_a_square_one_of_its_multiplications() -> None:
    """RNGD: 256 TFLOP/s on 8 cores at 1 GHz are 16,000 multiplications a cycle, 128 × 128 nearly."""
    assert load_chip("rngd")[0].compute.matrix_shape == (8, 128, 128)


def test_an_array_outside_zero_to_one_is_refused() -> None:
    tree = read_chip("tpu-v6e")
    kernels = tree["kernels"]
    assert isinstance(kernels, dict)
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        ChipProfile.model_validate(tree | {"kernels": kernels | {"array": {"load": 1.5, "fill": 0}}})


def test_a_fill_can_be_nothing() -> None:
    tree = read_chip("tpu-v6e")
    kernels = tree["kernels"]
    assert isinstance(kernels, dict)
    profile = ChipProfile.model_validate(tree | {"kernels": kernels | {"array": {"load": 0, "fill": 0}}})
    array = matrix_array(resolve_chip(profile, Resolution("")), 1.0)
    assert array is not None
    assert (array.least_rows, array.fill) == (8.0, 0.0)
