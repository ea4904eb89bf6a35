"""Making XAdES baseline B-B signatures in two steps: what is to be signed, then the value put in (EN 319 132-1 §6.3).

What stands in the document already keeps its octets: the signature is spliced in as the document element's last child.
References to XML leave out every signature (`elements.without_signatures`) and end with exclusive canonicalisation, so
that further signatures may stand beside the first.  An independent signature is never made over another one.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from signsvc.algorithms import SignatureAlgorithm, SignatureScheme, digest_by_name
from signsvc.asn1 import der
from signsvc.errors import DocumentError, RequestError
from signsvc.formats import xmlsig
from signsvc.formats.xades import elements, insert, nodes
from signsvc.formats.xades.elements import ProductionPlace, ReferenceText
from signsvc.formats.xades.names import EXCLUSIVE
from signsvc.formats.xades.places import around, at
from signsvc.formats.xades.source import Source, root_end
from signsvc.formats.xmlsig import references, structure
from signsvc.types import Certificate, Original

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class Packaging(StrEnum):
    """How signature and content stand to each other."""

    ENVELOPED = "enveloped"  # the signature inside the XML that it signs
    ENVELOPING = "enveloping"  # the files inside the signature
    DETACHED = "detached"  # the files elsewhere, referenced by name
    PARALLEL = "parallel"  # signature and signed elements beside each other in one document


@dataclass(frozen=True, slots=True)
class XmlPlan:
    """Who signs and when.  `chain` are further certificates for KeyInfo, without the signer's."""

    certificate: Certificate
    algorithm: SignatureAlgorithm
    signing_time: datetime
    chain: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class XmlSpec:
    """What is signed and what the signer says of it.

    `references` are Ids of elements of the document (enveloped: the whole document where there are none); `files` are
    what an enveloping signature holds and a detached one references by name, `media_types` theirs in the same order;
    `media_type` is that of what is referenced inside the document.  `commitments` are OIDs or URIs.  `digest` is
    hashlib's name of the references' digest; None: that of the signature algorithm.  `alone` writes the
    enveloped-signature transform, for readers that know no other: no further signature can then be added over the
    same content.  `within` is the path of the element that holds the signature as its last child (``/a/b``, local
    names; None: the document element).
    """

    packaging: Packaging = Packaging.ENVELOPED
    references: tuple[str, ...] = ()
    files: tuple[Original, ...] = ()
    media_types: tuple[str, ...] = ()
    media_type: str = "text/xml"
    roles: tuple[str, ...] = ()
    commitments: tuple[str, ...] = ()
    place: ProductionPlace | None = None
    digest: str | None = None
    alone: bool = False
    within: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that waits for its signature value.  `octets` (canonical SignedInfo) are what is signed."""

    octets: bytes
    file: bytes
    signature_id: str
    value_at: int  # where the value goes in `file`
    codec: str = "ascii"  # in which the value is written
    coordinate: int | None = None  # octets of r and of s; None: the key's value is written as it is

    def to_json(self) -> dict[str, Any]:
        """Everything as values of JSON, for a session that is kept."""
        return {
            "octets": base64.b64encode(self.octets).decode(),
            "file": base64.b64encode(self.file).decode(),
            "signature_id": self.signature_id,
            "value_at": self.value_at,
            "codec": self.codec,
            "coordinate": self.coordinate,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Prepared:
        """What `to_json` gave."""
        return cls(
            base64.b64decode(kept["octets"]),
            base64.b64decode(kept["file"]),
            kept["signature_id"],
            kept["value_at"],
            kept["codec"],
            kept["coordinate"],
        )


def prepare(data: bytes | None, plan: XmlPlan, spec: XmlSpec | None = None) -> Prepared:
    """A signature over `data` (an XML document) or over files, ready but for its value.

    Without `data` the signature is the whole document.  Raises `DocumentError` where `data` is no XML that we read,
    `RequestError` (``xml_element_not_found``) where an Id does not stand on exactly one element, ``invalid_request``
    where the packaging does not fit what is given, `ValueError` for an algorithm without XML identifier.
    """
    spec = spec or XmlSpec()
    if len(spec.media_types) > len(spec.files) or not _fits(data, spec):
        raise RequestError("invalid_request", reason="packaging")
    name = new_id()
    written, objects = _references(name, spec)
    if data is not None and spec.references:
        inside = xmlsig.parse(data)
        written = [_outside(inside, one) for one in written]
    draft = _Draft(name, plan, spec, tuple(written), objects)
    source = Source(_DECLARATION) if data is None else Source.of(data)
    if data is None:
        return _prepared(draft, source, source.octets, b"")
    if spec.within is None:
        return _prepared(draft, source, *root_end(source), within=".")
    before, after = around(source, xmlsig.parse(data).root, spec.within)
    return _prepared(draft, source, before, after, within=spec.within)


def prepare_counter(data: bytes, plan: XmlPlan, signature_id: str, spec: XmlSpec | None = None) -> Prepared:
    """A counter-signature over the value of the signature with the XML Id `signature_id` (EN 319 132-1 §5.2.7).

    Of `spec` only what the signer says counts.  Raises `DocumentError`: ``signature_not_extendable`` where the parent
    cannot hold one (no XAdES properties, no Id on its value).
    """
    spec = spec or XmlSpec()
    source = Source.of(data)
    document = xmlsig.parse(data)
    target = insert.chosen(document, signature_id)[0]
    value = nodes.first(target.element, "SignatureValue")
    value_id = value.get("Id") if value is not None else None
    if not value_id:
        raise DocumentError("signature_not_extendable", reason="value-without-id")
    name = new_id()
    draft = _Draft(name, plan, spec, (elements.countersigned_reference(f"{name}-r1", value_id),), "")
    opening, closing = elements.counter_signature()
    before, after = insert.around(source, target, source.encoded(opening), source.encoded(closing))
    return _prepared(draft, source, before, after)


def complete(prepared: Prepared, value: bytes) -> bytes:
    """The signed file.  `value` is what the key gives: ECDSA as DER, written here as r and s side by side.

    Raises `DerError` where an ECDSA value is not DER, `ValueError` where it is too large for the key.
    """
    if prepared.coordinate is not None:
        r, s = der.children(value, der.read_all(value, tag=der.SEQUENCE), limit=2)
        numbers = [der.decode_integer(value, number) for number in (r, s)]
        if any(number < 0 or number.bit_length() > 8 * prepared.coordinate for number in numbers):
            raise ValueError("signature value of another key")
        value = b"".join(number.to_bytes(prepared.coordinate, "big") for number in numbers)
    written = elements.base64_text(value).encode(prepared.codec)
    return prepared.file[: prepared.value_at] + written + prepared.file[prepared.value_at :]


@dataclass(frozen=True, slots=True)
class _Draft:
    """A signature without digests."""

    name: str
    plan: XmlPlan
    spec: XmlSpec
    references: tuple[ReferenceText, ...]
    objects: str

    @property
    def digest(self) -> str:
        return self.spec.digest or self.plan.algorithm.digest or "sha256"

    def text(self, digests: Sequence[bytes]) -> tuple[str, str]:
        """The element up to its value, and from there on."""
        plan, spec, name = self.plan, self.spec, self.name
        said = elements.signed_properties(
            f"{name}-signed",
            plan.certificate,
            (self.digest, hashlib.new(self.digest, plan.certificate.der).digest()),
            plan.signing_time,
            place=spec.place,
            roles=spec.roles,
            commitments=spec.commitments,
            formats=[(one.id, one.media_type) for one in self.references if one.media_type],
        )
        every = (*self.references, elements.properties_reference(f"{name}-rp", f"{name}-signed"))
        info = elements.signed_info(every, digests, self.digest, plan.algorithm)
        return elements.signature(name, info, elements.key_info((plan.certificate, *plan.chain)), self.objects, said)


def _prepared(draft: _Draft, source: Source, before: bytes, after: bytes, *, within: str | None = None) -> Prepared:
    """Digest what is referenced in its final place (`within`: the path of what holds it), then SignedInfo."""
    size = hashlib.new(draft.digest).digest_size
    digests = [bytes(size)] * (len(draft.references) + 1)
    head, tail = draft.text(digests)
    document = xmlsig.parse(source.written(before, source.encoded(head), source.encoded(tail), after))
    element = insert.by_id(document, draft.name)
    if within is not None and at([document.root], within) != [element.getparent()]:
        raise DocumentError("xml_malformed")
    written = list(nodes.named(nodes.first(element, "SignedInfo"), "Reference"))
    texts = (*draft.references, None)
    for number, (one, text) in enumerate(zip(written, texts, strict=True)):
        digests[number] = _digest(document, element, one, text.file if text else None, draft.digest)
    head, tail = draft.text(digests)
    begun = source.written(before, source.encoded(head))
    alone = xmlsig.parse(source.encoded(head + tail))
    octets = xmlsig.canonicalize(alone, nodes.first(alone.root, "SignedInfo"), EXCLUSIVE)
    return Prepared(
        octets,
        source.written(before, source.encoded(head), source.encoded(tail), after),
        draft.name,
        len(begun),
        source.codec or "ascii",
        coordinate(draft.plan),
    )


def _digest(document: xmlsig.Document, signature: Any, written: Any, file: Original | None, digest: str) -> bytes:
    """What goes into a reference that stands in its place."""
    if file is not None:
        found = file.digest(_oid(digest))
        if found is None:
            raise RequestError("invalid_request", reason="digest-missing")
        return found
    part = structure.reference(written)
    try:
        place = references.locate(document, signature, part, (), None)
    except references.ReferenceError_:
        raise RequestError("xml_element_not_found") from None
    try:
        octets = references.transformed(document, signature, part, place, document.limits, final=EXCLUSIVE)
    except references.ReferenceError_:  # such as a relative namespace name, which has no canonical form
        raise DocumentError("xml_malformed") from None
    return hashlib.new(digest, octets or b"").digest()


def _fits(data: bytes | None, spec: XmlSpec) -> bool:
    if spec.packaging is Packaging.ENVELOPED:
        return data is not None and not spec.files
    if spec.packaging is Packaging.PARALLEL:
        return data is not None and bool(spec.references) and not spec.files
    if spec.packaging is Packaging.ENVELOPING:
        return data is None and bool(spec.files) and all(one.data is not None for one in spec.files)
    return bool(spec.files) and not spec.references


def _references(name: str, spec: XmlSpec) -> tuple[list[ReferenceText], str]:
    """The data references, and the Objects that an enveloping signature holds."""
    found: list[ReferenceText] = []
    objects = ""
    outside = elements.without_itself() if spec.alone else elements.without_signatures()
    if spec.packaging is Packaging.ENVELOPED and not spec.references:
        transforms = outside + elements.canonical()
        return [ReferenceText(f"{name}-r1", "", spec.media_type, None, transforms)], ""
    for number, identifier in enumerate(spec.references, 1):
        transforms = outside + elements.canonical()
        found.append(ReferenceText(f"{name}-r{number}", f"#{identifier}", spec.media_type, None, transforms))
    for number, file in enumerate(spec.files, 1):
        given = spec.media_types[number - 1] if number <= len(spec.media_types) else ""
        media_type = given or "application/octet-stream"
        if spec.packaging is Packaging.ENVELOPING:
            held = f"{name}-o{number}"
            objects += elements.object_base64(held, bytes(file.data or b""), media_type)
            uri, transforms = f"#{held}", elements.decoded()
            kind = f"{nodes.DS}Object"
            found.append(ReferenceText(f"{name}-r{number}", uri, media_type, kind, transforms))
        else:
            found.append(ReferenceText(f"{name}-r{number}", elements.file_uri(file.name), media_type, file=file))
    return found, objects


def _outside(document: xmlsig.Document, reference: ReferenceText) -> ReferenceText:
    """A reference to an element that holds no signature, now or later, needs no transform that leaves them out."""
    if not reference.uri.startswith("#"):
        return reference
    element = insert.element(document, reference.uri[1:])
    if element is document.root or next(element.iter(f"{{{nodes.DS}}}Signature"), None) is not None:
        return reference
    return ReferenceText(reference.id, reference.uri, reference.media_type, reference.type, elements.canonical())


def new_id() -> str:
    return f"sig-{secrets.token_hex(8)}"


def _oid(name: str) -> str:
    found = digest_by_name(name)
    if found is None:
        raise ValueError("unknown digest algorithm")
    return found.oid


def coordinate(plan: XmlPlan) -> int | None:
    if plan.algorithm.scheme is not SignatureScheme.ECDSA:
        return None
    return ((plan.certificate.key_bits or 256) + 7) // 8


__all__ = [
    "Packaging", "Prepared", "XmlPlan", "XmlSpec", "complete", "coordinate", "new_id", "prepare", "prepare_counter",
]  # fmt: skip
