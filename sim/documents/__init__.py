"""Documents a user writes: YAML 1.2 or JSON in, checked models out, and outputs that are whole or absent."""

from sim.documents.reading import Document, load, parse
from sim.documents.trees import overlaid
from sim.documents.validation import WRITTEN, validate
from sim.documents.writing import require_writable, write_bytes, write_text

__all__ = [
    "WRITTEN",
    "Document",
    "load",
    "overlaid",
    "parse",
    "require_writable",
    "validate",
    "write_bytes",
    "write_text",
]
