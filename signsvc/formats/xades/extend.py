"""Raising XAdES signatures: signature timestamps, validation data, archive timestamps (EN 319 132-1 §5.3 to §5.5).

Bytes in, bytes out: timestamps come from a function, validation data as evidence.  Nothing that stands in the document
is written anew.  What is added goes to the end of the unsigned properties, so that it never touches what an archive
timestamp covers; before the first of those, data about an authority of a timestamp stands right behind that timestamp.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from signsvc.asn1 import DerError, der, encode, encode_oid
from signsvc.errors import DocumentError
from signsvc.formats import cms, xmlsig
from signsvc.formats.xades import elements, imprint, insert, nodes, values
from signsvc.formats.xades.insert import Addition, Target
from signsvc.formats.xades.names import EXCLUSIVE
from signsvc.formats.xades.validation_data import about
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Original

Stamp = Callable[[bytes, str], bytes]

_STAMPS = frozenset(("SignatureTimeStamp", "ArchiveTimeStamp"))
_BASIC = "1.3.6.1.5.5.7.48.1.1"  # id-pkix-ocsp-basic


def signature_timestamp(
    data: bytes,
    stamp: Stamp,
    *,
    signature_id: str | None = None,
    originals: Sequence[Original] = (),
    resolver: xmlsig.Resolver | None = None,
    digest: str = "sha256",
) -> bytes:
    """The document with a timestamp over the signature with this XML Id; None: over each that has none yet.

    `stamp` takes a digest and its hashlib name (`digest`) and gives the token (ContentInfo, DER).  Raises what `stamp`
    raises, `DocumentError` (``signature_not_extendable``) where there is no XAdES signature to extend, or where
    another signature covers it.
    """
    document = xmlsig.parse(data)
    additions = []
    for target in insert.chosen(document, signature_id):
        if signature_id is None and any(nodes.local(prop) in _STAMPS for prop in target.properties):
            continue
        try:
            octets = imprint.signature_value(document, target.element, EXCLUSIVE)
        except imprint.NotComputed:
            raise DocumentError("signature_not_extendable", reason="value-missing") from None
        token = stamp(hashlib.new(digest, octets).digest(), digest)
        additions.append(Addition(target, elements.timestamp("SignatureTimeStamp", _new_id(), token)))
    return _added(document, data, additions, originals, resolver)


def validation_data(
    data: bytes,
    evidence: Sequence[EvidenceItem],
    *,
    signature_id: str | None = None,
    originals: Sequence[Original] = (),
    resolver: xmlsig.Resolver | None = None,
) -> bytes:
    """The document with certificates, lists and answers of `evidence` that its signatures lack.

    What speaks of a signer goes to CertificateValues and RevocationValues; what speaks only of timestamp authorities to
    TimeStampValidationData, and so does everything once there are such values.  What speaks of neither is taken for
    the signer's where there is one signature, and left out where there are several.
    """
    document = xmlsig.parse(data)
    targets = insert.chosen(document, signature_id)
    additions = []
    for target in targets:
        additions += _validation_data(target, evidence, strangers=len(targets) == 1)
    return _added(document, data, additions, originals, resolver)


def archive_timestamp(
    data: bytes,
    stamp: Stamp,
    *,
    signature_id: str | None = None,
    originals: Sequence[Original] = (),
    resolver: xmlsig.Resolver | None = None,
    digest: str = "sha256",
) -> bytes:
    """The document with an archive timestamp over the signature with this XML Id; None: over each XAdES signature.

    The validation data of the timestamps before it must be there already (`validation_data`).  Raises `DocumentError`
    (``signature_not_extendable``, reason ``signed-data-missing``) where a signed file is not among `originals`, too.
    """
    document = xmlsig.parse(data)
    additions = []
    for target in insert.chosen(document, signature_id):
        read = xmlsig.read_signature(document, target.element, originals=originals, subject="", resolver=resolver)
        hashed = hashlib.new(digest)
        try:
            for piece in imprint.archive(document, read, EXCLUSIVE, target.properties):
                hashed.update(piece)
        except imprint.NotComputed:
            raise DocumentError("signature_not_extendable", reason="signed-data-missing") from None
        token = stamp(hashed.digest(), digest)
        additions.append(Addition(target, elements.timestamp("ArchiveTimeStamp", _new_id(), token)))
    return _added(document, data, additions, originals, resolver)


def _validation_data(target: Target, evidence: Iterable[EvidenceItem], *, strangers: bool) -> list[Addition]:
    held = _certificates(target.element)
    stamps: list[bytes] = []
    kinds = [nodes.local(prop) for prop in target.properties]
    present = {f"certificate:{certificate.sha256.hex()}" for certificate in held}
    for prop, kind in zip(target.properties, kinds, strict=True):
        if kind in values.KINDS:
            present.update(item.id for item in values.read(prop)[0])
        elif kind in _STAMPS:
            stamps += [
                token for holder in nodes.named(prop, "EncapsulatedTimeStamp") if (token := nodes.octets(holder))
            ]
    authorities: list[Certificate] = []
    for token in stamps:
        view = cms.read_timestamp(token, id="", kind="signature", digest=None)
        if view.signer is not None:
            leaf = cms.signing_certificate(view.signer)[0]
            authorities += (leaf,) if leaf else view.signer.certificates[:1]
            present.update(item.id for item in view.evidence)
            present.update(f"certificate:{one.sha256.hex()}" for one in view.signer.certificates)
    items = list(dict.fromkeys(evidence))
    lacking = [item for item in items if item.id not in present]
    own = about(held[:1], items)
    theirs = about(authorities, items)
    if "CertificateValues" in kinds or "RevocationValues" in kinds:
        text = _values([item for item in lacking if strangers or item.id in own or item.id in theirs])
        return [Addition(target, elements.timestamp_validation_data(text))] if text else []
    for_authorities = [item for item in lacking if item.id in theirs and item.id not in own]
    for_signer = [item for item in lacking if item.id in own or (strangers and item.id not in theirs)]
    additions = []
    last = max((at for at, kind in enumerate(kinds) if kind in _STAMPS), default=None)
    if text := _values(for_authorities):
        # Right behind the timestamp, unless an archive timestamp covers that place already.
        after = None if "ArchiveTimeStamp" in kinds else last
        additions.append(Addition(target, elements.timestamp_validation_data(text), after))
    if text := _values(for_signer):
        additions.append(Addition(target, text))
    return additions


def _values(items: Iterable[EvidenceItem]) -> str:
    by_kind: dict[EvidenceKind, list[bytes]] = {kind: [] for kind in EvidenceKind}
    for item in items:
        by_kind[item.kind].append(_whole(item.der) if item.kind is EvidenceKind.OCSP else item.der)
    return elements.values(by_kind[EvidenceKind.CERTIFICATE], by_kind[EvidenceKind.CRL], by_kind[EvidenceKind.OCSP])


def _whole(answer: bytes) -> bytes:
    """The OCSPResponse that XML carries, around a BasicOCSPResponse as CMS carries it (RFC 6960 §4.2.1)."""
    try:
        parts = der.children(answer, der.read_all(answer, tag=der.SEQUENCE), limit=4)
    except DerError:
        return answer
    if parts and parts[0].tag == der.ENUMERATED:
        return answer
    inner = encode(0x30, encode_oid(_BASIC), encode(0x04, answer))
    return encode(0x30, b"\x0a\x01\x00", encode(0xA0, inner))


def _certificates(signature: Any) -> tuple[Certificate, ...]:
    """The certificates of KeyInfo."""
    found = []
    holder = nodes.first(signature, "KeyInfo")
    for leaf in () if holder is None else holder.iter(f"{{{nodes.DS}}}X509Certificate"):
        try:
            found.append(Certificate.from_der(nodes.octets(leaf) or b""))
        except DerError:
            continue
    return tuple(found)


def _added(
    document: xmlsig.Document,
    data: bytes,
    additions: Sequence[Addition],
    originals: Sequence[Original],
    resolver: xmlsig.Resolver | None,
) -> bytes:
    if not additions:
        return bytes(data)
    made = insert.added(bytes(data), additions)
    if len(document.signatures) > 1:
        _still_sound(document, xmlsig.parse(made), originals, resolver)
    return made


def _still_sound(
    before: xmlsig.Document,
    after: xmlsig.Document,
    originals: Sequence[Original],
    resolver: xmlsig.Resolver | None,
) -> None:
    """A signature over everything in another leaves no room in that other."""

    def matches(document: xmlsig.Document, element: Any) -> bool | None:
        read = xmlsig.read_signature(document, element, originals=originals, subject="", resolver=resolver)
        return read.digest_matches

    for was, now in zip(before.signatures, after.signatures, strict=True):
        if matches(before, was) is True and matches(after, now) is not True:
            raise DocumentError("signature_not_extendable", reason="covered-by-another")


def _new_id() -> str:
    return f"ts-{secrets.token_hex(8)}"


__all__ = ["Stamp", "archive_timestamp", "signature_timestamp", "validation_data"]
