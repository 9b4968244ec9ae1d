"""Power: energy of operators by type and link, states, and what a limit does to clock and time."""

from pathlib import Path

import pytest
from small_scenario import write_small

import sim
from sim import UserError
from sim.figures import Resolution
from sim.hardware import read_chip, resolve_chip
from sim.hardware.catalogue import chip_names
from sim.hardware.schema import ChipProfile
from sim.scenario.power_limit import within_limit
from sim.timing.energy import energy_per_flop


@pytest.fixture
def scenario(tmp_path):
    return sim.load(write_small(tmp_path))


def chip_of(name: str):
    return resolve_chip(ChipProfile.model_validate(read_chip(name)), Resolution())


@pytest.mark.parametrize("name", chip_names())
def test_no_chip_at_full_load_of_any_type_draws_more_than_its_design_power(name):
    chip = chip_of(name)
    power = chip.power
    for dtype, peak in chip.compute.peak.items():
        if dtype == "fp64":
            continue
        busy = power.idle + power.active + peak * energy_per_flop(chip, dtype)
        assert busy + power.pj_byte * chip.memory.bandwidth <= 1.001 * power.tdp


def test_a_flop_of_a_type_of_twice_the_rate_takes_half_the_energy():
    chip = chip_of("h200")
    assert chip.peak("fp8") == pytest.approx(2 * chip.peak("bf16"), rel=1e-3)
    assert energy_per_flop(chip, "fp8") == pytest.approx(0.5 * energy_per_flop(chip, "bf16"), rel=1e-3)


def test_energy_of_a_step_is_that_of_its_flops_and_of_what_it_moves(scenario):
    step = sim.explain(scenario, decode=16, context=300, prefill=128)
    chip = step.deployment.cluster.chip
    tier = step.deployment.cluster.tiers[0]
    for operator in step.step.operators:
        least = operator.hbm_bytes * chip.power.pj_byte + operator.wire_bytes * tier.pj_byte
        assert operator.energy >= least * (1 - 1e-9)
        if operator.wire_bytes:
            assert operator.energy == pytest.approx(least)
        elif operator.flops:
            each = (operator.energy - least) / operator.flops
            assert each in (
                pytest.approx(energy_per_flop(chip, "bf16")),
                pytest.approx(energy_per_flop(chip, "fp8")),
            )
    assert sum(step.energy.values()) / 2 / step.step.total < chip.power.tdp + 1000
    per_token = sum(step.energy.values()) * step.deployment.parallel.chips / 16
    assert step.joules_per_output_token == pytest.approx(per_token)


def test_power_rises_from_idle_over_decodes_to_prompts_and_the_mean_lies_between(scenario):
    values = sim.simulate(scenario).summary.values
    idle, decode, prefill, peak = (
        values[f"{state}_power_per_chip_w"] for state in ("idle", "decode", "prefill", "peak")
    )
    assert idle < decode < prefill <= peak
    assert idle <= values["mean_power_per_chip_w"] <= peak
    assert values["mean_kw"] * 1e3 == pytest.approx(values["mean_power_per_chip_w"] * values["chips"])


def test_a_power_cap_is_kept_lowers_the_clock_and_stretches_time(tmp_path):
    free = sim.simulate(sim.load(write_small(tmp_path)))
    values = free.summary.values
    static = values["idle_power_per_chip_w"]
    cap = static + 0.7 * (values["decode_power_per_chip_w"] - static)
    held = sim.simulate(sim.load(write_small(tmp_path), [f"cluster.power_cap={cap} W"])).summary
    assert held.values["mean_power_per_chip_w"] <= cap
    assert held.values["mean_tpot_ms"] > values["mean_tpot_ms"]
    assert "The power limit holds the chips at" in " ".join(held.notes)
    assert held.values["joules_per_output_token"] < values["joules_per_output_token"]


def test_a_cap_above_what_is_drawn_changes_nothing(tmp_path):
    free = sim.simulate(sim.load(write_small(tmp_path))).summary.values
    loose = sim.simulate(sim.load(write_small(tmp_path), ["cluster.power_cap=5 kW"])).summary.values
    assert loose == free


def test_a_cap_below_what_the_slowest_clock_draws_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"cluster.power_cap: 300 W a chip cannot be kept"):
        sim.simulate(sim.load(write_small(tmp_path), ["cluster.power_cap=300 W"]))


def test_a_cap_on_a_scenario_in_two_pools_is_refused():
    scenario = sim.load(
        Path(__file__).parent.parent / "examples/ax-k1-pd-h200-rebel100.yaml", ["cluster.power_cap=600 W"]
    )
    with pytest.raises(UserError, match="not yet with a pool of its own"):
        sim.simulate(scenario)


def test_the_clock_found_is_the_highest_that_keeps_the_limit(scenario):
    cluster = sim.explain(scenario).deployment.cluster
    limit = cluster.chip.power.tdp + cluster.overhead_power
    found = within_limit(cluster, lambda clock: clock, lambda clock: limit * (clock / 0.6) ** 2)
    assert found.clock == found.run
    assert 0.594 <= found.clock <= 0.6
