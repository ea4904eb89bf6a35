"""Where unsigned properties go in a document that is there already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from signsvc.errors import DocumentError, RequestError
from signsvc.formats import xmlsig
from signsvc.formats.xades import elements, nodes, properties
from signsvc.formats.xades.names import XADES
from signsvc.formats.xades.source import Place, Source, locate

_HOLDER = "Object/QualifyingProperties"
_UNSIGNED = f"{_HOLDER}/UnsignedProperties"
_INNER = f"{_UNSIGNED}/UnsignedSignatureProperties"
_PATHS = frozenset((_HOLDER, _UNSIGNED, _INNER))


@dataclass(frozen=True, slots=True)
class Target:
    """A XAdES signature to which properties are added; `number` counts all ds:Signature elements of the document."""

    element: Any
    number: int
    properties: tuple[Any, ...]  # its unsigned signature properties


@dataclass(frozen=True, slots=True)
class Addition:
    """Text to add to a signature's unsigned properties: at the end, or right behind the property at `after`."""

    target: Target
    text: str
    after: int | None = None


def element(document: xmlsig.Document, identifier: str) -> Any:
    """The only element with this Id.  Raises `RequestError` (``xml_element_not_found``)."""
    found = document.named(identifier)
    if len(found) != 1:
        raise RequestError("xml_element_not_found")
    return found[0]


def by_id(document: xmlsig.Document, identifier: str) -> Any:
    """The ds:Signature with this Id.  Raises `RequestError` (``xml_element_not_found``)."""
    found = [one for one in document.root.iter(f"{{{nodes.DS}}}Signature") if one.get("Id") == identifier]
    if len(found) != 1:
        raise RequestError("xml_element_not_found")
    return found[0]


def chosen(document: xmlsig.Document, signature_id: str | None = None) -> list[Target]:
    """The signatures that can hold unsigned properties: the one with this XML Id, or all top-level ones.

    Raises `RequestError` where there is none with the Id, `DocumentError` (``signature_not_extendable``) where it, or
    none of them, is a XAdES signature of edition 1.3.2.
    """
    wanted = document.signatures if signature_id is None else (by_id(document, signature_id),)
    numbers = {one: number for number, one in enumerate(document.root.iter(f"{{{nodes.DS}}}Signature"))}
    found = []
    for one in wanted:
        holders = properties.qualifying(one)
        if len(holders) == 1 and nodes.namespace(holders[0]) == XADES:
            found.append(Target(one, numbers[one], tuple(properties.unsigned_properties(holders[0]))))
    if not found:
        raise DocumentError("signature_not_extendable", reason="not-xades")
    return found


def added(data: bytes, additions: Sequence[Addition]) -> bytes:
    """The document with all additions."""
    source = Source.of(data)
    places = locate(source, frozenset(one.target.number for one in additions), _PATHS)
    cuts = [_cut(places[one.target.number], source.encoded(one.text), one.after) for one in additions]
    pieces: list[bytes] = []
    at = 0
    for start, end, text in sorted(cuts, key=lambda cut: cut[0]):
        pieces += (source.octets[at:start], text)
        at = end
    return source.written(*pieces, source.octets[at:])


def around(source: Source, target: Target, opening: bytes, closing: bytes) -> tuple[bytes, bytes]:
    """(before, after) of a place at the end of the unsigned properties, between `opening` and `closing`."""
    mark = b"\0"  # stands in no XML document
    start, end, text = _cut(
        locate(source, frozenset((target.number,)), _PATHS)[target.number], opening + mark + closing, None
    )
    before, _, after = text.partition(mark)
    return source.octets[:start] + before, after + source.octets[end:]


def _cut(places: dict[str, Place], text: bytes, after: int | None) -> tuple[int, int, bytes]:
    """(start, end, octets): what to put in place of the document's octets from start to end."""
    inner = places.get(_INNER)
    if inner is not None:
        if after is not None and inner.children:
            at = inner.children[after][2]
            return at, at, text
        return _into(inner, text)
    opening, closing = elements.unsigned_signature_properties()
    wrapped = opening.encode() + text + closing.encode()
    unsigned = places.get(_UNSIGNED)
    if unsigned is not None:
        # Before what else is there (unsigned data object properties), as the schema has it.
        if unsigned.children:
            at = unsigned.children[0][1]
            return at, at, wrapped
        return _into(unsigned, wrapped)
    holder = places.get(_HOLDER)
    if holder is None:
        raise DocumentError("signature_not_extendable", reason="not-xades")
    opening, closing = elements.unsigned_properties()
    return _into(holder, opening.encode() + wrapped + closing.encode())


def _into(place: Place, text: bytes) -> tuple[int, int, bytes]:
    if place.inner is not None:
        return place.inner, place.inner, text
    end = place.end - 2  # an empty-element tag gets an end tag
    return end, place.end, b">" + text + f"</{place.name}>".encode()


__all__ = ["Addition", "Target", "added", "around", "by_id", "chosen", "element"]
