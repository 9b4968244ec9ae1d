"""Stores below the KV cache of the chips: host memory, drives, a pool."""
