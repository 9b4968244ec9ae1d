"""Speculative decoding: how many steps an answer takes when every step verifies k drafts.

    a step yields        1 + a tokens,  P(a ≥ j) = P_j,  j = 1 … k     (draft j and all before it are right)
    steps of an answer   M = min { m : Σ_{i ≤ m} (1 + a_i) ≥ R },  R its tokens after the first
    pace                 g = R / M tokens a step, rounded up to a multiple of 2^-20

The a_i are independent draws. M is drawn from its exact distribution, once per request; between its first and
last token the request advances evenly, g tokens a step. So the batch, its contexts and its end are known in
advance and time can leap. Multiples of 2^-20 are added without rounding, so that leaping and stepping see
the same sums.

Acceptance as in Leviathan et al. (arXiv 2211.17192): with a constant probability α for each draft that is
reached P_j = α^j, and the mean yield of a step is (1 - α^(k+1)) / (1 - α).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GRAIN = 2.0**-20
"""Paces are multiples of it: sums of contexts up to 2^33 tokens are then exact in a float."""


def yields(acceptance: Sequence[float]) -> NDArray[np.float64]:
    """P(a step yields i tokens), i = 1 … k + 1, from P_1 ≥ … ≥ P_k."""
    reached = np.array([1.0, *acceptance, 0.0])
    return reached[:-1] - reached[1:]


def verification_steps(
    tokens: NDArray[np.int64], acceptance: Sequence[float], draws: np.random.Generator
) -> NDArray[np.int64]:
    """Steps that yield so many tokens, one independent draw for each entry; exact, in O(log tokens) rounds.

    A round takes as many steps as cannot yet reach the end, ⌊(left - 1)/(k + 1)⌋ but at least one, as one
    multinomial draw.
    """
    chances = yields(acceptance)
    each = np.arange(1, len(chances) + 1)
    left = tokens.astype(np.int64)
    steps = np.zeros(len(left), np.int64)
    active = np.flatnonzero(left > 0)
    while len(active):
        taken = np.maximum((left[active] - 1) // len(chances), 1)
        steps[active] += taken
        left[active] -= draws.multinomial(taken, chances) @ each
        active = active[left[active] > 0]
    return steps


def paces(
    output_tokens: NDArray[np.int64], acceptance: Sequence[float], draws: np.random.Generator
) -> list[float]:
    """Tokens a step of each request, after its first token; 1 where nothing follows it."""
    after = np.maximum(output_tokens - 1, 0)
    steps = verification_steps(after, acceptance, draws)
    pace = np.where(after > 0, after / np.maximum(steps, 1), 1.0)
    return (np.ceil(pace / GRAIN) * GRAIN).tolist()
