"""The outputs of a run that decisions are taken on: name in the record, title, unit, which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Output:
    """One output. `name` is the field of the run's record."""

    name: str
    title: str
    unit: str
    better: Literal["more", "less"]

    def of(self, record: Mapping[str, object]) -> float | None:
        """Its value in a record, None where that has none."""
        return field(record, self.name)


def field(record: Mapping[str, object], name: str) -> float | None:
    """A number in a record, None where that has none."""
    value = record.get(name)
    return float(value) if isinstance(value, int | float) else None


OUTPUTS = (
    Output("output_throughput", "output tokens", "/s", "more"),
    Output("tokens_per_s_per_chip", "output tokens per chip", "/s", "more"),
    Output("tokens_per_s_per_user", "output tokens per user", "/s", "more"),
    Output("request_goodput", "goodput", "requests/s", "more"),
    Output("slo_attainment", "SLO attainment", "", "more"),
    Output("p99_ttft_ms", "TTFT, 99 %", "ms", "less"),
    Output("p99_tpot_ms", "TPOT, 99 %", "ms", "less"),
    Output("p99_e2el_ms", "E2EL, 99 %", "ms", "less"),
    Output("mean_power_per_chip_w", "power of a chip", "W", "less"),
    Output("usd_per_million_output_tokens", "1M output tokens", "USD", "less"),
    Output("joules_per_output_token", "an output token", "J", "less"),
)
BY_NAME = {output.name: output for output in OUTPUTS}
