"""References: what they name, and the octets that their transforms make of it (XML Signature 1.1 §4.4.3)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from signsvc.algorithms import new_hash
from signsvc.errors import DocumentError
from signsvc.formats.xmlsig import canonical
from signsvc.formats.xmlsig.canonical import CanonicalError
from signsvc.formats.xmlsig.document import Document
from signsvc.formats.xmlsig.names import (
    BASE64,
    C14N,
    ENVELOPED,
    METHODS,
    NO_SIGNATURES_XPATH,
    XPATH,
    XPATH_FILTER2,
    Method,
    ds,
)
from signsvc.formats.xmlsig.parse import Limits, tree
from signsvc.formats.xmlsig.structure import ReferencePart, Transform
from signsvc.types import Finding, Original

Resolver = Callable[[str], Original | None]
_POINTER = re.compile(r"#xpointer\(id\((['\"])([^'\"()]{1,500})\1\)\)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|/|\\")


class ReferenceError_(ValueError):  # noqa: N801, N818 - the builtin has the name
    """A reference that is not followed; the argument is a finding code."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One ds:Reference and what became of it.

    `node` is the element that it names in the document; with `whole` it is the document.  `original` is a file beside
    it.  `matches` tells whether the digest is that of the octets (None: they are not at hand, or not made), `size` how
    many octets were digested.
    """

    index: int
    part: ReferencePart
    node: Any = None
    whole: bool = False
    comments: bool = False
    original: Original | None = None
    matches: bool | None = None
    size: int | None = None
    findings: tuple[Finding, ...] = field(default=())

    @property
    def id(self) -> str | None:
        return self.part.id

    @property
    def uri(self) -> str | None:
        return self.part.uri

    @property
    def type(self) -> str | None:
        return self.part.type

    @property
    def transforms(self) -> tuple[Transform, ...]:
        return self.part.transforms

    @property
    def digest_oid(self) -> str | None:
        return self.part.digest_oid

    @property
    def digest_value(self) -> bytes:
        return self.part.digest_value


@dataclass(frozen=True, slots=True)
class Place:
    """What a URI names."""

    node: Any = None
    whole: bool = False
    comments: bool = False
    original: Original | None = None


def locate(
    document: Document,
    signature: Any,
    part: ReferencePart,
    originals: Sequence[Original],
    resolver: Resolver | None,
    *,
    alone: bool = False,
) -> Place:
    """What the reference names: nothing outside the document but what the caller gave.  One that is `alone` with its
    kind in a signature means the one file that was given, whatever its name; without a URI it means no other.

    Raises `ReferenceError_`: ``xml_id_not_found``, ``xml_id_not_unique``, ``xml_reference_external``,
    ``xml_reference_pointer``, ``xml_content_missing``.
    """
    uri = part.uri
    if uri == "":
        return Place(document.root, whole=True)
    if uri is not None and uri.startswith("#"):
        if uri == "#xpointer(/)":
            return Place(document.root, whole=True, comments=True)
        pointed = _POINTER.fullmatch(uri)
        if pointed is None and ("(" in uri or uri == "#"):
            raise ReferenceError_("xml_reference_pointer")
        name = pointed[2] if pointed else uri[1:]
        return Place(_by_id(document, signature, name, part.type), comments=pointed is not None)
    return Place(original=_beside(part, uri, originals, resolver, alone))


def _by_id(document: Document, signature: Any, name: str, kind: str | None) -> Any:
    # Some readers decode what is behind "#" and others do not: both have to find the same element.
    found = list(dict.fromkeys((*document.named(name), *document.named(unquote(name)))))
    if len(found) > 1 and kind is not None and kind.endswith("#SignedProperties"):
        # Some programs give every signature's properties the same Id.
        found = [one for one in found if one.getparent() is not None and signature in one.iterancestors()]
    if not found:
        raise ReferenceError_("xml_id_not_found")
    if len(found) > 1:
        raise ReferenceError_("xml_id_not_unique")
    return found[0]


def _beside(
    part: ReferencePart, uri: str | None, originals: Sequence[Original], resolver: Resolver | None, alone: bool
) -> Original | None:
    if resolver is not None:
        found = resolver(uri) if uri is not None else None
        if found is None:
            raise ReferenceError_("xml_content_missing")
        return found
    if uri is not None:
        name = unquote(uri)
        named = [one for one in originals if one.name in (name, uri) or name.rpartition("/")[2] == one.name]
        if len(named) == 1:
            return named[0]
    if part.digest_oid is not None and not part.transforms and uri is not None:
        same = [one for one in originals if one.digest(part.digest_oid) == part.digest_value]
        if same:
            return same[0]
    if len(originals) == 1 and alone:
        return originals[0]
    raise ReferenceError_("xml_reference_external" if uri is not None and _SCHEME.match(uri) else "xml_content_missing")


def digest(
    document: Document, signature: Any, part: ReferencePart, place: Place, limits: Limits
) -> tuple[bytes | None, int | None]:
    """The digest of what the transforms make, and how many octets that is; (None, None) where only other digests of
    the content are known.  Raises `ReferenceError_`."""
    if part.digest_oid is None:
        raise ReferenceError_("xml_digest_unknown")
    if place.original is not None and not part.transforms:
        return place.original.digest(part.digest_oid), place.original.size
    made = transformed(document, signature, part, place, limits, final=C14N)
    if made is None:
        return None, None
    hashed = new_hash(part.digest_oid)
    hashed.update(made)
    return bytes(hashed.digest()), len(made)


def transformed(
    document: Document, signature: Any, part: ReferencePart, place: Place, limits: Limits, *, final: str
) -> bytes | None:
    """The octets that a reference digests; a node-set that is left is canonicalised with the method at `final`.  None
    where the content is not at hand.  Raises `ReferenceError_`."""
    if len(part.transforms) > limits.transforms:
        raise ReferenceError_("xml_too_many_transforms")
    if place.original is not None:
        if place.original.data is None:
            return None
        made: bytes | None = bytes(place.original.data)
    else:
        made = None
    cuts: list[Any] = []
    for transform in part.transforms:
        method = METHODS.get(transform.uri)
        if method is not None:
            made = _canonical(document, place, cuts, Method(method.name, method.comments, transform.prefixes), made)
        elif transform.uri == BASE64:
            made = _decoded(document, place, cuts, made)
        elif transform.uri == ENVELOPED or _drops_signatures(transform):
            if made is not None:
                raise ReferenceError_("xml_transforms_reordered")
            apex = None if place.whole else place.node
            if transform.uri == ENVELOPED:
                cuts.append(signature)
            else:
                cuts += list((document.root if apex is None else apex).iter(ds("Signature")))
        else:
            raise ReferenceError_("xml_transform_not_allowed")
    if made is None:
        found = METHODS.get(final)
        if found is None:
            raise ReferenceError_("xml_canonicalization_unknown")
        made = _canonical(document, place, cuts, found, None)
    return made


def _canonical(document: Document, place: Place, cuts: Sequence[Any], method: Method, made: bytes | None) -> bytes:
    try:
        if made is not None:
            document.spend(len(made))
            return canonical.octets(Document(tree(made, document.limits), made, document.limits), None, method)
        if method.comments and not place.comments:
            method = Method(method.name, False, method.prefixes)
        return canonical.octets(document, None if place.whole else place.node, method, cuts)
    except CanonicalError:
        raise ReferenceError_("xml_canonicalization_unknown") from None
    except DocumentError as error:
        if error.code == "document_too_complex":
            raise
        raise ReferenceError_("xml_content_not_xml") from None


def _decoded(document: Document, place: Place, cuts: Sequence[Any], made: bytes | None) -> bytes:
    if made is None:
        if cuts:
            raise ReferenceError_("xml_transforms_reordered")
        if len(place.node):  # markup and comments between the letters would not be signed
            raise ReferenceError_("xml_value_malformed")
        made = (place.node.text or "").encode()
    document.spend(len(made))
    try:
        return base64.b64decode(b"".join(made.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ReferenceError_("xml_value_malformed") from None


def _drops_signatures(transform: Transform) -> bool:
    """The two XPath spellings that mean: without any signature."""
    if not transform.signatures or transform.expression is None:
        return False
    expression = transform.expression.replace("dsig:", "ds:")
    if transform.uri == XPATH:
        return expression == NO_SIGNATURES_XPATH
    subtracts = transform.filter == "subtract" and expression in ("/descendant::ds:Signature", "//ds:Signature")
    return transform.uri == XPATH_FILTER2 and subtracts


__all__ = ["Place", "Reference", "ReferenceError_", "Resolver", "digest", "locate", "transformed"]
