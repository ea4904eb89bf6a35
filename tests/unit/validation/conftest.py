"""The bench that every test of this room judges with."""

from __future__ import annotations

from datetime import UTC

import pytest

from signsvc.trust import TrustAnchor
from signsvc.types import Certificate
from signsvc.validation import policies
from test_pki import Pki
from tests.unit.validation.validation_bench import DAY, Bench


@pytest.fixture(scope="session")
def bench(pki: Pki) -> Bench:
    anchors = tuple(
        TrustAnchor(Certificate.from_der(der), label) for label, der in pki.roots.items() if label != "root-unknown"
    )
    return Bench(pki, policies.load("hon-hop"), pki.epoch.astimezone(UTC) + 30 * DAY, anchors)
