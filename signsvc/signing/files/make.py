"""One file signed, or raised: what `SigningService` does for formats beside PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.errors import DocumentError, RequestError
from signsvc.formats.cms.write import to_be_signed
from signsvc.signing.files import check, formats
from signsvc.signing.files.formats import Kind
from signsvc.signing.material import Stamping, Timestamper
from signsvc.signing.model import SignParams, SignResult, TrustInput
from signsvc.signing.profiles import LEVELS, Profile, apply
from signsvc.signing.workfile import WorkFile, work_file
from signsvc.types import Certificate, EvidenceItem, Original
from signsvc.verification.model import OriginalFile

if TYPE_CHECKING:
    from datetime import datetime

    from signsvc.keys.signer import Signer
    from signsvc.signing.service import Settled, SigningService


def sign(
    service: SigningService,
    source: Path,
    target: Path,
    *,
    profile: Profile,
    signer: Signer,
    params: SignParams,
    trust: TrustInput,
    tsa: Timestamper | None = None,
    deadline: float | None = None,
    base_sha256: str | None = None,
    more: Sequence[OriginalFile] = (),
) -> SignResult:
    """Sign the document at `source` into `target`, which of a detached signature is the signature alone, and of a
    container holds the files of `more` as well.

    Raises what `SigningService.sign` raises; on any error `target` is as it was.
    """
    kind = formats.kind_of(profile)
    params = apply.settle(profile, params)
    formats.check(profile, params)
    with work_file(source, target, base_sha256, durable=service.durable) as work:
        data = work.octets()
        formats.refuse_kind(kind, data[:1024], len(data))
        others = tuple(Original(one.name, _read(one.path)) for one in more)
        settled = service.settled(profile, signer, params, trust)
        now = service.clock()
        prepared = formats.prepare(data, kind, settled.plan, profile, params, now, others)
        value = signer.sign(to_be_signed(settled.plan, prepared.octets), settled.plan.algorithm, deadline=deadline)
        stamping = Stamping(tsa or service.tsa, service.clock, service.room)
        made = formats.complete(kind, prepared, value)
        return finished(
            service, work, source, data, made, kind, settled, profile, signer, params, trust, stamping,
            prepared.signature_id, now,
        )  # fmt: skip


def finished(
    service: SigningService,
    work: WorkFile,
    source: Path,
    data: bytes,
    made: bytes,
    kind: Kind,
    settled: Settled,
    profile: Profile,
    signer: Signer,
    params: SignParams,
    trust: TrustInput,
    stamping: Stamping,
    name: str,
    now: datetime,
) -> SignResult:
    """Raise the signed file `made` of the document `data` to the profile's level, check it, put it in its place."""
    originals = (Original(params.file_name or "document", data),) if kind.detached else ()
    if profile.rank >= LEVELS.index("B-T"):
        made = formats.signature_timestamp(kind, made, stamping, name, originals)
    if profile.rank >= LEVELS.index("B-LT"):
        leaves, held = (settled.plan.certificate,), (*settled.plan.chain, *signer.certificate_chain)
        made = _raised(
            service, settled.gatherer, made, kind, profile.level, stamping, leaves, held, originals, name,
            settled.precheck.evidence,
        )  # fmt: skip
    work.rewrite(made)
    beside = (params.file_name or "document", source) if kind.detached else None
    report = service.verified(work.path, profile.policy, trust, beside)
    level = None if kind.format == "xmldsig" else profile.level
    entry = check.signature(report, name, level=level, passed=profile.result == "passed")
    if len(report["signatures"]) > 1 and not check.sound(report, but=entry):
        _blame(service, work, data, profile.policy, trust)
    sha256, size = work.commit()
    return SignResult(
        level=str(entry["level"]),
        field=entry["field"] or entry["id"],
        signed_at=now,
        sha256=sha256,
        size=size,
        certificate=signer.certificate,
        chain=settled.precheck.chain,
        best_signature_time=stamping.tokens[0].gen_time if stamping.tokens else None,
        tsa=stamping.authority,
        warnings=settled.precheck.warnings,
        report=report,
        format=str(entry["format"]),
        media_type=kind.media_type,
    )


