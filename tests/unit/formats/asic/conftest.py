"""The bench that ASiC is tried on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from signsvc.trust import TrustAnchor
from signsvc.types import Certificate
from signsvc.validation import policies
from test_pki import Pki
from tests.unit.formats.asic.asic_bench import AsicBench
from tests.unit.formats.xades.xades_bench import DAY, XadesBench


@pytest.fixture(scope="session")
def asic_bench(pki: Pki) -> AsicBench:
    anchors = tuple(
        TrustAnchor(Certificate.from_der(der), label) for label, der in pki.roots.items() if label != "root-unknown"
    )
    # Tests run on any date: algorithms that are good today have no end here.
    policy = policies.load("hon-hop")
    today = datetime(2026, 1, 1, tzinfo=UTC)
    rows = {
        role: tuple(replace(row, not_after=None) if row.not_after and row.not_after > today else row for row in rows)
        for role, rows in policy.algorithms.items()
    }
    now = pki.epoch.astimezone(UTC) + 30 * DAY
    return AsicBench(XadesBench(pki, replace(policy, algorithms=rows), now, anchors))
