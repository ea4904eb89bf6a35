"""The road of one document inside a worker: read, gather evidence, judge, report.  No network, no clock."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.asn1 import DerError
from signsvc.errors import RequestError
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Origin, Original
from signsvc.verification.files import opened
from signsvc.verification.model import TrustSource, VerifyRequest
from signsvc.verification.snapshot import Snapshot, data_digests, write
from signsvc.verification.views import Octets, opened_originals, view_of

if TYPE_CHECKING:
    from signsvc.trust import TrustStore
    from signsvc.trust.fetching import Fetch

    Keep = Callable[[bytes], None]


def examine(
    path: Path,
    request: VerifyRequest,
    *,
    trust: TrustSource,
    fetch: Fetch | None,
    now: datetime,
    report_id: str,
    keep: Keep | None = None,
) -> dict[str, Any]:
    """The report for the document at `path`.  `fetch` obtains network values, None means none are obtained; `keep`
    is given the snapshot (`verification.snapshot`) where the request asks for it.

    Raises `DocumentError` where the document cannot be processed, `RequestError` for unusable supplied values.
    """
    with opened(path) as data, opened_originals(request.originals) as originals:
        return judged(data, originals, request, trust=trust, fetch=fetch, now=now, report_id=report_id, keep=keep)


def judged(
    data: Octets,
    originals: Sequence[Original],
    request: VerifyRequest,
    *,
    trust: TrustSource,
    fetch: Fetch | None,
    now: datetime,
    report_id: str,
    keep: Keep | None = None,
) -> dict[str, Any]:
    """The report for the document in `data`; see `examine`."""
    from signsvc import validation
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
    view = view_of(data, originals, name=request.name, must_cover=request.must_cover)
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
    basis = Snapshot(
        view=view,
        evidence=(*supplied, *evidence),
        material=material,
        policy=policy,
        now=now,
        at=request.at,
        report_id=report_id,
        name=request.name,
        offline=request.offline,
        supplied_anchors=anchors,
        data_digests=dict(data_digests(data, view.signatures)),
    )
    report = basis.report()
    if keep is not None and request.record:
        keep(write(basis))
    return report


@functools.lru_cache(maxsize=8)
def store_of(directory: Path) -> TrustStore:
    """One for the process: it reads what is installed once, and again when that changes."""
    from signsvc.trust import TrustStore

    return TrustStore(directory)


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
