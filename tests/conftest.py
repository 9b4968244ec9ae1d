"""What holds for all tests: invariants are checked, examples are drawn the same on every machine."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("BANDWALL_CHECK", "1")
settings.register_profile("bandwall", deadline=None, derandomize=True)
settings.load_profile("bandwall")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="Write golden summaries anew.")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data, which is no part of the project; tests that need it skip without it."""
    folder = Path(os.environ.get("BANDWALL_SHARED", Path(__file__).parents[1].parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data: BANDWALL_SHARED or {folder}")
    return folder
