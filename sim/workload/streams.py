"""Random streams, one per purpose, so that changing one part of a workload leaves the others alone."""

from zlib import crc32

import numpy as np


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """The child stream of `seed` for one purpose ("arrivals", "prompt_tokens", …) and index (a client)."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([seed, crc32(purpose.encode()), index]))
    )
