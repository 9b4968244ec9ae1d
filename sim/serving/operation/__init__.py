"""Operating a fleet: who is let in, in which order, on how many replicas, and what happens when they fail."""
