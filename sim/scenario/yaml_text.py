"""A tree as YAML 1.2 text that `sim.documents` reads back to the same tree."""

from typing import cast

import yaml

from sim.documents.scalars import scalar

_DUMPER = cast("type[yaml.SafeDumper]", getattr(yaml, "CSafeDumper", yaml.SafeDumper))


class _Writer(_DUMPER):
    """PyYAML quotes what YAML 1.1 misreads; this also quotes what YAML 1.2 would, and writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _string(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain_is_the_same = scalar(text) == text and "\n" not in text
    style = None if plain_is_the_same else '"'
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style)  # pyright: ignore[reportUnknownMemberType]


_Writer.add_representer(str, _string)


def yaml_text(tree: object) -> str:
    """The text, keys in the tree's order, small collections on one line."""
    return yaml.dump(
        tree, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )
