"""The reference and the JSON Schema say what the schemas check."""

import json
from pathlib import Path

import sim
from sim.scenario import reference

DOCS = Path(__file__).parents[1] / "docs"


def test_the_scenario_reference_is_current():
    assert (DOCS / "scenario.md").read_text() == reference.markdown(), "run `make docs`"


def test_the_json_schema_is_current():
    assert json.loads((DOCS / "scenario.schema.json").read_text()) == sim.json_schema(), "run `make docs`"


def test_every_field_of_the_reference_is_described():
    rows = [line for line in reference.markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    bare = [row for row in rows if row.endswith("|  |")]
    assert not bare


def test_the_schema_asks_for_nothing_that_a_table_fills():
    parts = sim.json_schema()["$defs"]
    assert parts["EngineSpec"]["required"] == []
    assert "kernels" not in parts["ChipProfile"]["required"]
    assert "cores" in parts["ComputeProfile"]["required"]


def test_the_schema_takes_catalogue_names_for_model_cluster_and_chip():
    schema = sim.json_schema()
    for place, name in ((schema, "model"), (schema, "cluster"), (schema["$defs"]["ClusterProfile"], "chip")):
        assert place["properties"][name]["anyOf"][0]["type"] == "string"


def test_every_reference_inside_the_schema_is_defined():
    schema = sim.json_schema()
    text = json.dumps(schema)
    for name in {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}:
        assert name in schema["$defs"]
