"""Scenarios that a question of planning brings without a load of their own."""

from collections.abc import Mapping

_LOAD = ("workload", "clients", "slo", "seed")


def refuse_load(scenario: Mapping[str, object], instead: str) -> None:
    """Refuses what stands beside the scenario already.

    Args:
        instead: what gives the load, as it reads in a sentence: "services and seed".
    Raises:
        ValueError: for a scenario with a field of the load.
    """
    for name in _LOAD:
        if name in scenario:
            raise ValueError(f"'scenario.{name}' cannot be given: {instead} stand beside it")
