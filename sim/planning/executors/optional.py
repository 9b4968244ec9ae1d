"""Packages that are not there for everybody."""

import importlib

from sim.errors import UserError


def imported(package: str, backend: str, extra: str) -> object:
    """The module of an optional package.

    Raises:
        UserError: where it is not installed, naming the extra that brings it.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UserError(
            f"--backend {backend} needs {package}, which is not installed (pip install 'bandwall[{extra}]'), "
            "or choose --backend serial"
        ) from None
