"""One ds:Signature: structure, key, value, references; in this order, so that nothing unsigned is followed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from signsvc.algorithms import SignatureCheck, verify_value
from signsvc.asn1 import DerError
from signsvc.errors import DocumentError
from signsvc.formats.xmlsig import canonical, references
from signsvc.formats.xmlsig.canonical import CanonicalError
from signsvc.formats.xmlsig.document import Document, local
from signsvc.formats.xmlsig.names import MANIFEST_TYPE, METHODS, ds
from signsvc.formats.xmlsig.references import Place, Reference, ReferenceError_, Resolver
from signsvc.formats.xmlsig.structure import (
    Parts,
    ReferencePart,
    StructureError,
    base64_octets,
    der_value,
    elements,
    parts,
    reference,
)
from signsvc.types import Certificate, Covered, Finding, Original, SignatureValue

_PROPERTIES = "#SignedProperties"
_COUNTERSIGNED = "#CountersignedSignature"
_MAX_CERTIFICATES, _MAX_URI = 100, 200
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"
_MAX_CANDIDATES = 10  # whose keys are tried before references are followed
_FEW_TAGS = 20  # by which lxml looks for elements without making each of them an object


@dataclass(frozen=True, slots=True)
class XmlSignature:
    """A ds:Signature as read.  `value` is None where its structure or method is none that is read here; `findings` say
    why.  `digest_matches` is true where every reference has the digest it names, None where none is known to differ but
    octets of some are not at hand."""

    element: Any
    id: str | None
    c14n_uri: str
    value: SignatureValue | None
    digest_oid: str
    references: tuple[Reference, ...]
    manifest: tuple[Reference, ...]
    certificates: tuple[Certificate, ...]
    crls: tuple[bytes, ...]
    objects: tuple[Any, ...]
    digest_matches: bool | None
    covered: tuple[Covered, ...]
    full: bool  # whether all content of the document but signatures is covered
    findings: tuple[Finding, ...]


def read_signature(
    document: Document,
    element: Any,
    *,
    originals: Sequence[Original] = (),
    subject: str,
    resolver: Resolver | None = None,
    certificates: Iterable[Certificate] = (),
) -> XmlSignature:
    """Read the ds:Signature `element` of `document`.

    References outside the document are looked up by `resolver`, or among `originals`; no URL is ever opened.
    `certificates` may hold the signer's where KeyInfo does not.  Where a certificate is at hand and none of their keys
    made the value, no reference is followed.  Never raises for what a signature says, but `DocumentError`
    (``document_too_complex``) where it costs too much.
    """
    notes: list[Finding] = []

    def note(code: str) -> None:
        notes.append(Finding.of(code, subject=subject))

    try:
        found = parts(element, references=document.limits.references)
    except StructureError as error:
        note(str(error))
        return _nothing(element, notes)
    held, crls = _key_info(found.key_info, note)
    octets = b""
    try:
        octets = canonical.canonicalize(document, found.signed_info, found.method.uri, found.method.prefixes)
    except CanonicalError:
        note("xml_canonicalization_unknown")
    value = _value(found, octets, note) if octets else None
    candidates = (*held, *certificates)
    made = value is None or not candidates or _made_by(value, found, candidates)
    read: list[Reference] = []
    listed: list[Reference] = []
    if value is not None and made:
        alone = _alone(found.references)
        read = [
            _followed(document, element, i, p, originals, resolver, subject, alone)
            for i, p in enumerate(found.references)
        ]
        listed = _manifests(document, element, read, originals, resolver, subject)
    else:
        read = [Reference(index, part) for index, part in enumerate(found.references)]
    for one in (*read, *listed):
        notes += one.findings
    matches = _all_match(read, value is not None and made)
    covered, full = _covered(document, element, (*read, *listed))
    if value is not None and matches and covered and _nothing_of(document, covered, element):
        note("xml_signature_covers_nothing")
    if value is not None and matches and not full and covered:
        notes += _partial(document, (*read, *listed), subject)
    if matches and _comments((*read, *listed)):
        note("xml_comments_not_covered")
    return XmlSignature(
        element=element,
        id=element.get("Id"),
        c14n_uri=found.method.uri,
        value=value,
        digest_oid=next((part.digest_oid for part in found.references if part.digest_oid), ""),
        references=tuple(read),
        manifest=tuple(listed),
        certificates=tuple(dict.fromkeys(held)),
        crls=crls,
        objects=found.objects,
        digest_matches=matches,
        covered=covered,
        full=full,
        findings=tuple(notes),
    )


def reference_octets(document: Document, signature: XmlSignature, reference: Reference, *, c14n_uri: str) -> bytes:
    """What a reference digests; a node-set that its transforms leave is canonicalised with the method at `c14n_uri`
    (as archive timestamps want it).  Raises `ValueError` where it is not at hand."""
    place = Place(reference.node, reference.whole, reference.comments, reference.original)
    if place.node is None and place.original is None:
        raise ValueError("not at hand")
    made = references.transformed(document, signature.element, reference.part, place, document.limits, final=c14n_uri)
    if made is None:
        raise ValueError("not at hand")
    return made


def _nothing(element: Any, notes: list[Finding]) -> XmlSignature:
    return XmlSignature(element, element.get("Id"), "", None, "", (), (), (), (), (), None, (), False, tuple(notes))


def _value(found: Parts, octets: bytes, note: Any) -> SignatureValue | None:
    algorithm = found.algorithm
    if algorithm is None:
        note("xml_signature_method_unknown")
        return None
    value = der_value(algorithm, found.value)
    if value is None:
        note("xml_ecdsa_value_der")
        value = b"\x00"  # no value of any key
    return SignatureValue(algorithm.oid, algorithm.parameters, algorithm.digest_oid, value, octets)


def _made_by(value: SignatureValue, found: Parts, candidates: Iterable[Certificate]) -> bool:
    known = found.algorithm.known if found.algorithm else None
    return any(
        verify_value(certificate, known, value.value, message=value.message) is SignatureCheck.VALID
        for certificate in islice(dict.fromkeys(candidates), _MAX_CANDIDATES)
    )


def _key_info(key_info: Any, note: Any) -> tuple[list[Certificate], tuple[bytes, ...]]:
    """Certificates and lists of X509Data; nothing else in KeyInfo is ever a key."""
    held: list[Certificate] = []
    lists: list[bytes] = []
    others: set[str] = set()
    for child in key_info if key_info is not None else ():
        if child.tag != ds("X509Data"):
            others.add(local(child))
            continue
        for item in child:
            name = local(item)
            if name not in ("X509Certificate", "X509CRL") or len(held) >= _MAX_CERTIFICATES:
                continue
            try:
                octets = base64_octets(item)
                if name == "X509CRL":
                    lists.append(octets)
                else:
                    held.append(Certificate.from_der(octets))
            except (StructureError, DerError, IndexError):
                note("xml_certificate_unreadable")
    if not held and others & {"KeyValue", "RetrievalMethod", "KeyInfoReference", "DEREncodedKeyValue", "PGPData"}:
        note("xml_key_without_certificate")
    return held, tuple(lists)


def _followed(
    document: Document,
    signature: Any,
    index: int,
    part: ReferencePart,
    originals: Sequence[Original],
    resolver: Resolver | None,
    subject: str,
    alone: bool,
) -> Reference:
    made = Reference(index, part)
    shown = (part.uri or "")[:_MAX_URI]
    try:
        place = references.locate(document, signature, part, originals, resolver, alone=alone)
        made = replace(made, node=place.node, whole=place.whole, comments=place.comments, original=place.original)
        digest, size = references.digest(document, signature, part, place, document.limits)
    except ReferenceError_ as error:
        code = str(error)
        note = Finding.of(code, subject=subject, uri=shown)
        return replace(made, findings=(note,))
    if digest is None:
        return replace(made, findings=(Finding.of("xml_content_missing", subject=subject, uri=shown),))
    if digest == part.digest_value:
        return replace(made, matches=True, size=size)
    note = Finding.of("xml_reference_altered", subject=subject, uri=shown)
    return replace(made, matches=False, size=size, findings=(note,))


def _alone(parts: Iterable[ReferencePart]) -> bool:
    """Whether no more than one of the references leads out of the document."""
    return sum(part.uri is None or not (part.uri == "" or part.uri.startswith("#")) for part in parts) <= 1


def _manifests(
    document: Document,
    signature: Any,
    read: Sequence[Reference],
    originals: Sequence[Original],
    resolver: Resolver | None,
    subject: str,
) -> list[Reference]:
    """The references of signed ds:Manifest elements (§5.1)."""
    found: list[Reference] = []
    for one in read:
        manifest = one.node
        if one.type != MANIFEST_TYPE or manifest is None or manifest.tag != ds("Manifest") or not one.matches:
            continue
        try:
            listed = [reference(child) for child in elements(manifest)]
        except StructureError:
            listed = []
        if not listed or len(listed) + len(found) > document.limits.references:
            raise DocumentError("document_too_complex", limit="references")
        found += [
            _followed(document, signature, i, part, originals, resolver, subject, _alone(listed))
            for i, part in enumerate(listed)
        ]
    return found


def _all_match(read: Sequence[Reference], followed: bool) -> bool | None:
    if not followed:
        return None
    answers = {one.matches for one in read}
    if False in answers:
        return False
    return None if None in answers else True


def _covered(document: Document, signature: Any, read: Sequence[Reference]) -> tuple[tuple[Covered, ...], bool]:
    found: list[Covered] = []
    full = False
    for one in read:
        if one.type is not None and one.type.endswith(_PROPERTIES):
            continue
        uri = (one.uri or "")[:_MAX_URI] or None
        kind, name = "file", uri or "?"
        if one.original is not None:
            name = one.original.name[:_MAX_URI]
        elif one.node is not None:
            kind, name = _kind(document, signature, one), document.path(one.node)
            full = full or (kind == "document" and one.matches is True)
        found.append(Covered(kind, name, one.matches, one.digest_oid, one.size, uri, digest=one.digest_value))
    if not full and found and all(one.kind in ("file", "object") and one.matches for one in found):
        nodes = {one.node for one in read if one.node is not None and one.matches}
        alone = document.root.tag == ds("Signature") or not _content(document)
        full = alone and not any(_left_out(held, nodes) for held in signature.iterchildren(ds("Object")))
    return tuple(found), full


def _content(document: Document) -> bool:
    """Whether the document holds anything beside signatures."""
    root = document.root
    return (
        bool((root.text or "").strip())
        or any(not name.startswith(_INSTANCE) for name in root.attrib)
        or any((child.tail or "").strip() for child in root)
        or any(isinstance(child.tag, str) and child.tag != ds("Signature") for child in root)
    )


def _left_out(held: Any, nodes: set[Any]) -> bool:
    """Whether a ds:Object has content under none of `nodes`; qualifying properties say themselves what is signed."""
    if held in nodes:
        return False
    if (held.text or "").strip() or any((child.tail or "").strip() for child in held):
        return True
    return any(
        child not in nodes and local(child) != "QualifyingProperties" for child in held if isinstance(child.tag, str)
    )


def _kind(document: Document, signature: Any, one: Reference) -> str:
    if one.node is document.root and signature is not document.root:
        return "document"
    if one.node.tag == ds("SignatureValue") or (one.type or "").endswith(_COUNTERSIGNED):
        return "signature"
    return "object" if signature is one.node or signature in one.node.iterancestors() else "element"


def _nothing_of(document: Document, covered: Iterable[Covered], signature: Any) -> bool:
    """Whether a signature in a document with content covers only what it holds itself."""
    outside = document.root is not signature and _content(document)
    return outside and all(one.kind == "object" for one in covered)


def _comments(read: Iterable[Reference]) -> bool:
    """Whether comments stand in what is covered: they are not, and cut texts in pieces for careless readers."""
    from lxml import etree

    def kept(one: Reference) -> bool:
        return any((found := METHODS.get(t.uri)) is not None and found.comments for t in one.transforms)

    return any(
        one.node is not None
        and one.matches
        and not (one.comments and kept(one))
        and next(one.node.iter(etree.Comment), None) is not None
        for one in read
    )


def _partial(document: Document, read: Sequence[Reference], subject: str) -> list[Finding]:
    """Only parts are covered: say so; and where an element of the same name stands elsewhere, uncovered, as in
    wrapping attacks, it cannot be told which of them is meant.  One pass over the document, whatever is covered."""
    nodes = {one.node for one in read if one.node is not None and one.matches}
    whole = [node for node in nodes if not any(above in nodes for above in node.iterancestors())]
    tags = {node.tag for node in whole if node is not document.root and _is_content(node)}
    found = [Finding.of("xml_signature_covers_part", subject=subject)]
    if not tags:
        return found
    wanted = tags if len(tags) <= _FEW_TAGS else ()
    every = Counter(element.tag for element in document.root.iter(*wanted))
    for node in whole:
        every.subtract(element.tag for element in node.iter(*wanted))
    for parent in {node.getparent() for node in whole} - {None}:
        every.subtract(child.tag for child in parent.iterchildren(*wanted) if child not in nodes)
    left = sorted(tag for tag in tags if every[tag] > 0)
    if left:
        name = left[0].rpartition("}")[2][:_MAX_URI]
        found.append(Finding.of("xml_covered_namesake", subject=subject, name=name))
    return found


def _is_content(node: Any) -> bool:
    return not node.tag.startswith(ds("")) and not node.tag.endswith("}SignedProperties")


__all__ = ["XmlSignature", "read_signature", "reference_octets"]
