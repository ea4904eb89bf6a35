"""OCSP responses and requests (RFC 6960), read by an outline of our own that takes what real responders write."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from signsvc.algorithms import SignatureCheck, digest_by_name, digest_by_oid, new_hash
from signsvc.asn1 import der, encode, encode_integer, encode_oid
from signsvc.asn1.der import DerError, Tlv
from signsvc.trust.crl import REASONS
from signsvc.trust.memo import Memo
from signsvc.trust.signed import (
    algorithm_identifier,
    bit_string,
    check_certificate,
    check_signature,
    extensions,
    key_hash,
)
from signsvc.types import Certificate, names

MAX_OCTETS = 4 * 1024 * 1024
_MAX_SINGLES = 1000
_MAX_CERTIFICATES = 50
_MAX_RESPONDERS = 50  # delegated certificates whose key is tried for one answer; nobody but the issuer can make more

_BASIC = "1.3.6.1.5.5.7.48.1.1"
_NONCE = "1.3.6.1.5.5.7.48.1.2"
_ARCHIVE_CUTOFF = "1.3.6.1.5.5.7.48.1.6"
_EXTENDED_REVOKE = "1.3.6.1.5.5.7.48.1.9"
_CERT_HASH = "1.3.36.8.3.13"
_CRL_REFERENCES = "1.3.6.1.5.5.7.48.1.3"
_REASON = "2.5.29.21"
_INVALIDITY_DATE = "2.5.29.24"
_KNOWN_SINGLE = frozenset((_ARCHIVE_CUTOFF, _CERT_HASH, _CRL_REFERENCES, _REASON, _INVALIDITY_DATE))
_KNOWN_RESPONSE = frozenset((_NONCE, _EXTENDED_REVOKE))
_OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"


class OcspStatus(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OcspSingle:
    """What the response says about one certificate (SingleResponse, RFC 6960 §4.2.1); all times UTC."""

    status: OcspStatus
    this_update: datetime
    next_update: datetime | None
    serial_number: int
    digest_oid: str
    name_hash: bytes
    key_hash: bytes
    revoked_at: datetime | None = None
    reason: str = "unspecified"
    invalidity_date: datetime | None = None
    archive_cutoff: datetime | None = None
    cert_hash: tuple[str, bytes] | None = None  # digest OID, digest (Common PKI certHash)
    unknown_critical: tuple[str, ...] = ()

    def cert_hash_matches(self, certificate: Certificate) -> bool | None:
        """Whether certHash is the certificate's digest; None where there is no certHash.

        True is a positive statement that the responder knows the certificate.
        """
        if self.cert_hash is None:
            return None
        try:
            made = new_hash(self.cert_hash[0])
        except ValueError:
            return False
        made.update(certificate.der)
        return bool(made.digest() == self.cert_hash[1])


class OcspResponse:
    """One OCSPResponse, or a bare BasicOCSPResponse as CMS and DSS may hold it."""

    def __init__(self, encoded: bytes) -> None:
        """Raises `DerError` where the octets are neither.  Use `parse`, which shares responses."""
        if len(encoded) > MAX_OCTETS:
            raise DerError("response too large")
        self.der = encoded
        self.sha256 = hashlib.sha256(encoded).digest()
        self.response_status = 0  # OCSPResponseStatus; only 0 carries an answer
        self.singles: tuple[OcspSingle, ...] = ()
        self.certificates: tuple[Certificate, ...] = ()
        self.responder_name: bytes | None = None  # DER Name
        self.responder_key_hash: bytes | None = None  # SHA-1 of the key
        self.produced_at: datetime | None = None
        self.nonce: bytes | None = None
        self.extended_revoke = False
        self.unknown_critical: tuple[str, ...] = ()
        self.algorithm: tuple[str, bytes | None] = ("", None)
        self.signature = b""
        self.tbs = b""
        try:
            whole = der.read_all(encoded, tag=der.SEQUENCE)
            parts = der.children(encoded, whole, limit=4)
            if parts[0].tag == der.ENUMERATED:
                self._response(encoded, parts)
            else:
                self._basic(encoded, parts)
        except IndexError:
            raise DerError("not an OCSP response") from None

    @classmethod
    def parse(cls, encoded: bytes) -> OcspResponse:
        """The response for these octets, shared within the process.  Raises `DerError` where they are none."""
        found = _PARSED.get(encoded)
        if found is None:
            found = cls(bytes(encoded))
            _PARSED.put(found.der, found, len(encoded) * 4)
        return found

    def _response(self, buf: bytes, parts: list[Tlv]) -> None:
        self.response_status = der.decode_integer(buf, parts[0])
        if len(parts) == 1:
            if self.response_status == 0:
                raise DerError("successful OCSP response without an answer")
            return
        if len(parts) != 2 or parts[1].tag != 0xA0:
            raise DerError("not an OCSP response")
        fields = der.children(buf, der.read(buf, parts[1].content, parts[1].end, tag=der.SEQUENCE), limit=2)
        if der.decode_oid(buf, fields[0]) != _BASIC or fields[1].tag != der.OCTET_STRING:
            raise DerError("OCSP response of another type")
        basic = der.read(buf, fields[1].content, fields[1].end, tag=der.SEQUENCE)
        if basic.end != fields[1].end:
            raise DerError("octets after the response")
        self._basic(buf, der.children(buf, basic, limit=4))

    def _basic(self, buf: bytes, parts: list[Tlv]) -> None:
        if not 3 <= len(parts) <= 4 or parts[0].tag != der.SEQUENCE:
            raise DerError("not an OCSP response")
        self.tbs = parts[0].full(buf)
        self.algorithm = algorithm_identifier(buf, parts[1])
        self.signature = bit_string(buf, parts[2])
        if len(parts) == 4:
            if parts[3].tag != 0xA0:
                raise DerError("not an OCSP response")
            self.certificates = _certificates(buf, parts[3])
        fields = der.children(buf, parts[0], limit=5)
        if fields[0].tag == 0xA0:
            fields = fields[1:]  # version
        who = der.read(buf, fields[0].content, fields[0].end)
        if fields[0].tag == 0xA1:
            self.responder_name = who.full(buf)
            names.attributes(self.responder_name)
        elif fields[0].tag == 0xA2 and who.tag == der.OCTET_STRING:
            self.responder_key_hash = who.value(buf)
        else:
            raise DerError("malformed responder id")
        if fields[1].tag != der.GENERALIZED_TIME or fields[2].tag != der.SEQUENCE:
            raise DerError("malformed response data")
        self.produced_at = der.decode_time(buf, fields[1])
        self.singles = tuple(_single(buf, item) for item in der.children(buf, fields[2], limit=_MAX_SINGLES))
        if len(fields) > 3:
            if fields[3].tag != 0xA1:
                raise DerError("malformed response data")
            found = extensions(buf, fields[3])
            self.extended_revoke = _EXTENDED_REVOKE in found
            self.unknown_critical = _unknown(found, _KNOWN_RESPONSE)
            if _NONCE in found:
                self.nonce = _nonce(found[_NONCE][1])

    # questions --------------------------------------------------------------------------------------------------
    def single(self, certificate: Certificate, issuer: Certificate) -> OcspSingle | None:
        """The answer about `certificate` of `issuer`, or None.

        Serial number and both hashes of the issuer must fit (RFC 6960 §3.2 (1)).  Of several answers a revoked one
        counts, else the newest.
        """
        fitting = [
            s
            for s in self.singles
            if s.serial_number == certificate.serial_number and _same_issuer(s, certificate, issuer)
        ]
        if not fitting:
            return None
        revoked = [s for s in fitting if s.status is OcspStatus.REVOKED]
        return max(revoked or fitting, key=lambda s: s.this_update)

    def problem(self, single: OcspSingle) -> str | None:
        """Code of the finding that forbids to use this answer; None: usable."""
        return "ocsp_critical_extension_unknown" if self.unknown_critical or single.unknown_critical else None

    def responder(
        self, candidates: Iterable[Certificate], issuer: Certificate, *, checked: Certificate | None = None
    ) -> Certificate | None:
        """The certificate whose key may and does answer for `issuer` (RFC 6960 §4.2.2.2), or None.

        The issuer itself, or a certificate that the issuer's key has signed directly and that has the OCSP signing
        purpose; certificates in the response come before `candidates`.  The response's signature is checked with it.
        `checked` is the certificate in question: it never answers for itself.
        """
        if checked is not None and checked.sha256 == issuer.sha256:
            return None
        left = _MAX_RESPONDERS
        for certificate in dict.fromkeys((issuer, *self.certificates, *candidates)):
            if certificate == checked or not self._names(certificate):
                continue
            if certificate != issuer and not _delegated(certificate, issuer):
                continue
            left -= 1
            if left < 0:
                break
            if self.verify(certificate) is SignatureCheck.VALID:
                return certificate
        return None

    def verify(self, responder: Certificate) -> SignatureCheck:
        """Check the response's signature with the responder's key.  Never raises; a valid result is remembered."""
        return check_signature(self.sha256, responder, self.algorithm, self.signature, self.tbs)

    def nonce_matches(self, nonce: bytes) -> bool | None:
        """Whether the response repeats the request's nonce; None where it has none."""
        return self.nonce == nonce if self.nonce is not None else None

    def _names(self, certificate: Certificate) -> bool:
        if self.responder_name is not None:
            return names.same(self.responder_name, certificate.subject_der)
        try:
            return self.responder_key_hash == key_hash(certificate)
        except DerError:
            return False


