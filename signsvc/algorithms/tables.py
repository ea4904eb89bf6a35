"""Tables of digests and signature schemes, with the dates until which they may be relied on.

A date is exclusive: from that instant on the algorithm proves nothing new.  ``None`` means no end is set.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from signsvc.asn1 import der


@dataclass(frozen=True, slots=True)
class DigestAlgorithm:
    """One hash function: `name` is hashlib's."""

    name: str
    oid: str
    size: int  # octets
    xml_uri: str | None = None


DIGESTS: tuple[DigestAlgorithm, ...] = (
    DigestAlgorithm("md5", "1.2.840.113549.2.5", 16),
    DigestAlgorithm("sha1", "1.3.14.3.2.26", 20, "http://www.w3.org/2000/09/xmldsig#sha1"),
    DigestAlgorithm("ripemd160", "1.3.36.3.2.1", 20, "http://www.w3.org/2001/04/xmlenc#ripemd160"),
    DigestAlgorithm("sha224", "2.16.840.1.101.3.4.2.4", 28, "http://www.w3.org/2001/04/xmldsig-more#sha224"),
    DigestAlgorithm("sha256", "2.16.840.1.101.3.4.2.1", 32, "http://www.w3.org/2001/04/xmlenc#sha256"),
    DigestAlgorithm("sha384", "2.16.840.1.101.3.4.2.2", 48, "http://www.w3.org/2001/04/xmldsig-more#sha384"),
    DigestAlgorithm("sha512", "2.16.840.1.101.3.4.2.3", 64, "http://www.w3.org/2001/04/xmlenc#sha512"),
    DigestAlgorithm("sha512_224", "2.16.840.1.101.3.4.2.5", 28),
    DigestAlgorithm("sha512_256", "2.16.840.1.101.3.4.2.6", 32),
    DigestAlgorithm("sha3_224", "2.16.840.1.101.3.4.2.7", 28, "http://www.w3.org/2007/05/xmldsig-more#sha3-224"),
    DigestAlgorithm("sha3_256", "2.16.840.1.101.3.4.2.8", 32, "http://www.w3.org/2007/05/xmldsig-more#sha3-256"),
    DigestAlgorithm("sha3_384", "2.16.840.1.101.3.4.2.9", 48, "http://www.w3.org/2007/05/xmldsig-more#sha3-384"),
    DigestAlgorithm("sha3_512", "2.16.840.1.101.3.4.2.10", 64, "http://www.w3.org/2007/05/xmldsig-more#sha3-512"),
)

_BY_OID = {d.oid: d for d in DIGESTS}
_BY_NAME = {d.name: d for d in DIGESTS}


def digest_by_oid(oid: str) -> DigestAlgorithm | None:
    return _BY_OID.get(oid)


def digest_by_name(name: str) -> DigestAlgorithm | None:
    """By hashlib's name; ``SHA-256`` and ``sha-256`` are understood too."""
    folded = name.lower()
    return _BY_NAME.get(folded) or _BY_NAME.get(folded.replace("-", ""))


def new_hash(oid: str) -> Any:
    """A hashlib object for a digest OID.  Raises `ValueError` where the digest is unknown or not available."""
    found = _BY_OID.get(oid)
    if found is None:
        raise ValueError("unknown digest algorithm")
    return hashlib.new(found.name, usedforsecurity=False)


class SignatureScheme(StrEnum):
    RSA_PKCS1 = "rsa-pkcs1v15"
    RSA_PSS = "rsa-pss"
    ECDSA = "ecdsa"
    DSA = "dsa"
    ED25519 = "ed25519"
    ED448 = "ed448"


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """A scheme with its digest; `salt_length` in octets and `mgf_digest` for PSS."""

    scheme: SignatureScheme
    digest: str | None  # hashlib name; None for EdDSA
    salt_length: int | None = None
    mgf_digest: str | None = None

    @property
    def name(self) -> str:
        """Such as ``rsa-pkcs1v15-sha256``."""
        return f"{self.scheme}-{self.digest}" if self.digest else str(self.scheme)


