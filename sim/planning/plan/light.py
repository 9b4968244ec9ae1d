"""The least work of a step by resource, as straight lines: *light* roofline for many layouts at once.

For each resource r of one chip (compute, HBM, links), a step of n decodes per attention-dp rank that also
takes q prompt tokens of a new requests through the layers needs at least

    fixed + token · (d·n + q)/m + row · (d·n + a)/m + decode · n/m + Σ_w context_w · read_w/m
          + chunk · a/m + experts(dp · d·n/m) + expert · dp · q/m

seconds; m = pp micro-batches run at a time, d tokens are computed per decode (1 + its drafts). A prompt in a
pool of its own takes, at least, with steps of b tokens,

    fixed · prompt/b + (token · prompt + row + chunk + expert · dp · prompt)/pp

seconds of a rank; its step's experts are counted for none. What drafting itself takes is left out, which only
makes bounds lower. Every coefficient is read off the operators of `sim.operators` at
two sizes with the bounds of `sim.timing.roofline`: a bound here and a step's `light` there are the same
arithmetic. What depends on tp alone is read once per tp, the experts once per (tp, dp, ep). HBM bytes of
experts grow ever more slowly with tokens: prompt tokens are counted for none, which only makes the bound
lower.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.deployment import Deployment, Parallel
from sim.operators import Lowering, Operator
from sim.operators.loads import LOAD_GRID
from sim.planning.plan.traffic import Floats, Traffic
from sim.timing.rates import rates
from sim.timing.roofline import limits
from sim.timing.timer import CALM

_NODES = tuple(n for n in LOAD_GRID if n & (n - 1) == 0 and n <= 1 << 15)
"""Token counts at which experts are read; between them a straight line lies below the curve."""
_FROM_NONE = np.array([0.0, *_NODES])


@dataclass(frozen=True, slots=True)
class _PerRank:
    """Coefficients that depend on tp; each holds seconds of (compute, HBM, links).

    `decode` has the attention over the traffic's mean context in it.
    """

    fixed: Floats
    token: Floats
    row: Floats
    decode: Floats
    chunk: Floats


@dataclass(frozen=True, slots=True)
class _PerExperts:
    """Experts and their exchange by tokens of all ranks: HBM at `_FROM_NONE`, the rest per token."""

    hbm: Floats
    token: Floats


class LightSteps:
    """Least seconds of steps of one model on one cluster at one precision, for any layout.

    Args:
        deployment: any layout of them; its `parallel` does not matter.
    """

    def __init__(self, deployment: Deployment, load: Traffic) -> None:
        self._deployment = deployment
        self._traffic = load
        self._ranks: dict[int, _PerRank] = {}
        self._experts: dict[tuple[int, int, int], _PerExperts] = {}
        self._prompts: dict[tuple[int, int], Floats] = {}
        self._queries = deployment.queries
        self._admitted = deployment.mean_yield / load.decode_steps
        self._prompt = load.mean_prompt

    def decode(self, parallel: Parallel, decodes: Floats) -> Floats:
        """Least seconds of a step of `decodes` decodes per rank, at the traffic's mean context."""
        return self._step(parallel, decodes, 0.0)

    def mixed(self, parallel: Parallel, decodes: Floats) -> Floats:
        """Least mean seconds of a step that also takes in as many requests as finish in it."""
        return self._step(parallel, decodes, self._admitted)

    def prefill(self, parallel: Parallel, prompt: int) -> float:
        """Least seconds from the start of a prompt to its first token."""
        rank = self._rank(parallel.tp)
        if (parallel.tp, prompt) not in self._prompts:
            lowering = Lowering(self._with(Parallel(tp=parallel.tp)))
            self._prompts[parallel.tp, prompt] = self._chunk(lowering, [prompt])
        chunk = self._prompts[parallel.tp, prompt]
        experts = self._expert(parallel).token
        return float((rank.fixed + (rank.token + experts) * prompt + rank.row + chunk).max())

    def prompts(self, parallel: Parallel, budget: int) -> float:
        """Least mean seconds of a rank per prompt, where it computes only prompts, `budget` tokens a step."""
        rank, experts = self._rank(parallel.tp), self._expert(parallel)
        each = (rank.token + experts.token * parallel.dp) * self._prompt + rank.row + rank.chunk
        return float((rank.fixed * (self._prompt / budget) + each / parallel.pp).max())

    def _step(self, parallel: Parallel, decodes: Floats, admitted: float) -> Floats:
        """Args: admitted: requests that enter per decode of the step."""
        rank, experts = self._rank(parallel.tp), self._expert(parallel)
        n = np.asarray(decodes, np.float64)
        micro = np.clip(n, 1.0, parallel.pp)
        mine = n / micro
        ranks, tokens = parallel.dp, self._queries + admitted * self._prompt
        each = (
            (rank.token + experts.token * ranks) * tokens
            + rank.row * (self._queries + admitted)
            + rank.decode
            + rank.chunk * admitted
        )
        by_resource = rank.fixed[:, None] + each[:, None] * mine
        by_resource[1] += np.interp(ranks * self._queries * mine, _FROM_NONE, experts.hbm)
        return by_resource.max(axis=0)

    def _rank(self, tp: int) -> _PerRank:
        if tp not in self._ranks:
            self._ranks[tp] = self._read_rank(Lowering(self._with(Parallel(tp=tp))))
        return self._ranks[tp]

    def _read_rank(self, lowering: Lowering) -> _PerRank:
        two = np.array([1.0, 2.0])
        token_fixed, token = self._line(lowering.tokens, two)
        row_fixed, row = self._line(lowering.rows, two)
        decode_fixed, decode = self._line(lowering.per_decode, two)
        context: list[Floats] = []
        count = 1 + len(lowering.windows)
        far = [np.array([1024.0, 2048.0])] * count
        for part in lowering.decodes(np.ones(2), far):
            values = self._seconds(part, 2)
            context.append((values[:, 1] - values[:, 0]) / 1024.0)
        reads = [self._traffic.read(window) for window in (None, *lowering.windows)]
        return _PerRank(
            fixed=token_fixed + row_fixed + decode_fixed,
            token=token,
            row=row,
            decode=decode + sum(slope * read for slope, read in zip(context, reads, strict=True)),
            chunk=self._chunk(lowering, self._traffic.prompts()),
        )

    def _line(self, lowered: Callable[[Floats], Sequence[Operator]], at: Floats) -> tuple[Floats, Floats]:
        """(value at 0, slope) of what grows in a straight line with the rows."""
        values = self._seconds(lowered(at), 2)
        slope = values[:, 1] - values[:, 0]
        return np.maximum(values[:, 0] - slope, 0.0), slope

    def _chunk(self, lowering: Lowering, prompts: Sequence[int]) -> Floats:
        """Attention over a prompt of its own, the mean over `prompts`; cached parts cost nothing."""
        total = sum(self._seconds(lowering.chunks([(prompt, 0)]), 1)[:, 0] for prompt in prompts)
        return np.asarray(total) / len(prompts) * self._traffic.fresh

    def _expert(self, parallel: Parallel) -> _PerExperts:
        key = parallel.tp, parallel.dp, parallel.ep
        if key not in self._experts:
            lowering = Lowering(self._with(Parallel(tp=parallel.tp, dp=parallel.dp, ep=parallel.ep)))
            values = self._seconds(lowering.shared(_NODES), len(_NODES))
            per_token = (values / np.array(_NODES)).min(axis=1)
            per_token[1] = 0.0
            self._experts[key] = _PerExperts(np.concatenate([[0.0], values[1]]), per_token)
        return self._experts[key]

    def _with(self, parallel: Parallel) -> Deployment:
        return replace(self._deployment, parallel=parallel)

    def _seconds(self, operators: Sequence[Operator], cases: int) -> Floats:
        """Least seconds of (compute, HBM, links), a column per case."""
        cluster = self._deployment.cluster
        chip = rates(cluster.chip, CALM)
        total = np.zeros((3, cases))
        for operator in operators:
            least = limits(operator, chip, cluster)
            for place, part in enumerate((least.compute, least.hbm, least.link)):
                total[place] += operator.count * part
        return total
