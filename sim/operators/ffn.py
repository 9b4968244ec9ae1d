"""Feed-forward blocks as operators: what a rank computes on its own tokens, and what all ranks share.

Dense and shared experts are split over tp. Routed experts lie on ep groups of moe_tp chips. Where one
attention rank fills the group (dp = 1) every chip holds all tokens, computes its own experts' part and an
all-reduce sums them. With dp > 1 each chip sends its share of its rank's tokens to their experts and gets
them back (dispatch, combine), and the chips of a rank then gather what each of them sent. Without kernels for
that, and with pcp > 1 and dp = 1, ranks gather all tokens instead, and the sums are scattered back (vLLM's
`fused_moe/layer.py` and allgather_reducescatter, SGLang without an all-to-all backend, TensorRT-LLM without
NVLink between servers).
"""

from dataclasses import dataclass

import numpy as np

from sim.deployment.deployment import Deployment
from sim.deployment.precision import arithmetic_type
from sim.models.architecture import DenseFfn, MoeFfn
from sim.models.dtypes import bytes_per_value, weight_bytes_per_value
from sim.models.matrices import Matrix
from sim.operators.loads import distinct_ranks, fetched_experts, sample_loads
from sim.operators.operators import Collective, Elementwise, ExpertExchange, Experts, Hop, Operator
from sim.operators.products import fused_product, product
from sim.operators.quantities import ACTIVATION_BYTES, Array
from sim.operators.routing import Balancing, Routing


