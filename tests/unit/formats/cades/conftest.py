"""What judges the CMS files of this room: the whole validation, on one trust anchor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import test_pki
from signsvc.formats import cades
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, DocumentVerdict, EvidenceItem, Original
from signsvc.validation import policies, validate

Judge = Callable[..., DocumentVerdict]


@pytest.fixture(scope="session")
def judge(pki: test_pki.Pki) -> Judge:
    """`judge(data, originals, evidence, now)`: the verdict by hon-hop; 30 days after the epoch unless `now` is given."""
    root = Certificate.from_der(pki.roots["root-g2"])
    material = TrustMaterial(("test",), (TrustAnchor(root, "root-g2"),), ())
    # Tests run on any date: algorithms that are good today have no end here; their dates have tests of their own.
    policy = policies.load("hon-hop")
    today = datetime(2026, 1, 1, tzinfo=UTC)
    rows = {
        role: tuple(replace(row, not_after=None) if row.not_after and row.not_after > today else row for row in rows)
        for role, rows in policy.algorithms.items()
    }
    policy = replace(policy, algorithms=rows)

    def ask(
        data: bytes,
        originals: tuple[Original, ...] = (),
        evidence: tuple[EvidenceItem, ...] = (),
        now: datetime | None = None,
    ) -> DocumentVerdict:
        moment = now or pki.epoch + timedelta(days=30)
        view = cades.read(data, originals=originals)
        return validate(view, material=material, evidence=evidence, policy=policy, now=moment)

    return ask
