"""The one error class for everything a user can cause.

The command prints the sentence and exits with code 2; a program catches `UserError`.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """One clear sentence: which file, line and field, what was found, what is allowed.

    It stays on one line even where it quotes what a user wrote on several.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(" ".join(sentence.split()))


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the nearest allowed name, or an empty string."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not in a closed list, with the nearest one."""
    names = sorted(allowed)
    shown = ", ".join(names[:30]) + (", …" if len(names) > 30 else "")
    return UserError(f"unknown {kind} '{name}'{nearest(name, names)} (known: {shown})")
