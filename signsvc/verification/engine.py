"""The road of one document inside a worker: read, gather evidence, judge, report.  No network, no clock."""

from __future__ import annotations

import functools
import mmap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.asn1 import DerError
from signsvc.errors import DocumentError, RequestError
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Finding, Origin
from signsvc.verification import sniff
from signsvc.verification.model import TrustSource, VerifyRequest

if TYPE_CHECKING:
    from signsvc.trust import TrustStore
    from signsvc.trust.fetching import Fetch

# Above this size the file is mapped, not read: the page cache holds it once for all workers.
MAP_ABOVE = 1024 * 1024


def examine(
    path: Path,
    request: VerifyRequest,
    *,
    trust: TrustSource,
    fetch: Fetch | None,
    now: datetime,
    report_id: str,
) -> dict[str, Any]:
    """The report for the document at `path`.  `fetch` obtains network values, None means none are obtained.

    Raises `DocumentError` where the document cannot be processed, `RequestError` for unusable supplied values.
    """
    from signsvc import reports, validation
    from signsvc.formats import pades
    from signsvc.trust import collect, crl_index
    from signsvc.trust.imported import DIRECTORY, ImportedLists
    from signsvc.validation import policies

    crl_index.look_in(*trust.indexes, trust.directory / DIRECTORY)
    policy = policies.load(request.policy, trust.policy_directories)
    material = store_of(trust.directory).material(
        *policy.trust_profiles,
        *trust.extra_profiles,
        extra_anchors=(anchors := _certificates(request.trust_anchors, "trust_anchors")),
        extra_intermediates=_certificates(request.certificates, "certificates"),
    )
    supplied = tuple(EvidenceItem(EvidenceKind.CRL, crl, Origin.SUPPLIED) for crl in request.crls)
    with opened(path) as data:
        kind = sniff.media_type(bytes(data[:1024]), len(data))
        if kind != sniff.PDF:
            raise DocumentError("unsupported_format")
        view = pades.read(data)
        have: Sequence[EvidenceItem] = (*validation.embedded_evidence(view), *supplied)
        evidence = collect(
            validation.wanted(view),
            pool=tuple(_pool(have)),
            material=material,
            have=have,
            fetch=fetch,
            now=now,
            imported=ImportedLists.below(trust.directory),
        )
        verdict = validation.validate(
            view, material=material, evidence=(*supplied, *evidence), policy=policy, now=now, at=request.at
        )
        if request.originals:
            unused = Finding.of("originals_unused", count=request.originals)
            verdict = replace(verdict, findings=(*verdict.findings, unused))
        return reports.build(
            verdict,
            view,
            report_id=report_id,
            name=request.name,
            supplied_anchors=anchors,
            offline=request.offline,
        )


@functools.lru_cache(maxsize=8)
def store_of(directory: Path) -> TrustStore:
    """One for the process: it reads what is installed once, and again when that changes."""
    from signsvc.trust import TrustStore

    return TrustStore(directory)


@contextmanager
def opened(path: Path) -> Iterator[bytes | mmap.mmap]:
    """The octets of a file: read when small, mapped when large.  Raises `DocumentError` ``empty_document``."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size == 0:
            raise DocumentError("empty_document")
        file.seek(0)
        if size <= MAP_ABOVE:
            yield file.read()
            return
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield mapped
        finally:
            try:
                mapped.close()
            except BufferError:  # a view is still held by a traceback; the garbage collector closes it
                pass


def _certificates(values: Sequence[bytes], member: str) -> tuple[Certificate, ...]:
    try:
        return tuple(Certificate.from_der(value) for value in values)
    except DerError:
        raise RequestError("invalid_request", reason=f"{member}: not a DER certificate") from None


def _pool(have: Sequence[EvidenceItem]) -> Iterator[Certificate]:
    for item in have:
        if item.kind is EvidenceKind.CERTIFICATE:
            try:
                yield Certificate.from_der(item.der)
            except DerError:  # the reader has its own finding for it
                continue
