"""The version of the package, written into every result."""

__version__ = "0.1.0"
