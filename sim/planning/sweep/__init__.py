"""Sweeps: axes over any field of a scenario, a store of finished points, tables of what came out."""
