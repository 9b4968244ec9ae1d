"""Names of the DRAM commands and of the levels of a channel, as the small integers the event loop counts in.

ACT opens a row of a bank into its row buffer, RD and WR move one burst of columns of the open row, PRE closes
it, RDA and WRA close it by themselves after the burst, REF renews the charge of rows. The suffix ab is a
command to every bank of a pseudo-channel, pb to one bank. LPDDR5 splits ACT into ACT1 and ACT2 and starts the
data clock with CAS_RD or CAS_WR.
"""

from typing import Final

ACT: Final = 0
ACT2: Final = 1
PRE: Final = 2
PREAB: Final = 3
RD: Final = 4
WR: Final = 5
RDA: Final = 6
WRA: Final = 7
REFAB: Final = 8
REFPB: Final = 9
CAS_RD: Final = 10
CAS_WR: Final = 11
COMMANDS: Final = 12

COMMAND_NAMES: Final = (
    "ACT",
    "ACT2",
    "PREpb",
    "PREab",
    "RD",
    "WR",
    "RDA",
    "WRA",
    "REFab",
    "REFpb",
    "CAS_RD",
    "CAS_WR",
)

CHANNEL: Final = 0
PSEUDO_CHANNEL: Final = 1
STACK_ID: Final = 2
BANK_GROUP: Final = 3
BANK: Final = 4
LEVELS: Final = 5

LEVEL_NAMES: Final = ("channel", "pseudo-channel", "stack ID", "bank group", "bank")

CLOSED: Final = -1
"""What stands for the open row of a closed bank."""

HALF_OPEN: Final = -2
"""What stands for the open row of a bank between ACT1 and ACT2."""

FAR: Final = 1 << 60
"""A tick that never comes."""
