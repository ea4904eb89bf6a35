"""The parts of a ds:Signature, taken by position (XML Signature 1.1 §4)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme, digest_by_oid, resolve
from signsvc.asn1 import DerError, encode, encode_integer, encode_oid
from signsvc.formats.xmlsig.document import local
from signsvc.formats.xmlsig.names import DIGESTS_BY_URI, DS, PSS, SIGNATURES, SIGNATURES_PSS, ds

_SEQUENCE, _INTEGER, _NULL = 0x30, 0x02, b"\x05\x00"
_RSA_PSS, _MGF1 = "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.8"
_MGF1_URI = "http://www.w3.org/2007/05/xmldsig-more#MGF1"
_WHITE = re.compile(r"[ \t\r\n]*")
MAX_VALUE = 1 << 20
_MAX_URI = 2_000


class StructureError(ValueError):
    """What is wrong; the argument is a finding code."""


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform: its URI and the prefixes of its InclusiveNamespaces, or the text of its XPath."""

    uri: str
    prefixes: tuple[str, ...] = ()
    expression: str | None = None
    filter: str | None = None  # of XPath Filter 2.0: intersect, subtract, union
    signatures: bool = False  # whether the prefix ds of the expression is that of XML Signature


@dataclass(frozen=True, slots=True)
class ReferencePart:
    """A ds:Reference as written."""

    element: Any
    id: str | None
    uri: str | None
    type: str | None
    transforms: tuple[Transform, ...]
    digest_uri: str
    digest_oid: str | None
    digest_value: bytes


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A signature algorithm: OID, DER of its parameters, digest OID, and what our tables make of them."""

    oid: str
    parameters: bytes | None
    digest_oid: str
    known: SignatureAlgorithm | None


@dataclass(frozen=True, slots=True)
class Parts:
    """A ds:Signature in its parts.  `algorithm` is None where the method is none that is read here."""

    element: Any
    signed_info: Any
    method: Transform
    algorithm_uri: str
    algorithm: Algorithm | None
    references: tuple[ReferencePart, ...]
    value_element: Any
    value: bytes
    key_info: Any
    objects: tuple[Any, ...]


def parts(element: Any, *, references: int) -> Parts:
    """The parts of a ds:Signature with at most so many `references`.  Raises `StructureError`."""
    children = _elements(element)
    if len(children) < 2 or children[0].tag != ds("SignedInfo") or children[1].tag != ds("SignatureValue"):
        raise StructureError("xml_signature_malformed")
    rest = children[2:]
    key_info = rest[0] if rest and rest[0].tag == ds("KeyInfo") else None
    objects = rest[1:] if key_info is not None else rest
    if any(child.tag != ds("Object") for child in objects):
        raise StructureError("xml_signature_malformed")
    inside = _elements(children[0])
    if len(inside) < 3 or inside[0].tag != ds("CanonicalizationMethod") or inside[1].tag != ds("SignatureMethod"):
        raise StructureError("xml_signature_malformed")
    if any(child.tag != ds("Reference") for child in inside[2:]):
        raise StructureError("xml_signature_malformed")
    if len(inside) - 2 > references:
        raise StructureError("xml_too_many_references")
    uri, algorithm = signature_algorithm(inside[1])
    return Parts(
        element,
        children[0],
        _transform(inside[0]),
        uri,
        algorithm,
        tuple(map(reference, inside[2:])),
        children[1],
        base64_octets(children[1]),
        key_info,
        tuple(objects),
    )


def reference(element: Any) -> ReferencePart:
    """A ds:Reference, of SignedInfo or of a Manifest.  Raises `StructureError`."""
    children = _elements(element)
    transforms: tuple[Transform, ...] = ()
    if children and children[0].tag == ds("Transforms"):
        inside = _elements(children.pop(0))
        if not inside or any(child.tag != ds("Transform") for child in inside):
            raise StructureError("xml_reference_malformed")
        transforms = tuple(map(_transform, inside))
    if [child.tag for child in children] != [ds("DigestMethod"), ds("DigestValue")]:
        raise StructureError("xml_reference_malformed")
    digest_uri = children[0].get("Algorithm") or ""
    found = DIGESTS_BY_URI.get(digest_uri)
    return ReferencePart(
        element,
        element.get("Id"),
        element.get("URI"),
        element.get("Type"),
        transforms,
        digest_uri[:_MAX_URI],
        found.oid if found else None,
        base64_octets(children[1]),
    )


def base64_octets(element: Any) -> bytes:
    """The octets in an element that holds base64 text alone.  Raises `StructureError`."""
    if len(element) or len(element.text or "") > MAX_VALUE:
        raise StructureError("xml_value_malformed")
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise StructureError("xml_value_malformed") from None


def signature_algorithm(element: Any) -> tuple[str, Algorithm | None]:
    """The URI of a ds:SignatureMethod, and the algorithm that it names.  Raises `StructureError`."""
    uri = element.get("Algorithm") or ""
    if any(child.tag == ds("HMACOutputLength") for child in element):
        raise StructureError("xml_signature_hmac")
    if uri.startswith((f"{DS}hmac-", "http://www.w3.org/2001/04/xmldsig-more#hmac-")):
        raise StructureError("xml_signature_hmac")
    if uri == PSS:
        return uri, _pss_of(element)
    if uri in SIGNATURES_PSS:
        return uri, _pss(SIGNATURES_PSS[uri], SIGNATURES_PSS[uri], None)
    if uri in SIGNATURES:
        oid, name = SIGNATURES[uri]
        return uri, Algorithm(oid, None, _digest_oid(name) or "", resolve(oid))
    return uri[:_MAX_URI], None


def _pss_of(element: Any) -> Algorithm | None:
    """RSASSA-PSS with its parameters (RFC 9231 §2.3.9): SHA-256, and a salt as long as it, unless others are said."""
    digest, mask, salt = "sha256", None, None
    for params in _elements(element):
        for child in _elements(params):
            name = local(child)
            if name == "DigestMethod":
                digest = _digest_at(child)
            elif name == "MaskGenerationFunction":
                if child.get("Algorithm") != _MGF1_URI:
                    return None
                inside = [one for one in _elements(child) if local(one) == "DigestMethod"]
                mask = _digest_at(inside[0]) if inside else None
            elif name == "SaltLength":
                text = (child.text or "").strip()
                if not text.isdecimal() or len(text) > 4:
                    return None
                salt = int(text)
            elif name != "TrailerField" or (child.text or "").strip() != "1":
                return None
    return _pss(digest, mask or digest, salt) if digest else None


def _digest_at(element: Any) -> str:
    found = DIGESTS_BY_URI.get(element.get("Algorithm") or "")
    return found.name if found else ""


def _pss(digest: str, mask: str, salt: int | None) -> Algorithm | None:
    hashed, masked = _digest_oid(digest), _digest_oid(mask)
    if hashed is None or masked is None:
        return None
    found = digest_by_oid(hashed)
    length = salt if salt is not None else found.size if found else 0
    parameters = encode(
        _SEQUENCE,
        encode(0xA0, encode(_SEQUENCE, encode_oid(hashed), _NULL)),
        encode(0xA1, encode(_SEQUENCE, encode_oid(_MGF1), encode(_SEQUENCE, encode_oid(masked), _NULL))),
        encode(0xA2, encode_integer(length)),
    )
    try:
        return Algorithm(_RSA_PSS, parameters, hashed, resolve(_RSA_PSS, parameters))
    except DerError:
        return None


def _digest_oid(name: str) -> str | None:
    return next((found.oid for found in DIGESTS_BY_URI.values() if found.name == name), None)


def der_value(algorithm: Algorithm, value: bytes) -> bytes | None:
    """A signature value as the house has it: ECDSA's r and s (RFC 9231 §2.3.6) as DER; None where it is not of that
    form, as where somebody put the DER there."""
    if algorithm.known is None or algorithm.known.scheme is not SignatureScheme.ECDSA:
        return value
    if not value or len(value) % 2 or len(value) > 200:
        return None
    half = len(value) // 2
    numbers = (int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    return encode(_SEQUENCE, *map(encode_integer, numbers))


def _transform(element: Any) -> Transform:
    uri = (element.get("Algorithm") or "")[:_MAX_URI]
    prefixes: tuple[str, ...] = ()
    expression = kind = None
    signatures = False
    for child in _elements(element):
        name = local(child)
        if name == "InclusiveNamespaces":
            prefixes = tuple((child.get("PrefixList") or "").split())
        elif name == "XPath" and expression is None:
            expression = "".join((child.text or "").split()) if not len(child) else ""
            kind = child.get("Filter")
            signatures = child.nsmap.get("ds") == DS or child.nsmap.get("dsig") == DS
        else:
            expression = ""  # something that is not known to mean nothing
    return Transform(uri, prefixes, expression, kind, signatures)


def _elements(parent: Any) -> list[Any]:
    """The child elements, where there is nothing but white space and comments between them."""
    found = []
    if _WHITE.fullmatch(parent.text or "") is None:
        raise StructureError("xml_signature_malformed")
    for child in parent:
        if _WHITE.fullmatch(child.tail or "") is None:
            raise StructureError("xml_signature_malformed")
        if isinstance(child.tag, str):
            found.append(child)
    return found


def elements(parent: Any) -> Sequence[Any]:
    """The child elements of `parent`.  Raises `StructureError` for text between them."""
    return _elements(parent)


__all__ = [
    "Algorithm", "Parts", "ReferencePart", "StructureError", "Transform", "base64_octets", "der_value", "elements",
    "parts", "reference", "signature_algorithm",
]  # fmt: skip
