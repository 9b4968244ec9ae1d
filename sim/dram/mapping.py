"""Which channel, bank, row and column an address is: an ordered list of fields, then XOR hashes.

A specification such as "co:1,bg:2,co:4,ba:2,ro:14;bg^ro0,ba^ro2" takes bits from the least significant end
of the line number (the address in units of one transaction); a field may appear in pieces. After the
semicolon, x^yk means x ^= (y >> k) & mask(x), applied in order.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.errors import UserError

FIELDS: tuple[str, ...] = ("ch", "pc", "sid", "bg", "ba", "ro", "co")
_HASH = re.compile(r"([a-z]+)\^([a-z]+?)(\d+)")


@dataclass(frozen=True, slots=True)
class Hash:
    """target ^= source >> shift, within the target's bits."""

    target: str
    source: str
    shift: int


@dataclass(frozen=True, slots=True)
class AddressMapping:
    """Fields from the least significant bit up, as (name, bits), and the hashes applied after them."""

    fields: tuple[tuple[str, int], ...]
    hashes: tuple[Hash, ...] = ()

    @property
    def bits(self) -> Mapping[str, int]:
        """Bits of each field, all its pieces together."""
        total: dict[str, int] = dict.fromkeys(FIELDS, 0)
        for name, width in self.fields:
            total[name] += width
        return total

    @property
    def lines(self) -> int:
        """Lines the mapping tells apart."""
        return 1 << sum(width for _, width in self.fields)

    def coordinates(self, line: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The value of every field for each line number."""
        found: dict[str, NDArray[np.int64]] = {name: np.zeros_like(line) for name in FIELDS}
        filled: dict[str, int] = dict.fromkeys(FIELDS, 0)
        rest = line
        for name, width in self.fields:
            found[name] |= (rest & ((1 << width) - 1)) << filled[name]
            filled[name] += width
            rest = rest >> width
        for hashed in self.hashes:
            mask = (1 << filled[hashed.target]) - 1
            found[hashed.target] = found[hashed.target] ^ ((found[hashed.source] >> hashed.shift) & mask)
        return found


def parse_mapping(text: str, where: str) -> AddressMapping:
    """The mapping a specification describes; `where` names it in the error.

    Raises:
        UserError: for anything but known fields with a number of bits and hashes between them.
    """
    listed, _, hashed = text.partition(";")
    fields: list[tuple[str, int]] = []
    for piece in listed.split(","):
        name, _, width = piece.strip().partition(":")
        if name not in FIELDS or not width.isdecimal() or not 0 < int(width) <= 40:
            raise UserError(
                f"{where}: '{piece}' is not a field of an address; "
                f"write one of {', '.join(FIELDS)} with its bits, as in 'ro:14'"
            )
        fields.append((name, int(width)))
    hashes: list[Hash] = []
    for piece in filter(None, (p.strip() for p in hashed.split(","))):
        match = _HASH.fullmatch(piece)
        if not match or match[1] not in FIELDS or match[2] not in FIELDS:
            raise UserError(f"{where}: '{piece}' is not a hash between fields, as in 'bg^ro0'")
        hashes.append(Hash(match[1], match[2], int(match[3])))
    return AddressMapping(tuple(fields), tuple(hashes))
