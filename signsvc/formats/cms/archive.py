"""Archive timestamps over a CAdES signature (EN 319 122-1 §5.5.2, §5.5.3): the imprint, and what the index lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from signsvc.algorithms import digest_by_oid, new_hash
from signsvc.asn1 import der, encode
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.cms import attributes
from signsvc.formats.cms.view import MAX_ATTRIBUTE_VALUES, MAX_ATTRIBUTES, MAX_ELEMENTS, Digest, Reading
from signsvc.types import EvidenceKind, SignerView, TimestampView
from signsvc.types.evidence import object_id

KINDS = frozenset((attributes.ARCHIVE_TIMESTAMP_V1, attributes.ARCHIVE_TIMESTAMP_V2, attributes.ARCHIVE_TIMESTAMP_V3))

_INDEX_V1 = "0.4.0.1733.2.5"
_INDEX_V3 = "0.4.0.19122.1.5"
_STRONG = 32  # octets of a digest
_SHA256 = "2.16.840.1.101.3.4.2.1"


@dataclass(slots=True)
class Listed:
    """Octets that an index may list, with ids of what they are; digests are computed once for each algorithm."""

    items: list[tuple[bytes, Sequence[str]]]
    _known: dict[str, list[bytes]] = field(default_factory=dict)

    def proven(self, digest_oid: str, listed: frozenset[bytes]) -> tuple[list[str], bool]:
        """Ids of what is listed, and whether every entry was found.  Raises `ValueError` for an unknown digest."""
        digests = self._known.get(digest_oid)
        if digests is None:
            digests = self._known[digest_oid] = [_hashed(digest_oid, octets) for octets, _ in self.items]
        ids = [
            name for digest, (_, names) in zip(digests, self.items, strict=True) if digest in listed for name in names
        ]
        return ids, listed <= set(digests)


@dataclass(frozen=True, slots=True)
class Base:
    """What archive timestamps of one SignedData share."""

    buf: bytes
    content_type: Tlv  # eContentType
    digest: Digest | None  # of the signed content
    certificates: Tlv | None  # SignedData.certificates
    revocations: Tlv | None  # SignedData.crls
    source: Callable[[int, int], bytes]  # original octets of an element
    _listed: dict[EvidenceKind, Listed] = field(default_factory=dict)

    def listed(self, kind: EvidenceKind) -> Listed:
        """The elements of one of the two sets."""
        found = self._listed.get(kind)
        if found is None:
            parent = self.certificates if kind is EvidenceKind.CERTIFICATE else self.revocations
            children = der.children(self.buf, parent) if parent is not None else []
            values = [self.source(t.start, t.end) for t in children]
            found = self._listed[kind] = Listed([(value, (_value_id(kind, value),)) for value in values])
        return found


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
    unsigned: Mapping[str, Listed],
    reading: Reading,
    first: Sequence[str],
) -> TimestampView:
    """The archive timestamp with `imprint_matches` and `proves` filled in.

    `fields` are version to signature of the SignerInfo as they stand; `unsigned` what each kind of index may list of
    its unsigned attributes (`unsigned_listed`); `first` ids of what stands in the signed attributes.  Older kinds than
    version 3, and tokens without an index or with one of weak digests, are left uncomputed with a finding.
    """
    noted = list(stamp.findings)
    index = None
    if stamp.signer is not None and kind == attributes.ARCHIVE_TIMESTAMP_V3 and reading.archives_left > 0:
        reading.archives_left -= 1
        try:
            index = find_index(stamp.token)
            if index is not None and index.digest_oid != stamp.imprint_oid and _weak(index.digest_oid):
                index = None  # what it lists would be bound less well than the imprint says
        except (DerError, IndexError):
            reading.malformed = True
    if index is None or base is None or base.digest is None or stamp.imprint_oid is None:
        noted.append(replace(reading.note("timestamp_archive_not_computed"), subject=stamp.id))
        return replace(stamp, imprint_matches=None, proves=(), findings=tuple(noted))
    try:
        made = new_hash(stamp.imprint_oid)
        made.update(base.content_type.full(base.buf) + base.digest(stamp.imprint_oid) + fields + index.encoded)
        matches = made.digest() == stamp.imprint
        proves, complete = _covered(index, base, unsigned)
        # An index with an entry for nothing that is there is invalid as a whole (EN 319 122-1 §5.5.2).
        matches = matches and complete
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


def _covered(index: Index, base: Base, unsigned: Mapping[str, Listed]) -> tuple[list[str], bool]:
    """Ids of what the index lists, and whether every entry was found.  Raises `ValueError` for an unknown digest."""
    oid = index.digest_oid
    found = (
        base.listed(EvidenceKind.CERTIFICATE).proven(oid, index.certificates),
        base.listed(EvidenceKind.CRL).proven(oid, index.revocations),
        unsigned[index.kind].proven(oid, index.attributes),
    )
    return [name for ids, _ in found for name in ids], all(whole for _, whole in found)


def unsigned_listed(
    items: list[tuple[bytes, list[bytes]]], held: Mapping[bytes, Sequence[str]]
) -> Mapping[str, Listed]:
    """By kind of index what it lists of the unsigned attributes `items` (type, values): whole attributes in the older
    one, each value with its type in version 3.  `held` names what stands in a value."""
    whole = [(der_attribute(oid, vs), [name for v in vs for name in held.get(v, ())]) for oid, vs in items]
    single = [(oid + v, held.get(v, ())) for oid, vs in items for v in vs]
    return {_INDEX_V1: Listed(list(whole)), _INDEX_V3: Listed(list(single))}


def _hashed(oid: str, octets: bytes) -> bytes:
    made = new_hash(oid)
    made.update(octets)
    return bytes(made.digest())


def _weak(oid: str) -> bool:
    known = digest_by_oid(oid)
    return known is None or known.size < _STRONG


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