_SIGNATURES: dict[str, tuple[SignatureScheme, str | None]] = {
    "1.2.840.113549.1.1.4": (SignatureScheme.RSA_PKCS1, "md5"),
    "1.2.840.113549.1.1.5": (SignatureScheme.RSA_PKCS1, "sha1"),
    "1.3.14.3.2.29": (SignatureScheme.RSA_PKCS1, "sha1"),
    "1.2.840.113549.1.1.14": (SignatureScheme.RSA_PKCS1, "sha224"),
    "1.2.840.113549.1.1.11": (SignatureScheme.RSA_PKCS1, "sha256"),
    "1.2.840.113549.1.1.12": (SignatureScheme.RSA_PKCS1, "sha384"),
    "1.2.840.113549.1.1.13": (SignatureScheme.RSA_PKCS1, "sha512"),
    "1.2.840.113549.1.1.15": (SignatureScheme.RSA_PKCS1, "sha512_224"),
    "1.2.840.113549.1.1.16": (SignatureScheme.RSA_PKCS1, "sha512_256"),
    "2.16.840.1.101.3.4.3.13": (SignatureScheme.RSA_PKCS1, "sha3_224"),
    "2.16.840.1.101.3.4.3.14": (SignatureScheme.RSA_PKCS1, "sha3_256"),
    "2.16.840.1.101.3.4.3.15": (SignatureScheme.RSA_PKCS1, "sha3_384"),
    "2.16.840.1.101.3.4.3.16": (SignatureScheme.RSA_PKCS1, "sha3_512"),
    "1.2.840.10045.4.1": (SignatureScheme.ECDSA, "sha1"),
    "1.2.840.10045.4.3.1": (SignatureScheme.ECDSA, "sha224"),
    "1.2.840.10045.4.3.2": (SignatureScheme.ECDSA, "sha256"),
    "1.2.840.10045.4.3.3": (SignatureScheme.ECDSA, "sha384"),
    "1.2.840.10045.4.3.4": (SignatureScheme.ECDSA, "sha512"),
    "2.16.840.1.101.3.4.3.9": (SignatureScheme.ECDSA, "sha3_224"),
    "2.16.840.1.101.3.4.3.10": (SignatureScheme.ECDSA, "sha3_256"),
    "2.16.840.1.101.3.4.3.11": (SignatureScheme.ECDSA, "sha3_384"),
    "2.16.840.1.101.3.4.3.12": (SignatureScheme.ECDSA, "sha3_512"),
    "1.2.840.10040.4.3": (SignatureScheme.DSA, "sha1"),
    "2.16.840.1.101.3.4.3.1": (SignatureScheme.DSA, "sha224"),
    "2.16.840.1.101.3.4.3.2": (SignatureScheme.DSA, "sha256"),
    "1.3.101.112": (SignatureScheme.ED25519, None),
    "1.3.101.113": (SignatureScheme.ED448, None),
}

# Key algorithm OIDs that CMS files carry in place of a signature algorithm: the digest comes from digestAlgorithm.
_KEY_ONLY = {
    "1.2.840.113549.1.1.1": SignatureScheme.RSA_PKCS1,
    "1.2.840.10045.2.1": SignatureScheme.ECDSA,
    "1.2.840.10040.4.1": SignatureScheme.DSA,
}

_RSA_PSS = "1.2.840.113549.1.1.10"


def resolve(oid: str, parameters: bytes | None = None, digest_oid: str | None = None) -> SignatureAlgorithm | None:
    """The algorithm for an AlgorithmIdentifier; `digest_oid` completes a bare key algorithm.  None where unknown.

    Raises `DerError` where PSS parameters are malformed (RFC 4055 §3.1).
    """
    if oid == _RSA_PSS:
        return _pss(parameters)
    if oid in _SIGNATURES:
        scheme, digest = _SIGNATURES[oid]
        return SignatureAlgorithm(scheme, digest)
    if oid in _KEY_ONLY and digest_oid is not None and (found := _BY_OID.get(digest_oid)):
        return SignatureAlgorithm(_KEY_ONLY[oid], found.name)
    return None


