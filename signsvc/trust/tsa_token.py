"""RFC 3161 requests, responses and the strict check of a token before anything relies on it.

Only what a client must know of CMS stands here: one signer, signed attributes, certificates.  Reading tokens that
others embedded in documents, with all their variety, is the business of `signsvc.formats.cms`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from signsvc.algorithms import SignatureCheck, digest_by_name, digest_by_oid, may_sign, resolve, verify_value
from signsvc.asn1 import DerError, Tlv, der, encode, encode_integer, encode_oid
from signsvc.types import Certificate, names

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_TST_INFO = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
_EXTENDED_KEY_USAGE = "2.5.29.37"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_NULL = b"\x05\x00"
MAX_CERTIFICATES = 20

# PKIFailureInfo bits (RFC 3161 §2.4.2)
_FAILURES = {
    0: "badAlg",
    2: "badRequest",
    5: "badDataFormat",
    14: "timeNotAvailable",
    15: "unacceptedPolicy",
    16: "unacceptedExtension",
    17: "addInfoNotAvailable",
    25: "systemFailure",
}


class TokenError(ValueError):
    """A response or token that must not be used.  `reason` is a short word of ours."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class CheckedToken:
    """A token whose imprint, nonce, signer and signature were checked; `certificate` is its signer's."""

    der: bytes
    gen_time: datetime
    serial_number: int
    policy_oid: str
    certificate: Certificate
    certificates: tuple[Certificate, ...]  # all that the token carries
    accuracy: float | None = None  # seconds; None: the token does not say


def request(
    digest: bytes, digest_name: str, nonce: int, *, policy_oid: str | None = None, want_certificates: bool = True
) -> bytes:
    """A DER TimeStampReq (RFC 3161 §2.4.1).  Raises `ValueError` where digest and algorithm do not go together."""
    algorithm = digest_by_name(digest_name)
    if algorithm is None or len(digest) != algorithm.size:
        raise ValueError("digest and algorithm do not go together")
    imprint = encode(
        der.SEQUENCE,
        encode(der.SEQUENCE, encode_oid(algorithm.oid), _NULL),
        encode(der.OCTET_STRING, digest),
    )
    return encode(
        der.SEQUENCE,
        encode_integer(1),
        imprint,
        encode_oid(policy_oid) if policy_oid else b"",
        encode_integer(nonce),
        encode(der.BOOLEAN, b"\xff") if want_certificates else b"",
    )


def open_response(response: bytes) -> bytes:
    """The token of a TimeStampResp that was granted, with modifications or without (RFC 3161 §2.4.2).

    Raises `TokenError`: ``rejected:<failure>``, ``no_token``, ``malformed``.
    """
    try:
        parts = der.children(response, der.read_all(response, tag=der.SEQUENCE))
        status_info = der.children(response, _expect(parts[0], der.SEQUENCE))
        status = der.decode_integer(response, _expect(status_info[0], der.INTEGER))
        if status not in (0, 1):
            raise TokenError(f"rejected:{_failure(response, status_info)}")
        if len(parts) < 2:
            raise TokenError("no_token")
        return _expect(parts[1], der.SEQUENCE).full(response)
    except TokenError:
        raise
    except (ValueError, IndexError):
        raise TokenError("malformed") from None


def check(
    token: bytes, digest: bytes, digest_name: str, *, nonce: int | None, known: Sequence[Certificate] = ()
) -> CheckedToken:
    """Check everything about `token` that needs no trust and no clock.

    The imprint's algorithm and value, the nonce (None: none was sent), content type, exactly one signer, the signed
    attributes (each once; RFC 5652 §5.4), ESSCertID or ESSCertIDv2 (RFC 5816), the signature, the signer's extended
    key usage (timeStamping, critical, alone; RFC 3161 §2.3) and validity at genTime.  `known` are certificates that
    the token may leave out.  Raises `TokenError` with the first reason found.
    """
    try:
        return _check(token, digest, digest_name, nonce, known)
    except TokenError:
        raise
    except (ValueError, IndexError):  # DerError, and structures with fewer members than the standard wants
        raise TokenError("malformed") from None


