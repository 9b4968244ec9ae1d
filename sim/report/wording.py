"""How numbers are worded on a page; what is absent is a dash."""

import math
from html import escape

ABSENT = "–"


def number(value: object, unit: str = "") -> str:
    """Three significant digits or all whole ones, thousands separated: '1,234 tokens/s', '0.0123'."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return ABSENT
    size = abs(value)
    digits = 0 if size >= 100 or isinstance(value, int) else 2 - math.floor(math.log10(size)) if size else 0
    shown = f"{value:,.{min(digits, 9)}f}"
    return f"{shown} {unit}" if unit else shown


def percent(share: object) -> str:
    """0.1234 as '12.3 %'."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not math.isfinite(share):
        return ABSENT
    return f"{100 * share:.1f} %"


def milliseconds(value: object) -> str:
    """A number of milliseconds as 's' from one second on, as 'ms' below."""
    if isinstance(value, int | float) and value >= 1000:
        return number(value / 1000, "s")
    return number(value, "ms")


def seconds(value: object) -> str:
    """A number of seconds as s, ms or µs."""
    if isinstance(value, int | float) and 0 < value < 1e-3:
        return number(value * 1e6, "µs")
    return milliseconds(value * 1e3) if isinstance(value, int | float) else ABSENT


def nanoseconds(value: float) -> str:
    """A number of seconds as ns: '73.2 ns'."""
    return number(value * 1e9, "ns")


def scaled(value: float, unit: str) -> str:
    """A large amount with a decimal prefix: '4.80 TB/s', '1.98 PFLOP/s'."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return number(value / factor, prefix + unit)
    return number(value, unit)


def text(value: object) -> str:
    """Any value, safe inside HTML."""
    return escape(str(value))