@dataclass(frozen=True, slots=True)
class FfnBlock:
    """`count` layers with the same feed-forward block, and its weight matrices, under one deployment."""

    ffn: DenseFfn | MoeFfn
    count: int
    deployment: Deployment
    matrices: tuple[Matrix, ...]

    def tokens(self, rows: Array) -> list[Operator]:
        """Dense block, or router and shared experts, on every token of the rank."""
        if isinstance(self.ffn, DenseFfn):
            return self._dense(self.ffn, rows)
        operators: list[Operator] = []
        precision = self.deployment.precision
        for m in self.matrices:
            if m.kind == "router":
                operators += product(
                    m.name, "router", self.count, rows, m.inputs, m.outputs, precision.router, precision
                )
        if self.ffn.shared_inter:
            operators += self._pair("shared_experts", self.ffn.shared_inter, self.ffn.gated, rows)
        return operators

    def shared(self, tokens: tuple[int, ...], rows: Array, epoch: int) -> list[Operator]:
        """Routed experts and their exchange on the tokens of all ranks; nothing for a dense block."""
        if isinstance(self.ffn, DenseFfn):
            return []
        return [self.experts(tokens, epoch), *self._exchange(self.routing(epoch), rows)]

    def experts(self, tokens: tuple[int, ...], epoch: int) -> Experts:
        """Routed experts on the tokens of all ranks."""
        assert isinstance(self.ffn, MoeFfn)
        precision, parallel = self.deployment.precision, self.deployment.parallel
        weights = precision.stored("experts")
        arithmetic = arithmetic_type(weights, precision.activations)
        return Experts(
            "experts",
            "experts",
            self.count,
            sample_loads(self.routing(epoch), tokens),
            self.deployment.model.hidden,
            self.ffn.inter // parallel.moe_tp,
            self.ffn.gated,
            weights,
            arithmetic,
            arithmetic,
            gathered=not self.deployment.sends_tokens,
        )

    def replacement(self, rows: Array) -> list[Operator]:
        """Weights of these layers that the busiest rank fetches when experts are placed anew, from another
        server if there is one, spread over the steps in between; whatever the step computes."""
        if isinstance(self.ffn, DenseFfn) or self.deployment.eplb is None:
            return []
        routing, precision, parallel = self.routing(0), self.deployment.precision, self.deployment.parallel
        ranks = parallel.ep * parallel.moe_tp
        if ranks == 1:
            return []
        values = sum(m.params for m in self.matrices if m.kind == "experts") / parallel.moe_tp
        expert = values / self.ffn.experts * weight_bytes_per_value(precision.stored("experts"))
        moved = self.count * fetched_experts(routing) * expert / self.deployment.eplb.step_interval
        message = np.full_like(rows, moved)
        return [Hop("expert_replacement", "communication", 1, 0, ranks - 1, message)]

    def routing(self, epoch: int) -> Routing:
        """What the expert loads of this block depend on."""
        assert isinstance(self.ffn, MoeFfn)
        f, deployment = self.ffn, self.deployment
        of, eplb = deployment.routing, deployment.eplb
        balancing = None
        if eplb is not None:
            balancing = Balancing(eplb.redundant, eplb.window_size, eplb.step_interval, of.drift)
        return Routing(
            f.experts,
            f.top_k,
            deployment.parallel.ep,
            f.groups,
            f.top_groups,
            of.skew,
            epoch,
            of.popularity,
            of.layer_spread,
            min(self._servers, deployment.parallel.ep),
            balancing,
        )

    def chips_of_a_token(self, routing: Routing) -> float:
        """Mean chips that hold a part of one of a token's experts."""
        parallel = self.deployment.parallel
        return distinct_ranks(routing, parallel.ep) * parallel.moe_tp

    @property
    def _servers(self) -> int:
        """Boxes that the experts are spread over."""
        parallel = self.deployment.parallel
        return max(1, parallel.ep * parallel.moe_tp // self.deployment.cluster.server)

    def _exchange(self, routing: Routing, rows: Array) -> list[Operator]:
        parallel = self.deployment.parallel
        hidden, ranks = self.deployment.model.hidden, parallel.tp * parallel.dp * parallel.pcp
        message = hidden * ACTIVATION_BYTES * rows
        if ranks == 1:
            return []
        if parallel.dp == parallel.pcp == 1:
            return [
                Collective("expert_all_reduce", "communication", self.count, "all_reduce", ranks, message)
            ]
        operators: list[Operator] = []
        if not self.deployment.sends_tokens:
            group = "communication"
            operators += [
                Collective("dispatch", group, self.count, "all_gather", ranks, message),
                Collective("combine", group, self.count, "reduce_scatter", ranks, message),
            ]
            return operators + self._gather(message)
        sent = bytes_per_value(self.deployment.precision.activations)
        distinct = self.chips_of_a_token(routing)
        copies = float(routing.top_k * parallel.moe_tp)
        remote = distinct_ranks(routing, routing.servers) * self._servers / routing.servers
        for name, per_value in (("dispatch", sent), ("combine", ACTIVATION_BYTES)):
            operators.append(
                ExpertExchange(
                    name,
                    "communication",
                    self.count,
                    ranks,
                    rows / ranks,
                    copies,
                    distinct,
                    remote,
                    hidden * per_value,
                    routing.slots,
                    combine=name == "combine",
                )
            )
        return operators + self._gather(message)

    def _gather(self, message: Array) -> list[Operator]:
        """What each chip of a rank sent comes back to all chips of the rank."""
        parallel = self.deployment.parallel
        if parallel.tp == 1:
            return []
        mine = message / (parallel.dp * parallel.pcp)
        return [Collective("expert_all_gather", "communication", self.count, "all_gather", parallel.tp, mine)]

    def _dense(self, ffn: DenseFfn, rows: Array) -> list[Operator]:
        operators = self._pair("dense_ffn", ffn.inter, ffn.gated, rows)
        tp = self.deployment.parallel.tp
        if tp > 1:
            message = self.deployment.model.hidden * ACTIVATION_BYTES * rows
            operators.append(
                Collective("ffn_all_reduce", "communication", self.count, "all_reduce", tp, message)
            )
        return operators

    def _pair(self, group: str, inter: int, gated: bool, rows: Array) -> list[Operator]:
        """Up product, activation, down product of a block split over tp."""
        tp, precision = self.deployment.parallel.tp, self.deployment.precision
        kind = "shared" if group == "shared_experts" else "ffn"
        up, down = (m for m in self.matrices if m.name in (f"{kind}_up", f"{kind}_down"))
        width = -(-inter // tp)
        read = 2 if gated else 1
        activation = Elementwise(
            f"{kind}_activation",
            group,
            self.count,
            rows,
            (read + 1) * width * ACTIVATION_BYTES,
            5.0 * width,
        )
        stored = precision.stored(up.kind)
        arguments = (group, self.count, rows, tp, 1, stored, precision)
        return [*fused_product([up], *arguments), activation, *fused_product([down], *arguments)]
