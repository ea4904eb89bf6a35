"""Tables of digests and signature schemes, with the dates until which they may be relied on.

A date is exclusive: from that instant on the algorithm proves nothing new.  ``None`` means no end is set.
"""

from __future__ import annotations

import functools
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


# SHAKE256 with 512 bits of output, as Ed448 and ML-DSA have it in CMS (RFC 8419 §3.1, RFC 9882 §3.3).  It stands apart
# because hashlib's object wants a length: no certificate, list, answer or imprint is hashed with it.
SHAKE256 = DigestAlgorithm("shake256", "2.16.840.1.101.3.4.2.12", 64)


class _Shake256:
    """hashlib's interface over SHAKE256 with a fixed length."""

    __slots__ = ("_state",)
    digest_size = SHAKE256.size

    def __init__(self, state: Any = None) -> None:
        self._state = state or hashlib.shake_256(usedforsecurity=False)

    def update(self, octets: Any) -> None:
        self._state.update(octets)

    def digest(self) -> bytes:
        return bytes(self._state.digest(SHAKE256.size))

    def copy(self) -> _Shake256:
        return _Shake256(self._state.copy())


def new_hash(oid: str) -> Any:
    """A hashlib object for a digest OID.  Raises `ValueError` where the digest is unknown or not available."""
    found = _BY_OID.get(oid)
    if found is None:
        if oid == SHAKE256.oid:
            return _Shake256()
        raise ValueError("unknown digest algorithm")
    return hashlib.new(found.name, usedforsecurity=False)


def digest_name(oid: str) -> str:
    """The name under which policies judge a digest; the OID itself where it is unknown."""
    found = _BY_OID.get(oid)
    return found.name if found else SHAKE256.name if oid == SHAKE256.oid else oid


class SignatureScheme(StrEnum):
    RSA_PKCS1 = "rsa-pkcs1v15"
    RSA_PSS = "rsa-pss"
    ECDSA = "ecdsa"
    DSA = "dsa"
    ED25519 = "ed25519"
    ED448 = "ed448"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


# Verified, but relied on only where a policy says so: no law or list of algorithms names them yet.
EXPERIMENTAL = frozenset((SignatureScheme.ML_DSA_44, SignatureScheme.ML_DSA_65, SignatureScheme.ML_DSA_87))


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """A scheme with its digest; `salt_length` in octets and `mgf_digest` for PSS."""

    scheme: SignatureScheme
    digest: str | None  # hashlib name; None for EdDSA and ML-DSA, which take the message itself
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
    # RFC 9881 §2
    "2.16.840.1.101.3.4.3.17": (SignatureScheme.ML_DSA_44, None),
    "2.16.840.1.101.3.4.3.18": (SignatureScheme.ML_DSA_65, None),
    "2.16.840.1.101.3.4.3.19": (SignatureScheme.ML_DSA_87, None),
}

# Key algorithm OIDs that CMS files carry in place of a signature algorithm: the digest comes from digestAlgorithm.
_KEY_ONLY = {
    "1.2.840.113549.1.1.1": SignatureScheme.RSA_PKCS1,
    "1.2.840.10045.2.1": SignatureScheme.ECDSA,
    "1.2.840.10040.4.1": SignatureScheme.DSA,
}

_RSA_PSS = "1.2.840.113549.1.1.10"
_NULL = b"\x05\x00"
_MAX_PSS = 256  # octets


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


def parameters_fit(oid: str, parameters: bytes | None) -> bool:
    """Whether the parameters of a digest or signature AlgorithmIdentifier are those that its standard allows.

    Absent, or NULL for digests (RFC 5754 §2) and RSA PKCS#1 v1.5 (RFC 3370 §3.2); a bare EC or DSA key algorithm may
    repeat its key's; PSS parameters are read by `resolve`.
    """
    if parameters is None or oid == _RSA_PSS:
        return True
    if oid in _BY_OID or _SIGNATURES.get(oid, (None,))[0] is SignatureScheme.RSA_PKCS1:
        return parameters == _NULL
    found = _KEY_ONLY.get(oid)
    if found is SignatureScheme.RSA_PKCS1:
        return parameters == _NULL
    return found is not None


def key_restriction(parameters: bytes | None) -> SignatureAlgorithm | None:
    """What an id-RSASSA-PSS key is restricted to (RFC 4055 §1.2, §3.3); None where it is not.

    Raises `DerError` where the parameters are malformed; digests that are not known restrict to nothing that verifies.
    """
    if parameters is None:
        return None
    found = _pss(parameters)
    if found is None:
        raise der.DerError("PSS parameters of the key")
    return found


@functools.lru_cache(maxsize=256)
def _pss(parameters: bytes | None) -> SignatureAlgorithm | None:
    """RSASSA-PSS-params (RFC 4055 §3.1), which a signature must carry: each once, in order, nothing else."""
    if parameters is None or len(parameters) > _MAX_PSS:
        raise der.DerError("PSS parameters")
    digest: str | None = "sha1"
    mgf: str | None = "sha1"
    salt = 20
    before = 0
    for part in der.children(parameters, der.read_all(parameters, tag=der.SEQUENCE), limit=4):
        inner = der.read(parameters, part.content, part.end)
        if inner.end != part.end or part.tag <= before:
            raise der.DerError("PSS parameters")
        before = part.tag
        if part.tag == 0xA0:
            digest = _digest_identifier(parameters, inner)
        elif part.tag == 0xA1:
            fields = der.children(parameters, inner, limit=2)
            if inner.tag != der.SEQUENCE or len(fields) != 2:
                raise der.DerError("PSS mask generation")
            if der.decode_oid(parameters, fields[0]) != "1.2.840.113549.1.1.8":
                return None
            mgf = _digest_identifier(parameters, fields[1])
        elif part.tag in (0xA2, 0xA3) and inner.tag == der.INTEGER:
            value = der.decode_integer(parameters, inner)
            if part.tag == 0xA2:
                salt = value
            elif value != 1:
                raise der.DerError("PSS trailer field")
        else:
            raise der.DerError("PSS parameters")
    if not 0 <= salt <= 512:
        raise der.DerError("PSS salt length")
    return SignatureAlgorithm(SignatureScheme.RSA_PSS, digest, salt, mgf) if digest and mgf else None


def _digest_identifier(buf: bytes, element: der.Tlv) -> str | None:
    """hashlib's name of the digest in an AlgorithmIdentifier; None where it is unknown."""
    fields = der.children(buf, element, limit=2)
    if element.tag != der.SEQUENCE or not fields or (len(fields) == 2 and fields[1].full(buf) != _NULL):
        raise der.DerError("PSS digest")
    found = _BY_OID.get(der.decode_oid(buf, fields[0]))
    return found.name if found else None


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
        ("shake256", 0, None),
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
