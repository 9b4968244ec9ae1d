"""Latin hypercube: n samples in d dimensions, each dimension cut into n equal strata, one sample in each.

    u[i, j] = (π_j(i) + r[i, j]) / n,   π_j a random permutation of 0 … n-1, r uniform in [0, 1)

Source: McKay, Beckman, Conover, "A comparison of three methods for selecting values of input variables in the
analysis of output from a computer code", Technometrics 21 (1979).
"""

import numpy as np
from numpy.typing import NDArray


def latin_hypercube(samples: int, dimensions: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Samples in [0, 1), one row each."""
    strata = np.stack([rng.permutation(samples) for _ in range(dimensions)], axis=1) if dimensions else None
    if strata is None:
        return np.empty((samples, 0))
    return (strata + rng.random((samples, dimensions))) / samples
