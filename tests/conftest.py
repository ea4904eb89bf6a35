"""What every test may use: the test hierarchy, relative to the present so that tests pass on any date."""

from __future__ import annotations

import pytest

import test_pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> test_pki.Pki:
    """The hierarchy; its epoch is midnight UTC 30 days ago."""
    return test_pki.load(tmp_path_factory.mktemp("pki"))
