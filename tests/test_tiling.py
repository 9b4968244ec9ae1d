"""Libraries that take a product's tiles by rules: which rule counts, and what such a product costs."""

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sim.hardware import load_chip
from sim.hardware.stacks import load_stack, stack_names
from sim.hardware.tiling import TileRule, tiles_taken
from sim.operators import Gemm
from sim.timing import CALM
from sim.timing.measured.bench import Bench
from sim.timing.products import price_gemm
from sim.timing.rates import Rates, rates

SMALL = TileRule(tiles=((64, 64),), rows=64)
WIDE = TileRule(tiles=((256, 128),), from_rows=4096, from_inner=6144)
REST = TileRule(tiles=((128, 128),))
H100 = load_chip("h100")[0]


def ruled(*rules: TileRule, beyond: float = 0.0) -> Rates:
    kernels = replace(H100.kernels, gemm_tiles=rules, gemm_beyond=beyond)
    return rates(replace(H100, kernels=kernels), CALM)


def seconds(of: Rates, rows: int, inner: int = 4096, columns: int = 8192) -> float:
    gemm = Gemm("x", "x", 1, np.array([float(rows)]), inner, columns, "fp8", "fp8", "fp8")
    return float(price_gemm(gemm, of).total[0])


@given(st.integers(1, 50_000), st.integers(1, 20_000), st.integers(1, 20_000))
def test_every_number_of_rows_has_the_first_rule_that_fits(rows: int, columns: int, inner: int) -> None:
    rules = (SMALL, WIDE, REST)
    counting = [t for t in tiles_taken(rules, columns, inner) if t.least <= rows <= t.most]
    assert [t.rule for t in counting] == [next(r for r in rules if r.fits(rows, columns, inner))]


@pytest.mark.parametrize("stack", stack_names())
def test_the_rules_of_a_shipped_stack_have_a_tile_for_every_product(stack: str) -> None:
    for kernel in load_stack(stack).kernels:
        for rules in kernel.tiles.values():
            taken = tiles_taken(rules, 4096, 4096)
            assert (taken[0].least, taken[-1].most) == (1, inf)
            assert all(b.least == a.most + 1 for a, b in pairwise(taken))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(128, 9000), st.integers(128, 9000))
def test_a_library_with_one_tile_is_never_faster_than_one_that_searches(
    rows: int, inner: int, columns: int
) -> None:
    searched = seconds(rates(H100, CALM), rows, inner, columns)
    assert seconds(ruled(TileRule(tiles=((128, 128),))), rows, inner, columns) >= searched * (1 - 1e-12)


def test_more_tiles_to_choose_from_are_never_slower() -> None:
    few, many = ((128, 128),), ((128, 32), (128, 64), (128, 128))
    for rows in (1, 100, 1000):
        assert seconds(ruled(TileRule(few)), rows) >= seconds(ruled(TileRule(many)), rows)


def test_a_product_holds_whole_clusters_of_tiles() -> None:
    single, pairs = ruled(REST), ruled(replace(REST, cluster=(2, 1)))
    of_three, of_four = ((rows, 4096, 42 * 128) for rows in (257, 512))
    assert seconds(single, *of_three) < seconds(pairs, *of_three)
    assert seconds(single, *of_four) == seconds(pairs, *of_four)
    assert seconds(pairs, *of_three) == pytest.approx(seconds(pairs, *of_four), rel=0.02)


def test_rows_beyond_the_last_cost_what_the_figure_says() -> None:
    free, dear = ruled(REST), ruled(REST, beyond=1.0)
    assert seconds(free, 256) == seconds(dear, 256)
    lost = [seconds(dear, rows) / seconds(free, rows) for rows in (129, 160, 224)]
    assert lost == sorted(lost, reverse=True)
    assert 1.05 < lost[0] < 2.0


def test_a_deep_product_of_few_tiles_waits_for_every_step_of_its_loop() -> None:
    """On H100 fp8 products of DeepGEMM with 128 columns take 0.13 µs for each 128 of depth, whatever HBM."""
    of = Bench(H100).cold("gemm", "fp8_block", "sglang", "")
    slope = (seconds(of, 2, 65536, 128) - seconds(of, 2, 16384, 128)) / (49152 / 128)
    assert slope == pytest.approx(of.kernels.gemm_step, rel=0.1)
    faster = replace(of, hbm=2 * of.hbm, hbm_left=2 * of.hbm_left)
    assert seconds(faster, 2, 65536, 128) == pytest.approx(seconds(of, 2, 65536, 128), rel=0.05)


def test_stacks_take_their_tiles_by_the_chips_own_family_whatever_parameters_it_is_given() -> None:
    b200 = load_chip("b200")[0]
    own, swapped = Bench(b200), Bench(b200, H100.kernels)
    for bench in (own, swapped):
        assert bench.kernels("gemm", "fp8", "vllm", "").gemm_tiles[-1].cluster == (2, 2)
    assert Bench(H100).kernels("gemm", "fp8", "vllm", "").gemm_tiles[-1].cluster == (2, 1)
    assert not Bench(H100).kernels("gemm", "bfloat16", "vllm", "").gemm_tiles


def test_calls_of_the_host_bound_a_product_that_no_graph_replays() -> None:
    bench = Bench(H100)
    assert bench.eager("gemm", "fp8_block", "vllm", "") == pytest.approx(90e-6)
    assert bench.eager("gemm", "fp8_block", "sglang", "") == 0
    assert bench.eager("gemm", "fp8_block", "of no stack", "") == 0
    assert bench.eager("elementwise", "fp8", "vllm", "") == 0


@pytest.mark.parametrize("rule", [{"tiles": []}, {"tiles": [[0, 64]]}, {"tiles": [[64, 64]], "split": 2}])
def test_a_rule_without_tiles_or_with_an_unknown_word_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(TileRule).validate_python(rule)
