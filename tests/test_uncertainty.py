"""Uncertainty and sensitivity: quantiles of known distributions, indices of known functions, real runs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from small_scenario import write_small

import sim
from sim import UserError
from sim.cli import execute
from sim.figures import Figure
from sim.planning.outputs import BY_NAME
from sim.planning.uncertainty.elasticity import Resource, elasticity
from sim.planning.uncertainty.factors import Factor, draws, factors, ranged
from sim.planning.uncertainty.sensitivity import morris, sobol, tornado
from sim.planning.uncertainty.spread import band, influence, ranges
from sim.units import NUMBER

Floats = np.ndarray


@pytest.fixture
def scenario(tmp_path: Path):
    return sim.load(write_small(tmp_path))


def test_the_median_of_a_linear_toy_is_the_one_theory_gives():
    """A linear function of one figure has its median at the figure's; of two with narrow ranges, which are as
    good as normal, at the sum of theirs, with variances that add up."""
    toys = [Figure(10.0, NUMBER, 9.8, 10.2), Figure(5.0, NUMBER, 4.9, 5.1)]
    u = draws(["a", "b"], 20_000, 3)
    sums = [sum(toy.quantile(place) for toy, place in zip(toys, row, strict=True)) for row in u.tolist()]
    deviation = math.hypot(0.2, 0.1) / 1.6448536
    found = band(sums)
    assert found.p50 == pytest.approx(15.0, abs=0.02 * deviation)
    assert found.p90 - 15.0 == pytest.approx(1.28155 * deviation, rel=0.03)
    assert 15.0 - found.p10 == pytest.approx(1.28155 * deviation, rel=0.03)
    assert band([3 * sum_ + 1 for sum_ in sums]).p50 == pytest.approx(3 * found.p50 + 1)


def test_sampled_quantiles_of_a_product_are_those_of_its_logarithm():
    """ln of a product of log-normal figures is normal: variances of the logarithms add up."""
    toys = [Figure(10.0, NUMBER, 5.0, 20.0), Figure(3.0, NUMBER, 2.0, 4.5)]
    u = draws(["a", "b"], 20_000, 3)
    products = [toys[0].quantile(a) * toys[1].quantile(b) for a, b in u.tolist()]
    deviation = math.hypot(math.log(2.0), math.log(1.5)) / 1.6448536
    found = band(products)
    assert found.p50 == pytest.approx(30.0, rel=0.01)
    assert found.p90 == pytest.approx(30.0 * math.exp(1.28155 * deviation), rel=0.02)
    assert found.p10 == pytest.approx(30.0 * math.exp(-1.28155 * deviation), rel=0.02)


def test_the_sampled_ends_of_a_range_are_its_5_and_95_percent_quantiles():
    figure = Figure(2.0, NUMBER, 1.5, 4.0)
    sampled = [figure.quantile(place) for place in draws(["a"], 4_000, 1)[:, 0].tolist()]
    assert np.quantile(sampled, [0.05, 0.5, 0.95]) == pytest.approx([1.5, 2.0, 4.0], rel=0.01)


def test_each_factor_is_stratified_and_drawn_by_its_name_alone():
    alone, beside = draws(["b"], 50, 1), draws(["a", "b", "c"], 50, 1)
    assert (alone[:, 0] == beside[:, 1]).all()
    assert sorted((50 * beside[:, 0]).astype(int)) == list(range(50))
    assert (draws(["b"], 50, 2) != alone).any()


def test_figures_of_a_group_are_one_factor_and_those_without_range_none():
    figures = {
        "a": Figure(1.0, NUMBER, 0.5, 2.0, group="g"),
        "b": Figure(3.0, NUMBER, 1.0, 4.0, group="g"),
        "c": Figure(3.0, NUMBER),
        "d": Figure(3.0, NUMBER, 3.0, 3.0),
    }
    assert [factor.name for factor in ranged(figures)] == ["g"]


def test_influence_is_the_rank_correlation():
    u = draws(["up", "down", "none"], 400, 0)
    found = {
        i.factor: i.correlation for i in influence(["up", "down", "none"], u, np.exp(5 * u[:, 0]) - u[:, 1])
    }
    assert found["up"] > 0.9
    assert found["down"] < 0
    assert abs(found["none"]) < 0.15
    assert [i.correlation for i in influence(["up"], u[:, :1], np.ones(400))] == [0.0]


def ishigami(u: Floats) -> Floats:
    x = math.pi * (2 * u - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_sobol_indices_of_the_ishigami_function_are_the_analytic_ones():
    pytest.importorskip("SALib")
    shares = {share.factor: share for share in sobol(["x1", "x2", "x3"], ishigami, 1024, 1)}
    for name, first, total in (("x1", 0.3139, 0.5576), ("x2", 0.4424, 0.4424), ("x3", 0.0, 0.2437)):
        share = shares[name]
        assert abs(share.first - first) <= share.first_confidence
        assert abs(share.total - total) <= share.total_confidence


def test_morris_gives_a_linear_function_its_slopes_without_spread():
    pytest.importorskip("SALib")
    effects = morris(["small", "large"], lambda u: u[:, 0] + 5 * u[:, 1], 6, 0)
    assert [e.factor for e in effects] == ["large", "small"]
    assert [e.mu_star for e in effects] == pytest.approx([5.0, 1.0])
    assert [e.sigma for e in effects] == pytest.approx([0.0, 0.0], abs=1e-9)


def test_a_tornado_moves_one_factor_at_a_time_and_knows_elasticities():
    known = [Factor(name, Figure(2.0, NUMBER, 1.0, 4.0)) for name in ("root", "square")]

    def model(u: Floats) -> Floats:
        at = np.where(np.isnan(u), 2.0, np.where(u < 0.5, 1.0, 4.0))
        return at[:, 0] ** 0.5 * at[:, 1] ** 2

    value, bars = tornado(known, model)
    assert value == pytest.approx(2**0.5 * 4)
    assert [bar.factor for bar in bars] == ["square", "root"]
    assert [bar.elasticity for bar in bars] == pytest.approx([2.0, 0.5])


def test_a_study_without_salib_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "SALib.sample.morris", None)
    with pytest.raises(UserError, match=r"needs SALib.*bandwall\[stats\]"):
        morris(["a"], ishigami, 4, 0)


def test_refused_runs_spoil_a_study_with_a_sentence():
    pytest.importorskip("SALib")
    with pytest.raises(UserError, match="of the sensitivity study were refused"):
        morris(["a", "b"], lambda u: np.full(len(u), np.nan), 2, 0)


def test_every_figure_with_a_range_is_a_factor_of_a_run(scenario):
    names = [factor.name for factor in factors(scenario)]
    assert "cluster.chip.kernels.gemm_hbm" in names
    assert any(name.startswith("deployment.engine.host") for name in names)
    assert len(set(names)) == len(names)


def test_a_draw_moves_the_run_and_the_middle_of_no_draw_does_not(scenario):
    plain = sim.simulate(scenario).summary.values["mean_tpot_ms"]
    assert sim.simulate(scenario.drawn({})).summary.values["mean_tpot_ms"] == plain
    slow = sim.simulate(scenario.drawn({"cluster.chip.kernels.gemm_hbm": 0.05})).summary.values[
        "mean_tpot_ms"
    ]
    assert slow > plain


def test_the_spread_of_a_run_is_ordered_and_the_same_for_the_same_seed(scenario):
    found = sim.uncertainty(scenario, 8, backend="serial")
    for output in found.bands.values():
        assert output.p10 <= output.p50 <= output.p90
    assert found.bands["p99_tpot_ms"].p10 < found.bands["p99_tpot_ms"].p90
    assert sim.uncertainty(scenario, 8, backend="serial") == found


def test_the_models_own_error_is_a_factor_of_each_class_of_operators_and_shown_alone(scenario):
    erring = {factor.name for factor in factors(scenario) if factor.kind == "model error"}
    assert {f"model_error.{name}.h100" for name in ("gemm", "prefill", "decode", "communication")} <= erring
    slow = sim.simulate(scenario.drawn({"model_error.gemm.h100": 0.95})).summary.values["mean_tpot_ms"]
    fast = sim.simulate(scenario.drawn({"model_error.gemm.h100": 0.05})).summary.values["mean_tpot_ms"]
    assert fast < sim.simulate(scenario).summary.values["mean_tpot_ms"] < slow
    found = sim.uncertainty(scenario, 8, backend="serial").model["mean_tpot_ms"]
    assert found.band.p10 < found.band.p90
    assert 0 < found.share <= 1


def test_a_step_under_a_drawn_error_takes_the_factor_on_every_operator_of_the_class(scenario):
    plain = sim.explain(scenario, decode=8, context=300, prefill=64).step
    drawn = sim.explain(
        scenario.drawn({"model_error.gemm.h100": 0.95}), decode=8, context=300, prefill=64
    ).step
    factor = next(f.figure.high for f in factors(scenario) if f.name == "model_error.gemm.h100")
    ratios = {
        round(after.time / before.time, 6)
        for before, after in zip(plain.operators, drawn.operators, strict=True)
        if before.time > 0
    }
    assert ratios == {1.0, round(factor, 6)}


def test_a_chip_that_nobody_measured_errs_more_than_one_whose_kernels_were_fitted(tmp_path):
    def widest(cluster: str) -> float:
        loaded = sim.load(write_small(tmp_path), [f"cluster={cluster}"])
        return max(f.figure.high for f in factors(loaded) if f.kind == "model error")

    assert widest("h100-hgx") < widest("mi300x-platform")


def test_mean_lengths_are_uncertain_unless_the_user_says_how(scenario):
    loads = {factor.name for factor in factors(scenario) if factor.kind == "load"}
    assert loads == {"workload.prompt_tokens.mean", "workload.output_tokens.value"}
    own = factors(scenario, ranges({"workload.prompt_tokens.mean": "x0.5..x2"}))
    assert [f.kind for f in own if f.name == "workload.prompt_tokens.mean"] == ["varied"]


def test_what_a_user_varies_is_drawn_like_a_figure(scenario):
    path = "workload.output_tokens.value"
    found = sim.uncertainty(scenario, 16, vary={path: "x0.2..x5"}, backend="serial")
    assert found.influences["p99_e2el_ms"][0].factor == path


def test_draws_that_do_not_fit_are_counted_and_left_out(tmp_path):
    tight = sim.load(
        write_small(tmp_path),
        ["cluster.chip.memory.visible={value: 10 GiB, low: 1 GiB, high: 12 GiB, basis: assumption}"],
    )
    found = sim.uncertainty(tight, 8, backend="serial")
    assert 0 < found.refused < 8


@pytest.mark.parametrize(
    ("vary", "said"),
    [("1", "write a range"), ("a..b", "no end of a range"), ("1..x2", "both ends are factors")],
)
def test_a_faulty_range_is_one_sentence(vary, said):
    with pytest.raises(UserError, match=f"--vary p={vary}: .*{said}"):
        ranges({"p": vary})


def test_run_prints_bands_writes_them_and_draws_them_on_its_charts(tmp_path, capsys):
    page = tmp_path / "run.html"
    command = ["run", str(write_small(tmp_path)), "--uncertainty", "4", "--json", "-", "--html", str(page)]
    assert execute(command) == 0
    written, shown = capsys.readouterr()
    assert json.loads(written)["uncertainty"]["outputs"]["output_throughput"]["p50"] > 0
    assert "Under 4 draws" in shown
    assert "decided by" in shown
    drawn = page.read_text()
    assert "How sure it is" in drawn
    assert drawn.count("Shaded: P10 to P90") >= 4
    assert drawn.count("P10 to P90 of quantiles") == 3


def test_more_of_a_resource_is_told_in_words_with_the_next_bottleneck(scenario):
    study = sim.sensitivity(scenario, "p99_tpot_ms", method="elasticity", backend="serial")
    rows = {row.factor: row for row in study.rows}
    assert list(rows) != []
    assert all(abs(row.elasticity) <= 1.02 for row in rows.values())
    binding = [row for row in rows.values() if row.binds]
    assert len(binding) >= 1
    said = binding[0].words(BY_NAME["p99_tpot_ms"])
    assert said.startswith(f"{binding[0].factor} +10 % → TPOT, 99 % −")
    assert "-bound" in said
    assert study.value == sim.simulate(scenario).summary.values["p99_tpot_ms"]


def test_an_elasticity_is_that_of_a_power_law_and_names_where_another_resource_takes_over():
    output, resource = BY_NAME["p99_tpot_ms"], Resource("HBM bandwidth", "hbm", ("a",))
    base, more = {"p99_tpot_ms": 8.0, "bound_by": "hbm"}, {"p99_tpot_ms": 8.0 / 1.1**0.5, "bound_by": "hbm"}
    further = [{"bound_by": "hbm"}, {"bound_by": "hbm"}, {"bound_by": "link"}, {"bound_by": "compute"}]
    row = elasticity(resource, output, base, more, further)
    assert row.elasticity == pytest.approx(-0.5)
    assert row.takes_over == 2.0
    assert row.words(output) == "HBM bandwidth +10 % → TPOT, 99 % −4.7 %; from × 2 on link-bound"
    stays = elasticity(resource, output, base, more, [{"bound_by": "hbm"}] * 9)
    assert stays.words(output).endswith("; still hbm-bound at × 16")
    assert math.isnan(elasticity(resource, output, base, None, ()).change)
    assert Resource("launches", "launch", ("b",), inverse=True).sets(2.0) == ["b=x0.5"]


@pytest.mark.parametrize("method", ["tornado", "morris", "sobol", "elasticity"])
def test_the_command_ranks_factors_and_draws_them(method, tmp_path, capsys):
    if method in ("morris", "sobol"):
        pytest.importorskip("SALib")
    small, page = write_small(tmp_path, **{"num_requests: 40": "num_requests: 4"}), tmp_path / "study.html"
    command = ["sensitivity", str(small), "--method", method, "--samples", "2", "--backend", "serial"]
    assert execute([*command, "--json", "-", "--html", str(page)]) == 0
    written, shown = capsys.readouterr()
    record = json.loads(written)
    assert record["runs"] > len(record["factors"])
    known = method in ("tornado", "elasticity")
    assert f"What moves tokens_per_s_per_user{' (' if known else ': '}" in shown
    assert f'id="figure-{method}"' in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "tornados"], "did you mean 'tornado'?"),
        (["--output", "p99_tpot"], "did you mean 'p99_tpot_ms'?"),
        (["--vary", "seed"], "write PATH=LOW..HIGH"),
        (["--vary", "workload.num_request=1..2"], "--vary workload.num_request=2: workload has no"),
    ],
)
def test_a_faulty_study_ends_in_one_sentence(arguments, said, tmp_path, capsys):
    assert execute(["sensitivity", str(write_small(tmp_path)), *arguments]) == 2
    assert said in capsys.readouterr().err