def extend(
    service: SigningService,
    source: Path,
    target: Path,
    *,
    level: str,
    policy: str,
    trust: TrustInput,
    tsa: Timestamper | None = None,
    base_sha256: str | None = None,
    original: Path | None = None,
    original_name: str = "document",
) -> SignResult:
    """Raise the signatures of the file at `source` to `level`, or renew their archive timestamps, into `target`;
    `original` is what detached signatures are over.  Raises what `SigningService.extend` raises."""
    with work_file(source, target, base_sha256, durable=service.durable) as work:
        data = work.octets()
        kind = formats.kind_of_file(data[:1024], len(data))
        originals = (Original(original_name, original.read_bytes()),) if original is not None else ()
        leaves, held, bare = _inside(data, kind, originals)
        if not leaves:
            raise RequestError("invalid_request", reason="the document has no signature")
        stamping = Stamping(tsa or service.tsa, service.clock, service.room)
        gatherer = service.gatherer(policy, trust)
        if level == "B-T" or bare:
            data = formats.signature_timestamp(kind, data, stamping, None, originals)
        if level in ("B-LT", "B-LTA"):
            data = _raised(service, gatherer, data, kind, level, stamping, leaves, held, originals, None, ())
        work.rewrite(data)
        report = service.verified(work.path, policy, trust, (original_name, original) if original else None)
        reached = check.extension(report, level=level)
        sha256, size = work.commit()
    return SignResult(
        level=reached,
        field=None,
        signed_at=None,
        sha256=sha256,
        size=size,
        best_signature_time=stamping.tokens[-1].gen_time if stamping.tokens else None,
        tsa=stamping.authority,
        report=report,
        format=str(report["signatures"][0]["format"]),
        media_type=kind.media_type if kind.format != "asic-e-xades" else str(report["document"]["media_type"]),
    )


def _raised(
    service: SigningService,
    gatherer: Any,
    data: bytes,
    kind: Kind,
    level: str,
    stamping: Stamping,
    leaves: tuple[Certificate, ...],
    held: tuple[Certificate, ...],
    originals: Sequence[Original],
    name: str | None,
    have: tuple[EvidenceItem, ...],
) -> bytes:
    """Validation data, and at B-LTA an archive timestamp over them."""
    before = stamping.leaves
    evidence = service.validation_data(gatherer, (*leaves, *before), (*held, *stamping.certificates), have)
    data = formats.validation_data(kind, data, evidence, name, originals)
    if level != "B-LTA":
        return data
    data = formats.archive_timestamp(kind, data, stamping, name, originals)
    fresh = tuple(c for c in stamping.leaves if c not in before)
    if fresh:
        # The archive timestamp came from another authority than the first: its chain has to be there as well.
        data = formats.validation_data(
            kind, data, service.validation_data(gatherer, fresh, stamping.certificates), name, originals
        )
    return data


def _inside(
    data: bytes, kind: Kind, originals: Sequence[Original]
) -> tuple[tuple[Certificate, ...], tuple[Certificate, ...], bool]:
    """The certificates whose standing is to be kept, all certificates inside, whether a signature has no timestamp."""
    from signsvc import validation
    from signsvc.validation.context import embedded_certificates
    from signsvc.verification.views import view_of

    view = view_of(data, originals if kind.format in ("xades", "cades") else (), name=None, must_cover=())
    every = tuple(dict.fromkeys(embedded_certificates(view)))
    bare = any(
        signature.signer is not None and all(token.kind == "content" for token in signature.signer.timestamps)
        for signature in view.signatures
    )
    return (validation.wanted(view) if view.signatures else ()), every, bare


def _read(path: Path | None) -> bytes:
    if path is None:
        raise RequestError("invalid_request", reason="a document without content")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DocumentError("not_found") from None
    except OSError:
        raise DocumentError("document_unreadable") from None
    if not data:
        raise DocumentError("empty_document")
    return data


def _blame(service: SigningService, work: WorkFile, data: bytes, policy: str, trust: TrustInput) -> None:
    """Another signature of the file does not hold: our doing, or was it so before?"""
    whole = work.octets()
    work.rewrite(data)
    before = service.verified(work.path, policy, trust, None)
    work.rewrite(whole)
    if check.sound(before, but=None):
        raise DocumentError("signing_not_permitted", reason="breaks-signature")


__all__ = ["extend", "finished", "sign"]
