"""Namespaces and algorithm identifiers of XML signatures (XML Signature 1.1, RFC 6931, RFC 9231)."""

from __future__ import annotations

from dataclasses import dataclass

from signsvc.algorithms import DIGESTS, DigestAlgorithm

DS = "http://www.w3.org/2000/09/xmldsig#"
XML = "http://www.w3.org/XML/1998/namespace"


def ds(local: str) -> str:
    """The qualified name of an element of XML Signature."""
    return f"{{{DS}}}{local}"


ENVELOPED = f"{DS}enveloped-signature"
BASE64 = f"{DS}base64"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XPATH_FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
OBJECT_TYPE = f"{DS}Object"
MANIFEST_TYPE = f"{DS}Manifest"

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N11 = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


@dataclass(frozen=True, slots=True)
class Method:
    """A canonicalisation method; `prefixes` is the InclusiveNamespaces PrefixList, ``#default`` included."""

    name: str  # "1.0", "1.1" or "exclusive"
    comments: bool = False
    prefixes: tuple[str, ...] = ()

    @property
    def exclusive(self) -> bool:
        return self.name == "exclusive"

    @property
    def uri(self) -> str:
        base = {"1.0": C14N, "1.1": C14N11, "exclusive": EXCLUSIVE}[self.name]
        if not self.comments:
            return base
        return f"{base}WithComments" if self.exclusive else f"{base}#WithComments"


CANONICAL_1_0 = Method("1.0")
METHODS = {
    method.uri: method for name in ("1.0", "1.1", "exclusive") for method in (Method(name), Method(name, comments=True))
}

DIGESTS_BY_URI: dict[str, DigestAlgorithm] = {found.xml_uri: found for found in DIGESTS if found.xml_uri}
DIGESTS_BY_URI["http://www.w3.org/2001/04/xmldsig-more#md5"] = next(d for d in DIGESTS if d.name == "md5")

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
PSS = f"{_MORE_2007}rsa-pss"  # with its parameters as a child element (RFC 9231 §2.3.9)

# Signature algorithm by URI: OID of the algorithm and hashlib name of its digest.
SIGNATURES: dict[str, tuple[str, str]] = {
    f"{DS}rsa-sha1": ("1.2.840.113549.1.1.5", "sha1"),
    f"{_MORE}rsa-md5": ("1.2.840.113549.1.1.4", "md5"),
    f"{_MORE}rsa-sha224": ("1.2.840.113549.1.1.14", "sha224"),
    f"{_MORE}rsa-sha256": ("1.2.840.113549.1.1.11", "sha256"),
    f"{_MORE}rsa-sha384": ("1.2.840.113549.1.1.12", "sha384"),
    f"{_MORE}rsa-sha512": ("1.2.840.113549.1.1.13", "sha512"),
    f"{_MORE}ecdsa-sha1": ("1.2.840.10045.4.1", "sha1"),
    f"{_MORE}ecdsa-sha224": ("1.2.840.10045.4.3.1", "sha224"),
    f"{_MORE}ecdsa-sha256": ("1.2.840.10045.4.3.2", "sha256"),
    f"{_MORE}ecdsa-sha384": ("1.2.840.10045.4.3.3", "sha384"),
    f"{_MORE}ecdsa-sha512": ("1.2.840.10045.4.3.4", "sha512"),
    f"{_MORE_2007}ecdsa-sha3-256": ("2.16.840.1.101.3.4.3.10", "sha3_256"),
    f"{_MORE_2007}ecdsa-sha3-384": ("2.16.840.1.101.3.4.3.11", "sha3_384"),
    f"{_MORE_2007}ecdsa-sha3-512": ("2.16.840.1.101.3.4.3.12", "sha3_512"),
}
# RSASSA-PSS whose mask and salt follow from the digest (RFC 9231 §2.3.10).
SIGNATURES_PSS: dict[str, str] = {
    f"{_MORE_2007}{written}-rsa-MGF1": name
    for written, name in (
        ("sha1", "sha1"),
        ("sha224", "sha224"),
        ("sha256", "sha256"),
        ("sha384", "sha384"),
        ("sha512", "sha512"),
        ("sha3-256", "sha3_256"),
        ("sha3-384", "sha3_384"),
        ("sha3-512", "sha3_512"),
    )
}

# The two ways to say "without any signature" that are taken for what they mean.
NO_SIGNATURES_XPATH = "not(ancestor-or-self::ds:Signature)"
