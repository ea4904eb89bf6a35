"""X.509 certificates (RFC 5280), read through our own outline so that one odd extension hides nothing else.

Parsing never loads the public key; `public_key` does, through `cryptography`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from signsvc.asn1 import der
from signsvc.asn1.der import DerError, Tlv
from signsvc.types import names

# A certificate larger than this is refused: real ones are 1 to 4 kB, ML-DSA ones below 30 kB.
MAX_CERTIFICATE = 256 * 1024

KEY_USAGE_BITS = (
    "digital_signature",
    "non_repudiation",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

_KEY_TYPES = {
    "1.2.840.113549.1.1.1": "rsa",
    "1.2.840.113549.1.1.10": "rsa-pss",
    "1.2.840.10045.2.1": "ec",
    "1.2.840.10040.4.1": "dsa",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}

KEY_TYPES = frozenset(_KEY_TYPES.values())


@functools.lru_cache(maxsize=4096)
def _interned(encoded: bytes) -> Certificate:
    return Certificate(encoded)


class Certificate:
    """One certificate, immutable, equal by its DER.

    Raises `DerError` on construction where the outline is not a certificate.
    """

    __slots__ = (
        "__dict__",
        "_ext",
        "_hash",
        "der",
        "issuer_der",
        "not_after",
        "not_before",
        "public_key_info",
        "serial_number",
        "sha256",
        "signature",
        "signature_oid",
        "signature_parameters",
        "subject_der",
        "tbs_der",
    )

    def __init__(self, encoded: bytes) -> None:
        if len(encoded) > MAX_CERTIFICATE:
            raise DerError("certificate too large")
        outer = der.children(encoded, der.read_all(encoded, tag=der.SEQUENCE))
        if len(outer) != 3 or outer[2].tag != der.BIT_STRING:
            raise DerError("not a certificate")
        tbs, algorithm, signature = outer
        self.der = encoded
        self.sha256 = hashlib.sha256(encoded).digest()
        self._hash = hash(self.sha256)
        self.tbs_der = tbs.full(encoded)
        self.signature = _bits(encoded, signature)
        self.signature_oid, self.signature_parameters = _algorithm(encoded, algorithm)
        parts = der.children(encoded, tbs)
        if parts and parts[0].tag == 0xA0:
            parts = parts[1:]
        if len(parts) < 6:
            raise DerError("not a certificate")
        if _algorithm(encoded, parts[1]) != (self.signature_oid, self.signature_parameters):
            raise DerError("inner and outer signature algorithms differ")
        self.serial_number = der.decode_integer(encoded, parts[0])
        self.issuer_der = parts[2].full(encoded)
        validity = der.children(encoded, parts[3])
        if len(validity) != 2:
            raise DerError("malformed validity")
        self.not_before: datetime = der.decode_time(encoded, validity[0])
        self.not_after: datetime = der.decode_time(encoded, validity[1])
        self.subject_der = parts[4].full(encoded)
        self.public_key_info = parts[5].full(encoded)
        names.attributes(self.issuer_der)
        names.attributes(self.subject_der)
        self._ext: dict[str, tuple[bool, bytes]] = dict(_extensions(encoded, parts[6:]))

    @classmethod
    def from_der(cls, encoded: bytes) -> Certificate:
        """The certificate for these octets; the same octets give the same object."""
        return _interned(bytes(encoded))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Certificate) and self.der == other.der)

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<Certificate {self.sha256.hex()[:16]} {self.subject}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_interned, (self.der,))

    # names -----------------------------------------------------------------------------------------------------
    @functools.cached_property
    def subject(self) -> str:
        return names.text(self.subject_der)

    @property
    def issuer(self) -> str:
        return names.text(self.issuer_der)

    def subject_values(self, short: str) -> tuple[str, ...]:
        """Values of one subject attribute by short name (``CN``, ``O``, ``OU``, ``UID``, ``E``)."""
        return tuple(v for oid, v in names.attributes(self.subject_der) if names.SHORT.get(oid, oid) == short)

    @functools.cached_property
    def common_name(self) -> str:
        """The last CN of the subject, else the whole subject."""
        found = self.subject_values("CN")
        return found[-1] if found else self.subject

    @property
    def organization(self) -> str | None:
        """Agency for people: ``OU, OU, O`` with the closest unit first, as the field's tools show it."""
        parts = (*reversed(self.subject_values("OU")), *self.subject_values("O"))
        return ", ".join(parts) or None

    @property
    def self_issued(self) -> bool:
        return names.same(self.subject_der, self.issuer_der)

    # key -------------------------------------------------------------------------------------------------------
    @functools.cached_property
    def key_type(self) -> str:
        """``rsa``, ``ec``, ``ed25519`` …, the OID where it is unknown, ``unreadable`` where it is none."""
        try:
            oid, _ = self._key_algorithm
        except (der.DerError, IndexError):
            return "unreadable"
        return _KEY_TYPES.get(oid, oid)

    @functools.cached_property
    def _key_algorithm(self) -> tuple[str, bytes | None]:
        parts = der.children(self.public_key_info, der.read_all(self.public_key_info, tag=der.SEQUENCE))
        return _algorithm(self.public_key_info, parts[0])

    @property
    def key_parameters(self) -> bytes | None:
        """Parameters of the key's algorithm, DER.  Raises `DerError` or `IndexError` where the key is unreadable."""
        return self._key_algorithm[1]

    @property
    def explicit_curve(self) -> bool:
        """Whether the parameters of a curve are written out, which RFC 5480 §2.1.1 forbids: they may be anybody's."""
        return self.key_type == "ec" and (self.key_parameters or b"")[:1] != b"\x06"

    @functools.cached_property
    def public_key(self) -> Any:
        """The `cryptography` public key.  Raises `ValueError` where the library cannot load it, and for a curve that
        is not named (RFC 5480 §2.1.1)."""
        if self.explicit_curve:
            raise ValueError("curve that is not named")
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_der_public_key

        try:
            return load_der_public_key(self.public_key_info)
        except UnsupportedAlgorithm:
            raise ValueError("unsupported public key") from None

    @functools.cached_property
    def key_bits(self) -> int | None:
        """Modulus or field size in bits; None where the key cannot be loaded."""
        try:
            return getattr(self.public_key, "key_size", None)
        except ValueError:
            return None

    # extensions ------------------------------------------------------------------------------------------------
    def extension(self, oid: str) -> bytes | None:
        """extnValue octets of an extension, or None."""
        found = self._ext.get(oid)
        return found[1] if found else None

    @functools.cached_property
    def critical_extensions(self) -> frozenset[str]:
        return frozenset(oid for oid, (critical, _) in self._ext.items() if critical)

    @functools.cached_property
    def key_usage(self) -> frozenset[str] | None:
        """Names from `KEY_USAGE_BITS`; None where the extension is absent."""
        raw = self.extension("2.5.29.15")
        if raw is None:
            return None
        element = der.read_all(raw, tag=der.BIT_STRING)
        bits = raw[element.content + 1 : element.end]
        return frozenset(
            name for i, name in enumerate(KEY_USAGE_BITS) if i // 8 < len(bits) and bits[i // 8] & 0x80 >> i % 8
        )

    @functools.cached_property
    def extended_key_usage(self) -> tuple[str, ...] | None:
        raw = self.extension("2.5.29.37")
        if raw is None:
            return None
        return tuple(der.decode_oid(raw, t) for t in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)))

    @functools.cached_property
    def basic_constraints(self) -> tuple[bool, int | None]:
        """(is a CA, path length or None)."""
        raw = self.extension("2.5.29.19")
        if raw is None:
            return False, None
        parts = der.children(raw, der.read_all(raw, tag=der.SEQUENCE))
        is_ca = False
        if parts and parts[0].tag == der.BOOLEAN:
            is_ca = parts[0].value(raw) != b"\0"
            parts = parts[1:]
        return is_ca, der.decode_integer(raw, parts[0]) if parts else None

    @property
    def is_ca(self) -> bool:
        return self.basic_constraints[0]

    @functools.cached_property
    def subject_key_identifier(self) -> bytes | None:
        raw = self.extension("2.5.29.14")
        return der.read_all(raw, tag=der.OCTET_STRING).value(raw) if raw else None

    @functools.cached_property
    def authority_key_identifier(self) -> bytes | None:
        raw = self.extension("2.5.29.35")
        if raw is None:
            return None
        for part in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)):
            if part.tag == 0x80:
                return part.value(raw)
        return None

    @functools.cached_property
    def ocsp_urls(self) -> tuple[str, ...]:
        return tuple(url for method, url in self._access() if method == "1.3.6.1.5.5.7.48.1")

    @functools.cached_property
    def ca_issuer_urls(self) -> tuple[str, ...]:
        return tuple(url for method, url in self._access() if method == "1.3.6.1.5.5.7.48.2")

    @functools.cached_property
    def crl_urls(self) -> tuple[str, ...]:
        """Every URL of every distribution point, in order: the first may be an unreachable internal name."""
        raw = self.extension("2.5.29.31")
        if raw is None:
            return ()
        found: list[str] = []
        for point in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)):
            for part in der.children(raw, point):
                if part.tag != 0xA0:
                    continue
                for choice in der.children(raw, part):
                    if choice.tag == 0xA0:
                        found += [u for n in der.children(raw, choice) if (u := _uri(raw, n)) is not None]
        return tuple(found)

    @functools.cached_property
    def policies(self) -> tuple[str, ...]:
        raw = self.extension("2.5.29.32")
        if raw is None:
            return ()
        found: list[str] = []
        for info in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)):
            parts = der.children(raw, info)
            if not parts:
                raise DerError("policy without an identifier")
            found.append(der.decode_oid(raw, parts[0]))
        return tuple(found)

    @property
    def ocsp_no_check(self) -> bool:
        return "1.3.6.1.5.5.7.48.1.5" in self._ext

    @property
    def no_revocation_available(self) -> bool:
        """id-ce-noRevAvail (RFC 9608) or ETSI validity-assured short term (EN 319 412-1 §5.2)."""
        return "2.5.29.56" in self._ext or "0.4.0.194121.2.1" in self._ext

    def _access(self) -> Iterator[tuple[str, str]]:
        raw = self.extension("1.3.6.1.5.5.7.1.1")
        if raw is None:
            return
        for description in der.children(raw, der.read_all(raw, tag=der.SEQUENCE)):
            parts = der.children(raw, description)
            if len(parts) == 2 and (url := _uri(raw, parts[1])) is not None:
                yield der.decode_oid(raw, parts[0]), url


