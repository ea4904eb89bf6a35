"""One running service for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.installation import Installation
from tests.support.service import Service, running


@pytest.fixture(scope="module")
def service(installation: Installation) -> Iterator[Service]:
    """``signsvc serve`` with SoftHSM2 keys and loopback TSA, OCSP and CRL."""
    with running(installation, workers=2, threads=8) as found:
        yield found
