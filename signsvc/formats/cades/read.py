"""CMS files as views: detached (`.p7s`) and with their content (`.p7m`), one signature for every SignerInfo."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from signsvc.algorithms import SignatureCheck, digest_by_oid, new_hash, resolve, verify_value
from signsvc.asn1 import DerError, der
from signsvc.errors import DocumentError
from signsvc.formats import cms
from signsvc.formats.cades import level
from signsvc.formats.cades.container import MAX_OCTETS, decode
from signsvc.formats.cms import attributes
from signsvc.types import (
    Covered,
    DocumentView,
    Finding,
    Original,
    Scope,
    SignatureView,
    SignerView,
)

MEDIA_TYPE = "application/cms"
_MAX_TYPE = 100  # characters of a media type


def signature_id(number: int) -> str:
    """The name of the signature that the SignerInfo at place `number` (from 1) makes."""
    return f"signature-{number}"


def read(data: bytes | mmap.mmap, *, originals: Sequence[Original] = (), name: str | None = None) -> DocumentView:
    """Every signature of a CMS file (DER, BER, PEM, base64 text), in the order of its SignerInfos.

    The content is what stands inside, else the one of `originals` that a message digest names; where only one is given
    it is taken.  Content inside that is none of the `originals` given makes the signatures not match.  `name` is the
    file's own name, from which that of content inside is told.  Never judges; what is wrong with a signature is a
    finding about it.  Raises `DocumentError`: ``empty_document``, ``document_too_large``, ``document_unreadable``.
    """
    encoded = decode(data)
    view = _read(encoded, None, nested=not originals)
    inside = view.encapsulated
    original: Original | None = None
    if originals:
        original = _same(inside, originals) if inside is not None else _pick(view.signers, originals)
        view = _read(encoded, _digest(original) if original is not None and inside is None else None)
    if not view.signers and any(found.code == "cms_unreadable" for found in view.findings):
        raise DocumentError("document_unreadable")
    content = _Content.of(inside, original, name, foreign=inside is not None and bool(originals) and original is None)
    alone = len(view.signers) == 1
    signatures = tuple(
        _signature(signer, signature_id(number), content, view.findings if alone else ())
        for number, signer in enumerate(view.signers, 1)
    )
    return DocumentView(
        media_type=MEDIA_TYPE,
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        signatures=signatures,
        evidence=view.evidence,
        findings=() if alone else view.findings,
    )


def content(data: bytes | mmap.mmap) -> bytes | None:
    """The octets that stand inside a CMS file; None where it is detached.  Raises `DocumentError` as `read` does."""
    view = cms.read(decode(data), subject="content", digest=None, nested=False, limit=MAX_OCTETS)
    if view.encapsulated is None and any(found.code == "cms_unreadable" for found in view.findings):
        raise DocumentError("document_unreadable")
    return view.encapsulated


def _read(encoded: bytes, digest: cms.Digest | None, *, nested: bool = True) -> cms.CmsView:
    return cms.read(
        encoded, subject=signature_id(1), digest=digest, nested=nested, limit=MAX_OCTETS, subjects=signature_id
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """What is known of the signed content."""

    kind: str
    name: str
    size: int | None
    at_hand: bool
    foreign: bool  # stands inside and is none of the originals given

    @classmethod
    def of(cls, inside: bytes | None, original: Original | None, name: str | None, *, foreign: bool) -> _Content:
        if inside is not None:
            return cls("object", original.name if original else _stem(name), len(inside), True, foreign)
        if original is not None:
            return cls("file", original.name, original.size, True, False)
        return cls("file", _stem(name), None, False, False)


def _stem(name: str | None) -> str:
    """The name of the content by the name of its signature: without the ending that signature files add."""
    given = name or ""
    ending = given.lower()
    return given[:-4] if ending.endswith((".p7s", ".p7m", ".p7b", ".p7c")) else given


def _signature(signer: SignerView, name: str, content: _Content, findings: Sequence[Finding]) -> SignatureView:
    noted = list(findings)
    if content.foreign:
        noted.append(Finding.of("cades_original_differs", subject=name))
        signer = replace(signer, digest_matches=False)
    kind, named = "CMS", level.NOT_ETSI
    if signer.references:
        reasons = level.departures(signer)
        noted += [Finding.of("cades_not_baseline", subject=name, reason=reason) for reason in reasons]
        kind, named = "CAdES", level.name(signer, baseline=not reasons)
    covered = Covered(
        kind=content.kind,
        name=content.name,
        matches=signer.digest_matches,
        digest_oid=signer.digest_oid,
        size=content.size,
        media_type=_media_type(signer),
    )
    return SignatureView(
        id=name,
        format=kind,
        level=named,
        signer=signer,
        scope=Scope("FULL" if content.at_hand else "PARTIAL", None, None),
        claimed_time=signer.claimed_time,
        covered=(covered,),
        findings=tuple(noted),
    )


def _digest(original: Original) -> cms.Digest:
    """Digests of the original; those that nobody gave are absent, not unknown."""

    def digest(oid: str) -> bytes:
        found = original.digest(oid)
        if found is None:
            raise cms.AbsentDigestError if digest_by_oid(oid) is not None else ValueError
        return found

    return digest


def _pick(signers: Sequence[SignerView], originals: Sequence[Original]) -> Original | None:
    """The original that most signatures are over, the first of equals; the only one given even where none is."""
    counts = [sum(_over(signer, original) for signer in signers) for original in originals]
    if any(counts):
        return originals[counts.index(max(counts))]
    return originals[0] if len(originals) == 1 else None


def _over(signer: SignerView, original: Original) -> bool:
    digest = original.digest(signer.digest_oid)
    if digest is None:
        return False
    if signer.signed_attributes:
        return message_digest(signer) == digest
    value = signer.value
    certificate, _ = cms.signing_certificate(signer)
    if certificate is None:
        return False
    try:
        algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
    except (DerError, IndexError):
        return False
    if algorithm is None:
        return False
    octets = None if original.data is None else bytes(original.data) if algorithm.digest is None else None
    return verify_value(certificate, algorithm, value.value, message=octets, digest=digest) is SignatureCheck.VALID


def _same(inside: bytes, originals: Iterable[Original]) -> Original | None:
    """The original whose octets, or all of whose digests, are those of the content inside."""
    for original in originals:
        if original.data is not None:
            if len(original.data) == len(inside) and bytes(original.data) == inside:
                return original
            continue
        compared = [_hashed(oid, inside) == digest for oid, digest in original.digests.items() if digest_by_oid(oid)]
        if compared and all(compared):
            return original
    return None


def _hashed(oid: str, octets: bytes) -> bytes:
    made = new_hash(oid)
    made.update(octets)
    return bytes(made.digest())


def message_digest(signer: SignerView) -> bytes | None:
    """The value of the message-digest attribute; None where there is none that can be read."""
    value = _signed_value(signer, attributes.MESSAGE_DIGEST)
    return value[1] if value is not None and value[0] == der.OCTET_STRING else None


def _media_type(signer: SignerView) -> str | None:
    """The media type that the signer gave (EN 319 122-1 §5.2.5), where it looks like one."""
    found = _signed_value(signer, attributes.MIME_TYPE)
    if found is None or found[0] != der.UTF8_STRING or len(found[1]) > _MAX_TYPE:
        return None
    text = found[1].decode("ascii", "replace")
    return text if "/" in text and text.isprintable() and "\ufffd" not in text else None


def _signed_value(signer: SignerView, oid: str) -> tuple[int, bytes] | None:
    """(tag, content octets) of the only value of a signed attribute."""
    message = signer.value.message
    if not signer.signed_attributes or message is None or oid not in signer.signed_attributes:
        return None
    try:
        for item in der.children(message, der.read_all(message, tag=der.SET)):
            kind, values = attributes.attribute(message, item)
            if kind == oid and len(values) == 1:
                return values[0].tag, values[0].value(message)
    except (DerError, IndexError):
        return None
    return None


__all__ = ["MEDIA_TYPE", "content", "message_digest", "read", "signature_id"]
