"""Capacity plans: which layout, on how many of which chips, serves a load within its SLO cheapest."""
