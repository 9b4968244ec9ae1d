"""How an operator goes through memory: what its DRAM efficiency depends on."""

from dataclasses import dataclass
from typing import Literal

KINDS = ("stream", "gather", "append", "mixed")
Kind = Literal["stream", "gather", "append", "mixed"]


@dataclass(frozen=True, slots=True)
class Access:
    """What is read or written, and how.

    Attributes:
        kind: one stream of reads; pieces read from anywhere, side by side; pieces written anywhere; a tensor
            read while another is written.
        what: what the pieces are, in words.
        contiguous: bytes of a piece that lie together in the chip's address space; 0 where they have no end.
    """

    kind: Kind
    what: str
    contiguous: float = 0.0


WEIGHTS = Access("stream", "weights")
ACTIVATIONS = Access("mixed", "activations read and written")
