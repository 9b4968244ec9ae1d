"""Readers of recorded requests: one function per file format, each giving a `TraceTable`."""
