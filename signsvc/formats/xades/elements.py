"""Elements of XAdES as text: always with the prefixes ``ds`` and ``xades``, declared where they begin.

Everything is canonicalised exclusively, so that what stands around an element does not matter to it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme, digest_by_name
from signsvc.asn1 import encode, encode_integer
from signsvc.formats.xades.names import (
    BASE64,
    COUNTERSIGNED_TYPE,
    EXCLUSIVE,
    FILTER2,
    SIGNED_PROPERTIES_TYPE,
    XADES,
    XADES141,
    commitment_uri,
)
from signsvc.formats.xades.nodes import DS
from signsvc.types import Certificate, Original

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
_WRITTEN = ("sha256", "sha384", "sha512")
_EXCLUDED = "".join(map(chr, (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)))  # no characters of XML
_CLEAN = str.maketrans(dict.fromkeys(_EXCLUDED, "\N{REPLACEMENT CHARACTER}"))


@dataclass(frozen=True, slots=True)
class ProductionPlace:
    """Where the signature is made, as the signer says (SignatureProductionPlaceV2)."""

    city: str = ""
    street: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class ReferenceText:
    """One ds:Reference to be written; `transforms` is the text of its ds:Transform elements, `file` what it names
    where that stands outside the document."""

    id: str
    uri: str
    media_type: str | None = None
    type: str | None = None
    transforms: str = ""
    file: Original | None = None


def escaped(text: str) -> str:
    """Text as character data or in an attribute."""
    return escape(text.translate(_CLEAN), {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def base64_text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def digest_uri(name: str) -> str:
    """The URI of a digest.  Raises `ValueError` where it has none."""
    found = digest_by_name(name)
    if found is None or found.xml_uri is None:
        raise ValueError("unknown digest algorithm")
    return found.xml_uri


def signature_uri(algorithm: SignatureAlgorithm) -> str:
    """The URI of a signature algorithm (RFC 9231 §2.3).  Raises `ValueError` where we write none."""
    digest = algorithm.digest
    if digest in _WRITTEN:
        if algorithm.scheme is SignatureScheme.RSA_PKCS1:
            return f"{_MORE}rsa-{digest}"
        if algorithm.scheme is SignatureScheme.ECDSA:
            return f"{_MORE}ecdsa-{digest}"
        found = digest_by_name(digest)
        sized = algorithm.salt_length is None or (found is not None and algorithm.salt_length == found.size)
        if algorithm.scheme is SignatureScheme.RSA_PSS and sized and algorithm.mgf_digest in (None, digest):
            return f"{_MORE_2007}{digest}-rsa-MGF1"
    raise ValueError("no XML identifier for this signature algorithm")


def canonical() -> str:
    """The transform that ends every reference to XML."""
    return f'<ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>'


def without_signatures() -> str:
    """The transform that leaves out every signature, so that further ones may be added beside the first.

    XPath Filter 2.0 and not the XPath of XML Signature that says the same: that one is evaluated at every node, and
    other programs take minutes over half a megabyte of it.
    """
    return (
        f'<ds:Transform Algorithm="{FILTER2}"><xf2:XPath xmlns:xf2="{FILTER2}" Filter="subtract">'
        "/descendant::ds:Signature</xf2:XPath></ds:Transform>"
    )


def without_itself() -> str:
    """The enveloped-signature transform, which every program knows.  A second such signature would break the first."""
    return f'<ds:Transform Algorithm="{DS}enveloped-signature"></ds:Transform>'


def decoded() -> str:
    """The transform that takes the octets out of an Object in base64."""
    return f'<ds:Transform Algorithm="{BASE64}"></ds:Transform>'


def file_uri(name: str) -> str:
    """The URI of a file by its name: percent-encoded UTF-8, relative."""
    return quote(name, safe="/!$&'()*+,;=@~._-")


def object_base64(identifier: str, octets: bytes, media_type: str) -> str:
    """An Object that holds a file."""
    return (
        f'<ds:Object Id="{identifier}" MimeType="{escaped(media_type)}" Encoding="{BASE64}">'
        f"{base64_text(octets)}</ds:Object>"
    )


def signed_info(
    references: Sequence[ReferenceText],
    digests: Sequence[bytes],
    digest: str,
    algorithm: SignatureAlgorithm,
) -> str:
    """SignedInfo with a reference for each of `references` and its digest (as `digest` names it)."""
    method = digest_uri(digest)
    body = []
    for reference, value in zip(references, digests, strict=True):
        kind = f' Type="{reference.type}"' if reference.type else ""
        transforms = f"<ds:Transforms>{reference.transforms}</ds:Transforms>" if reference.transforms else ""
        body.append(
            f'<ds:Reference Id="{reference.id}"{kind} URI="{escaped(reference.uri)}">{transforms}'
            f'<ds:DigestMethod Algorithm="{method}"></ds:DigestMethod>'
            f"<ds:DigestValue>{base64_text(value)}</ds:DigestValue></ds:Reference>"
        )
    return (
        f'<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{signature_uri(algorithm)}"></ds:SignatureMethod>'
        f"{''.join(body)}</ds:SignedInfo>"
    )


def key_info(certificates: Iterable[Certificate]) -> str:
    """KeyInfo with certificates alone: a bare key would be believed by some."""
    held = "".join(
        f"<ds:X509Certificate>{base64_text(c.der)}</ds:X509Certificate>" for c in dict.fromkeys(certificates)
    )
    return f"<ds:KeyInfo><ds:X509Data>{held}</ds:X509Data></ds:KeyInfo>"


def signed_properties(
    identifier: str,
    certificate: Certificate,
    certificate_digest: tuple[str, bytes],
    signing_time: datetime,
    *,
    place: ProductionPlace | None = None,
    roles: Sequence[str] = (),
    commitments: Sequence[str] = (),
    formats: Sequence[tuple[str, str]] = (),
) -> str:
    """SignedProperties (EN 319 132-1 §5.2): `certificate_digest` is (hashlib name, digest), `commitments` are OIDs or
    URIs, `formats` are (Id of the reference, media type)."""
    name, value = certificate_digest
    issuer = encode(0x30, encode(0x30, encode(0xA4, certificate.issuer_der)), encode_integer(certificate.serial_number))
    said = [
        f"<xades:SigningTime>{signing_time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}</xades:SigningTime>",
        (
            "<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>"
            f'<ds:DigestMethod Algorithm="{digest_uri(name)}"></ds:DigestMethod>'
            f"<ds:DigestValue>{base64_text(value)}</ds:DigestValue></xades:CertDigest>"
            f"<xades:IssuerSerialV2>{base64_text(issuer)}</xades:IssuerSerialV2></xades:Cert>"
            "</xades:SigningCertificateV2>"
        ),
    ]
    if place is not None:
        parts = (
            ("City", place.city),
            ("StreetAddress", place.street),
            ("StateOrProvince", place.state),
            ("PostalCode", place.postal_code),
            ("CountryName", place.country),
        )
        written = "".join(f"<xades:{part}>{escaped(text)}</xades:{part}>" for part, text in parts if text)
        said.append(f"<xades:SignatureProductionPlaceV2>{written}</xades:SignatureProductionPlaceV2>")
    if roles:
        claimed = "".join(f"<xades:ClaimedRole>{escaped(role)}</xades:ClaimedRole>" for role in roles)
        said.append(f"<xades:SignerRoleV2><xades:ClaimedRoles>{claimed}</xades:ClaimedRoles></xades:SignerRoleV2>")
    about = [
        f'<xades:DataObjectFormat ObjectReference="#{reference}"><xades:MimeType>{escaped(media_type)}'
        "</xades:MimeType></xades:DataObjectFormat>"
        for reference, media_type in formats
    ]
    about += [
        f"<xades:CommitmentTypeIndication><xades:CommitmentTypeId>{_identifier(one)}</xades:CommitmentTypeId>"
        "<xades:AllSignedDataObjects></xades:AllSignedDataObjects></xades:CommitmentTypeIndication>"
        for one in commitments
    ]
    data_objects = (
        f"<xades:SignedDataObjectProperties>{''.join(about)}</xades:SignedDataObjectProperties>" if about else ""
    )
    return (
        f'<xades:SignedProperties Id="{identifier}"><xades:SignedSignatureProperties>{"".join(said)}'
        f"</xades:SignedSignatureProperties>{data_objects}</xades:SignedProperties>"
    )


def _identifier(commitment: str) -> str:
    """ObjectIdentifier of a commitment: the standard's URI where there is one, else the OID as URN."""
    uri = commitment_uri(commitment)
    if uri is None and commitment.replace(".", "").isdigit():
        return f'<xades:Identifier Qualifier="OIDAsURN">urn:oid:{commitment}</xades:Identifier>'
    return f"<xades:Identifier>{escaped(uri or commitment)}</xades:Identifier>"


