"""What the signer's side checks before its key signs attributes that a service prepared.

Nobody who knows only a hash knows what is signed: the digest among the attributes must be that of the signer's own
document with what the service adds to it, and the attributes must name the signer's own certificate.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from signsvc.algorithms import EXPERIMENTAL, SignatureAlgorithm, SignatureScheme, new_hash
from signsvc.asn1 import DerError, children, decode_oid, encode, read_all
from signsvc.asn1.der import OCTET_STRING, SEQUENCE, SET
from signsvc.errors import DocumentError
from signsvc.types import Certificate

_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_DATA = encode(0x06, bytes.fromhex("2a864886f70d010701"))
_DIGESTS = {"sha256": 32, "sha384": 48, "sha512": 64}
_SCHEMES = (SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS, SignatureScheme.ECDSA)
_PLAIN = tuple(sorted(EXPERIMENTAL))
_CHUNK = 1 << 20


def algorithm(scheme: str, digest: str | None) -> SignatureAlgorithm:
    """The algorithm that a service asks for; none with a digest below SHA-256, without one ML-DSA alone.

    Raises `DocumentError` (``attributes_mismatch``).
    """
    if digest is None and scheme in _PLAIN:
        return SignatureAlgorithm(SignatureScheme(scheme), None)
    if digest not in _DIGESTS or scheme not in _SCHEMES:
        raise DocumentError("attributes_mismatch", reason="attributes-algorithm")
    if scheme == SignatureScheme.RSA_PSS:
        return SignatureAlgorithm(SignatureScheme.RSA_PSS, digest, _DIGESTS[digest], digest)
    return SignatureAlgorithm(SignatureScheme(scheme), digest)


def check(
    document: Path, added: bytes, gap: tuple[int, int], attributes: bytes, certificate: Certificate, digest_name: str
) -> None:
    """Whether `attributes` (DER) sign `document` with the octets `added` behind it but for those of the `gap`, with
    `certificate` (RFC 5652 §5.4, EN 319 142-1 §5.3).

    Raises `DocumentError` (``attributes_mismatch``).
    """
    start, end = gap
    size = document.stat().st_size
    whole = size + len(added)
    if not size < start < end <= whole or added[start - size : end - size].strip(b"<0>"):
        raise DocumentError("attributes_mismatch", reason="attributes-revision")
    state = hashlib.new(digest_name)
    with document.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    state.update(added[: start - size])
    state.update(added[end - size :])
    found = _attributes(attributes)
    if found.get(_MESSAGE_DIGEST) != encode(OCTET_STRING, state.digest()):
        raise DocumentError("attributes_mismatch", reason="attributes-digest")
    if found.get(_CONTENT_TYPE) != _DATA:
        raise DocumentError("attributes_mismatch", reason="attributes-content")
    # SigningCertificateV2 of one ESSCertIDv2 with its default digest begins with this hash (RFC 5035 §3).
    reference = encode(OCTET_STRING, certificate.sha256)
    if found.get(_SIGNING_CERTIFICATE_V2) != encode(SEQUENCE, encode(SEQUENCE, encode(SEQUENCE, reference))):
        raise DocumentError("attributes_mismatch", reason="attributes-certificate")


def check_file(document: Path, attributes: bytes, certificate: Certificate, digest_name: str) -> None:
    """Whether `attributes` sign the file `document` itself: signed attributes of CAdES with `certificate`, or the
    SignedInfo of XAdES, whose properties are the service's to make and are verified with the result.

    Raises `DocumentError` (``attributes_mismatch``).
    """
    data = document.read_bytes()
    if attributes.startswith(b"<"):
        _check_signed_info(data, attributes)
        return
    found = _attributes(attributes)
    if found.get(_MESSAGE_DIGEST) != encode(OCTET_STRING, hashlib.new(digest_name, data).digest()):
        raise DocumentError("attributes_mismatch", reason="attributes-digest")
    reference = encode(OCTET_STRING, certificate.sha256)
    if found.get(_SIGNING_CERTIFICATE_V2) != encode(SEQUENCE, encode(SEQUENCE, encode(SEQUENCE, reference))):
        raise DocumentError("attributes_mismatch", reason="attributes-certificate")


def _check_signed_info(data: bytes, signed_info: bytes) -> None:
    """One reference to the properties, and one or more to the file: its octets, or as XML what is in it without
    signatures."""
    from signsvc.formats import xmlsig
    from signsvc.formats.xmlsig.canonical import octets
    from signsvc.formats.xmlsig.names import METHODS, ds
    from signsvc.formats.xmlsig.structure import StructureError, reference

    try:
        listed = [reference(one) for one in xmlsig.parse(signed_info).root.iterchildren(ds("Reference"))]
    except (DocumentError, StructureError):
        raise DocumentError("attributes_mismatch", reason="attributes-form") from None
    about = [one for one in listed if not (one.type or "").endswith("#SignedProperties")]
    if not about or len(listed) != len(about) + 1:
        raise DocumentError("attributes_mismatch", reason="attributes-content")
    for one in about:
        if one.digest_oid is None:
            raise DocumentError("attributes_mismatch", reason="attributes-algorithm")
        signed = data
        if one.uri == "" or ((one.uri or "").startswith("#") and one.type is None):
            document = xmlsig.parse(data)
            apex = None
            if one.uri:
                held = document.named(one.uri[1:])
                if len(held) != 1:
                    raise DocumentError("attributes_mismatch", reason="attributes-content")
                apex = held[0]
            cuts = list(document.root.iter(ds("Signature")))
            signed = octets(document, apex, METHODS["http://www.w3.org/2001/10/xml-exc-c14n#"], cuts)
        hashed = new_hash(one.digest_oid)
        hashed.update(signed)
        if hashed.digest() != one.digest_value:
            raise DocumentError("attributes_mismatch", reason="attributes-digest")


def _attributes(encoded: bytes) -> dict[str, bytes]:
    """The one value of each attribute.  Raises `DocumentError` where they are no DER attributes, or one stands
    twice."""
    found: dict[str, bytes] = {}
    try:
        for attribute in children(encoded, read_all(encoded, tag=SET)):
            kind, values = children(encoded, attribute)
            oid, several = decode_oid(encoded, kind), children(encoded, values)
            if oid in found or attribute.tag != SEQUENCE or values.tag != SET:
                raise DerError("attributes")
            if len(several) == 1:
                found[oid] = several[0].full(encoded)
    except (DerError, ValueError):
        raise DocumentError("attributes_mismatch", reason="attributes-form") from None
    return found
