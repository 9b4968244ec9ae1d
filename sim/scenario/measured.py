"""The measured tables that a scenario goes by, and what of its time they price."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sim.errors import UserError
from sim.scenario.scenario import Scenario

if TYPE_CHECKING:
    from sim.timing.measured.tables import Measured


def measured_tables(scenario: Scenario) -> "tuple[Measured, ...]":
    """The measured tables of fidelity `tables`; none at the others, which price without them.

    Raises:
        UserError: where there are none to go by, for a table that cannot be read, and at fidelity event.
    """
    spec = scenario.spec
    if spec.fidelity == "event" and spec.tables:
        raise UserError(
            f"{scenario.place('tables')}: tables: fidelity event simulates kernels part by part and takes "
            "no measured times; give fidelity tables, or no tables"
        )
    if spec.fidelity != "tables":
        return ()
    if not spec.tables:
        raise UserError(
            f"{scenario.place('fidelity')}: fidelity: tables needs measured tables, named under 'tables'"
        )
    from sim.timing.measured.tables import read_tables  # with all that only tables need

    try:
        return tuple(table for named in spec.tables for table in read_tables(named, scenario.base))
    except UserError as error:
        raise UserError(f"{scenario.place('tables')}: tables: {error}") from None


def priced_as(source: str) -> str:
    """What kind of source priced an operator: "analytic", "table", or "border" of one."""
    return next((kind for kind in ("border", "table") if f"{kind} " in source), source)


def priced_by(shares: Mapping[str, float]) -> str:
    """One sentence on the shares of time by what priced it (`OperatorTime.source`)."""
    of = {"table": 0.0, "border": 0.0}
    for source, share in shares.items():
        of[priced_as(source)] = of.get(priced_as(source), 0.0) + share
    if not of["table"] + of["border"]:
        return "No row of the tables is of this chip, its engine's stack and these types: all is analytic."
    return (
        f"Measured tables price {100 * of['table']:.1f} % of the time inside what they measured and "
        f"{100 * of['border']:.1f} % by the ratio at its border; the rest is analytic."
    )
