"""Raising CAdES signatures: signature timestamps, validation data, archive timestamps (EN 319 122-1 §5.3, §5.5, §6.3).

Each function takes a CMS file and gives it back longer; no octet of what stands in it is encoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from signsvc.algorithms import digest_by_name
from signsvc.asn1 import DerError, der, encode, encode_oid
from signsvc.errors import DocumentError, RequestError
from signsvc.formats import cms
from signsvc.formats.cades.container import MAX_OCTETS, decode
from signsvc.formats.cades.outline import Outline, Signer, parse
from signsvc.formats.cades.read import message_digest, signature_id
from signsvc.formats.cades.write import refuse_old_archive
from signsvc.formats.cms import attributes
from signsvc.formats.cms.write import digest_identifier
from signsvc.types import EvidenceItem, EvidenceKind, Original

# From a message digest and the hashlib name of its algorithm the token (DER ContentInfo).
Stamp = Callable[[bytes, str], bytes]

_INDEX_V3 = "0.4.0.19122.1.5"
_OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"  # id-ri-ocsp-response (RFC 5940 §2.1)
_OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1"
_OTHER = 0xA1  # RevocationInfoChoice.other


def signature_timestamp(
    data: bytes,
    stamp: Stamp,
    *,
    signature_id: str | None = None,
    originals: Sequence[Original] = (),  # noqa: ARG001 - not needed: the token is over the value alone
    digest_name: str = "sha256",
) -> bytes:
    """A signature-time-stamp on the named signature, or on every one that has none (§5.3).

    Raises `RequestError` ``invalid_request`` for an unknown name, `DocumentError` as `read`, and what `stamp` raises.
    """
    outline = parse(decode(data))
    signers = list(outline.signers)
    for place in _places(outline, signature_id):
        signer = signers[place]
        if signature_id is None and attributes.SIGNATURE_TIMESTAMP in _types(signer):
            continue
        token = stamp(hashlib.new(digest_name, signer.value).digest(), digest_name)
        signers[place] = signer.adding(attributes.SIGNATURE_TIMESTAMP, token)
    return replace(outline, signers=tuple(signers)).encoded()


def validation_data(data: bytes, evidence: Iterable[EvidenceItem], *, signature_id: str | None = None) -> bytes:
    """`evidence` put into ``SignedData.certificates`` and ``.crls``, where all signatures and tokens share it (§6.3):
    lists as they are, OCSP responses as other revocation information (RFC 5940).

    What is there already is not put there again.  Raises `DocumentError` ``archive_timestamp_too_old`` where that
    would break an archive timestamp of version 1 or 2, and as `read`; `RequestError` for an unknown name.
    """
    outline = parse(decode(data))
    _places(outline, signature_id)
    refuse_old_archive(outline)
    certificates, revocations = [], []
    for item in evidence:
        if item.kind is EvidenceKind.CERTIFICATE:
            certificates.append(item.der)
        elif item.kind is EvidenceKind.CRL:
            revocations.append(item.der)
        else:
            revocations.append(_other(item.der))
    return outline.adding(certificates, revocations).encoded()


def archive_timestamp(
    data: bytes,
    stamp: Stamp,
    *,
    signature_id: str | None = None,
    originals: Sequence[Original] = (),
    digest_name: str = "sha256",
) -> bytes:
    """An archive-time-stamp-v3 with ats-hash-index-v3 on the named signature, or on every one (§5.5.2, §5.5.3).

    It covers the content, the signature, and all certificates, revocation values and unsigned attributes of that time.
    `originals` holds the content of a detached signature, or its digest under `digest_name`.  Raises `DocumentError`
    ``original_missing``, ``original_differs`` where the content given is not the signed one, and as `read`;
    `RequestError` for an unknown name; what `stamp` raises.
    """
    encoded = decode(data)
    outline = parse(encoded)
    hashed = _content_digest(encoded, outline, originals, digest_name)
    signers = list(outline.signers)
    for place in _places(outline, signature_id):
        signer = signers[place]
        index = _index(outline, signer, digest_name)
        made = hashlib.new(digest_name, outline.content_type + hashed + signer.fields + index)
        token = _with_index(stamp(made.digest(), digest_name), index)
        signers[place] = signer.adding(attributes.ARCHIVE_TIMESTAMP_V3, token)
    return replace(outline, signers=tuple(signers)).encoded()


def _places(outline: Outline, name: str | None) -> Sequence[int]:
    """Places (from 0) of the named signature, or of all."""
    if name is None:
        return range(len(outline.signers))
    names = [signature_id(place + 1) for place in range(len(outline.signers))]
    if name not in names:
        raise RequestError("invalid_request", reason="there is no signature of this name")
    return [names.index(name)]


def _types(signer: Signer) -> frozenset[str]:
    try:
        return signer.types()
    except (DerError, IndexError):
        raise DocumentError("document_unreadable") from None


def _other(response: bytes) -> bytes:
    """OtherRevocationInfoFormat of an OCSPResponse, or of a BasicOCSPResponse alone."""
    try:
        first = der.children(response, der.read_all(response, tag=der.SEQUENCE))[0]
    except (DerError, IndexError):
        raise ValueError("no OCSP response") from None
    kind = _OCSP_RESPONSE if first.tag == der.ENUMERATED else _OCSP_BASIC
    return encode(_OTHER, encode_oid(kind), response)


def _index(outline: Outline, signer: Signer, digest_name: str) -> bytes:
    """ATSHashIndexV3: digests of every certificate, revocation value and value of an unsigned attribute."""

    def digests(values: Iterable[bytes]) -> bytes:
        return encode(
            der.SEQUENCE,
            *(encode(der.OCTET_STRING, hashlib.new(digest_name, value).digest()) for value in dict.fromkeys(values)),
        )

    try:
        held = [kind + value for kind, values in signer.attribute_values() for value in values]
    except (DerError, IndexError):
        raise DocumentError("document_unreadable") from None
    return encode(
        der.SEQUENCE,
        digest_identifier(digest_name),
        digests(outline.certificates),
        digests(outline.revocations),
        digests(held),
    )


def _with_index(token: bytes, index: bytes) -> bytes:
    """The token with the index among its unsigned attributes, which its own signature does not cover."""
    outline = parse(token)
    if len(outline.signers) != 1:
        raise ValueError("a timestamp token has one signer")
    return replace(outline, signers=(outline.signers[0].adding(_INDEX_V3, index),)).encoded()


def _content_digest(encoded: bytes, outline: Outline, originals: Sequence[Original], digest_name: str) -> bytes:
    """The digest of the signed content, after a look at whether the content given is the signed one."""
    known = digest_by_name(digest_name)
    if known is None:
        raise ValueError("unknown digest algorithm")
    inside = outline.content_octets()
    if inside is not None:
        return bytes(hashlib.new(digest_name, inside).digest())
    if not originals:
        raise DocumentError("original_missing")
    view = cms.read(encoded, subject="", digest=None, nested=False, limit=MAX_OCTETS)
    said = [(signer.digest_oid, value) for signer in view.signers if (value := message_digest(signer)) is not None]
    found = [one for one in originals if any(one.digest(oid) == value for oid, value in said)]
    unsure = [one for one in originals if all(one.digest(oid) is None for oid, _ in said)]
    for original in (*found, *(unsure if len(originals) == 1 else ())):
        hashed: bytes | None = original.digest(known.oid)
        if hashed is not None:
            return hashed
    raise DocumentError("original_missing" if found or unsure else "original_differs")


__all__ = ["Stamp", "archive_timestamp", "signature_timestamp", "validation_data"]
