"""The scenario reference and its JSON Schema, from the schemas: `python -m sim.scenario.reference docs`.

A field's text is its `description`; types, defaults and allowed values are read off the schema, so that
the reference cannot say anything else than what is checked.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from sim import documents
from sim.deployment import read_deployment
from sim.scenario.schema import ScenarioSpec

Node = Mapping[str, object]

_HEAD = """# Scenario reference

Written from the schemas by `make docs`; a test says when it is out of date.

A scenario is a YAML 1.2 (or JSON) file. Model, cluster and workload are required, all else has a default.
A quantity is a string with its unit (`4.8 TB/s`, `50 ms`, `141 GB`); where the table says *figure*, it may
also be a mapping `{value, low, high, basis, source}` that says how the number is known.

- `model` and `cluster` are catalogue names (`bandwall models list`, `bandwall hardware list`), paths relative
  to the scenario (with a / or ending in .yaml or .json), or the thing itself written in place.
- The general form: `pools: [{name, role, model, cluster, deployment, router}]` instead of `model`, `cluster`
  and `deployment`: one, or one with role prefill (`prefill:` in the short form) and one with role decode.
  `clients: [{name, …}]`: several kinds of users, each with the workload's fields but `num_requests` and
  `duration`, which stay in `workload`; in the short form `workload.arrivals: {process: clients, clients: …}`.
- `--set PATH=VALUE` changes any value of the resolved tree, left to right: `--set deployment.parallel.tp=4`,
  `--set cluster=h100-hgx`, `--set cluster.chip.memory.bandwidth=x1.2`,
  `--set workload.arrivals='{process: closed, concurrency: 64}'`. List items go by index. A relative path in
  VALUE starts from the scenario's folder.
- The resolved tree (`--resolved FILE`, and beside every `--json FILE`) has every name replaced by what it
  names and is a scenario itself.
- Fields of `deployment.engine` that are left out come from the table of its family and version, the same for
  every chip; the values of the default version are shown below.
- Editors complete and check scenarios with `docs/scenario.schema.json` (`bandwall schema`).
"""

_SKIPPED = {"ClusterProfile": "hardware-profiles.md", "ModelSpec": "models.md"}
"""Parts that have a page of their own."""

_FILLED: dict[str, tuple[str, ...]] = {
    "EngineSpec": (),
    "ChipProfile": ("kernels",),
    "TierProfile": ("topology", "latency", "efficiency", "hop", "launch"),
}
"""Required fields that a table fills where a file leaves them out: those named, of the engine all."""


def json_schema() -> dict[str, object]:
    """The JSON Schema of scenario files, short and general form."""
    schema = cast("dict[str, object]", ScenarioSpec.model_json_schema(by_alias=True))
    fields = cast("dict[str, object]", schema["properties"])
    parts = cast("dict[str, dict[str, object]]", schema["$defs"])
    drafts, prefill = _fields(parts["SpeculationSpec"]), _fields(parts["PrefillPoolSpec"])
    for place, name in (
        (fields, "model"), (fields, "cluster"), (_fields(parts["ClusterProfile"]), "chip"), (drafts, "model"),
        (prefill, "cluster"),
    ):  # fmt: skip
        place[name] = _by_name_too(cast("dict[str, object]", place[name]), name)
    drafts["acceptance_by_position"] = _or_a_file(cast("dict[str, object]", drafts["acceptance_by_position"]))
    for part, names in _FILLED.items():
        _make_optional(parts[part], names)
    engine = _fields(parts["EngineSpec"])
    engine["npu_memory_utilization"] = engine["gpu_memory_utilization"]
    _add_general_form(schema, fields)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Bandwall scenario"} | {
        key: value for key, value in schema.items() if key != "title"
    }


def _fields(part: dict[str, object]) -> dict[str, object]:
    return cast("dict[str, object]", part["properties"])


def _by_name_too(written: dict[str, object], name: str) -> dict[str, object]:
    """A part that may also be a catalogue name or a path."""
    named = {"type": "string", "description": f"a {name} of the catalogue, or a path"}
    text = written.get("description", named["description"])
    rest = {key: value for key, value in written.items() if key != "description"}
    return {"description": text, "anyOf": [named, rest]}


def _or_a_file(written: dict[str, object]) -> dict[str, object]:
    """A part that may also be read from a file."""
    rest = {key: value for key, value in written.items() if key != "description"}
    return {"description": written["description"], "anyOf": [{"type": "string"}, rest]}


def _make_optional(part: dict[str, object], names: tuple[str, ...]) -> None:
    required = cast("list[str]", part.get("required", []))
    part["required"] = [name for name in required if names and name not in names]


def _add_general_form(schema: dict[str, object], fields: dict[str, object]) -> None:
    """`pools` and `clients` beside the short form; what they carry is then not required beside them."""
    pool = {key: fields[key] for key in ("model", "cluster", "deployment")}
    pool |= {"name": {"type": "string"}, "role": {"enum": ["both", "prefill", "decode"]}}
    fields["pools"] = {
        "type": "array",
        "minItems": 1,
        "description": "The general form of model, cluster and deployment.",
        "items": {
            "type": "object",
            "properties": pool,
            "required": ["model", "cluster"],
            "additionalProperties": False,
        },
    }
    fields["clients"] = {
        "type": "array",
        "minItems": 1,
        "description": "The general form of workload: kinds of users, each with its fields and a name.",
        "items": {"type": "object"},
    }
    schema.pop("required", None)
    schema["allOf"] = [
        {"anyOf": [{"required": ["model", "cluster"]}, {"required": ["pools"]}]},
        {"anyOf": [{"required": ["workload"]}, {"required": ["clients"]}]},
    ]


def markdown() -> str:
    """The reference: one table per part of the scenario."""
    schema = cast("Node", ScenarioSpec.model_json_schema(by_alias=True))
    parts = cast("Mapping[str, Node]", schema["$defs"])
    sections = [_HEAD, "\n## Scenario\n\n" + _table(schema, parts, {})]
    for name in _in_order(schema, parts):
        text = str(parts[name].get("description", "")).split("\n\n")[0].replace("\n", " ")
        shown = _table(parts[name], parts, _engine_table() if name == "EngineSpec" else {})
        sections.append(f"\n## {name}\n\n{text}\n\n{shown}")
    return "".join(sections)


def _engine_table() -> Node:
    """What an engine does where nothing is stated: the table of the default family's default version."""
    deployment = cast("Mapping[str, Node]", read_deployment(None))
    return deployment["engine"]


