"""How the operators of a step go through memory, and what DRAM gives them, as a table."""

from sim.dram.causes import CAUSES
from sim.report.page import table
from sim.report.wording import percent, scaled, text
from sim.scenario.explanation import Explanation

_COLUMNS = (
    "what", "operators", "contiguous", "of it in a channel", "of the peak", "that is", "rest lost to",
)  # fmt: skip


def dram_table(explanation: Explanation) -> str:
    """A row for each way through memory, and what the vendor states beside it."""
    rows = [
        [
            use.what,
            ", ".join(names),
            scaled(use.contiguous, "B") if use.contiguous else "–",
            scaled(use.in_channel, "B") if use.contiguous else "–",
            percent(use.fraction),
            scaled(use.bandwidth, "B/s"),
            CAUSES.get(use.cause, "–"),
        ]
        for use, names in explanation.dram_uses.items()
    ]
    stated = explanation.vendor_ceiling
    note = f"<p>{text(stated)}</p>" if stated else ""
    return table(_COLUMNS, rows, words=2) + note