def _check(
    token: bytes, digest: bytes, digest_name: str, nonce: int | None, known: Sequence[Certificate]
) -> CheckedToken:
    kind, wrapper = der.children(token, der.read_all(token, tag=der.SEQUENCE))
    if der.decode_oid(token, kind) != _SIGNED_DATA or wrapper.tag != 0xA0:
        raise TokenError("not_signed_data")
    signed = der.children(token, der.read(token, wrapper.content, wrapper.end, tag=der.SEQUENCE))
    content_type, content = _content(token, _expect(signed[2], der.SEQUENCE))
    if content_type != _TST_INFO:
        raise TokenError("not_a_timestamp")
    info = _Info(content)
    algorithm = digest_by_name(digest_name)
    if algorithm is None or info.imprint_oid != algorithm.oid:
        raise TokenError("imprint_algorithm")
    if not hmac.compare_digest(info.imprint, digest):
        raise TokenError("imprint")
    if info.nonce != nonce:
        raise TokenError("nonce" if info.nonce is not None else "nonce_missing")
    carried = _certificates(token, signed[3:])
    signers = der.children(token, _expect(signed[-1], der.SET))
    if len(signers) != 1:
        raise TokenError("signers")
    certificate = _signer(token, signers[0], content, (*carried, *known))
    if certificate.extended_key_usage != (_TIME_STAMPING,):
        raise TokenError("key_usage")
    if _EXTENDED_KEY_USAGE not in certificate.critical_extensions:
        raise TokenError("key_usage_not_critical")
    if not certificate.not_before <= info.gen_time <= certificate.not_after:
        raise TokenError("certificate_validity")
    return CheckedToken(token, info.gen_time, info.serial_number, info.policy_oid, certificate, carried, info.accuracy)


class _Info:
    """TSTInfo (RFC 3161 §2.4.2)."""

    def __init__(self, content: bytes) -> None:
        parts = der.children(content, der.read_all(content, tag=der.SEQUENCE))
        if der.decode_integer(content, parts[0]) != 1:
            raise TokenError("version")
        self.policy_oid = der.decode_oid(content, parts[1])
        algorithm, imprint = der.children(content, _expect(parts[2], der.SEQUENCE))
        self.imprint_oid = der.decode_oid(content, der.children(content, _expect(algorithm, der.SEQUENCE))[0])
        self.imprint = _expect(imprint, der.OCTET_STRING).value(content)
        self.serial_number = der.decode_integer(content, _expect(parts[3], der.INTEGER))
        self.gen_time = der.decode_time(content, _expect(parts[4], der.GENERALIZED_TIME))
        found = [part for part in parts[5:] if part.tag == der.INTEGER]
        if len(found) > 1:
            raise TokenError("malformed")
        self.nonce = der.decode_integer(content, found[0]) if found else None
        accuracies = [part for part in parts[5:] if part.tag == der.SEQUENCE]
        self.accuracy = _accuracy(content, accuracies[0]) if accuracies else None


def _accuracy(content: bytes, element: Tlv) -> float:
    """Accuracy in seconds (RFC 3161 §2.4.2): seconds, [0] milliseconds, [1] microseconds, each optional."""
    total, units = 0.0, {der.INTEGER: 1.0, 0x80: 1e-3, 0x81: 1e-6}
    for part in der.children(content, element):
        value = part.value(content)
        if part.tag not in units or not 1 <= len(value) <= 8:
            raise TokenError("malformed")
        number = int.from_bytes(value, "big", signed=True)
        if number < 0:
            raise TokenError("malformed")
        total += number * units.pop(part.tag)
    return total


def _content(token: bytes, element: Tlv) -> tuple[str, bytes]:
    parts = der.children(token, element)
    if len(parts) != 2 or parts[1].tag != 0xA0:
        raise TokenError("not_a_timestamp")
    octets = der.read(token, parts[1].content, parts[1].end, tag=der.OCTET_STRING)
    return der.decode_oid(token, parts[0]), octets.value(token)


def _certificates(token: bytes, optional: Sequence[Tlv]) -> tuple[Certificate, ...]:
    found: dict[Certificate, None] = {}
    for part in optional:
        if part.tag != 0xA0:
            continue
        for element in der.children(token, part, limit=MAX_CERTIFICATES):
            if element.tag == der.SEQUENCE:
                try:
                    found[Certificate.from_der(element.full(token))] = None
                except DerError:
                    continue  # one odd certificate beside the signer's is no reason to refuse
    return tuple(found)


