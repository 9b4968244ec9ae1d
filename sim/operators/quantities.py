"""Quantities of many steps at once: float arrays over cases; and the width of an activation in memory."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ACTIVATION_BYTES = 2.0
"""Activations between operators are bf16."""
