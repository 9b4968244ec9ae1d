"""State of the event loop: one table of integers, in sections of rows whose columns have names.

One array because the loop is compiled: what a call costs is what it passes, and a kernel function needs a
little of everything. `m[BANKS + bank, OPEN_ROW]` is the open row of a bank. Banks, channels and nodes are
numbered over all channels; kind is 0 for reads and 1 for writes, and a column followed by a kind is one of
two neighbours.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.dram.commands import COMMANDS

Ints = NDArray[np.int64]

READS: Final = 0
WRITES: Final = 1

COLUMNS: Final = 32
CHANNEL_LIMIT: Final = COLUMNS
BANK_LIMIT: Final = 4096
CONSTRAINT_LIMIT: Final = 512
ACTIVE_LIMIT: Final = 256
REFRESH_LIMIT: Final = 256
WAITING_LIMIT: Final = 4096
SLOTS: Final = 4096

# sections: a row per item
COUNTERS: Final = 0
CHANNELS: Final = 1
BANKS: Final = CHANNELS + CHANNEL_LIMIT
NODES: Final = BANKS + BANK_LIMIT  # of the tree of banks
CONSTRAINTS: Final = NODES + 2 * BANK_LIMIT
# lists: a row per entry, a column per channel
ACTIVE_LIST: Final = (
    CONSTRAINTS + CONSTRAINT_LIMIT
)  # requests whose row is opened for them, oldest opening first
REFRESH_COMMANDS: Final = ACTIVE_LIST + ACTIVE_LIMIT  # ring of waiting refreshes
REFRESH_BANKS: Final = REFRESH_COMMANDS + REFRESH_LIMIT
WAITING_RING: Final = REFRESH_BANKS + REFRESH_LIMIT  # requests in front of each controller
# per slot: queued reads and writes of the lines that fall into it, so that most lines need no search
LINES: Final = WAITING_RING + WAITING_LIMIT  # columns: kinds, then
DUE: Final = 2  # completions of the tick that falls into the slot
# a row per request of the stream; after the last, the log: tick, command, bank, row, request of each command
REQUESTS: Final = LINES + SLOTS

# columns of nodes
SIBLING_FIRST: Final = 0  # the nodes under the same parent are consecutive
SIBLING_COUNT: Final = 1
READY: Final = 2  # + command: first tick at which the node allows it
RECENT: Final = READY + COMMANDS  # + history · WIDEST + n: n-th last issue, where a window looks back
WIDEST: Final = 4
HISTORIES: Final = 4

# columns of constraints
LEVEL: Final = 0
FOLLOWING: Final = 1
TICKS: Final = 2
WINDOW: Final = 3
SIBLING: Final = 4
HISTORY: Final = 5

# columns of banks
OPEN_ROW: Final = 0
ACCESSES: Final = 1  # column accesses since the row was opened
ACTIVATED: Final = 2  # requests of the bank in the active list
HELD: Final = 3  # refreshes that wait for the bank
INJECTED: Final = 4  # a precharge for the cap is on its way
LENGTH: Final = 5  # commands in the bank's queue
HEAD: Final = 6
TAIL: Final = 8
HIT: Final = 10  # oldest queued request for the open row
MISS: Final = 12  # oldest queued request for another row
PATH: Final = 14  # + level: the node of that level above the bank; the last is its own

# columns of channels
QUEUED: Final = 0  # requests in the read and in the write queue
WRITING: Final = 2  # serving writes; of a per-bank-queue controller: writes left to drain
ACTIVE: Final = 3
REFRESHES: Final = 4
REFRESHES_FIRST: Final = 5
NEXT_REFRESH: Final = 6
NEXT_BANK: Final = 7
NEXT_GROUP: Final = 8
NEXT_SCOPE: Final = 9  # pseudo-channel whose refresh is sent next, or -1
PAIR_TICK: Final = 10  # falling edge tied to the last row command of a rising edge
PAIR_COMMAND: Final = 11
PAIR_BANK: Final = 12
SERVED_BANK: Final = 13
IN_REFRESH: Final = 14
MOVES: Final = 15
COMMANDS_QUEUED: Final = 16
TRANSACTION_HEAD: Final = 17
TRANSACTION_TAIL: Final = 19
WAITING: Final = 21
WAITING_FIRST: Final = 22
LAST_DONE: Final = 23
WAKE: Final = 24
TOUCHED: Final = 25  # took a request this tick
ACTIVATING: Final = 26  # request between its two activation commands, or -1
SECOND_BY: Final = 27  # last tick for the second of them
SYNCHRONISED: Final = 28  # request whose data clock was started a tick ago, or -1
CLOCK_UNTIL: Final = 29  # tick at which the data clock stops
STUCK: Final = 30  # + kind: the banks of all transactions of the kind were found full

# columns of requests
BANK_OF: Final = 0
ROW_OF: Final = 1
LINE: Final = 2
WRITE: Final = 3
ARRIVAL: Final = 4
ACCEPTED: Final = 5
DEPARTED: Final = 6
DONE: Final = 7
AFTER: Final = 8
BEFORE: Final = 9
ORDER: Final = 10
MERGED: Final = 11
ACTS_BY_THEN: Final = 12

# columns of the counters
LOGGED: Final = 0
ACTS: Final = 1
OFFERED: Final = 2
IN_FLIGHT: Final = 3
COMPLETED: Final = 4
SWEPT: Final = 5
PATH_LENGTH: Final = 6  # nodes above a bank, its own included
SHARED_LEVELS: Final = 7  # of those, nodes that are the same for all banks of a pseudo-channel
CHANNEL_COUNT: Final = 8
STREAM: Final = 9  # requests in the stream
LOG_ROWS: Final = 10
FIRST_CONSTRAINT: Final = 11  # + command c: its constraints are rows [c] … [c + 1]
