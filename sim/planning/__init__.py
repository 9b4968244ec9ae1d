"""The decisions: sweeps and their store, capacity plans, uncertainty, architecture reviews, comparisons.

Nothing is imported here, so that a verb loads only what it uses.
"""
