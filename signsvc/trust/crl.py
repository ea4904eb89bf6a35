"""Certificate revocation lists (RFC 5280 §5), read by outline: the entries are searched, not decoded.

Looking up one serial number asks the index that processes share (`signsvc.trust.crl_index`).  Where there is none the
octets are searched (a millisecond for 100,000 entries) and what was found is checked to be an entry; a list that is
asked often gets a set of its numbers.  All are exact.  Parsed lists are shared within the process.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from signsvc.algorithms import SignatureCheck
from signsvc.asn1 import ber, der, encode_integer
from signsvc.asn1.der import DerError, Tlv
from signsvc.trust import crl_index
from signsvc.trust.crl_entries import (
    CRITICAL,
    ISSUER_OID,
    REASONS,
    Revoked,
    critical_of,
    directory_name,
    entry_extensions,
    entry_pattern,
    revoked,
    serial_of,
)
from signsvc.trust.memo import Memo
from signsvc.trust.points import PointNames, freshest_urls, names_match, point_names, reason_flags
from signsvc.trust.signed import algorithm_identifier, bit_string, check_signature, extensions
from signsvc.types import Certificate, EvidenceItem, names

# Bits of ReasonFlags: every reason for which a certificate may be revoked.
ALL_REASONS = frozenset(range(1, 9))
MAX_OCTETS = 64 * 1024 * 1024
_INDEX_AFTER = 4  # searches of one list before it gets an index
_INDEX_FROM = crl_index.WORTHWHILE  # octets of entries
_MAX_REMEMBERED = 10_000
_MAX_LENIENT = 5_000  # elements of a list in BER

_CRL_NUMBER = "2.5.29.20"
_DELTA_INDICATOR = "2.5.29.27"
_ISSUING_POINT = "2.5.29.28"
_CERTIFICATE_ISSUER = "2.5.29.29"
_AUTHORITY_KEY = "2.5.29.35"
_EXPIRED_CERTS = "2.5.29.60"
_FRESHEST = "2.5.29.46"
_KNOWN = frozenset((_CRL_NUMBER, _DELTA_INDICATOR, _ISSUING_POINT, _AUTHORITY_KEY, _EXPIRED_CERTS, _FRESHEST))
_KNOWN_ENTRY = frozenset(("2.5.29.21", "2.5.29.24", _CERTIFICATE_ISSUER))


@dataclass(frozen=True, slots=True)
class IssuingPoint:
    """issuingDistributionPoint (RFC 5280 §5.2.5)."""

    names: PointNames | None = None
    only_user: bool = False
    only_ca: bool = False
    only_attribute: bool = False
    reasons: frozenset[int] | None = None  # onlySomeReasons; None: all
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
        return cls._shared(encoded, hashlib.sha256(encoded).digest())

    @classmethod
    def of(cls, item: EvidenceItem) -> Crl:
        """As `parse`, for a value whose name holds its digest already."""
        return cls._shared(item.der, bytes.fromhex(item.id.rpartition(":")[2]))

    @classmethod
    def _shared(cls, encoded: bytes, sha256: bytes) -> Crl:
        found = _PARSED.get(sha256)
        if found is None:
            found = cls(bytes(encoded))
            found.__dict__["sha256"] = sha256
            _PARSED.put(sha256, found, len(encoded) * 4 + 4096)  # room for the numbers
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
        self.base_number = _number(found.get(_DELTA_INDICATOR))
        self.aki: bytes | None = None
        if _AUTHORITY_KEY in found:
            raw = found[_AUTHORITY_KEY][1]
            parts = der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=3)
            self.aki = next((p.value(raw) for p in parts if p.tag == 0x80), None)
        self.expired_certs_on_crl: datetime | None = None
        if _EXPIRED_CERTS in found:
            raw = found[_EXPIRED_CERTS][1]
            self.expired_certs_on_crl = der.decode_time(raw, der.read_all(raw, tag=der.GENERALIZED_TIME))
        self.freshest_urls = freshest_urls(found[_FRESHEST][1]) if _FRESHEST in found else ()
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
        index = self._index
        if index is not None:
            return "crl_entry_extension_unknown" if index.unknown_critical else None
        region = self._entries
        if region is not None and self._buf.find(CRITICAL, region.content, region.end) >= 0:
            try:
                if any(critical_of(e) - _KNOWN_ENTRY for e in self._each() if CRITICAL in e):
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
        return not self.is_delta and self.reasons_for(certificate) >= ALL_REASONS

    def reasons_for(self, certificate: Certificate) -> frozenset[int]:
        """The reasons (bits of ReasonFlags) for which the list, complete or delta, would name this certificate; none
        where its scope is another (RFC 5280 §6.3.3 (b) to (d))."""
        try:
            return self._reasons_for(certificate)
        except (DerError, IndexError):
            return frozenset()

    def _reasons_for(self, certificate: Certificate) -> frozenset[int]:
        points = point_names(certificate)
        own = names.same(self.issuer_der, certificate.issuer_der)
        if not own:
            points = tuple(p for p in points if any(names.same(n, self.issuer_der) for n in p.issuers))
            if not self.indirect or not points:
                return frozenset()
        else:
            points = tuple(p for p in points if not p.issuers or any(names.same(n, self.issuer_der) for n in p.issuers))
        idp = self.idp
        if idp is None:
            return ALL_REASONS
        if idp.only_attribute or (idp.only_user and certificate.is_ca) or (idp.only_ca and not certificate.is_ca):
            return frozenset()
        if idp.names is not None:
            points = tuple(p for p in points if names_match(idp.names, p))
            if not points:
                return frozenset()
        if idp.reasons is None:
            return ALL_REASONS
        wanted = [ALL_REASONS if p.reasons is None else p.reasons for p in points] or [ALL_REASONS]
        return idp.reasons & frozenset().union(*wanted) & ALL_REASONS

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
        if self._index is not None:
            return self._indexed(self._index, needle, issuer_der)
        if self.indirect or self._names_issuers:
            wanted = issuer_der or self.issuer_der
            found = next((e for e, issuer in self._by_issuer(needle) if names.same(issuer, wanted)), None)
            return revoked(found) if found is not None else None
        if issuer_der is not None and not names.same(issuer_der, self.issuer_der):
            return None
        region = self._entries
        if region.end - region.content >= _INDEX_FROM:
            self._searches += 1
            if self._searches > _INDEX_AFTER and needle not in self._numbers:
                return None
        entry = self._search(needle)
        return revoked(entry.full(self._buf)) if entry is not None else None

    def _search(self, needle: bytes) -> Tlv | None:
        """The first entry that starts with these octets.  Time is linear whatever the list holds: every place where
        they stand is compared with the entry around it, and the walk over entries never goes back."""
        assert self._entries is not None
        buf, pos, end = self._buf, self._entries.content, self._entries.end
        walk = entry_pattern(b"*+")
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
        return region is not None and self._buf.find(ISSUER_OID, region.content, region.end) >= 0

    @functools.cached_property
    def _numbers(self) -> frozenset[bytes]:
        """Encoded serial numbers of all entries."""
        return frozenset(serial_of(e) for e in self._each())

    @property
    def _index(self) -> crl_index.Index | None:
        """The index that processes share, once there is one."""
        found: crl_index.Index | None = self.__dict__.get("_found_index")
        if found is None and self._worth_an_index:
            found = self.__dict__["_found_index"] = crl_index.find(self.sha256)
        return found

    @property
    def _worth_an_index(self) -> bool:
        region = self._entries
        # An index points into the octets as they were given.
        return region is not None and region.end - region.content >= _INDEX_FROM and self._buf is self.der

    def _indexed(self, index: crl_index.Index, needle: bytes, issuer_der: bytes | None) -> Revoked | None:
        wanted = issuer_der or self.issuer_der
        by_entry = self.indirect or index.names_issuers
        if not by_entry and not names.same(wanted, self.issuer_der):
            return None
        for found in index.entries(needle):
            entry = self._entry_at(found.at)
            if serial_of(entry) != needle:
                continue
            if by_entry and not names.same(self._issuer_at(found.issuer_at), wanted):
                continue
            return revoked(entry)
        return None

    def _entry_at(self, at: int) -> bytes:
        assert self._entries is not None
        if not self._entries.content <= at < self._entries.end:
            raise DerError("an index of another list")
        return der.read(self._buf, at, self._entries.end, tag=der.SEQUENCE).full(self._buf)

    def _issuer_at(self, at: int) -> bytes:
        if at == crl_index.OWN:
            return self.issuer_der
        return directory_name(entry_extensions(self._entry_at(at))[_CERTIFICATE_ISSUER][1]) or b""

    def make_index(self) -> bytes | None:
        """The file for `crl_index`, or None for a list that needs none.  Raises `DerError` where entries are malformed.

        A thousand entries take 2 ms; who makes it must have seen no other foreign octets.
        """
        if not self._worth_an_index:
            return None
        flags = 0
        records: list[tuple[bytes, int, int]] = []
        assert self._entries is not None
        at, issuer_at = self._entries.content, crl_index.OWN
        try:
            for entry in self._each():
                if ISSUER_OID in entry and _CERTIFICATE_ISSUER in entry_extensions(entry):
                    flags |= crl_index.NAMES_ISSUERS
                    issuer_at = at
                if CRITICAL in entry and critical_of(entry) - _KNOWN_ENTRY:
                    flags |= crl_index.UNKNOWN_CRITICAL
                records.append((serial_of(entry), at, issuer_at))
                at += len(entry)
        except IndexError:
            raise DerError("malformed entry") from None
        return crl_index.encode(self.sha256, records, flags)

    def _each(self) -> Iterator[bytes]:
        """All entries, each complete.  Raises `DerError`."""
        assert self._entries is not None
        buf, pos, end = self._buf, self._entries.content, self._entries.end
        one, chunk = entry_pattern(), entry_pattern(b"{1,5000}+")
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
            if ISSUER_OID in entry:
                value = entry_extensions(entry).get(_CERTIFICATE_ISSUER)
                if value is not None:
                    issuer = directory_name(value[1]) or b""
            if serial_of(entry) == needle:
                yield entry, issuer


# By SHA-256.
_PARSED: Memo[bytes, Crl] = Memo(256 * 1024 * 1024)


def _number(extension: tuple[bool, bytes] | None) -> int | None:
    if extension is None:
        return None
    return der.decode_integer(extension[1], der.read_all(extension[1], tag=der.INTEGER))


def _issuing_point(raw: bytes, issuer_der: bytes) -> IssuingPoint:
    flags = dict.fromkeys((0x81, 0x82, 0x84, 0x85), False)
    point: PointNames | None = None
    reasons: frozenset[int] | None = None
    for part in der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=6):
        if part.tag == 0xA0:
            point = PointNames.read(raw, part, issuer_der)
        elif part.tag == 0x83:
            reasons = reason_flags(raw, part)
        elif part.tag in flags:
            flags[part.tag] = part.value(raw) != b"\0"
        else:
            raise DerError("malformed issuing distribution point")
    return IssuingPoint(point, flags[0x81], flags[0x82], flags[0x85], reasons, flags[0x84])


__all__ = ["ALL_REASONS", "REASONS", "Crl", "IssuingPoint", "Revoked"]
