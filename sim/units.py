"""Quantities at the boundary: strings with units outside, SI floats inside.

A field has a `Dimension`; QuantiPhy splits number, scale and unit, and the unit must be one of
the dimension's closed, case-sensitive list, so that "4.8 tb/s", "5 m" in a time field or
"2 GiB/s" in a capacity field are refused instead of guessed.
"""

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_LONG_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_DECIMAL = re.compile(_NUMBER + r"([A-Za-zµμ/]+)\s*\Z", re.ASCII)
_LONG_TIME = re.compile(_NUMBER + r"(min|minutes?|h|hours?|d|days?)\s*\Z", re.ASCII)
_PREFIXES = ("a", "f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E")
_SMALLEST = 6


@dataclass(frozen=True, slots=True)
class Dimension:
    """A kind of quantity: SI unit names it accepts, each with its factor to the base unit."""

    name: str
    base: str
    units: tuple[tuple[str, float], ...]
    example: str


BYTES = Dimension("data size", "B", (("B", 1.0), ("b", 0.125)), "141 GB")
BANDWIDTH = Dimension("bandwidth", "B/s", (("B/s", 1.0), ("b/s", 0.125)), "4.8 TB/s")
FLOP_RATE = Dimension("compute rate", "FLOP/s", (("FLOP/s", 1.0),), "989 TFLOP/s")
OP_RATE = Dimension("operation rate", "op/s", (("op/s", 1.0),), "4.2 Top/s")
TIME = Dimension("time", "s", (("s", 1.0),), "50 ms")
POWER = Dimension("power", "W", (("W", 1.0),), "700 W")
FREQUENCY = Dimension("frequency", "Hz", (("Hz", 1.0),), "1.98 GHz")
ENERGY_PER_FLOP = Dimension("energy per operation", "J/FLOP", (("J/FLOP", 1.0),), "0.6 pJ/FLOP")
ENERGY_PER_BYTE = Dimension("energy per byte", "J/B", (("J/B", 1.0),), "31 pJ/B")
USD = Dimension("price", "USD", (("USD", 1.0),), "30000 USD")
USD_PER_HOUR = Dimension("price per hour", "USD/h", (("USD/h", 1.0),), "2.95 USD/h")
USD_PER_KWH = Dimension("energy price", "USD/kWh", (("USD/kWh", 1.0),), "0.12 USD/kWh")
NUMBER = Dimension("number", "", (), "0.9")


def parse(value: object, dimension: Dimension) -> float:
    """The SI value of a quantity.

    Args:
        value: a string such as "4.8 TB/s"; a plain number only where the dimension is NUMBER.
    Raises:
        ValueError: naming what was found and an example of what is allowed.
    """
    if dimension is NUMBER:
        return _plain_number(value)
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError(f"{value!r} needs a unit, as in '{dimension.example}'")
    number, unit = _split(value, dimension)
    factors = dict(dimension.units)
    if unit not in factors:
        allowed = ", ".join(factors)
        raise ValueError(
            f"'{value}' is not a valid {dimension.name}: unit must be one of {allowed} (with an SI or "
            f"binary prefix), as in '{dimension.example}'"
        )
    if not math.isfinite(number):
        raise ValueError(f"'{value}' is not finite")
    return number * factors[unit]


def _plain_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("an integer of this size is not a number used here") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not finite")
    return number


@lru_cache(maxsize=1024)  # a profile's figures are read alone, within its cluster and within the scenario
def _split(text: str, dimension: Dimension) -> tuple[float, str]:
    if dimension is TIME and (match := _LONG_TIME.match(text)):
        return float(match[1]) * _LONG_SECONDS[match[2][0]], "s"
    refusal = ValueError(f"'{text}' is not a valid {dimension.name}, as in '{dimension.example}'")
    if not (written := _DECIMAL.match(text)):
        raise refusal
    from quantiphy import InvalidNumber, Quantity

    factor = 1.0
    if "e" in written[1].lower():  # QuantiPhy reads a prefix only after a number without exponent
        factor, text = float(written[1]), f"1 {written[2]}"
    try:
        quantity = Quantity(text, binary=True)
    except InvalidNumber:
        raise refusal from None
    return float(quantity) * factor, quantity.units or ""


def show(value: float, dimension: Dimension) -> str:
    """A short string with a prefix and four digits: '4.8 TB/s'; binary sizes stay binary: '47.5 GiB'."""
    if not dimension.base:
        return f"{value:g}"
    if dimension.base.startswith("USD") or not math.isfinite(value):
        return f"{value:g} {dimension.base}"
    if dimension is BYTES and (binary := _show_binary(value)):
        return binary
    if value == 0:
        return f"0 {dimension.base}"
    scaled, prefix = _scale(abs(value))
    return f"{math.copysign(scaled, value):.4g} {prefix}{dimension.base}"


def _show_binary(value: float) -> str:
    for prefix, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if value >= size and value % (size / 4) == 0 and value / size < 1e6:
            return f"{value / size:g} {prefix}B"
    return ""


def _scale(value: float) -> tuple[float, str]:
    """The value in the largest prefix that leaves at least 1 after rounding to four digits."""
    power = math.floor(math.log10(value * (1 + 5e-5)) / 3)
    power = min(max(power, -_SMALLEST), len(_PREFIXES) - 1 - _SMALLEST)
    return value / 1000.0**power, _PREFIXES[power + _SMALLEST]


def _quantity(dimension: Dimension, lowest: float = 0.0) -> tuple[BeforeValidator, WithJsonSchema]:
    def validate(value: object) -> float:
        number = parse(value, dimension)
        if number < lowest:
            raise ValueError(f"'{value}' must not be less than {lowest:g}")
        return number

    schema = {"type": "string", "description": f"{dimension.name}, as in '{dimension.example}'"}
    return BeforeValidator(validate), WithJsonSchema(schema)


Seconds = Annotated[float, *_quantity(TIME)]
Bytes = Annotated[float, *_quantity(BYTES)]
Bandwidth = Annotated[float, *_quantity(BANDWIDTH)]
