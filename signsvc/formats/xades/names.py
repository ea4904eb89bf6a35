"""Namespaces, types and qualifiers of XAdES (EN 319 132-1, TS 101 903)."""

from __future__ import annotations

XADES = "http://uri.etsi.org/01903/v1.3.2#"
XADES141 = "http://uri.etsi.org/01903/v1.4.1#"
XADES122 = "http://uri.etsi.org/01903/v1.2.2#"
XADES111 = "http://uri.etsi.org/01903/v1.1.1#"
# Namespaces of QualifyingProperties: 1.4.1 only adds properties to those of 1.3.2.
MAIN = frozenset((XADES, XADES122, XADES111))
EVERY = MAIN | {XADES141}

SIGNED_PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
COUNTERSIGNED_TYPE = "http://uri.etsi.org/01903#CountersignedSignature"
# Older editions name the type with their own namespace.
SIGNED_PROPERTIES_TYPES = frozenset(
    (SIGNED_PROPERTIES_TYPE, *(f"{space}SignedProperties" for space in (XADES, XADES122, XADES111)))
)

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14NS = frozenset(
    (C14N, f"{C14N}#WithComments", "http://www.w3.org/2006/12/xml-c14n11",
     "http://www.w3.org/2006/12/xml-c14n11#WithComments", EXCLUSIVE, f"{EXCLUSIVE}WithComments")
)  # fmt: skip
BASE64 = "http://www.w3.org/2000/09/xmldsig#base64"
FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"

# Commitment types (EN 319 132-1 §5.2.3, in the namespace of edition 1.2.2) by their object identifiers.
_COMMITMENTS = {
    "ProofOfOrigin": "1.2.840.113549.1.9.16.6.1",
    "ProofOfReceipt": "1.2.840.113549.1.9.16.6.2",
    "ProofOfDelivery": "1.2.840.113549.1.9.16.6.3",
    "ProofOfSender": "1.2.840.113549.1.9.16.6.4",
    "ProofOfApproval": "1.2.840.113549.1.9.16.6.5",
    "ProofOfCreation": "1.2.840.113549.1.9.16.6.6",
}
_OIDS = {f"{XADES122}{name}": oid for name, oid in _COMMITMENTS.items()}
_URIS = {oid: uri for uri, oid in _OIDS.items()}


def object_identifier(text: str) -> str:
    """The dotted OID of an ``xades:Identifier`` where it is one (``urn:oid:…``, dotted, a known commitment), else the
    identifier itself, shortened."""
    text = text.strip()
    bare = text[8:] if text[:8].lower() == "urn:oid:" else text
    if bare and len(bare) < 200 and bare.isascii() and bare.replace(".", "").isdigit():
        return bare
    return _OIDS.get(text, text[:200])


def commitment_uri(oid: str) -> str | None:
    """The URI of a commitment type, None where the standard names none."""
    return _URIS.get(oid)


__all__ = [
    "BASE64",
    "C14N",
    "C14NS",
    "COUNTERSIGNED_TYPE",
    "EVERY",
    "EXCLUSIVE",
    "FILTER2",
    "MAIN",
    "SIGNED_PROPERTIES_TYPE",
    "SIGNED_PROPERTIES_TYPES",
    "XADES",
    "XADES111",
    "XADES122",
    "XADES141",
    "commitment_uri",
    "object_identifier",
]