# Certificates that an issuer's key did not sign, by both digests: a document may hold hundreds for hundreds of answers.
_REFUTED: Memo[tuple[bytes, bytes], bool] = Memo(10_000)
_PARSED: Memo[bytes, OcspResponse] = Memo(64 * 1024 * 1024)


def ocsp_request(
    certificate: Certificate,
    issuer: Certificate,
    nonce: bytes | None = None,
    hash: str = "sha1",  # noqa: A002
) -> bytes:
    """An OCSPRequest about one certificate, DER.  `hash` is hashlib's name; many responders know SHA-1 alone.

    Raises `ValueError` for an unknown hash or a malformed issuer key.
    """
    digest = digest_by_name(hash)
    if digest is None:
        raise ValueError("unknown digest algorithm")
    name = hashlib.new(digest.name, certificate.issuer_der, usedforsecurity=False).digest()
    identifier = encode(
        der.SEQUENCE,
        encode(der.SEQUENCE, encode_oid(digest.oid), b"\x05\x00"),
        encode(der.OCTET_STRING, name),
        encode(der.OCTET_STRING, key_hash(issuer, digest.name)),
        encode_integer(certificate.serial_number),
    )
    parts = [encode(der.SEQUENCE, encode(der.SEQUENCE, identifier))]
    if nonce is not None:
        value = encode(der.OCTET_STRING, encode(der.OCTET_STRING, nonce))
        parts.append(encode(0xA2, encode(der.SEQUENCE, encode(der.SEQUENCE, encode_oid(_NONCE), value))))
    return encode(der.SEQUENCE, encode(der.SEQUENCE, *parts))


