"""Chips and clusters: profiles with ranges and sources outside, plain numbers inside."""

from sim.hardware.catalogue import chip_names, cluster_names, complete_cluster, read_chip, read_cluster
from sim.hardware.loading import load_chip, load_cluster, load_family
from sim.hardware.resolve import resolve_chip, resolve_cluster
from sim.hardware.schema import ChipProfile, ClusterProfile

__all__ = [
    "ChipProfile",
    "ClusterProfile",
    "chip_names",
    "cluster_names",
    "complete_cluster",
    "load_chip",
    "load_cluster",
    "load_family",
    "read_chip",
    "read_cluster",
    "resolve_chip",
    "resolve_cluster",
]
