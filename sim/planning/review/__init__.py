"""The architecture review of one chip or cluster for one model: what binds, what decides, what is needed."""