def _uri(buf: bytes, name: Tlv) -> str | None:
    return name.value(buf).decode("ascii", "replace") if name.tag == 0x86 else None


def _bits(buf: bytes, element: Tlv) -> bytes:
    raw = element.value(buf)
    if not raw or raw[0] != 0:
        raise DerError("bit string with unused bits")
    return raw[1:]


def _algorithm(buf: bytes, element: Tlv) -> tuple[str, bytes | None]:
    parts = der.children(buf, element)
    if not 1 <= len(parts) <= 2:
        raise DerError("malformed algorithm identifier")
    return der.decode_oid(buf, parts[0]), parts[1].full(buf) if len(parts) == 2 else None


def _extensions(buf: bytes, optional: list[Tlv]) -> Iterator[tuple[str, tuple[bool, bytes]]]:
    seen: set[str] = set()
    for wrapper in optional:
        if wrapper.tag != 0xA3:
            continue
        for extension in der.children(buf, der.read(buf, wrapper.content, wrapper.end, tag=der.SEQUENCE)):
            parts = der.children(buf, extension)
            if len(parts) not in (2, 3) or parts[-1].tag != der.OCTET_STRING:
                raise DerError("malformed extension")
            oid = der.decode_oid(buf, parts[0])
            if oid in seen:
                raise DerError("extension twice")
            seen.add(oid)
            critical = len(parts) == 3 and parts[1].value(buf) != b"\0"
            yield oid, (critical, parts[-1].value(buf))