def _certificates(buf: bytes, wrapper: Tlv) -> tuple[Certificate, ...]:
    found: list[Certificate] = []
    for item in der.children(
        buf, der.read(buf, wrapper.content, wrapper.end, tag=der.SEQUENCE), limit=_MAX_CERTIFICATES
    ):
        try:
            found.append(Certificate.from_der(item.full(buf)))
        except (DerError, IndexError):
            continue  # one unreadable certificate does not spoil the answer
    return tuple(found)


def _single(buf: bytes, element: Tlv) -> OcspSingle:
    if element.tag != der.SEQUENCE:
        raise DerError("malformed answer")
    parts = der.children(buf, element, limit=5)
    if len(parts) < 3 or parts[0].tag != der.SEQUENCE:
        raise DerError("malformed answer")
    identifier = der.children(buf, parts[0], limit=4)
    if [p.tag for p in identifier] != [der.SEQUENCE, der.OCTET_STRING, der.OCTET_STRING, der.INTEGER]:
        raise DerError("malformed certificate identifier")
    revoked_at = None
    reason = "unspecified"
    if parts[1].tag == 0x80:
        status = OcspStatus.GOOD
    elif parts[1].tag == 0x82:
        status = OcspStatus.UNKNOWN
    elif parts[1].tag == 0xA1:
        status = OcspStatus.REVOKED
        info = der.children(buf, parts[1], limit=2)
        revoked_at = der.decode_time(buf, info[0])
        if len(info) == 2:
            if info[1].tag != 0xA0:
                raise DerError("malformed revocation")
            code = der.decode_integer(buf, der.read(buf, info[1].content, info[1].end, tag=der.ENUMERATED))
            reason = REASONS.get(code, "unspecified")
    else:
        raise DerError("unknown certificate status")
    next_update = None
    found: dict[str, tuple[bool, bytes]] = {}
    for part in parts[3:]:
        if part.tag == 0xA0 and next_update is None:
            next_update = der.decode_time(buf, der.read(buf, part.content, part.end))
        elif part.tag == 0xA1 and not found:
            found = extensions(buf, part)
        else:
            raise DerError("malformed answer")
    return OcspSingle(
        status=status,
        this_update=der.decode_time(buf, parts[2]),
        next_update=next_update,
        serial_number=der.decode_integer(buf, identifier[3]),
        digest_oid=algorithm_identifier(buf, identifier[0])[0],
        name_hash=identifier[1].value(buf),
        key_hash=identifier[2].value(buf),
        revoked_at=revoked_at,
        reason=reason,
        invalidity_date=_time(found.get(_INVALIDITY_DATE)),
        archive_cutoff=_time(found.get(_ARCHIVE_CUTOFF)),
        cert_hash=_cert_hash(found.get(_CERT_HASH)),
        unknown_critical=_unknown(found, _KNOWN_SINGLE),
    )


