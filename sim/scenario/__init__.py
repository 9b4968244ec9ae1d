"""A scenario: its schema, `--set`, resolution, and what is asked of it. `sim` exports what is public.

Nothing is imported here, so that listing a catalogue does not load the engine.
"""