def _in_order(schema: Node, parts: Mapping[str, Node]) -> list[str]:
    """Names of the parts that the scenario reaches, in the order a reader meets them."""
    order: list[str] = []
    waiting: list[object] = [schema["properties"]]
    while waiting:
        for name in _referred(waiting.pop(0)):
            if name not in order and name not in _SKIPPED and "properties" in parts[name]:
                order.append(name)
                waiting.append(parts[name]["properties"])
    return order


def _referred(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        entries = cast("dict[str, object]", node)
        if isinstance(reference := entries.get("$ref"), str):
            yield reference.removeprefix("#/$defs/")
        for key, value in entries.items():
            if key != "discriminator":
                yield from _referred(value)
    elif isinstance(node, list):
        for value in cast("list[object]", node):
            yield from _referred(value)


def _table(part: Node, parts: Mapping[str, Node], defaults: Node) -> str:
    """One row per field; `defaults` are those that the schema does not know."""
    required = cast("list[str]", part.get("required", []))
    rows = ["| field | value | default | |", "|---|---|---|---|"]
    for name, field in cast("Mapping[str, Node]", part.get("properties", {})).items():
        default = "required" if name in required else _default(field)
        if name in defaults and not isinstance(defaults[name], dict):
            default = _shown(defaults[name])
        text = _text(field, parts).replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{name}` | {_value(field, parts)} | {default} | {text} |")
    return "\n".join(rows) + "\n"


def _text(field: Node, parts: Mapping[str, Node]) -> str:
    """What a field means; a part without a word of its own is told by the first sentence about it."""
    if "description" in field:
        return str(field["description"])
    if isinstance(reference := field.get("$ref"), str):
        part = parts[reference.removeprefix("#/$defs/")]
        return str(part.get("description", "")).split("\n\n")[0]
    return "which of the alternatives this is" if "const" in field else ""


def _default(field: Node) -> str:
    default = field.get("default", {})
    if isinstance(default, dict):  # a figure's is its value, a part's is in the table of the part
        entries = cast("Node", default)
        return _shown(entries["value"]) if "value" in entries else ""
    return _shown(default)


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _value(field: Node, parts: Mapping[str, Node]) -> str:
    """What may stand there, in words; a part that has a table of its own is linked."""
    if isinstance(reference := field.get("$ref"), str):
        name = reference.removeprefix("#/$defs/")
        if name in _SKIPPED:
            return f"name, path or [{name}]({_SKIPPED[name]})"
        return f"[{name}](#{name.lower()})" if "properties" in parts[name] else _value(parts[name], parts)
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " · ".join(f"`{value}`" for value in cast("list[object]", field["enum"]))
    alternatives = cast("list[Node]", field.get("anyOf", field.get("oneOf", [])))
    if _is_figure(alternatives):
        return "figure" if alternatives[0]["type"] == "number" else "figure with unit"
    if alternatives:
        said = dict.fromkeys(_value(one, parts) for one in alternatives if one.get("type") != "null")
        return ", or ".join(said)
    kind = str(field.get("type", "any"))
    if kind == "array" and isinstance(items := field.get("items"), dict):
        return f"list of {_value(cast('Node', items), parts)}"
    if kind == "object" and isinstance(values := field.get("additionalProperties"), dict):
        return f"mapping to {_value(cast('Node', values), parts)}"
    return kind + _limits(field)


def _is_figure(alternatives: list[Node]) -> bool:
    return len(alternatives) == 2 and "basis" in cast("Node", alternatives[1].get("properties", {}))


def _limits(field: Node) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {field[key]}" for key, sign in signs.items() if key in field]
    return f" {', '.join(said)}" if said else ""


def write(folder: Path) -> None:
    """Writes both files into `folder`."""
    documents.write_text(folder / "scenario.md", markdown())
    text = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    documents.write_text(folder / "scenario.schema.json", text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
