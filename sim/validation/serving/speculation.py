"""Speculative decoding of a case: the drafts and the acceptance that its words state.

    drafts       "MTP, 3 draft tokens", "MTP-3", "num_speculative_tokens=3"; 1 where no number is given
    acceptance   "acceptance rate 0.8", "80 %"; or "acceptance length 2.5", tokens a step L, then the α with
                 1 + α + … + α^k = L

A case that does not state its acceptance gets the figure of `deployment.speculation`.
"""

import re

from sim.validation.serving.cases import MeasuredCase

_DRAFTS = (
    re.compile(r"(\d+) (?:draft|speculative)"),
    re.compile(r"num_speculative_tokens\W{1,3}(\d+)"),
    re.compile(r"mtp[- =:]?(\d+)\b"),
)
_RATE = re.compile(r"accept\w*(?: rate)?\W{1,3}(?:(?:of|is|about)\s)?(\d+(?:\.\d+)?)\s?(%?)")
_LENGTH = re.compile(r"accept\w* length\W{1,3}(?:(?:of|is|about)\s)?(\d+(?:\.\d+)?)")
_HALVINGS = 60


def stated_drafter(case: MeasuredCase) -> str | None:
    """ "mtp", the words of another drafter, None for no speculation."""
    words = str(case.workload.get("spec_decode") or "").lower()
    if words in ("", "none", "off", "no", "false"):
        return None
    return "mtp" if "mtp" in words else words


def speculation_of(case: MeasuredCase) -> dict[str, object]:
    """The `speculation:` tree of a case whose drafts come from the model's own prediction modules."""
    words = f"{case.workload.get('spec_decode') or ''}; {case.notes}".lower()
    found = next((match for form in _DRAFTS if (match := form.search(words))), None)
    drafts = 1 if found is None else int(found[1])
    tree: dict[str, object] = {"method": "mtp", "num_speculative_tokens": drafts}
    acceptance = _acceptance(words, drafts)
    return tree if acceptance is None else tree | {"acceptance": acceptance}


def _acceptance(words: str, drafts: int) -> float | None:
    if length := _LENGTH.search(words):
        return acceptance_for(float(length[1]), drafts)
    if rate := _RATE.search(words):
        value = float(rate[1]) / (100.0 if rate[2] else 1.0)
        return value if value <= 1.0 else None
    return None


def acceptance_for(tokens: float, drafts: int) -> float:
    """α in [0, 1] with 1 + α + … + α^drafts = tokens a step, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = sum(middle**j for j in range(drafts + 1)) >= tokens
        low, high = (low, middle) if enough else (middle, high)
    return round((low + high) / 2, 6)
