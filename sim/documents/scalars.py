"""What an unquoted YAML word means: the core schema of YAML 1.2, section 10.3.2.

`on`, `off`, `yes`, `no` and `12:30` are strings, `010` is ten, `1e3` a number.
"""

import re

Scalar = str | int | float | bool | None

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}

_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")


def scalar(word: str) -> Scalar:
    """The value of an unquoted word.

    Raises:
        ValueError: for an integer of more digits than Python converts.
    """
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if _INTEGER.match(word):
        return int(word)
    if _OTHER_BASE.match(word):
        return int(word, 0)
    if _REAL.match(word):
        return float(word)
    return word
