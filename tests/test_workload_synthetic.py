"""A synthetic service has the published statistics of the one it is named after, and says it is synthetic."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from sim.errors import UserError
from sim.workload import Requests, WorkloadSpec, generate
from sim.workload.preset import preset_names, read_preset
from sim.workload.writing import block_ids

EXAMPLES = Path(__file__).parent.parent / "examples"


def service(preset: str, count: int = 20_000, seed: int = 0, **rest: object) -> Requests:
    arrivals = {"process": "synthetic", "preset": preset, **rest}
    return generate(WorkloadSpec.model_validate({"arrivals": arrivals, "num_requests": count}), seed)


@pytest.mark.parametrize(
    ("preset", "rate", "prompt", "median_prompt", "output"),
    [
        ("azure-conv-like", 5.53, 1155, 1020, 211),
        ("azure-code-like", 2.57, 2048, 1469, 27.9),
        ("mooncake-like", 3.40, 12_035, 6_909, 343),
        ("servegen-m-large-like", 122.8, 914, 601, 155),
        ("servegen-deepseek-r1-like", 16.0, 1_268, None, 1_527),
    ],
)
def test_presets_have_the_published_rate_and_lengths(preset, rate, prompt, median_prompt, output):
    seeds = [service(preset, seed=seed) for seed in range(3)]
    prompts = np.concatenate([requests.prompt_tokens for requests in seeds])
    assert np.mean([len(r) / r.arrival[-1] for r in seeds]) == pytest.approx(rate, rel=0.12)
    assert prompts.mean() == pytest.approx(prompt, rel=0.08)
    if median_prompt:
        assert np.median(prompts) == pytest.approx(median_prompt, rel=0.08)
    outputs = np.concatenate([requests.output_tokens for requests in seeds])
    assert outputs.mean() == pytest.approx(output, rel=0.10)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_is_named_synthetic_with_its_source_and_repeats(preset: str):
    first, again = service(preset, 500, 3), service(preset, 500, 3)
    assert "synthetic" in first.synthetic
    assert read_preset(preset).source in first.synthetic
    assert len(first) == 500
    assert (first.arrival == again.arrival).all()
    assert first.pieces == again.pieces
    assert (np.diff(first.arrival) >= 0).all()
    assert first.prompt_tokens.min() >= 1
    assert first.output_tokens.min() >= 1


def test_clients_come_in_their_shares():
    requests = service("servegen-deepseek-r1-like", 60_000)
    preset = read_preset("servegen-deepseek-r1-like")
    counts = np.bincount(requests.client, minlength=len(preset.clients)) / len(requests)
    total = sum(client.share for client in preset.clients)
    for count, client in zip(counts, preset.clients, strict=True):
        assert count == pytest.approx(client.share / total, rel=0.3)
    assert requests.clients == tuple(client.name for client in preset.clients)


def test_many_clients_together_are_burstier_than_poisson():
    gaps = np.diff(service("servegen-deepseek-r1-like", 40_000).arrival)
    assert gaps.std() / gaps.mean() > 1.15


def test_the_rate_can_be_changed_without_changing_the_lengths_of_a_single_client():
    slow, fast = service("azure-conv-like", 300, rate=1.0), service("azure-conv-like", 300, rate=10.0)
    np.testing.assert_allclose(slow.arrival, 10 * fast.arrival, rtol=1e-9)
    assert (slow.prompt_tokens == fast.prompt_tokens).all()


def test_mooncake_like_sessions_reuse_about_the_published_share_of_blocks():
    seen: set[int] = set()
    hits = total = 0
    for ids in block_ids(service("mooncake-like", 12_000), 512):
        hits += sum(block in seen for block in ids)
        total += len(ids)
        seen.update(ids)
    assert hits / total == pytest.approx(0.366, abs=0.05)


def test_later_turns_begin_with_the_whole_earlier_turn_and_fit_the_context():
    requests = service("mooncake-like", 3_000)
    assert requests.pieces is not None
    context = read_preset("mooncake-like").sessions.context
    assert (requests.prompt_tokens + requests.output_tokens).max() <= context
    last: dict[int, int] = {}
    later = 0
    for i, session in enumerate(requests.session.tolist()):
        pieces = requests.pieces[i]
        assert sum(length for _, length in pieces) == requests.prompt_tokens[i]
        assert pieces[0] == (0, 512)
        if session in last:
            before = last[session]
            answer = (int(requests.output_segment[before]), int(requests.output_tokens[before]))
            assert pieces[: len(requests.pieces[before]) + 1] == (*requests.pieces[before], answer)
            later += 1
        last[session] = i
    assert later / len(requests) == pytest.approx(1 - 1 / 1.63, abs=0.06)


def test_a_timed_run_of_sessions_stops_in_time():
    arrivals = {"process": "synthetic", "preset": "mooncake-like"}
    requests = generate(WorkloadSpec.model_validate({"arrivals": arrivals, "duration": "10 min"}), 0)
    assert requests.arrival[-1] <= 600
    assert len(requests) == pytest.approx(3.4 * 600, rel=0.35)


def test_a_duration_before_the_first_arrival_is_refused():
    arrivals = {"process": "synthetic", "preset": "azure-conv-like", "rate": 0.001}
    with pytest.raises(UserError, match="within the duration"):
        generate(WorkloadSpec.model_validate({"arrivals": arrivals, "duration": "1 ms"}), 0)


def test_an_unknown_preset_names_the_nearest_and_a_file_is_read(tmp_path):
    with pytest.raises(UserError, match="did you mean 'mooncake-like'"):
        service("mooncake-lik")
    (tmp_path / "mine.yaml").write_text(
        "title: mine\nsource: none\nrate: 2.0\nclients:\n"
        "  - name: one\n    share: 1\n    cv: 1.0\n"
        "    prompt_tokens: {distribution: constant, value: 5}\n"
        "    output_tokens: {distribution: constant, value: 6}\n"
    )
    arrivals = {"process": "synthetic", "preset": "mine.yaml"}
    spec = WorkloadSpec.model_validate({"arrivals": arrivals, "num_requests": 3})
    assert generate(spec, 0, tmp_path).prompt_tokens.tolist() == [5, 5, 5]
    (tmp_path / "mine.yaml").write_text("title: mine\nsource: none\nrate: 2.0\nclients: []\n")
    with pytest.raises(UserError, match=r"mine\.yaml:4: clients"):
        generate(spec, 0, tmp_path)


def test_the_example_traces_are_what_their_script_writes_and_read_back():
    script = importlib.util.spec_from_file_location("make_traces", EXAMPLES / "make_traces.py")
    assert script is not None
    assert script.loader is not None
    make_traces = importlib.util.module_from_spec(script)
    script.loader.exec_module(make_traces)
    for name, text in make_traces.traces().items():
        assert (EXAMPLES / "traces" / name).read_text() == text
        kind = "mooncake" if name.endswith("jsonl") else "csv"
        arrivals = {"process": "trace", "path": f"traces/{name}", "format": kind}
        requests = generate(WorkloadSpec.model_validate({"arrivals": arrivals}), 0, EXAMPLES)
        assert len(requests) <= 2000
        assert "synthetic" in name
