"""CMS files that our own writer makes with the keys of the test hierarchy, at every level."""

from __future__ import annotations

from datetime import datetime, timedelta

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.formats.cades import extend, write
from signsvc.formats.cms.write import CmsPlan
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin, Original
from tests.support.signed_pdf import values

DAY = timedelta(days=1)
CONTENT = "Quyết định số 15/QĐ-UBND".encode() * 20
LEVELS = ("b-b", "b-t", "b-lt", "b-lta")


def plan(pki: test_pki.Pki, label: str = "person", *, pss: bool = False, digest: str = "sha256") -> CmsPlan:
    certificate, *chain = [Certificate.from_der(one) for one in pki.chain(label)[:-1]]
    scheme = SignatureScheme.RSA_PSS if pss else SignatureScheme.RSA_PKCS1
    if certificate.key_type == "ec":
        scheme = SignatureScheme.ECDSA
    return CmsPlan(certificate, SignatureAlgorithm(scheme, digest), tuple(chain))


def spec(pki: test_pki.Pki, *, detached: bool = True, media_type: str | None = None) -> write.CadesSpec:
    return write.CadesSpec(pki.epoch + 9 * DAY, detached, media_type)


def original(data: bytes = CONTENT, name: str = "van-ban.docx") -> Original:
    return Original(name, data)


def stamper(pki: test_pki.Pki, at: datetime, tsa: str = "tsa1") -> extend.Stamp:
    return lambda digest, name: pki.timestamp(digest, at=at, hash=name, tsa=tsa)


def sign(
    pki: test_pki.Pki,
    label: str = "person",
    *,
    content: Original | None = None,
    existing: bytes | None = None,
    counter: int | None = None,
    detached: bool = True,
    pss: bool = False,
    digest: str = "sha256",
    media_type: str | None = None,
) -> bytes:
    """A file at B-B: anew, beside the signatures of `existing`, or over the one at place `counter` of it."""
    planned, specified = plan(pki, label, pss=pss, digest=digest), spec(pki, detached=detached, media_type=media_type)
    if counter is not None:
        assert existing is not None
        prepared = write.prepare_counter(existing, counter, planned, specified)
    else:
        content = content or (original() if existing is None else None)
        prepared = write.prepare(content, planned, specified, existing=existing)
    prepared = write.Prepared.from_json(prepared.to_json())
    return write.complete(prepared, pki.sign_data(label, prepared.octets, digest, pss))


def evidence(pki: test_pki.Pki, *labels: str, at: datetime) -> list[EvidenceItem]:
    """What proves these signers and authorities at a time."""
    kinds = {"Certs": EvidenceKind.CERTIFICATE, "OCSPs": EvidenceKind.OCSP, "CRLs": EvidenceKind.CRL}
    found = values(pki, *labels, at=at)
    return [EvidenceItem(kinds[kind], one, Origin.NETWORK) for kind, held in found.items() for one in held]


def raised(
    pki: test_pki.Pki,
    data: bytes,
    level: str,
    *,
    originals: tuple[Original, ...] = (),
    labels: tuple[str, ...] = ("person",),
) -> bytes:
    """`data` at `level`: stamped 10, evidence of 12, archived 13 days after the epoch."""
    steps = LEVELS.index(level)
    if steps >= 1:
        data = extend.signature_timestamp(data, stamper(pki, pki.epoch + 10 * DAY))
    if steps >= 2:
        data = extend.validation_data(data, evidence(pki, *labels, "tsa1", at=pki.epoch + 12 * DAY))
    if steps >= 3:
        data = extend.archive_timestamp(data, stamper(pki, pki.epoch + 13 * DAY), originals=originals)
    return data
