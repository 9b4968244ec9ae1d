"""Quantities at the boundary: strings with units outside, SI floats inside.

A field has a `Dimension`; QuantiPhy splits number, scale and unit, and the unit must be one of
the dimension's closed, case-sensitive list, so that "4.8 tb/s", "5 m" in a time field or
"2 GiB/s" in a capacity field are refused instead of guessed.
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_LONG_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_LONG_TIME = re.compile(r"^\s*([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)\s*(min|minutes?|h|hours?|d|days?)\s*$")


@dataclass(frozen=True, slots=True)
class Dimension:
    """A kind of quantity: SI unit names it accepts, each with its factor to the base unit."""

    name: str
    base: str
    units: tuple[tuple[str, float], ...]
    example: str


BYTES = Dimension("amount of data", "B", (("B", 1.0), ("b", 0.125)), "141 GB")
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
            f"'{value}' is not a {dimension.name}: unit must be one of {allowed} (with an SI or "
            f"binary prefix), as in '{dimension.example}'"
        )
    if not math.isfinite(number):
        raise ValueError(f"'{value}' is not finite")
    return number * factors[unit]


def _plain_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not finite")
    return float(value)


def _split(text: str, dimension: Dimension) -> tuple[float, str]:
    if dimension is TIME and (match := _LONG_TIME.match(text)):
        return float(match[1]) * _LONG_SECONDS[match[2][0]], "s"
    from quantiphy import InvalidNumber, Quantity

    try:
        quantity = Quantity(text, binary=True)
    except InvalidNumber:
        raise ValueError(f"'{text}' is not a {dimension.name}, as in '{dimension.example}'") from None
    return float(quantity), quantity.units or ""


def show(value: float, dimension: Dimension) -> str:
    """A short string with an SI prefix, as in '4.8 TB/s'."""
    if dimension is NUMBER:
        return f"{value:g}"
    from quantiphy import Quantity

    if dimension.base.startswith("USD"):
        return f"{value:g} {dimension.base}"
    return Quantity(value, dimension.base).render(prec=4)


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
