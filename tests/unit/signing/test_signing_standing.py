"""When what was established of a certificate may serve for another signature."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import test_pki
from signsvc.signing.standing import Ground, Standings, listing
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Finding, Origin
from signsvc.validation import CertificateVerdict, policies
from test_pki.pki import now

NOW = now().replace(microsecond=0)
SECOND = timedelta(seconds=1)


@pytest.fixture
def ground(pki: test_pki.Pki) -> Ground:
    root = Certificate.from_der(pki.cert("root-g2"))
    material = TrustMaterial(("test",), (TrustAnchor(root, "root"),))
    chain = tuple(Certificate.from_der(der) for der in pki.chain("person"))
    return Ground(chain, policies.load(), material, ("generation", 1))


def item(der: bytes, kind: EvidenceKind, fetched: datetime | None = NOW, **changes: bool) -> EvidenceItem:
    return EvidenceItem(kind, der, Origin.CACHE, obtained_at=fetched, url="http://ocsp.example.test/", **changes)


def standings(
    ground: Ground, evidence: tuple[EvidenceItem, ...] = (), later: CertificateVerdict | None = None
) -> Standings:
    verdict = CertificateVerdict(True, None, ground.chain)
    found = Standings(60)
    found.keep(ground, verdict, evidence, NOW, lambda _: later or verdict)
    return found


@pytest.mark.parametrize(("seconds", "serves"), [(-1, False), (0, True), (59, True), (60, False), (3600, False)])
def test_for_how_long(ground: Ground, seconds: int, serves: bool) -> None:
    assert (standings(ground).find(ground, NOW + seconds * SECOND) is not None) is serves


def test_never_where_it_is_switched_off(ground: Ground) -> None:
    found, verdict = Standings(0), CertificateVerdict(True, None, ground.chain)
    found.keep(ground, verdict, (), NOW, lambda _: verdict)
    assert found.find(ground, NOW) is None


def test_another_ground_is_another_matter(ground: Ground, pki: test_pki.Pki) -> None:
    found = standings(ground)
    other = Certificate.from_der(pki.cert("root-g1"))
    assert found.find(replace(ground), NOW) is not None
    for changed in (
        replace(ground, known=("generation", 2)),
        replace(ground, chain=ground.chain[:1]),
        replace(ground, policy=policies.load("luu-tru")),
        replace(ground, material=TrustMaterial()),
        replace(ground, material=replace(ground.material, intermediates=(other,))),
        replace(
            ground, material=replace(ground.material, anchors=(TrustAnchor(ground.chain[-1], "root", sunset=NOW),))
        ),
        replace(ground, chain=(other,)),
    ):
        assert found.find(changed, NOW) is None


def test_no_longer_than_the_certificate(ground: Ground) -> None:
    verdict = CertificateVerdict(True, None, ground.chain)
    end = min(certificate.not_after for certificate in ground.chain)
    found = Standings(60)
    found.keep(ground, verdict, (), end - 20 * SECOND, lambda _: verdict)
    assert found.find(ground, end - SECOND) is not None
    assert found.find(ground, end) is None


def test_no_longer_than_the_evidence(ground: Ground, pki: test_pki.Pki) -> None:
    crl = pki.crl("sub-g2-state", NOW - timedelta(hours=1), timedelta(hours=1) + 20 * SECOND)
    answer = pki.ocsp("person", this_update=NOW - timedelta(hours=1), next_update=timedelta(hours=1) + 20 * SECOND)
    for short in (
        item(crl, EvidenceKind.CRL),
        item(answer, EvidenceKind.OCSP),
        replace(item(crl, EvidenceKind.CRL), obtained_at=None, url=None),  # imported or given
        # asked for anew five minutes after it was fetched
        item(pki.ocsp("person"), EvidenceKind.OCSP, NOW - timedelta(seconds=280)),
    ):
        found = standings(ground, (item(pki.crl("root-g2"), EvidenceKind.CRL), short))
        assert found.find(ground, NOW + 19 * SECOND) is not None
        assert found.find(ground, NOW + 20 * SECOND) is None


def test_what_is_never_kept(ground: Ground, pki: test_pki.Pki) -> None:
    stale = item(pki.crl("root-g2"), EvidenceKind.CRL, stale=True)
    old = item(pki.ocsp("person"), EvidenceKind.OCSP, NOW - timedelta(minutes=5))
    junk = item(b"\x30\x00", EvidenceKind.OCSP)
    for evidence in (stale, old, junk):
        assert standings(ground, (evidence,)).find(ground, NOW) is None
    good = CertificateVerdict(True, None, ground.chain)
    for later in (
        replace(good, ok=False, code="certificate_status_unknown"),
        replace(good, chain=ground.chain[:1]),
        replace(good, findings=(Finding.of("timestamp_absent"),)),
    ):
        assert standings(ground, later=later).find(ground, NOW) is None
    refused, found = replace(good, ok=False, code="certificate_revoked"), Standings(60)
    found.keep(ground, refused, (), NOW, lambda _: refused)
    assert found.find(ground, NOW) is None


def test_not_without_end(ground: Ground, pki: test_pki.Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signsvc.signing.standing._MOST", 1)
    found = standings(ground)
    other = replace(ground, chain=(Certificate.from_der(pki.cert("agency")),))
    found.keep(
        other,
        CertificateVerdict(True, None, other.chain),
        (),
        NOW,
        lambda _: CertificateVerdict(True, None, other.chain),
    )
    assert found.find(ground, NOW) is None
    assert found.find(other, NOW) is not None


def test_a_directory_is_told_by_its_names(tmp_path: Path) -> None:
    assert listing(tmp_path / "absent") == ()
    before = listing(tmp_path)
    (tmp_path / "one").touch()
    assert listing(tmp_path) != before