def _signer(token: bytes, element: Tlv, content: bytes, candidates: Sequence[Certificate]) -> Certificate:
    """The certificate whose key made the one signature.  Raises `TokenError`."""
    parts = der.children(token, _expect(element, der.SEQUENCE))
    _, sid, digest_algorithm, attributes, signature_algorithm, value = parts[:6]
    digest_oid = _algorithm(token, digest_algorithm)[0]
    if attributes.tag != 0xA0:
        raise TokenError("signed_attributes")
    found = _attributes(token, attributes)
    hashing = digest_by_oid(digest_oid)
    if hashing is None:
        raise TokenError("algorithm")
    content_type = found.get(_CONTENT_TYPE)
    if content_type is None or der.decode_oid(content_type, der.read_all(content_type)) != _TST_INFO:
        raise TokenError("content_type")
    stated = found.get(_MESSAGE_DIGEST)
    if stated is None:
        raise TokenError("message_digest")
    made = hashlib.new(hashing.name, content, usedforsecurity=False).digest()
    if not hmac.compare_digest(der.read_all(stated, tag=der.OCTET_STRING).value(stated), made):
        raise TokenError("message_digest")
    certificate = _referenced(token, sid, found, candidates)
    message = bytes((der.SET,)) + attributes.full(token)[1:]
    oid, parameters = _algorithm(token, signature_algorithm)
    algorithm = resolve(oid, parameters, digest_oid)
    if algorithm is None or not may_sign(algorithm, certificate.key_bits):
        raise TokenError("algorithm")
    octets = _expect(value, der.OCTET_STRING).value(token)
    if verify_value(certificate, algorithm, octets, message=message) is not SignatureCheck.VALID:
        raise TokenError("signature")
    return certificate


def _attributes(token: bytes, element: Tlv) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for attribute in der.children(token, element, limit=100):
        kind, values = der.children(token, _expect(attribute, der.SEQUENCE))
        oid = der.decode_oid(token, kind)
        held = der.children(token, _expect(values, der.SET))
        if oid in found or len(held) != 1:
            raise TokenError("signed_attributes")
        found[oid] = held[0].full(token)
    return found


def _referenced(token: bytes, sid: Tlv, found: dict[str, bytes], candidates: Sequence[Certificate]) -> Certificate:
    """The candidate that SignerIdentifier and signing-certificate reference both name."""
    named = [c for c in candidates if _identified(token, sid, c)]
    if not named:
        raise TokenError("certificate_missing")
    references = [
        reference
        for oid, default in ((_SIGNING_CERTIFICATE, "1.3.14.3.2.26"), (_SIGNING_CERTIFICATE_V2, _SHA256))
        if oid in found
        for reference in (_reference(found[oid], default),)
    ]
    if not references:
        raise TokenError("certificate_reference_missing")
    for certificate in named:
        if all(_digest(oid, certificate.der) == digest for oid, digest in references):
            return certificate
    raise TokenError("certificate_reference")


def _identified(token: bytes, sid: Tlv, certificate: Certificate) -> bool:
    if sid.tag == 0x80:
        return certificate.subject_key_identifier == sid.value(token)
    issuer, serial = der.children(token, _expect(sid, der.SEQUENCE))
    return certificate.serial_number == der.decode_integer(token, serial) and names.same(
        issuer.full(token), certificate.issuer_der
    )


def _reference(value: bytes, default: str) -> tuple[str, bytes]:
    """Digest OID and digest of the first ESSCertID(v2): the signer's own (RFC 5035 §5)."""
    outer = der.children(value, der.read_all(value, tag=der.SEQUENCE))
    first = der.children(value, _expect(outer[0], der.SEQUENCE))[0]
    parts = der.children(value, _expect(first, der.SEQUENCE))
    if parts[0].tag == der.SEQUENCE:
        return _algorithm(value, parts[0])[0], _expect(parts[1], der.OCTET_STRING).value(value)
    return default, _expect(parts[0], der.OCTET_STRING).value(value)


def _digest(oid: str, data: bytes) -> bytes | None:
    algorithm = digest_by_oid(oid)
    return hashlib.new(algorithm.name, data, usedforsecurity=False).digest() if algorithm else None


def _algorithm(buf: bytes, element: Tlv) -> tuple[str, bytes | None]:
    parts = der.children(buf, _expect(element, der.SEQUENCE))
    return der.decode_oid(buf, parts[0]), parts[1].full(buf) if len(parts) > 1 else None


def _failure(response: bytes, status_info: Sequence[Tlv]) -> str:
    for part in status_info[1:]:
        if part.tag == der.BIT_STRING:
            bits = part.value(response)[1:]
            for position, name in _FAILURES.items():
                if position // 8 < len(bits) and bits[position // 8] & 0x80 >> position % 8:
                    return name
    return "unspecified"


def _expect(element: Tlv, tag: int) -> Tlv:
    if element.tag != tag:
        raise DerError("unexpected element")
    return element
