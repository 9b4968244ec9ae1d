"""Speculative decoding: draws against exact distributions, limits, costs, memory, a user's mistakes."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.deployment import Speculation, memory_map
from sim.errors import UserError
from sim.operators import BatchShape, lower
from sim.serving import FleetConfig, SchedulerConfig, serve_fleet
from sim.serving.speculation import GRAIN, paces, verification_steps
from sim.timing import StepSurface, make_timer
from sim.timing.linear_surface import LinearSurface
from sim.workload import Requests
from tests.chips import axk1, deployed

SCENARIO = """\
model: {model}
cluster: h200-hgx
deployment:
  precision: {{weights: fp8, activations: fp8}}
  parallel: {{tp: 8{more}}}
  speculation: {speculation}
workload:
  arrivals: {{process: poisson, rate: 4.0}}
  prompt_tokens: {{distribution: constant, value: 300}}
  output_tokens: {{distribution: constant, value: 40}}
  num_requests: 20
"""


def scheduler(**changed: object) -> SchedulerConfig:
    limits = {
        "block_size": 16, "num_blocks": 100_000, "max_model_len": 100_000, "max_num_scheduled_tokens": 8192,
        "max_num_batched_tokens": 8192, "max_num_seqs": 64, "async_scheduling": False,
    } | changed  # fmt: skip
    return SchedulerConfig(**limits)


def at_once(outputs: list[int], prompt: int = 8) -> Requests:
    n = len(outputs)
    return Requests(np.zeros(n), np.full(n, prompt), np.array(outputs))


def exact_steps(tokens: int, chances: np.ndarray) -> np.ndarray:
    """P(M = m), m = 0 … tokens, by following the whole distribution of what is left."""
    left = np.zeros(tokens + 1)
    left[tokens] = 1.0
    found = np.zeros(tokens + 1)
    for step in range(1, tokens + 1):
        after = np.zeros(tokens + 1)
        for have in range(1, tokens + 1):
            for gain, chance in enumerate(chances, 1):
                after[max(have - gain, 0)] += left[have] * chance
        found[step] = after[0]
        after[0] = 0.0
        left = after
    return found


def test_the_number_of_steps_has_its_exact_distribution():
    acceptance = (0.7, 0.4, 0.3)
    drawn = verification_steps(np.full(200_000, 17), acceptance, np.random.default_rng(1))
    seen = np.bincount(drawn, minlength=18) / len(drawn)
    assert seen == pytest.approx(exact_steps(17, np.array([0.3, 0.3, 0.1, 0.3])), abs=0.004)


@pytest.mark.parametrize(("alpha", "drafts"), [(0.8, 1), (0.6, 3), (0.95, 5)])
def test_long_answers_advance_by_the_mean_yield(alpha, drafts):
    acceptance = [alpha**j for j in range(1, drafts + 1)]
    steps = verification_steps(np.full(2000, 20_000), acceptance, np.random.default_rng(2))
    assert 20_000 / steps.mean() == pytest.approx((1 - alpha ** (drafts + 1)) / (1 - alpha), rel=1e-3)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30), st.floats(0, 1), st.integers(1, 6))
def test_a_pace_ends_an_answer_after_the_steps_that_were_drawn(outputs, alpha, drafts):
    acceptance = [alpha**j for j in range(1, drafts + 1)]
    after = np.array(outputs) - 1
    drawn = verification_steps(after, acceptance, np.random.default_rng(3))
    pace = np.array(paces(np.array(outputs), acceptance, np.random.default_rng(3)))
    assert np.all(pace / GRAIN % 1 == 0)
    assert np.all((pace >= 1) & (pace <= drafts + 1))
    assert np.array_equal(np.ceil(after / pace), drawn)
    assert np.all(drawn >= np.ceil(after / (drafts + 1)))


def test_drafts_that_are_never_right_change_nothing_where_verifying_is_free():
    requests = at_once([5, 40, 300, 17])
    surface = LinearSurface(0.01, 0.0, 0.0)
    plain = serve_fleet(requests, surface, FleetConfig(scheduler()))
    drafting = serve_fleet(requests, surface, FleetConfig(scheduler(acceptance=(0.0, 0.0))))
    assert drafting.requests.finish == pytest.approx(plain.requests.finish, rel=1e-12)
    assert drafting.steps == plain.steps


def test_drafts_that_are_always_right_divide_the_steps():
    outputs = [2, 5, 100, 101, 102]
    config = FleetConfig(scheduler(acceptance=(1.0, 1.0, 1.0)))
    table = serve_fleet(at_once(outputs), LinearSurface(0.01, 0.0, 0.0), config).requests
    steps = (table.finish - table.first_token) / 0.01
    assert steps == pytest.approx(np.ceil((np.array(outputs) - 1) / 4))


def test_answers_take_as_long_as_when_every_draft_is_drawn_step_by_step():
    """Even progress stands for random progress: a batch whose steps cost more with every token of context."""
    n, output, prompt, acceptance = 40, 600, 100, (0.8, 0.5)
    surface = LinearSurface(0.01, 1e-5, 2e-7, queries=3)
    config = FleetConfig(scheduler(acceptance=acceptance))
    table = serve_fleet(at_once([output] * n, prompt), surface, config).requests
    rng = np.random.default_rng(5)
    ends = []
    for _ in range(20):
        have, time, end = np.ones(n), 0.0, np.zeros(n)
        while (alive := have < output).any():
            context = (prompt + have[alive] + 2).sum()
            time += 0.01 + 1e-5 * 3 * alive.sum() + 2e-7 * context
            draft = rng.random(n)
            have += alive * (1 + (draft < acceptance[0]) + (draft < acceptance[1]))
            end[alive & (have >= output)] = time
        ends.append(end.mean())
    spent = (table.finish - table.first_token).mean()
    assert spent == pytest.approx(np.mean(ends), rel=0.02)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.booleans(), st.integers(20, 60))
def test_the_same_seed_gives_the_same_records(seed, overlapped, blocks):
    config = FleetConfig(
        scheduler(acceptance=(0.6,), async_scheduling=overlapped, num_blocks=blocks, max_model_len=300),
        seed=seed,
    )
    requests = at_once([50, 100, 150, 30, 70], 40)
    runs = [serve_fleet(requests, LinearSurface(0.01, 0.0, 1e-6, queries=2), config) for _ in range(2)]
    assert np.array_equal(runs[0].requests.finish, runs[1].requests.finish)
    assert runs[0].segments.yielded.sum() == 400


def test_slots_of_drafts_take_blocks_that_plain_decoding_does_not():
    """16 + 1 tokens need 2 blocks; with 4 drafts verified and 4 drafted anew, 8 more slots are allocated."""
    drafting = serve_fleet(
        at_once([10], 24), LinearSurface(0.01, 0.0, 0.0), FleetConfig(scheduler(acceptance=(1.0,) * 4))
    )
    plain = serve_fleet(at_once([10], 24), LinearSurface(0.01, 0.0, 0.0), FleetConfig(scheduler()))
    peak = [run.series.kv_used.max() * run.kv_blocks for run in (plain, drafting)]
    assert peak[1] > peak[0]


def test_a_prefix_hit_leaves_out_its_last_block_where_drafts_need_hidden_states():
    pieces = (((1, 160), (2, 8)), ((1, 160), (3, 8)))
    requests = Requests(
        np.array([0.0, 50.0]), np.array([168, 168]), np.array([4, 4]), pieces=pieces,
        output_segment=np.array([10, 11]),
    )  # fmt: skip
    for again, cached in ((False, 160), (True, 144)):
        config = FleetConfig(scheduler(acceptance=(0.5,), recompute_last_block=again))
        table = serve_fleet(requests, LinearSurface(0.01, 1e-4, 0.0), config).requests
        assert table.cached_tokens.tolist() == [0, cached]


# -- what a step costs ------------------------------------------------------------------------------------


def mtp(drafts: int):
    plain = axk1()
    layer = dataclasses.replace(plain.model, layers=plain.model.layers[-1:], mtp_layers=0)
    speculation = Speculation((0.8,) * drafts, layer, 1, shares_weights=True)
    return dataclasses.replace(plain, speculation=speculation)


def with_draft_model(drafts: int):
    speculation = Speculation(
        (0.8,) * drafts, deployed("llama-3.1-8b", "h200-hgx").model, 1, shares_weights=False
    )
    target = deployed("llama-3.1-70b", "h200-hgx", tp=8)
    return dataclasses.replace(target, speculation=speculation)


def windowed_draft():
    drafter = deployed("gpt-oss-20b", "h200-hgx", tp=2).model
    speculation = Speculation((0.7, 0.5), drafter, 1, shares_weights=False)
    return dataclasses.replace(
        deployed("qwen3-235b-a22b", "h200-hgx", tp=2, dp=4, ep=8), speculation=speculation
    )


@pytest.mark.parametrize("build", [lambda: mtp(2), lambda: with_draft_model(3), windowed_draft])
@settings(max_examples=15)
@given(st.integers(1, 200), st.integers(50, 9000), st.lists(st.integers(1, 3000), max_size=2))
def test_the_surface_prices_drafts_as_the_timer_does(build, decodes, mean, chunks):
    timer = make_timer(build())
    surface = StepSurface(timer)
    sums = [decodes * mean, *(decodes * min(mean, w) for w in timer.windows)]
    shape = BatchShape(
        decodes, sums[0], tuple(sums[1:]), tuple((c, 0) for c in chunks), queries=timer.queries
    )
    growth = [decodes * (mean < w) for w in (1 << 60, *timer.windows)]
    if chunks:
        found = surface.mixed(decodes, sums, shape.chunks)
    else:
        found, _, _ = surface.segment(decodes, sums, growth)
    assert found == pytest.approx(timer.durations(shape)[0], rel=1e-3)
    if decodes % 5 == 0:
        assert timer.explain(shape).total == pytest.approx(timer.durations(shape)[0], rel=1e-9)


@pytest.mark.parametrize("build", [mtp, with_draft_model])
def test_every_further_draft_makes_a_step_longer_but_a_small_batch_far_less_than_its_tokens(build):
    def step(drafts: int) -> float:
        deployment = build(drafts)
        return float(make_timer(deployment).durations(BatchShape(2, 4000, queries=1 + drafts))[0])

    plain = make_timer(dataclasses.replace(build(1), speculation=None)).durations(BatchShape(2, 4000))[0]
    steps = [plain, *(step(drafts) for drafts in (1, 2, 4))]
    assert all(b > a for a, b in pairwise(steps))
    assert steps[3] < 3 * plain, "five tokens a sequence read the weights once"


def test_verifying_reads_the_cache_once_and_multiplies_every_draft():
    batch = BatchShape(8, 80_000)
    plain = {o.name: o for o in lower(dataclasses.replace(with_draft_model(1), speculation=None), batch)}[
        "decode"
    ]
    verified = {o.name: o for o in lower(with_draft_model(3), dataclasses.replace(batch, queries=4))}[
        "decode"
    ]
    assert verified.flops[0] == 4 * plain.flops[0]
    assert verified.hbm_bytes[0] < 1.01 * plain.hbm_bytes[0]


def test_a_module_adds_its_weights_and_its_cache_to_the_last_stage():
    plain, drafting = memory_map(axk1()), memory_map(mtp(1))
    added = sum(drafting.stages[-1].weights.values()) - sum(plain.stages[-1].weights.values())
    split, whole = 8.5e9 / 8, 2 * 2 * axk1().model.hidden ** 2
    assert split + whole < added < 1.05 * (split + whole), "fp8 over 8 chips; a projection in bf16 on each"
    layers = len(axk1().model.layers)
    assert drafting.stages[-1].block / plain.stages[-1].block == pytest.approx((layers + 1) / layers)


# -- what a user writes -----------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    def write(speculation: str, model: str = "ax-k1", more: str = ", ep: 8"):
        path = tmp_path / "it.yaml"
        path.write_text(SCENARIO.format(model=model, more=more, speculation=speculation))
        return path

    return write


def test_drafts_make_answers_faster_and_the_result_says_what_it_rests_on(written):
    path = written("{method: mtp, num_speculative_tokens: 2}")
    drafting = sim.simulate(sim.load(path))
    plain = sim.simulate(sim.load(path, ["deployment.speculation=null"]))
    assert drafting.summary.values["mean_tpot_ms"] < 0.7 * plain.summary.values["mean_tpot_ms"]
    assert "deployment.speculation.acceptance" in {a.path for a in drafting.summary.assumptions}
    better = sim.simulate(sim.load(path, ["deployment.speculation.acceptance=0.95"]))
    assert better.summary.values["mean_tpot_ms"] < drafting.summary.values["mean_tpot_ms"]


def test_a_draft_model_and_a_file_of_acceptances_are_written_into_the_resolved_tree(written, tmp_path):
    (tmp_path / "measured.txt").write_text("# one of vLLM's logs\n0.75\n0.5\n")
    scenario = sim.load(
        written(
            "{method: draft_model, model: llama-3.1-8b, num_speculative_tokens: 2, "
            "acceptance_by_position: measured.txt}",
            model="llama-3.1-70b",
            more="",
        )
    )
    again = tmp_path / "again.yaml"
    scenario.write_resolved(again)
    (tmp_path / "measured.txt").unlink()
    assert sim.load(again).spec == scenario.spec
    speculation = scenario.spec.deployment.speculation
    assert speculation is not None
    assert speculation.acceptance_by_position == (0.75, 0.5)


@pytest.mark.parametrize(
    ("speculation", "model", "says"),
    [
        ("{method: mtp}", "llama-3.1-70b", "ships no multi-token-prediction module"),
        ("{method: eagle}", "ax-k1", "'mtp' or 'draft_model'"),
        ("{method: draft_model}", "ax-k1", "needs 'model'"),
        ("{method: mtp, model: llama-3.1-8b}", "ax-k1", "takes no 'model'"),
        ("{method: draft_model, model: llama-3.1-8bb}", "ax-k1", "llama-3.1-8b"),
        ("{method: mtp, acceptance: 1.2}", "ax-k1", "at most 1"),
        ("{method: mtp, acceptance_by_position: [0.5, 0.4]}", "ax-k1", "2 numbers for 1 drafts"),
        ("{method: mtp, num_speculative_tokens: 2, acceptance_by_position: [0.5, 0.6]}", "ax-k1", "rises"),
        ("{method: mtp, acceptance_by_position: nowhere.txt}", "ax-k1", "cannot be read"),
        ("{method: mtp, acceptance_by_position: wrong.txt}", "ax-k1", "wrong.txt:2: found 'often'"),
        ("{method: mtp, acceptance_by_position: binary.txt}", "ax-k1", "not UTF-8"),
        ("{method: mtp, num_speculative_tokens: 99}", "ax-k1", "num_speculative_tokens"),
        ("often", "ax-k1", "speculation"),
        (
            "{method: draft_model, model: gpt-oss-20b}",
            "llama-3.1-70b",
            "deployment.speculation.model: gpt-oss-20b",
        ),
    ],
)
def test_a_wrong_speculation_is_one_sentence(written, tmp_path, speculation, model, says):
    (tmp_path / "wrong.txt").write_text("0.5\noften\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    more = ", ep: 8" if model == "ax-k1" else ""
    with pytest.raises(UserError) as caught:
        sim.simulate(sim.load(written(speculation, model, more)))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_step_must_have_room_for_every_decodes_drafts(written):
    path = written("{method: mtp, num_speculative_tokens: 3}")
    with pytest.raises(UserError, match="max_num_seqs 1024 · 4"):
        sim.load(path, ["deployment.engine.max_num_batched_tokens=4000"])
