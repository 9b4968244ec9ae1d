"""Sums over a step: whole steps composed of measured tables, against the same operators as priced."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from sim.cli import execute
from sim.deployment.deploy import laid_out
from sim.deployment.schema import DeploymentSpec
from sim.models import load_model
from sim.operators import BatchShape, Elementwise
from sim.timing import make_timer
from sim.timing.measured import PRICES
from sim.timing.measured.asked import asked
from sim.timing.measured.parameters import parameters
from sim.timing.measured.rows import Rows
from sim.timing.measured.tables import to_rows
from sim.validation.operators.steps import DECODES, PROMPTS, step_agreement, step_sums
from tests.chips import cluster

LLAMA = {"precision": {"weights": "bf16", "activations": "bf16"}, "parallel": {"tp": 4}}


def silicon(slower: float, stack: str = "trtllm", without: str = "") -> list[Rows]:
    """Tables of all that steps of Llama-3.1-70B in bf16 on four H100 run, on silicon `slower` than priced."""
    spec = DeploymentSpec.model_validate({**LLAMA, "engine": {"family": "trtllm"}})
    timer = make_timer(laid_out(spec, load_model("llama-3.1-70b"), cluster("h100-hgx")))
    batches = [BatchShape(n, n * length) for n, length in DECODES]
    batches += [BatchShape(chunks=((length, 0),)) for length in PROMPTS]
    shapes: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
    for batch in batches:
        for part, _ in timer.operators(timer.micro_batch(batch), 0):
            for operator in part:
                sought = asked(operator)
                if sought is None or isinstance(operator, Elementwise) or sought.table == without:
                    continue
                sizes = {name: float(column[0]) for name, column in sought.sizes.items()}
                dtype, cache, _ = sought.kinds[0]
                shapes[sought.table].append({"dtype": dtype, "kv_dtype": cache, **sizes})
    bench = parameters("profile").bench("h100_sxm")
    assert bench is not None
    tables: list[Rows] = []
    for name, rows in shapes.items():
        columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        who = {"chip": "h100_sxm", "op": name, "framework": stack}
        columns |= {key: np.full(len(rows), word) for key, word in who.items()}
        columns["latency_us"] = np.ones(len(rows))
        seconds = PRICES[name](to_rows(columns, name).rows, bench)
        tables.append(to_rows(columns | {"latency_us": 1e6 * slower * seconds}, name).rows)
    return tables


@pytest.mark.parametrize("slower", [1.0, 2.0])
def test_a_step_errs_by_what_all_its_operators_err(slower: float) -> None:
    sums = step_sums(silicon(slower), parameters("profile"))
    own = [one for one in sums if " llama-3.1-70b bf16 " in one.id]
    assert len(own) == len(DECODES) + len(PROMPTS)
    for one in sums:
        assert one.error == pytest.approx(100 * (1 / slower - 1), abs=1e-6)
        assert 0.6 <= one.covered <= 1.0


def test_errors_of_operators_that_point_both_ways_cancel_in_the_sum() -> None:
    tables = silicon(1.0)
    for sign, rows in zip((1.2, 0.8), tables, strict=False):
        rows.columns["latency_us"][:] *= sign
    for one in step_sums(tables, parameters("profile")):
        assert abs(one.error) < 25.0


def test_steps_that_the_tables_hardly_cover_are_left_out() -> None:
    sums = step_sums(silicon(1.0, without="gemm"), parameters("profile"))
    assert len(sums) < len(step_sums(silicon(1.0), parameters("profile")))
    assert not any("decode 1 ×" in one.id for one in sums)  # weights are most of it


@pytest.mark.parametrize("stack", ["torch", "vllm"])
def test_other_stacks_have_their_own_steps_or_none(stack: str) -> None:
    sums = step_sums(silicon(1.0, stack), parameters("profile"))
    assert {one.keys["stack"] for one in sums} == ({stack} if stack == "vllm" else set())


def test_a_chip_that_nobody_knows_has_no_steps() -> None:
    tables = silicon(1.0)
    for rows in tables:
        rows.columns["chip"][:] = "x999_sxm"
    assert step_sums(tables, parameters("profile")) == []


def test_groups_of_steps_come_worst_first_with_their_bias() -> None:
    groups = step_agreement(step_sums(silicon(1.25), parameters("profile")), ("chip", "phase"))
    assert {(a.keys["chip"], a.keys["phase"]) for a in groups} == {("h100", "decode"), ("h100", "prefill")}
    assert all(a.bias == pytest.approx(-20.0, abs=1e-6) for a in groups)


def test_the_command_prints_sums_over_a_step_and_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [write_csv(tmp_path / f"{rows.table}.csv", rows) for rows in silicon(1.25)]
    assert execute(["validate", "operators", *map(str, paths), "--json", str(tmp_path / "r.json")]) == 0
    assert "Sum over a step" in capsys.readouterr().out
    steps = json.loads((tmp_path / "r.json").read_text())["steps"]
    assert {row["phase"] for row in steps["rows"]} == {"decode", "prefill"}
    assert all(group["bias"] == pytest.approx(-20.0, abs=1e-3) for group in steps["overall"])


def write_csv(path: Path, rows: Rows) -> Path:
    lines = [
        ",".join(rows.columns),
        *(",".join(map(str, row)) for row in zip(*rows.columns.values(), strict=True)),
    ]
    path.write_text("\n".join(lines))
    return path
