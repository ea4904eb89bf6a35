"""Certificate revocation lists (RFC 5280 §5), read by outline: the entries are searched, not decoded.

Looking up one serial number searches the octets (a millisecond for 100,000 entries) and checks that what was found is
an entry; a list that is asked often gets an index.  Both are exact.  Parsed lists are shared within the process.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from signsvc.algorithms import SignatureCheck
from signsvc.asn1 import ber, der, encode_integer
from signsvc.asn1.der import DerError, Tlv
from signsvc.trust.memo import Memo
from signsvc.trust.points import PointNames, names_match, point_names
from signsvc.trust.signed import algorithm_identifier, bit_string, check_signature, extension_list, extensions
from signsvc.types import Certificate, names

REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}

MAX_OCTETS = 64 * 1024 * 1024
_INDEX_AFTER = 4  # searches of one list before it gets an index
_INDEX_FROM = 64 * 1024  # octets of entries
_MAX_REMEMBERED = 10_000
_MAX_LENIENT = 5_000  # elements of a list in BER

_CRL_NUMBER = "2.5.29.20"
_REASON = "2.5.29.21"
_INVALIDITY_DATE = "2.5.29.24"
_DELTA_INDICATOR = "2.5.29.27"
_ISSUING_POINT = "2.5.29.28"
_CERTIFICATE_ISSUER = "2.5.29.29"
_AUTHORITY_KEY = "2.5.29.35"
_EXPIRED_CERTS = "2.5.29.60"
_KNOWN = frozenset((_CRL_NUMBER, _DELTA_INDICATOR, _ISSUING_POINT, _AUTHORITY_KEY, _EXPIRED_CERTS))
_KNOWN_ENTRY = frozenset((_REASON, _INVALIDITY_DATE, _CERTIFICATE_ISSUER))

_CRITICAL = b"\x01\x01\xff\x04"  # BOOLEAN TRUE before an extension's value
_ISSUER_OID = b"\x06\x03\x55\x1d\x1d"

# Entries with a short length, the usual sizes first; anything else goes through the ordinary outline.
_SIZES = (*range(0x1E, 0x50), *range(0x10, 0x1E), *range(0x50, 0x80))


@functools.cache
def _entry_pattern(repeat: bytes = b"") -> re.Pattern[bytes]:
    """One entry, or so many; made when first needed, which most programs never do."""
    entry = b"(?s:\\x30(?:" + b"|".join(b"\\x%02x.{%d}" % (n, n) for n in _SIZES) + b"))"
    return re.compile(b"(?:" + entry + b")" + repeat)


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry: when and why (a name of RFC 5280 §5.3.1; ``unspecified`` where none is given)."""

    at: datetime
    reason: str = "unspecified"
    invalidity_date: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuingPoint:
    """issuingDistributionPoint (RFC 5280 §5.2.5)."""

    names: PointNames | None = None
    only_user: bool = False
    only_ca: bool = False
    only_attribute: bool = False
    some_reasons: bool = False
    indirect: bool = False