def signature(identifier: str, info: str, keys: str, objects: str, properties: str) -> tuple[str, str]:
    """The ds:Signature element in two parts: the value goes between them."""
    return (
        f'<ds:Signature xmlns:ds="{DS}" Id="{identifier}">{info}<ds:SignatureValue Id="{identifier}-value">',
        (
            f'</ds:SignatureValue>{keys}{objects}<ds:Object><xades:QualifyingProperties xmlns:xades="{XADES}"'
            f' Target="#{identifier}">{properties}</xades:QualifyingProperties></ds:Object></ds:Signature>'
        ),
    )


def properties_reference(identifier: str, target: str) -> ReferenceText:
    return ReferenceText(identifier, f"#{target}", None, SIGNED_PROPERTIES_TYPE, canonical())


def countersigned_reference(identifier: str, target: str) -> ReferenceText:
    return ReferenceText(identifier, f"#{target}", None, COUNTERSIGNED_TYPE, canonical())


def timestamp(kind: str, identifier: str, token: bytes) -> str:
    """``SignatureTimeStamp`` or ``ArchiveTimeStamp`` around a token (ContentInfo, DER)."""
    prefix, space = ("xades141", XADES141) if kind == "ArchiveTimeStamp" else ("xades", XADES)
    outer = f' xmlns:xades141="{space}"' if prefix == "xades141" else ""
    return (
        f'<{prefix}:{kind}{outer} xmlns:xades="{XADES}" Id="{identifier}">'
        f'<ds:CanonicalizationMethod xmlns:ds="{DS}" Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
        f"<xades:EncapsulatedTimeStamp>{base64_text(token)}</xades:EncapsulatedTimeStamp></{prefix}:{kind}>"
    )


