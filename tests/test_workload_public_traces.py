"""The public traces read as their publishers describe them."""

import os
from pathlib import Path

import numpy as np
import pytest

from sim.workload import Requests, WorkloadSpec, generate
from sim.workload.writing import block_ids

SHARED = Path(os.environ.get("BANDWALL_SHARED", Path(__file__).parent.parent.parent / "shared"))
TRACES = SHARED / "facts" / "traces"
needs_traces = pytest.mark.skipif(not TRACES.is_dir(), reason=f"no public traces at {TRACES}")


def reuse(requests: Requests) -> float:
    """Share of 512-token blocks seen before, with a cache that forgets nothing."""
    seen: set[int] = set()
    hits = total = 0
    for ids in block_ids(requests, 512):
        hits += sum(block in seen for block in ids)
        total += len(ids)
        seen.update(ids)
    return hits / total


def public(name: str, kind: str) -> Requests:
    tree = {"arrivals": {"process": "trace", "path": str(TRACES / name), "format": kind}}
    return generate(WorkloadSpec.model_validate(tree), 0)


@needs_traces
@pytest.mark.parametrize(("name", "share"), [("conversation", 0.366), ("synthetic", 0.640)])
def test_mooncake_traces_reuse_the_published_share_of_blocks(name: str, share: float):
    assert reuse(public(f"mooncake_{name}.jsonl.gz", "mooncake")) == pytest.approx(share, abs=0.0005)


@needs_traces
@pytest.mark.parametrize(
    ("name", "rows", "rate", "cv", "prompt", "output"),
    [("conv", 19_366, 5.53, 1.09, 1155, 211), ("code", 8_819, 2.57, 13.15, 2048, 27.9)],
)
def test_azure_traces_have_their_published_statistics(name, rows, rate, cv, prompt, output):
    requests = public(f"azure2023_{name}.csv.gz", "azure")
    gaps = np.diff(requests.arrival)
    assert len(requests) == rows
    assert 1 / gaps.mean() == pytest.approx(rate, rel=0.005)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.005)
    assert requests.prompt_tokens.mean() == pytest.approx(prompt, rel=0.001)
    assert requests.output_tokens.mean() == pytest.approx(output, rel=0.005)
