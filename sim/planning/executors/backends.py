"""The backends by name; this is their registry."""

from importlib.util import find_spec
from typing import Literal, get_args

from sim.errors import UserError, unknown
from sim.planning.executors.executor import Executor

Backend = Literal["serial", "loky", "ray", "dask"]
BACKENDS: tuple[str, ...] = get_args(Backend)


def default_backend() -> str:
    """All cores where loky is installed, otherwise this process."""
    return "loky" if find_spec("loky") is not None else "serial"


def make_executor(backend: str | None = None, workers: int | None = None) -> Executor:
    """The executor of that name.

    Args:
        backend: one of `BACKENDS`, or None for `default_backend()`.
        workers: tasks at a time; None for all cores, or all of the cluster's.
    Raises:
        UserError: for an unknown name, workers below 1, or a package that is not installed.
    """
    backend = default_backend() if backend is None else backend
    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: at least 1 is needed")
    match backend:
        case "loky":
            from sim.planning.executors.loky_pool import LokyExecutor

            return LokyExecutor(workers)
        case "ray":
            from sim.planning.executors.ray_cluster import RayExecutor

            return RayExecutor(workers)
        case "dask":
            from sim.planning.executors.dask_cluster import DaskExecutor

            return DaskExecutor(workers)
        case _:
            from sim.planning.executors.serial import SerialExecutor

            return SerialExecutor()