def _unknown(found: dict[str, tuple[bool, bytes]], known: frozenset[str]) -> tuple[str, ...]:
    return tuple(oid for oid, (critical, _) in found.items() if critical and oid not in known)


def _time(extension: tuple[bool, bytes] | None) -> datetime | None:
    if extension is None:
        return None
    return der.decode_time(extension[1], der.read_all(extension[1], tag=der.GENERALIZED_TIME))


def _cert_hash(extension: tuple[bool, bytes] | None) -> tuple[str, bytes] | None:
    if extension is None:
        return None
    raw = extension[1]
    parts = der.children(raw, der.read_all(raw, tag=der.SEQUENCE), limit=2)
    if len(parts) != 2 or parts[1].tag != der.OCTET_STRING:
        raise DerError("malformed certHash")
    return algorithm_identifier(raw, parts[0])[0], parts[1].value(raw)


def _nonce(raw: bytes) -> bytes:
    """The nonce; old responders write it without the OCTET STRING around it."""
    try:
        return der.read_all(raw, tag=der.OCTET_STRING).value(raw)
    except DerError:
        return raw


def _same_issuer(single: OcspSingle, certificate: Certificate, issuer: Certificate) -> bool:
    digest = digest_by_oid(single.digest_oid)
    if digest is None:
        return False
    try:
        if single.key_hash != key_hash(issuer, digest.name):
            return False
    except (DerError, ValueError):
        return False
    # As the certificate spells the name, or the issuer itself.
    return single.name_hash in (
        _name_hash(certificate.issuer_der, digest.name),
        _name_hash(issuer.subject_der, digest.name),
    )


@functools.lru_cache(maxsize=4096)
def _name_hash(name_der: bytes, digest_name: str) -> bytes:
    return hashlib.new(digest_name, name_der, usedforsecurity=False).digest()


def _delegated(certificate: Certificate, issuer: Certificate) -> bool:
    try:
        purposes = certificate.extended_key_usage
        if purposes is None or _OCSP_SIGNING not in purposes:
            return False
    except (DerError, IndexError):
        return False
    if not names.same(certificate.issuer_der, issuer.subject_der):
        return False
    pair = certificate.sha256, issuer.sha256
    if _REFUTED.get(pair):
        return False
    if check_certificate(certificate, issuer) is SignatureCheck.VALID:
        return True
    _REFUTED.put(pair, True)
    return False


__all__ = ["OcspResponse", "OcspSingle", "OcspStatus", "ocsp_request"]