def _pss(parameters: bytes | None) -> SignatureAlgorithm | None:
    digest, mgf, salt = "sha1", "sha1", 20
    if parameters is not None and parameters != b"\x05\x00":
        for part in der.children(parameters, der.read_all(parameters, tag=der.SEQUENCE)):
            inner = der.read(parameters, part.content, part.end)
            if part.tag == 0xA2:
                salt = der.decode_integer(parameters, inner)
                continue
            if part.tag == 0xA3:
                if der.decode_integer(parameters, inner) != 1:
                    raise der.DerError("PSS trailer field")
                continue
            fields = der.children(parameters, inner)
            oid = der.decode_oid(parameters, fields[0])
            if part.tag == 0xA0:
                name = _BY_OID.get(oid)
                if name is None:
                    return None
                digest = name.name
            elif part.tag == 0xA1:
                if oid != "1.2.840.113549.1.1.8" or len(fields) != 2:
                    return None
                name = _BY_OID.get(der.decode_oid(parameters, der.children(parameters, fields[1])[0]))
                if name is None:
                    return None
                mgf = name.name
            else:
                raise der.DerError("PSS parameters")
    if not 0 <= salt <= 512:
        raise der.DerError("PSS salt length")
    return SignatureAlgorithm(SignatureScheme.RSA_PSS, digest, salt, mgf)


@dataclass(frozen=True, slots=True)
class DatedRow:
    """`algorithm` (a digest name, or ``rsa-pkcs1v15``, ``rsa-pss``, ``dsa``, ``ecdsa``) of at least `min_bits` may be
    relied on before `not_after` (UTC; None: no end set)."""

    algorithm: str
    min_bits: int
    not_after: datetime | None


def _until(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


# ETSI TS 119 312 v1.5.1 as EU DSS 6.4 applies it.
TS_119_312: tuple[DatedRow, ...] = tuple(
    DatedRow(name, bits, _until(end))
    for name, bits, end in (
        ("md5", 0, "2004-08-01"),
        ("sha1", 0, "2012-08-01"),
        ("ripemd160", 0, "2014-08-01"),
        ("sha224", 0, "2029-01-01"),
        ("sha512_224", 0, "2029-01-01"),
        ("sha3_224", 0, "2029-01-01"),
        ("sha256", 0, None),
        ("sha384", 0, None),
        ("sha512", 0, None),
        ("sha512_256", 0, None),
        ("sha3_256", 0, None),
        ("sha3_384", 0, None),
        ("sha3_512", 0, None),
        ("rsa-pkcs1v15", 786, "2010-08-01"),
        ("rsa-pkcs1v15", 1024, "2019-10-01"),
        ("rsa-pkcs1v15", 1536, "2019-10-01"),
        ("rsa-pkcs1v15", 1900, "2029-01-01"),
        ("rsa-pss", 786, "2010-08-01"),
        ("rsa-pss", 1024, "2019-10-01"),
        ("rsa-pss", 1536, "2019-10-01"),
        ("rsa-pss", 1900, "2029-01-01"),
        ("rsa-pss", 3000, None),
        ("dsa", 1024, "2015-12-01"),
        ("dsa", 1900, "2029-01-01"),
        ("dsa", 3000, None),
        ("ecdsa", 160, "2012-08-01"),
        ("ecdsa", 224, "2021-10-01"),
        ("ecdsa", 256, None),
        ("ed25519", 0, None),
        ("ed448", 0, None),
    )
)

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def not_after(rows: tuple[DatedRow, ...], algorithm: str, bits: int | None = None) -> datetime | None:
    """The instant from which `algorithm` (with `bits` of key) may not be relied on; None: no end set.

    An algorithm or key size that no row covers was never acceptable: 1970-01-01.
    """
    fitting = [row for row in rows if row.algorithm == algorithm and row.min_bits <= (bits or 0)]
    if not fitting:
        return NEVER
    return max(fitting, key=lambda row: row.min_bits).not_after


# Circular 15/2025/TT-BKHCN App. I: what a new signature may use.
_NEW_DIGESTS = frozenset(
    ("sha256", "sha384", "sha512", "sha512_224", "sha512_256", "sha3_224", "sha3_256", "sha3_384", "sha3_512")
)
_NEW_MIN_BITS = {
    SignatureScheme.RSA_PKCS1: 2048,
    SignatureScheme.RSA_PSS: 2048,
    SignatureScheme.ECDSA: 256,
    SignatureScheme.ED25519: 0,
    SignatureScheme.ED448: 0,
}


def may_sign(algorithm: SignatureAlgorithm, key_bits: int | None) -> bool:
    """Whether a new signature may use this algorithm and key size (Circular 15/2025/TT-BKHCN App. I §1.2–1.3)."""
    least = _NEW_MIN_BITS.get(algorithm.scheme)
    if least is None or (key_bits or 0) < least:
        return False
    return algorithm.digest is None or algorithm.digest in _NEW_DIGESTS
