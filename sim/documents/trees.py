"""Laying one tree over another: what a file states over what it builds on."""

from collections.abc import Mapping
from typing import cast

Tree = Mapping[str, object]


def overlaid(below: Tree, above: Tree) -> dict[str, object]:
    """`above` laid over `below`, mappings key by key, but a figure (a mapping with `value`) as a whole.

    Neither is changed; parts that only one of them has are shared with the result.
    """
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping) and "value" not in value:
            merged[key] = overlaid(cast("Tree", under), cast("Tree", value))
        else:
            merged[key] = value
    return merged
