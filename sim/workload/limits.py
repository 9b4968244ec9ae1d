"""The largest numbers a workload may hold; beyond them a typing error is likelier than an intention."""

MOST_REQUESTS = 20_000_000
MOST_TOKENS = 100_000_000
MOST_SECONDS = 1e10
