"""What certificates, CRLs and OCSP responses share: an issuer's signature over octets, and an issuer's identity."""

from __future__ import annotations

import functools
import hashlib

from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.asn1 import der
from signsvc.asn1.der import DerError, Tlv
from signsvc.trust.memo import Memo
from signsvc.types import Certificate

# (SHA-256 of the signed structure, SHA-256 of the issuer's certificate) of signatures that were found valid.
_VALID: Memo[tuple[bytes, bytes], bool] = Memo(50_000)


def check_signature(
    sha256: bytes, issuer: Certificate, algorithm: tuple[str, bytes | None], value: bytes, message: bytes
) -> SignatureCheck:
    """Check `value` over `message` with the issuer's key.  `sha256` is that of the whole structure.  Never raises.

    Only valid results are remembered: they stay true, whatever the time and the policy.
    """
    key = (sha256, issuer.sha256)
    if _VALID.get(key):
        return SignatureCheck.VALID
    try:
        found = verify_value(issuer, resolve(*algorithm), value, message=message)
    except (DerError, IndexError):
        return SignatureCheck.INVALID
    if found is SignatureCheck.VALID:
        _VALID.put(key, True)
    return found


def check_certificate(certificate: Certificate, issuer: Certificate) -> SignatureCheck:
    """Check a certificate's signature with the issuer's key; names and dates are not looked at."""
    algorithm = (certificate.signature_oid, certificate.signature_parameters)
    return check_signature(certificate.sha256, issuer, algorithm, certificate.signature, certificate.tbs_der)


@functools.lru_cache(maxsize=4096)
def key_bits(certificate: Certificate) -> bytes:
    """subjectPublicKey without tag, length and unused bits: what OCSP hashes (RFC 6960 §4.1.1).  Raises `DerError`."""
    info = certificate.public_key_info
    parts = der.children(info, der.read_all(info, tag=der.SEQUENCE))
    if len(parts) != 2 or parts[1].tag != der.BIT_STRING:
        raise DerError("malformed public key")
    return parts[1].value(info)[1:]


@functools.lru_cache(maxsize=4096)
def key_hash(certificate: Certificate, digest_name: str = "sha1") -> bytes:
    """Digest of `key_bits`.  Raises `DerError`."""
    return hashlib.new(digest_name, key_bits(certificate), usedforsecurity=False).digest()


def algorithm_identifier(buf: bytes, element: Tlv) -> tuple[str, bytes | None]:
    """(OID, parameters DER) of an AlgorithmIdentifier.  Raises `DerError`."""
    if element.tag != der.SEQUENCE:
        raise DerError("malformed algorithm identifier")
    parts = der.children(buf, element, limit=2)
    if not parts:
        raise DerError("malformed algorithm identifier")
    return der.decode_oid(buf, parts[0]), parts[1].full(buf) if len(parts) == 2 else None


def bit_string(buf: bytes, element: Tlv) -> bytes:
    """A BIT STRING of whole octets.  Raises `DerError`."""
    raw = element.value(buf)
    if element.tag != der.BIT_STRING or not raw or raw[0] != 0:
        raise DerError("malformed bit string")
    return raw[1:]


def extensions(buf: bytes, wrapper: Tlv) -> dict[str, tuple[bool, bytes]]:
    """Extensions under an explicit tag: OID -> (critical, value).  Raises `DerError`, also where one stands twice."""
    inner = der.read(buf, wrapper.content, wrapper.end, tag=der.SEQUENCE)
    if inner.end != wrapper.end:
        raise DerError("malformed extensions")
    return extension_list(buf, inner)


def extension_list(buf: bytes, sequence: Tlv) -> dict[str, tuple[bool, bytes]]:
    """The extensions of one SEQUENCE OF Extension: OID -> (critical, value).  Raises `DerError`."""
    found: dict[str, tuple[bool, bytes]] = {}
    for item in der.children(buf, sequence, limit=100):
        parts = der.children(buf, item, limit=3)
        if len(parts) < 2 or parts[-1].tag != der.OCTET_STRING:
            raise DerError("malformed extension")
        if len(parts) == 3 and parts[1].tag != der.BOOLEAN:
            raise DerError("malformed extension")
        oid = der.decode_oid(buf, parts[0])
        if oid in found:
            raise DerError("extension twice")
        found[oid] = (len(parts) == 3 and parts[1].value(buf) != b"\0", parts[-1].value(buf))
    return found
