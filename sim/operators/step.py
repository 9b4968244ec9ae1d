"""The operators of one step of a deployment, drafts included where it speculates."""

import numpy as np

from sim.deployment.deployment import Deployment
from sim.operators.batch import BatchShape
from sim.operators.drafting import SpeculativeLowering
from sim.operators.lowering import Lowering
from sim.operators.operators import Operator
from sim.operators.quantities import Array
from sim.operators.separated import SeparatedLowering


def lowering_of(deployment: Deployment) -> Lowering:
    """The operators of a deployment's steps, with or without drafts."""
    if deployment.parallel.ffn is not None:
        return SeparatedLowering(deployment, deployment.parallel.ffn)
    return Lowering(deployment) if deployment.speculation is None else SpeculativeLowering(deployment)


def lower(
    deployment: Deployment, batch: BatchShape, all_tokens: int | None = None, epoch: int = 0
) -> list[Operator]:
    """The operators of one step, each with arrays of length one.

    Args:
        batch: what one scheduler's step computes (one micro-batch's share of it with pp > 1).
        all_tokens: tokens of all data-parallel ranks; None: every rank has as many as this one.
    """
    lowering = lowering_of(deployment)
    micro = lowering.micro_batches(batch.sequences)
    dp = deployment.parallel.dp if lowering.has_experts else 1
    tokens = -(-batch.own_tokens(deployment.parallel.pcp) // micro)
    operators = lowering.tokens(_one(tokens)) + lowering.rows(_one(-(-batch.sequences // micro)))
    if batch.decodes:
        share = -(-batch.decodes // micro) / batch.decodes
        sums = [_one(s * share) for s in (batch.context, *batch.windowed)]
        operators += lowering.per_decode(_one(batch.decodes * share))
        for part in lowering.decodes(_one(batch.decodes * share), sums):
            operators += part
    if batch.chunks:
        operators += lowering.chunks(batch.chunks)
    everyone = all_tokens if all_tokens is not None else dp * batch.tokens
    return operators + lowering.shared((-(-everyone // micro),), epoch)


def _one(value: float) -> Array:
    return np.array([float(value)])