class Crl:
    """One CertificateList.  Immutable to its users; looks up with lazily made helpers."""

    def __init__(self, encoded: bytes) -> None:
        """Raises `DerError` where the octets are no CertificateList.  Use `parse`, which shares lists."""
        if len(encoded) > MAX_OCTETS:
            raise DerError("list too large")
        self.der = encoded
        self._buf = encoded
        lenient = None
        try:
            self._outline(der.read_all(encoded, tag=der.SEQUENCE))
        except (DerError, IndexError):
            lenient = ber.to_der(encoded, limit=_MAX_LENIENT)
            if lenient.end != len(encoded) or lenient.der == encoded:
                raise DerError("not a certificate revocation list") from None
            self._buf = lenient.der
            try:
                self._outline(der.read_all(self._buf, tag=der.SEQUENCE))
            except IndexError:
                raise DerError("not a certificate revocation list") from None
            # The signature is over the octets as they were made.
            self.tbs = lenient.original(self._tbs.start, self._tbs.end)
        self._searches = 0
        self._answers: dict[tuple[int, bytes | None], Revoked | None] = {}

    @classmethod
    def parse(cls, encoded: bytes) -> Crl:
        """The list for these octets, shared within the process.  Raises `DerError` where they are none."""
        found = _PARSED.get(encoded)
        if found is None:
            found = cls(bytes(encoded))
            _PARSED.put(found.der, found, len(encoded) * 4 + 4096)  # room for the index
        return found

    def _outline(self, whole: Tlv) -> None:
        buf = self._buf
        outer = der.children(buf, whole, limit=3)
        if len(outer) != 3 or outer[0].tag != der.SEQUENCE:
            raise DerError("not a certificate revocation list")
        self._tbs = outer[0]
        self.tbs = outer[0].full(buf)
        self.algorithm = algorithm_identifier(buf, outer[1])
        self.signature = bit_string(buf, outer[2])
        parts = der.children(buf, outer[0], limit=8)
        version = 0
        if parts[0].tag == der.INTEGER:
            version = der.decode_integer(buf, parts.pop(0))
        if version not in (0, 1):
            raise DerError("unknown version")
        if algorithm_identifier(buf, parts[0]) != self.algorithm:
            raise DerError("inner and outer signature algorithms differ")
        self.issuer_der = parts[1].full(buf)
        names.attributes(self.issuer_der)
        self.this_update: datetime = der.decode_time(buf, parts[2])
        rest = parts[3:]
        self.next_update: datetime | None = None
        if rest and rest[0].tag in (der.UTC_TIME, der.GENERALIZED_TIME):
            self.next_update = der.decode_time(buf, rest.pop(0))
        self._entries: Tlv | None = None
        if rest and rest[0].tag == der.SEQUENCE:
            self._entries = rest.pop(0)
        found: dict[str, tuple[bool, bytes]] = {}
        if rest and rest[0].tag == 0xA0:
            found = extensions(buf, rest.pop(0))
        if rest:
            raise DerError("not a certificate revocation list")
        self._read_extensions(found)

    def _read_extensions(self, found: dict[str, tuple[bool, bytes]]) -> None:
        self.number = _number(found.get(_CRL_NUMBER))
        self.is_delta = _DELTA_INDICATOR in found
        self.aki: bytes | None = None
        if _AUTHORITY_KEY in found:
            raw = found[_AUTHORITY_KEY][1]
            parts = der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=3)
            self.aki = next((p.value(raw) for p in parts if p.tag == 0x80), None)
        self.expired_certs_on_crl: datetime | None = None
        if _EXPIRED_CERTS in found:
            raw = found[_EXPIRED_CERTS][1]
            self.expired_certs_on_crl = der.decode_time(raw, der.read_all(raw, tag=der.GENERALIZED_TIME))
        point = found.get(_ISSUING_POINT)
        self.idp = _issuing_point(point[1], self.issuer_der) if point else None
        self.unknown_critical = tuple(oid for oid, (critical, _) in found.items() if critical and oid not in _KNOWN)

    # what it may be used for ------------------------------------------------------------------------------------
    @functools.cached_property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.der).digest()

    @functools.cached_property
    def problem(self) -> str | None:
        """Code of the finding that forbids to use this list for a good status; None: usable (RFC 5280 §5.2, §5.3)."""
        if self.unknown_critical:
            return "crl_critical_extension_unknown"
        region = self._entries
        if region is not None and self._buf.find(_CRITICAL, region.content, region.end) >= 0:
            try:
                if any(_critical(e) - _KNOWN_ENTRY for e in self._each() if _CRITICAL in e):
                    return "crl_entry_extension_unknown"
            except (DerError, IndexError):
                return "crl_entries_malformed"
        return None

    @property
    def indirect(self) -> bool:
        return self.idp is not None and self.idp.indirect

    def covers(self, certificate: Certificate) -> bool:
        """Whether the list, complete and for all reasons, is the one that would name this certificate.

        Issuer, distribution point and kind of certificate must fit (RFC 5280 §6.3.3 (b)); delta lists, lists for some
        reasons and attribute certificates only do not cover.  Neither signature nor dates are looked at.
        """
        try:
            return self._covers(certificate)
        except (DerError, IndexError):
            return False

    def _covers(self, certificate: Certificate) -> bool:
        points = point_names(certificate)
        own = names.same(self.issuer_der, certificate.issuer_der)
        if not own:
            points = tuple(p for p in points if any(names.same(n, self.issuer_der) for n in p.issuers))
            if not self.indirect or not points:
                return False
        else:
            points = tuple(p for p in points if not p.issuers or any(names.same(n, self.issuer_der) for n in p.issuers))
        if self.is_delta:
            return False
        idp = self.idp
        if idp is None:
            return True
        if idp.only_attribute or idp.some_reasons:
            return False
        if (idp.only_user and certificate.is_ca) or (idp.only_ca and not certificate.is_ca):
            return False
        return idp.names is None or any(names_match(idp.names, p) for p in points)

    def issued_by(self, issuer: Certificate) -> bool:
        """Whether name, key identifier and key usage of `issuer` let it have issued the list; no signature check."""
        if not names.same(self.issuer_der, issuer.subject_der):
            return False
        try:
            if issuer.key_usage is not None and "crl_sign" not in issuer.key_usage:
                return False
            key = issuer.subject_key_identifier
        except (DerError, IndexError):
            return False
        return self.aki is None or key is None or self.aki == key

    def verify(self, issuer: Certificate) -> SignatureCheck:
        """Check the signature with the issuer's key.  Never raises; a valid result is remembered."""
        return check_signature(self.sha256, issuer, self.algorithm, self.signature, self.tbs)

    # entries ----------------------------------------------------------------------------------------------------
    def lookup(self, serial: int, issuer_der: bytes | None = None) -> Revoked | None:
        """The entry for a serial number, or None: not listed.

        `issuer_der` (DER Name) is the certificate's issuer; None stands for the list's own.  In an indirect list an
        entry belongs to the issuer that it or one before it names (RFC 5280 §5.3.3).  Raises `DerError` where the
        entries are malformed.
        """
        key = (serial, issuer_der)
        if key in self._answers:
            return self._answers[key]
        try:
            found = self._lookup(serial, issuer_der)
        except IndexError:
            raise DerError("malformed entry") from None
        if len(self._answers) < _MAX_REMEMBERED:
            self._answers[key] = found
        return found

    def _lookup(self, serial: int, issuer_der: bytes | None) -> Revoked | None:
        if self._entries is None:
            return None
        needle = encode_integer(serial)
        if self.indirect or self._names_issuers:
            wanted = issuer_der or self.issuer_der
            found = next((e for e, issuer in self._by_issuer(needle) if names.same(issuer, wanted)), None)
            return _revoked(found) if found is not None else None
        if issuer_der is not None and not names.same(issuer_der, self.issuer_der):
            return None
        region = self._entries
        if region.end - region.content >= _INDEX_FROM:
            self._searches += 1
            if self._searches > _INDEX_AFTER and needle not in self._index:
                return None
        entry = self._search(needle)
        return _revoked(entry.full(self._buf)) if entry is not None else None

    def _search(self, needle: bytes) -> Tlv | None:
        """The first entry that starts with these octets.  Time is linear whatever the list holds: every place where
        they stand is compared with the entry around it, and the walk over entries never goes back."""
        assert self._entries is not None
        buf, pos, end = self._buf, self._entries.content, self._entries.end
        walk = _entry_pattern(b"*+")
        at = buf.find(needle, pos, end)
        while at >= 0:
            while True:
                walked = walk.match(buf, pos, at)
                entry = der.read(buf, walked.end() if walked else pos, end, tag=der.SEQUENCE)
                pos = entry.end
                if pos > at:
                    break
            if entry.content == at:
                return entry
            at = buf.find(needle, pos, end)
        return None

    @functools.cached_property
    def _names_issuers(self) -> bool:
        region = self._entries
        return region is not None and self._buf.find(_ISSUER_OID, region.content, region.end) >= 0

    @functools.cached_property
    def _index(self) -> frozenset[bytes]:
        """Encoded serial numbers of all entries.

        The place for an index shared between processes: it is a function of the list's octets alone.
        """
        return frozenset(_serial(e) for e in self._each())

    def _each(self) -> Iterator[bytes]:
        """All entries, each complete.  Raises `DerError`."""
        assert self._entries is not None
        buf, pos, end = self._buf, self._entries.content, self._entries.end
        one, chunk = _entry_pattern(), _entry_pattern(b"{1,5000}+")
        while pos < end:
            found = chunk.match(buf, pos, end)
            if found is not None:
                yield from one.findall(buf, pos, found.end())
                pos = found.end()
            else:
                entry = der.read(buf, pos, end, tag=der.SEQUENCE)
                yield entry.full(buf)
                pos = entry.end

    def _by_issuer(self, needle: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(entry, certificate issuer) of the entries with this encoded serial number (RFC 5280 §5.3.3)."""
        issuer = self.issuer_der
        for entry in self._each():
            if _ISSUER_OID in entry:
                value = _entry_extensions(entry).get(_CERTIFICATE_ISSUER)
                if value is not None:
                    issuer = _directory_name(value[1]) or b""
            if _serial(entry) == needle:
                yield entry, issuer


def _serial(entry: bytes) -> bytes:
    """The encoded serial number of one entry."""
    if entry[1] < 0x80 and entry[3] < 0x80:
        return entry[2 : 4 + entry[3]]
    return der.children(entry, der.read_all(entry, tag=der.SEQUENCE), limit=3)[0].full(entry)


def _entry_extensions(entry: bytes) -> dict[str, tuple[bool, bytes]]:
    parts = der.children(entry, der.read_all(entry, tag=der.SEQUENCE), limit=3)
    return extension_list(entry, parts[2]) if len(parts) == 3 else {}


def _critical(entry: bytes) -> frozenset[str]:
    return frozenset(oid for oid, (critical, _) in _entry_extensions(entry).items() if critical)


def _revoked(entry: bytes) -> Revoked:
    parts = der.children(entry, der.read_all(entry, tag=der.SEQUENCE), limit=3)
    found = _entry_extensions(entry)
    reason = "unspecified"
    if _REASON in found:
        raw = found[_REASON][1]
        reason = REASONS.get(der.decode_integer(raw, der.read_all(raw, tag=der.ENUMERATED)), "unspecified")
    invalidity = None
    if _INVALIDITY_DATE in found:
        raw = found[_INVALIDITY_DATE][1]
        invalidity = der.decode_time(raw, der.read_all(raw))
    return Revoked(der.decode_time(entry, parts[1]), reason, invalidity)


_PARSED: Memo[bytes, Crl] = Memo(128 * 1024 * 1024)


def _number(extension: tuple[bool, bytes] | None) -> int | None:
    if extension is None:
        return None
    return der.decode_integer(extension[1], der.read_all(extension[1], tag=der.INTEGER))


def _directory_name(raw: bytes) -> bytes | None:
    """The first directoryName of GeneralNames, as a DER Name."""
    for name in der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=20):
        if name.tag == 0xA4:
            return der.read(raw, name.content, name.end, tag=der.SEQUENCE).full(raw)
    return None


def _issuing_point(raw: bytes, issuer_der: bytes) -> IssuingPoint:
    flags = dict.fromkeys((0x81, 0x82, 0x84, 0x85), False)
    point: PointNames | None = None
    some_reasons = False
    for part in der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=6):
        if part.tag == 0xA0:
            point = PointNames.read(raw, part, issuer_der)
        elif part.tag == 0x83:
            some_reasons = True
        elif part.tag in flags:
            flags[part.tag] = part.value(raw) != b"\0"
        else:
            raise DerError("malformed issuing distribution point")
    return IssuingPoint(point, flags[0x81], flags[0x82], flags[0x85], some_reasons, flags[0x84])


__all__ = ["REASONS", "Crl", "IssuingPoint", "Revoked"]
