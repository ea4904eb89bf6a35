"""Writing CMS SignedData for detached CAdES/PAdES baseline signatures (RFC 5652, EN 319 122-1, EN 319 142-1 §6.3).

The structure is put together as DER from parts that are DER already, so that nothing is parsed or re-encoded per
document.  The signature value comes from outside: `signed_attributes` gives what is to be signed, `signed_data` the
whole afterwards.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signsvc.algorithms import EXPERIMENTAL, SignatureAlgorithm, SignatureScheme, digest_by_name
from signsvc.asn1 import encode, encode_integer, encode_oid
from signsvc.types import Certificate

_SEQUENCE, _SET, _OCTETS, _NULL = 0x30, 0x31, 0x04, b"\x05\x00"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_SIGNATURE_TIMESTAMP = "1.2.840.113549.1.9.16.2.14"
_DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_MGF1 = "1.2.840.113549.1.1.8"
_PSS = "1.2.840.113549.1.1.10"

_RSA_OIDS = {
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
}
_ECDSA_OIDS = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
# ML-DSA (RFC 9882 §3.1): its identifier has no parameters; a value has this many octets (FIPS 204 table 2).
_ML_DSA = {
    SignatureScheme.ML_DSA_44: ("2.16.840.1.101.3.4.3.17", 2420),
    SignatureScheme.ML_DSA_65: ("2.16.840.1.101.3.4.3.18", 3309),
    SignatureScheme.ML_DSA_87: ("2.16.840.1.101.3.4.3.19", 4627),
}
# Beside algorithms that take the message itself: the one that RFC 9882 §3.3 wants everybody to know.
_DIGEST_BESIDE = "sha512"


@dataclass(frozen=True, slots=True)
class CmsPlan:
    """What is known of a signature before its digest: the signer's certificate, what to embed, the algorithm.

    `chain` are further certificates to embed, without the signer's; `attributes` further signed attributes, each a
    whole DER ``Attribute`` of a type that `signed_attributes` does not write itself (see `formats.cms.claims`).
    """

    certificate: Certificate
    algorithm: SignatureAlgorithm
    chain: tuple[Certificate, ...] = ()
    attributes: tuple[bytes, ...] = ()

    @property
    def digest_name(self) -> str:
        """hashlib name of the digest over the document, and over the signed attributes where these are hashed."""
        return digest_of(self.algorithm)


def digest_of(algorithm: SignatureAlgorithm) -> str:
    """hashlib name of the digest over the content that goes with a signature algorithm."""
    return algorithm.digest or _DIGEST_BESIDE


@functools.lru_cache(maxsize=64)
def digest_identifier(name: str) -> bytes:
    """AlgorithmIdentifier of a digest, without parameters (RFC 5754 §2).  Raises `ValueError` where unknown."""
    found = digest_by_name(name)
    if found is None:
        raise ValueError("unknown digest algorithm")
    return encode(_SEQUENCE, encode_oid(found.oid))


@functools.lru_cache(maxsize=64)
def signature_identifier(algorithm: SignatureAlgorithm) -> bytes:
    """AlgorithmIdentifier of a signature algorithm (RFC 4055 §3.1 and §5, RFC 5754 §3, RFC 9882 §3.1).

    Raises `ValueError` for a scheme or digest that new signatures do not use.
    """
    digest = algorithm.digest or ""
    if algorithm.scheme is SignatureScheme.RSA_PKCS1 and digest in _RSA_OIDS:
        return encode(_SEQUENCE, encode_oid(_RSA_OIDS[digest]), _NULL)
    if algorithm.scheme is SignatureScheme.ECDSA and digest in _ECDSA_OIDS:
        return encode(_SEQUENCE, encode_oid(_ECDSA_OIDS[digest]))
    if algorithm.scheme is SignatureScheme.RSA_PSS and digest in _RSA_OIDS:
        hashed = encode(_SEQUENCE, encode_oid(_oid(digest)), _NULL)
        mask_digest = encode(_SEQUENCE, encode_oid(_oid(algorithm.mgf_digest or digest)), _NULL)
        mask = encode(_SEQUENCE, encode_oid(_MGF1), mask_digest)
        salt = algorithm.salt_length if algorithm.salt_length is not None else hashlib.new(digest).digest_size
        parameters = encode(_SEQUENCE, encode(0xA0, hashed), encode(0xA1, mask), encode(0xA2, encode_integer(salt)))
        return encode(_SEQUENCE, encode_oid(_PSS), parameters)
    if algorithm.scheme in _ML_DSA and algorithm.digest is None:
        return encode(_SEQUENCE, encode_oid(_ML_DSA[algorithm.scheme][0]))
    raise ValueError("no algorithm identifier for this signature algorithm")


def signed_attributes(plan: CmsPlan, document_digest: bytes, content_type: str | None = _DATA) -> bytes:
    """The DER ``SET OF Attribute`` that is signed: content type, message digest, signing-certificate-v2, and those of
    the plan.  A counter-signature has no `content_type` (RFC 5652 §11.4).

    The time of signing stands in the signature dictionary of a PAdES signature, not here (EN 319 142-1 §6.3 note on
    /M).
    """
    # ESSCertIDv2 with its default digest SHA-256, without issuerSerial (EN 319 122-1 §5.2.2.3).
    reference = encode(_SEQUENCE, encode(_OCTETS, plan.certificate.sha256))
    return _set_of(
        _SET,
        (
            *(() if content_type is None else (_attribute(_CONTENT_TYPE, encode_oid(content_type)),)),
            _attribute(_MESSAGE_DIGEST, encode(_OCTETS, document_digest)),
            _attribute(_SIGNING_CERTIFICATE_V2, encode(_SEQUENCE, encode(_SEQUENCE, reference))),
            *plan.attributes,
        ),
    )


def to_be_signed(plan: CmsPlan, attributes: bytes) -> bytes:
    """What the key gets for signed `attributes`: their digest, or for ML-DSA themselves (RFC 9882 §3.2)."""
    if plan.algorithm.digest is None:
        return attributes
    return hashlib.new(plan.digest_name, attributes).digest()


def signer_fields(plan: CmsPlan, attributes: bytes) -> bytes:
    """What stands in a SignerInfo before the signature value: version to signatureAlgorithm (RFC 5652 §5.3)."""
    certificate = plan.certificate
    return b"".join(
        (
            encode_integer(1),
            encode(_SEQUENCE, certificate.issuer_der, encode_integer(certificate.serial_number)),
            digest_identifier(plan.digest_name),
            b"\xa0" + attributes[1:],
            signature_identifier(plan.algorithm),
        )
    )


def signed_data(plan: CmsPlan, attributes: bytes, value: bytes, timestamps: Sequence[bytes] = ()) -> bytes:
    """ContentInfo with a detached SignedData of one SignerInfo; `timestamps` are signature timestamp tokens (DER)."""
    certificate = plan.certificate
    signer = [signer_fields(plan, attributes), encode(_OCTETS, value)]
    if timestamps:
        signer.append(_set_of(0xA1, [_attribute(_SIGNATURE_TIMESTAMP, token) for token in timestamps]))
    embedded = dict.fromkeys(one.der for one in (certificate, *plan.chain))
    body = encode(
        _SEQUENCE,
        encode_integer(1),
        encode(_SET, digest_identifier(plan.digest_name)),
        encode(_SEQUENCE, encode_oid(_DATA)),
        _set_of(0xA0, embedded),
        encode(_SET, encode(_SEQUENCE, *signer)),
    )
    return encode(_SEQUENCE, encode_oid(_SIGNED_DATA), encode(0xA0, body))


def largest_value(certificate: Certificate) -> int:
    """The most octets a signature value of this certificate's key can take (ECDSA as DER ``r, s``)."""
    if certificate.key_type in EXPERIMENTAL:
        return _ML_DSA[SignatureScheme(certificate.key_type)][1]
    bits = certificate.key_bits or 8192
    octets = (bits + 7) // 8
    return 2 * octets + 16 if certificate.key_type == "ec" else octets


@functools.lru_cache(maxsize=64)
def room_for(plan: CmsPlan) -> int:
    """Octets that the structure can take at most, without timestamps."""
    digest = bytes(hashlib.new(plan.digest_name).digest_size)
    return len(signed_data(plan, signed_attributes(plan, digest), bytes(largest_value(plan.certificate))))


def _oid(name: str) -> str:
    found = digest_by_name(name)
    if found is None:
        raise ValueError("unknown digest algorithm")
    return found.oid


def _attribute(oid: str, *values: bytes) -> bytes:
    return encode(_SEQUENCE, encode_oid(oid), encode(_SET, *values))


def _set_of(tag: int, members: Iterable[bytes]) -> bytes:
    """SET OF in DER order (X.690 §11.6)."""
    return encode(tag, *sorted(members))
