"""Archive timestamps over a CAdES signature (EN 319 122-1 §5.5.2, §5.5.3): the imprint, and what the index lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from signsvc.algorithms import new_hash
from signsvc.asn1 import der, encode
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.cms import attributes
from signsvc.formats.cms.view import MAX_ATTRIBUTE_VALUES, MAX_ATTRIBUTES, MAX_ELEMENTS, Digest, Reading
from signsvc.types import EvidenceKind, SignerView, TimestampView
from signsvc.types.evidence import object_id

KINDS = frozenset((attributes.ARCHIVE_TIMESTAMP_V1, attributes.ARCHIVE_TIMESTAMP_V2, attributes.ARCHIVE_TIMESTAMP_V3))

_INDEX_V1 = "0.4.0.1733.2.5"
_INDEX_V3 = "0.4.0.19122.1.5"
_SHA256 = "2.16.840.1.101.3.4.2.1"


@dataclass(frozen=True, slots=True)
class Base:
    """What archive timestamps of one SignedData share."""

    buf: bytes
    content_type: Tlv  # eContentType
    digest: Digest | None  # of the signed content
    certificates: Tlv | None  # SignedData.certificates
    revocations: Tlv | None  # SignedData.crls
    source: Callable[[int, int], bytes]  # original octets of an element

    def elements(self, parent: Tlv | None) -> list[bytes]:
        """The encoded elements of one of the two sets."""
        return [self.source(t.start, t.end) for t in der.children(self.buf, parent)] if parent is not None else []


@dataclass(frozen=True, slots=True)
class Index:
    """ATSHashIndex: digests of what the archive timestamp protects."""

    kind: str
    encoded: bytes
    digest_oid: str
    certificates: frozenset[bytes]
    revocations: frozenset[bytes]
    attributes: frozenset[bytes]


def judge(
    stamp: TimestampView,
    kind: str,
    base: Base | None,
    fields: bytes,
    items: list[tuple[bytes, list[bytes]]],
    reading: Reading,
    first: Sequence[str],
    held: Mapping[bytes, Sequence[str]],
) -> TimestampView:
    """The archive timestamp with `imprint_matches` and `proves` filled in.

    `fields` are version to signature of the SignerInfo as they stand; `items` the unsigned attributes (type, values);
    `first` ids of what stands in the signed attributes, `held` ids of what stands in a value of the unsigned ones.
    Older kinds than version 3, and tokens without an index, are left uncomputed with a finding.
    """
    noted = list(stamp.findings)
    index = None
    if stamp.signer is not None and kind == attributes.ARCHIVE_TIMESTAMP_V3 and reading.archives_left > 0:
        reading.archives_left -= 1
        try:
            index = find_index(stamp.token)
        except (DerError, IndexError):
            reading.malformed = True
    if index is None or base is None or base.digest is None or stamp.imprint_oid is None:
        noted.append(replace(reading.note("timestamp_archive_not_computed"), subject=stamp.id))
        return replace(stamp, imprint_matches=None, proves=(), findings=tuple(noted))
    try:
        made = new_hash(stamp.imprint_oid)
        made.update(base.content_type.full(base.buf) + base.digest(stamp.imprint_oid) + fields + index.encoded)
        matches = made.digest() == stamp.imprint
        proves, complete = _covered(index, base, items, held)
    except (ValueError, IndexError):
        noted.append(replace(reading.note("timestamp_archive_not_computed"), subject=stamp.id))
        return replace(stamp, imprint_matches=None, proves=(), findings=tuple(noted))
    if not complete:
        noted.append(replace(reading.note("timestamp_archive_index_unmatched"), subject=stamp.id))
    return replace(
        stamp,
        imprint_matches=matches,
        proves=tuple(dict.fromkeys((f"signature:{reading.subject}", *first, *proves))),
        findings=tuple(noted),
    )


def _covered(
    index: Index, base: Base, items: list[tuple[bytes, list[bytes]]], held: Mapping[bytes, Sequence[str]]
) -> tuple[list[str], bool]:
    """Ids of what the index lists, and whether every entry was found.  Raises `ValueError` for an unknown digest."""

    def hashed(octets: bytes) -> bytes:
        made = new_hash(index.digest_oid)
        made.update(octets)
        return bytes(made.digest())

    proves: list[str] = []
    left = (set(index.certificates), set(index.revocations), set(index.attributes))
    listed = (index.certificates, index.revocations)
    for place, kind in enumerate((EvidenceKind.CERTIFICATE, EvidenceKind.CRL)):
        for value in base.elements((base.certificates, base.revocations)[place]):
            digest = hashed(value)
            if digest in listed[place]:
                left[place].discard(digest)
                proves.append(_value_id(kind, value))
    for oid, values in items:
        whole = der_attribute(oid, values)
        if index.kind == _INDEX_V1 and (digest := hashed(whole)) in index.attributes:
            left[2].discard(digest)
            proves += [name for value in values for name in held.get(value, ())]
        elif index.kind == _INDEX_V3:
            for value in values:
                if (digest := hashed(oid + value)) in index.attributes:
                    left[2].discard(digest)
                    proves += held.get(value, ())
    return proves, not any(left)


def _value_id(kind: EvidenceKind, value: bytes) -> str:
    if kind is EvidenceKind.CRL and value[0] == 0xA1:  # OtherRevocationInfoFormat holds the OCSP response
        parts = der.children(value, der.read_all(value))
        return object_id(EvidenceKind.OCSP, parts[-1].full(value))
    return object_id(kind, value)


def inside(stamp: TimestampView) -> list[str]:
    """Ids of a token and of what is in it."""
    return [f"timestamp:{stamp.id}", *(item.id for item in stamp.evidence), *_of_signer(stamp.signer)]


def of_counters(subject: str, counters: Sequence[SignerView], start: int) -> list[str]:
    """Ids of the counter-signatures of `subject` from place `start` on, and of what is in them."""
    found: list[str] = []
    for number, signer in enumerate(counters[start:], start + 1):
        name = f"{subject}-counter{number}"
        found += [f"signature:{name}", *_of_signer(signer), *of_counters(name, signer.counter_signatures, 0)]
    return found


def _of_signer(signer: SignerView | None) -> list[str]:
    if signer is None:
        return []
    own = [name for stamp in signer.timestamps for name in inside(stamp)]
    return [*(f"certificate:{c.sha256.hex()}" for c in signer.certificates), *own]


def attribute_values(buf: bytes, element: Tlv, source: Callable[[int, int], bytes]) -> list[tuple[bytes, list[bytes]]]:
    """(type, values) of every unsigned attribute that can be read, encoded."""
    found: list[tuple[bytes, list[bytes]]] = []
    for item in der.children(buf, element, limit=MAX_ATTRIBUTES):
        try:
            kind, holder = der.children(buf, item, limit=2)
            values = der.children(buf, holder, limit=MAX_ATTRIBUTE_VALUES)
            found.append((kind.full(buf), [source(v.start, v.end) for v in values]))
        except (ValueError, IndexError):
            continue
    return found


def der_attribute(oid: bytes, values: list[bytes]) -> bytes:
    """The Attribute again from its type and values."""
    return encode(der.SEQUENCE, oid, encode(der.SET, *values))


def find_index(token: bytes) -> Index | None:
    """The hash index among the unsigned attributes of an archive timestamp token.  Raises `DerError`."""
    outer = der.children(token, der.read(token, 0, tag=der.SEQUENCE))
    body = der.children(token, der.read(token, outer[1].content, outer[1].end, tag=der.SEQUENCE))
    signers = der.children(token, body[-1])
    if len(signers) != 1:
        return None
    last = der.children(token, signers[0])[-1]
    if last.tag != 0xA1:
        return None
    for item in der.children(token, last):
        oid, values = attributes.attribute(token, item)
        if oid in (_INDEX_V1, _INDEX_V3) and len(values) == 1:
            return _index(token, oid, values[0])
    return None


def _index(token: bytes, kind: str, value: Tlv) -> Index:
    parts = der.children(token, value)
    digest_oid = _SHA256
    if len(parts) == 4:
        digest_oid, _ = attributes.algorithm(token, parts[0])
        parts = parts[1:]
    if len(parts) != 3:
        raise DerError("malformed hash index")
    lists = [frozenset(t.value(token) for t in der.children(token, p, limit=MAX_ELEMENTS)) for p in parts]
    return Index(kind, value.full(token), digest_oid, *lists)
