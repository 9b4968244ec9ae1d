"""Where many independent tasks run: in this process, on all cores, on a Ray or a Dask cluster."""

from sim.planning.executors.backends import BACKENDS, Backend, default_backend, make_executor
from sim.planning.executors.executor import Executor

__all__ = ["BACKENDS", "Backend", "Executor", "default_backend", "make_executor"]
