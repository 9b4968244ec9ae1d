"""One metric of one case, measured and simulated."""

from dataclasses import dataclass

KEYS = ("metric", "category", "model", "gpu", "engine", "regime")


@dataclass(frozen=True, slots=True)
class ServingRow:
    """A metric of a case; its unit is the one its name ends in.

    Attributes:
        category: the source's own word; label: the catalogue's class.
        engine: family; regime: low, middle or near_saturation.
        configuration: what two sites have to agree in to have measured the same; source: who measured.
        group: configurations of one group ran the same model under the same load.
        kept_up: whether the simulated deployment served what arrived; where it did not, its queue grew
            for as long as requests came, and its latencies say how long that was.
    """

    id: str
    metric: str
    category: str
    model: str
    gpu: str
    engine: str
    regime: str
    label: str
    quality: str
    source: str
    configuration: str
    group: str
    measured: float
    simulated: float
    kept_up: bool = True

    @property
    def error(self) -> float:
        """Signed error, percent."""
        return 100.0 * (self.simulated - self.measured) / self.measured

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        keys = {name: getattr(self, name) for name in (*KEYS, "quality")}
        values = {"measured": self.measured, "simulated": self.simulated, "kept_up": self.kept_up}
        return {"id": self.id, **keys, **values}
