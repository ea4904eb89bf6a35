"""A SignedData as pieces that can be added to: every piece keeps the octets it has in the file.

Digests, signatures and timestamps are over elements as they stand, so that nothing inside is ever encoded again; only
the lengths around them are (RFC 5652 §5.1).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from signsvc.asn1 import DerError, Tlv, ber, decode_oid, der, encode, encode_integer, encode_oid
from signsvc.errors import DocumentError
from signsvc.formats.cms.signed_data import SIGNED_DATA
from signsvc.formats.cms.view import MAX_ATTRIBUTES, MAX_ELEMENTS

DATA = "1.2.840.113549.1.7.1"
_ATTRIBUTE_SETS = 0xA1
Buffer = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Signer:
    """One SignerInfo: version to signature as they stand, the signature value, the unsigned attributes."""

    fields: bytes
    value: bytes
    digest_algorithm: bytes  # AlgorithmIdentifier
    unsigned: tuple[bytes, ...] = ()

    def encoded(self) -> bytes:
        """SignerInfo."""
        more = encode(_ATTRIBUTE_SETS, *self.unsigned) if self.unsigned else b""
        return encode(der.SEQUENCE, self.fields, more)

    def attribute_values(self) -> list[tuple[bytes, list[bytes]]]:
        """(type, values) of the unsigned attributes, encoded.  Raises `DerError` where one is malformed."""
        found = []
        for attribute in self.unsigned:
            parts = der.children(attribute, der.read_all(attribute, tag=der.SEQUENCE), limit=2)
            if len(parts) != 2:
                raise DerError("malformed attribute")
            values = [one.full(attribute) for one in der.children(attribute, parts[1])]
            found.append((parts[0].full(attribute), values))
        return found

    def types(self) -> frozenset[str]:
        """Types of the unsigned attributes.  Raises `DerError` where one is malformed."""
        return frozenset(decode_oid(kind, der.read_all(kind)) for kind, _ in self.attribute_values())

    def adding(self, oid: str, value: bytes) -> Signer:
        """With one more unsigned attribute of one value."""
        attribute = encode(der.SEQUENCE, encode_oid(oid), encode(der.SET, value))
        return replace(self, unsigned=joined(self.unsigned, (attribute,)))


@dataclass(frozen=True, slots=True)
class Outline:
    """The pieces of a SignedData."""

    version: int
    digests: tuple[bytes, ...]
    content_type: bytes  # the object identifier, encoded
    content: bytes | None  # eContent with its tag
    certificates: tuple[bytes, ...] = ()
    revocations: tuple[bytes, ...] = ()
    signers: tuple[Signer, ...] = ()

    def encoded(self) -> bytes:
        """ContentInfo, in DER but for pieces that were BER."""
        content = self.content or b""
        before = [
            encode_integer(max(self.version, self._least_version())),
            encode(der.SET, *self.digests),
            _header(der.SEQUENCE, len(self.content_type) + len(content)),
            self.content_type,
        ]
        after = []
        if self.certificates:
            after.append(encode(0xA0, *self.certificates))
        if self.revocations:
            after.append(encode(0xA1, *self.revocations))
        after.append(encode(der.SET, *(signer.encoded() for signer in self.signers)))
        # The content may be large: it is copied once.
        size = sum(map(len, before)) + len(content) + sum(map(len, after))
        kind, body = encode_oid(SIGNED_DATA), _header(der.SEQUENCE, size)
        tagged = _header(0xA0, len(body) + size)
        whole = _header(der.SEQUENCE, len(kind) + len(tagged) + len(body) + size)
        return b"".join((whole, kind, tagged, body, *before, content, *after))

    def adding(self, certificates: Iterable[bytes] = (), revocations: Iterable[bytes] = ()) -> Outline:
        """With further certificates and RevocationInfoChoices; those that are there already stay single."""
        return replace(
            self,
            certificates=joined(self.certificates, certificates),
            revocations=joined(self.revocations, revocations),
        )

    def content_octets(self) -> bytes | None:
        """The octets that are signed where they stand inside."""
        if self.content is None:
            return None
        held = der.read(self.content, der.read(self.content, 0).content)
        return held.value(self.content)

    def _least_version(self) -> int:
        """CMSVersion by what is inside (RFC 5652 §5.1)."""
        kinds = {one[0] for one in self.certificates}
        if 0xA3 in kinds or any(one[0] == 0xA1 for one in self.revocations):
            return 5
        if 0xA2 in kinds:
            return 4
        data = self.content_type == encode_oid(DATA)
        return 1 if data and 0xA1 not in kinds and all(s.fields[:3] == b"\x02\x01\x01" for s in self.signers) else 3


def content_of(octets: Buffer) -> bytes:
    """eContent with `octets` inside, copied once."""
    size = len(octets)
    inner = _header(der.OCTET_STRING, size)
    return b"".join((_header(0xA0, len(inner) + size), inner, octets))


def parse(encoded: bytes) -> Outline:
    """The pieces of an encoded ContentInfo with SignedData, BER included; octets after it are left out.

    Raises `DocumentError` ``document_unreadable``.
    """
    try:
        return _parse(encoded, lambda start, end: encoded[start:end])
    except (DerError, IndexError):
        pass
    try:
        lenient = ber.to_der(encoded)
        return _parse(lenient.der, lenient.original)
    except (DerError, IndexError):
        raise DocumentError("document_unreadable") from None


def joined(members: Sequence[bytes], more: Iterable[bytes]) -> tuple[bytes, ...]:
    """A set with `more` members: in DER order where it is in that order (X.690 §11.6), else behind those there."""
    found = tuple(dict.fromkeys((*members, *more)))
    return tuple(sorted(found)) if list(members) == sorted(members) else found


def _header(tag: int, size: int) -> bytes:
    """Identifier and length octets of an element with `size` content octets (X.690 §8.1, §10.1)."""
    if size < 0x80:
        return bytes((tag, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length


def _parse(buf: bytes, source: Callable[[int, int], bytes]) -> Outline:
    parts = der.children(buf, der.read(buf, 0, tag=der.SEQUENCE), limit=2)
    if len(parts) != 2 or parts[1].tag != 0xA0 or decode_oid(buf, parts[0]) != SIGNED_DATA:
        raise DerError("not SignedData")
    fields = der.children(buf, der.read(buf, parts[1].content, parts[1].end, tag=der.SEQUENCE), limit=8)
    if len(fields) < 4 or fields[1].tag != der.SET or fields[2].tag != der.SEQUENCE or fields[-1].tag != der.SET:
        raise DerError("malformed SignedData")
    content = der.children(buf, fields[2], limit=2)
    sets = {one.tag: one for one in fields[3:-1]}
    if len(sets) != len(fields) - 4 or sets.keys() - {0xA0, 0xA1}:
        raise DerError("malformed SignedData")

    def members(tag: int) -> tuple[bytes, ...]:
        element = sets.get(tag)
        if element is None:
            return ()
        return tuple(source(one.start, one.end) for one in der.children(buf, element, limit=MAX_ELEMENTS))

    return Outline(
        version=der.decode_integer(buf, fields[0]),
        digests=tuple(one.full(buf) for one in der.children(buf, fields[1], limit=100)),
        content_type=content[0].full(buf),
        content=content[1].full(buf) if len(content) == 2 else None,
        certificates=members(0xA0),
        revocations=members(0xA1),
        signers=tuple(_signer(buf, one, source) for one in der.children(buf, fields[-1], limit=MAX_ELEMENTS)),
    )


def _signer(buf: bytes, element: Tlv, source: Callable[[int, int], bytes]) -> Signer:
    parts = der.children(buf, element, limit=8)
    unsigned: tuple[bytes, ...] = ()
    if parts and parts[-1].tag == _ATTRIBUTE_SETS:
        attributes = der.children(buf, parts[-1], limit=MAX_ATTRIBUTES)
        unsigned = tuple(source(one.start, one.end) for one in attributes)
        parts = parts[:-1]
    if len(parts) < 5 or parts[-1].tag != der.OCTET_STRING or parts[2].tag != der.SEQUENCE:
        raise DerError("malformed SignerInfo")
    fields = b"".join(source(one.start, one.end) for one in parts)
    return Signer(fields, parts[-1].value(buf), parts[2].full(buf), unsigned)


__all__ = ["DATA", "Outline", "Signer", "content_of", "joined", "parse"]
