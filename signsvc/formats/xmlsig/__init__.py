"""XML signatures (XML Signature 1.1) read safely: bounded, by position, without a network, X.509 keys alone.

`parse` gives a `Document`; `read_signature` an `XmlSignature` with each `Reference` and what it covers; `canonicalize`
and `reference_octets` make the octets that timestamps are over.  What is wrong is said in findings.
"""

from signsvc.formats.xmlsig.canonical import CanonicalError, canonicalize
from signsvc.formats.xmlsig.document import Document, parse
from signsvc.formats.xmlsig.parse import LIMITS, Limits
from signsvc.formats.xmlsig.read import XmlSignature, read_signature, reference_octets
from signsvc.formats.xmlsig.references import Reference, Resolver

__all__ = [
    "LIMITS", "CanonicalError", "Document", "Limits", "Reference", "Resolver", "XmlSignature", "canonicalize", "parse",
    "read_signature", "reference_octets",
]  # fmt: skip