def values(certificates: Iterable[bytes], lists: Iterable[bytes], answers: Iterable[bytes]) -> str:
    """CertificateValues and RevocationValues (§5.4.1, §5.4.2), each only where there is something in it."""
    held = "".join(
        f"<xades:EncapsulatedX509Certificate>{base64_text(one)}</xades:EncapsulatedX509Certificate>"
        for one in certificates
    )
    crls = "".join(f"<xades:EncapsulatedCRLValue>{base64_text(one)}</xades:EncapsulatedCRLValue>" for one in lists)
    ocsps = "".join(f"<xades:EncapsulatedOCSPValue>{base64_text(one)}</xades:EncapsulatedOCSPValue>" for one in answers)
    revocation = (f"<xades:CRLValues>{crls}</xades:CRLValues>" if crls else "") + (
        f"<xades:OCSPValues>{ocsps}</xades:OCSPValues>" if ocsps else ""
    )
    space = f' xmlns:xades="{XADES}"'
    return (f"<xades:CertificateValues{space}>{held}</xades:CertificateValues>" if held else "") + (
        f"<xades:RevocationValues{space}>{revocation}</xades:RevocationValues>" if revocation else ""
    )


def timestamp_validation_data(inner: str) -> str:
    """TimeStampValidationData (§5.5.1) around `values`, to stand behind the timestamp that it is about."""
    return f'<xades141:TimeStampValidationData xmlns:xades141="{XADES141}">{inner}</xades141:TimeStampValidationData>'


def counter_signature() -> tuple[str, str]:
    """What stands around a counter-signature."""
    return f'<xades:CounterSignature xmlns:xades="{XADES}">', "</xades:CounterSignature>"


def unsigned_properties() -> tuple[str, str]:
    """What stands around UnsignedSignatureProperties."""
    return f'<xades:UnsignedProperties xmlns:xades="{XADES}">', "</xades:UnsignedProperties>"


def unsigned_signature_properties() -> tuple[str, str]:
    """What stands around unsigned signature properties."""
    return f'<xades:UnsignedSignatureProperties xmlns:xades="{XADES}">', "</xades:UnsignedSignatureProperties>"
