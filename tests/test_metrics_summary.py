"""A run's record: conservation, bounds, and what it says of steadiness, cost and what limits the service."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from metrics_runs import MiniService, breakdown_of, explain, mini_cluster, poisson_run, with_requests

from sim.figures import Assumption
from sim.metrics import Fleet, Header, SloSpec, summarise
from sim.metrics.admission import waiting_for
from sim.operators.batch import BatchShape
from sim.serving.records import REJECTED, UNFINISHED
from sim.timing import StepBreakdown

HEADER = Header("mini", "vllm 0.32", 4.0, 1.0, None, seats=32)
SLO = SloSpec(ttft="100 ms", tpot="50 ms")


def record_of(result, **how):
    return summarise(result, HEADER, **how).to_json()


def test_the_record_has_every_field_of_vllms_result_file():
    record = record_of(poisson_run(), slo=SLO)
    names = [
        *("date", "backend", "model_id", "tokenizer_id", "num_prompts", "request_rate", "burstiness"),
        *("max_concurrency", "duration", "completed", "failed", "total_input_tokens", "total_output_tokens"),
        *("request_throughput", "request_goodput", "output_throughput", "total_token_throughput"),
    ]
    names += [
        f"{kind}_{what}_ms"
        for kind in ("mean", "median", "std", "p50", "p90", "p95", "p99")
        for what in ("ttft", "tpot", "itl", "e2el")
    ]
    assert not [name for name in names if name not in record]


def test_the_record_is_the_same_with_and_without_an_slo_a_fleet_and_a_breakdown_but_for_nulls():
    result = poisson_run()
    bare = record_of(result)
    full = summarise(result, HEADER, slo=SLO, fleet=mini_fleet(), breakdown=breakdown_of(result)).to_json()
    assert not [name for name in bare if name not in full]
    assert not [n for n, value in bare.items() if value is not None and full[n] != value]


def test_tokens_and_requests_are_conserved():
    result = poisson_run()
    status = result.requests.status.copy()
    status[:3], status[3] = REJECTED, UNFINISHED
    record = record_of(with_requests(result, status=status), slo=SLO)
    assert record["completed"] + record["failed"] == record["num_prompts"] == 400
    assert (record["failed"], record["rejected"]) == (4, 3)
    assert record["total_output_tokens"] == result.requests.output_tokens[4:].sum()
    assert record["output_throughput"] * record["duration"] == pytest.approx(record["total_output_tokens"])


def test_goodput_never_exceeds_throughput_and_falls_with_a_tighter_bound():
    result = poisson_run()
    records = [record_of(result, slo=SloSpec(ttft=f"{bound} ms")) for bound in (500, 40, 30, 25, 1)]
    goodputs = [r["request_goodput"] for r in records]
    assert goodputs == sorted(goodputs, reverse=True)
    assert goodputs[0] == records[0]["request_throughput"]
    assert goodputs[-1] == 0


def test_a_rejected_request_counts_against_attainment():
    result = poisson_run()
    status = result.requests.status.copy()
    status[::4] = REJECTED
    record = record_of(with_requests(result, status=status), slo=SloSpec(e2el="1 h", attainment=0.8))
    assert record["slo_attainment"] == 0.75
    assert record["meets_slo"] is False


def test_a_calm_run_is_steady_and_its_twins_are_near_the_whole_runs():
    record = record_of(poisson_run(n=2000), slo=SLO)
    assert record["steady"]
    assert not record["saturated"]
    for name in ("request_throughput", "output_throughput", "mean_ttft_ms", "mean_tpot_ms", "mean_itl_ms"):
        assert record[f"steady_{name}"] == pytest.approx(record[name], rel=0.1)


def test_the_steady_twins_leave_out_warm_up_and_drain():
    # outputs of 640 tokens last about 35 s: for the first and last 35 s of 300 the batch is not full
    result = poisson_run(n=600, rate=2.0, output=640, service=MiniService(seats=500))
    whole = record_of(result)
    assert whole["steady_start"] > 30
    assert whole["steady_end"] < result.requests.arrival[-1] - 30
    assert whole["steady_mean_tpot_ms"] > whole["mean_tpot_ms"]
    assert whole["steady_output_throughput"] > whole["output_throughput"]


def test_a_run_whose_batch_is_still_filling_has_not_settled_but_is_not_saturated():
    # seats for everybody, and answers that last as long as the arrivals do
    result = poisson_run(n=300, rate=10.0, output=1200, service=MiniService(seats=500, per_sequence=0.0))
    summary = summarise(result, HEADER)
    assert not summary.backlog.settled
    assert not summary.backlog.saturated
    assert not summary.steady
    assert "batch still grows" in summary.notes[0]


def test_an_overloaded_run_is_said_to_be_saturated_however_long_it_is():
    # 4 seats, 64 tokens at 22 ms: at most 2.8 requests/s
    for n in (400, 1600):
        summary = summarise(poisson_run(n=n, rate=4.0, service=MiniService(seats=4)), HEADER)
        assert summary.backlog.saturated
        assert not summary.steady
        assert summary.backlog.share == pytest.approx(1 - 2.8 / 4, abs=0.1)
        assert "queue grows" in summary.notes[0]


@pytest.mark.parametrize("seed", range(8))
def test_a_run_below_its_capacity_is_not_said_to_be_saturated(seed):
    # 4 seats serve about 2.8 requests/s; 2.1/s is a load of 0.75
    result = poisson_run(n=800, rate=2.1, seed=seed, service=MiniService(seats=4))
    assert not summarise(result, HEADER).backlog.saturated


def test_a_burst_has_no_steady_part():
    result = MiniService().run(np.zeros(50), np.full(50, 100), np.full(50, 20))
    summary = summarise(result, HEADER, slo=SLO)
    assert summary.window is None
    assert not summary.steady
    steady = {name: value for name, value in summary.to_json().items() if name.startswith("steady_")}
    assert len(steady) > 30
    assert set(steady.values()) == {None}
    assert "no steady part" in summary.notes[0]


@pytest.mark.parametrize("replicas", [1, 3])
def test_littles_law_holds(replicas):
    record = record_of(poisson_run(service=MiniService(replicas=replicas)))
    assert record["littles_law_ratio"] == pytest.approx(1.0, rel=1e-6)


def test_a_run_in_which_nothing_finished_says_so():
    result = poisson_run(n=10)
    summary = summarise(with_requests(result, status=np.full(10, REJECTED, np.int8)), HEADER, slo=SLO)
    assert summary.notes == ("No request finished.",)
    assert summary.window is None
    assert summary.values["slo_attainment"] == 0.0


def test_a_run_in_which_nothing_finished_but_not_all_was_rejected_has_no_steady_part():
    result = poisson_run(n=10)
    summary = summarise(with_requests(result, status=np.full(10, UNFINISHED, np.int8)), HEADER)
    assert summary.window is None
    assert summary.values["failed"] == 10


def test_a_run_without_a_request_is_all_nulls_and_zeros():
    nothing = np.empty(0)
    none = np.empty(0, np.int64)
    record = record_of(MiniService().run(nothing, none, none), slo=SLO)
    assert record["num_prompts"] == record["completed"] == 0
    assert record["request_throughput"] is None
    assert record["p99_ttft_ms"] is None


def test_a_record_is_json_without_nan_or_infinity():
    result = poisson_run(n=3, output=1)
    header = replace(HEADER, request_rate=float("inf"))
    text = json.dumps(summarise(result, header, slo=SLO).to_json(), allow_nan=False)
    assert json.loads(text)["request_rate"] == "inf"


def test_the_same_run_gives_the_same_record():
    assert record_of(poisson_run(seed=5), slo=SLO) == record_of(poisson_run(seed=5), slo=SLO)


def test_assumptions_are_in_the_record():
    assumption = Assumption("cluster.chip.memory.bandwidth", "4.8 TB/s", "datasheet", "vendor")
    record = record_of(poisson_run(n=5), assumptions=(assumption,))
    assert record["assumptions"] == [
        {"path": assumption.path, "value": "4.8 TB/s", "basis": "datasheet", "source": "vendor"}
    ]


def test_each_client_has_its_own_latencies_and_they_share_the_throughput():
    result = poisson_run(n=200)
    client = np.arange(200) % 2
    record = record_of(replace(with_requests(result, client=client), clients=("chat", "batch")), slo=SLO)
    clients = record["clients"]
    assert list(clients) == ["chat", "batch"]
    total = sum(c["request_throughput"] for c in clients.values())
    assert total == pytest.approx(record["request_throughput"])
    assert clients["chat"]["p99_e2el_ms"] != clients["batch"]["p99_e2el_ms"]


def mini_fleet(**chip):
    return Fleet(mini_cluster(**chip), "bf16", active_params=1e9)


def test_mfu_is_one_when_the_chips_do_nothing_but_the_models_arithmetic():
    result = poisson_run()
    tokens = (result.requests.prompt_tokens + result.requests.output_tokens - 1).sum()
    peak = 2 * 1e9 * tokens / (result.chips * result.duration)
    record = record_of(result, fleet=mini_fleet(peak=peak))
    assert record["mfu"] == pytest.approx(1.0)


def test_mbu_is_the_operators_bytes_against_the_peak():
    result = poisson_run()
    breakdown = breakdown_of(result)
    record = record_of(result, fleet=mini_fleet(bandwidth=4e12), breakdown=breakdown)
    moved = sum(o.hbm_bytes for o in breakdown.by_operator)
    assert record["mbu"] == pytest.approx(breakdown.busy * moved / 4e12)


def test_cost_counts_every_chip_hour_idle_or_not():
    result = poisson_run()
    record = record_of(result, fleet=mini_fleet(rental=3.0))
    assert record["usd"] == pytest.approx(8 * result.duration / 3600 * 3.0)
    assert record["usd_per_million_output_tokens"] * record["total_output_tokens"] / 1e6 == pytest.approx(
        record["usd"]
    )


def test_cost_of_a_chip_without_a_price_is_unknown():
    record = record_of(poisson_run(n=5), fleet=mini_fleet(rental=0.0))
    assert record["usd"] is None
    assert record["usd_per_million_output_tokens"] is None


def test_power_lies_between_idle_and_the_design_power():
    result = poisson_run()
    idle, tdp, overhead = 100.0, 700.0, 50.0
    fleet = mini_fleet(idle=idle, tdp=tdp)
    for joules in (0.0, 0.1, 1e6):

        def drawing(batch: BatchShape, joules: float = joules) -> StepBreakdown:
            step = explain(batch)
            return replace(step, operators=tuple(replace(o, energy=joules) for o in step.operators))

        breakdown = breakdown_of(result, drawing)
        record = record_of(result, fleet=fleet, breakdown=breakdown)
        low, high = idle + overhead, overhead + idle + breakdown.busy * (tdp - idle)
        assert low <= record["mean_power_per_chip_w"] <= high + 1e-9
        assert record["mean_power_per_chip_w"] <= record["peak_power_per_chip_w"] + 1e-9
        assert record["joules"] == pytest.approx(record["mean_power_per_chip_w"] * 8 * result.duration)
    assert record["mean_power_per_chip_w"] == pytest.approx(high)


@pytest.mark.parametrize(
    ("running", "kv", "cause"),
    [(4.0, 0.5, "max_num_seqs"), (2.0, 0.95, "kv_cache"), (2.0, 0.5, "step_budget")],
)
def test_a_waiting_queue_says_what_it_waits_for(running, kv, cause):
    series = poisson_run(n=20).series
    ones = np.ones(len(series.time))
    held = replace(series, running=running * ones, kv_used=kv * ones, waiting=5 * ones)
    assert waiting_for(held, seats=4)[cause] == 1.0
    assert sum(waiting_for(held, seats=4).values()) == 1.0
    assert sum(waiting_for(replace(held, waiting=0 * ones), seats=4).values()) == 0.0


def test_every_field_of_the_record_is_defined_in_the_docs():
    text = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    result = poisson_run()
    record = record_of(result, slo=SLO, fleet=mini_fleet(), breakdown=breakdown_of(result))
    defined = {name for name in record if f"`{name}`" in text}
    statistics = {
        f"{kind}_{what}_ms"
        for kind in ("mean", "median", "std", "p50", "p90", "p95", "p99")
        for what in ("ttft", "tpot", "itl", "e2el")
    }
    twins = {f"steady_{name}" for name in defined | statistics}
    assert not set(record) - defined - statistics - twins
