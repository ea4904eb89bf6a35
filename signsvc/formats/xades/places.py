"""Where elements stand in a document, by paths of local names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.parsers import expat

from signsvc.errors import DocumentError
from signsvc.formats.xades.source import Place, Source, extent


def at(roots: Sequence[Any], path: str) -> list[Any]:
    """The elements at an absolute path of local names below (and with) `roots`; ``.``: these themselves."""
    if path == ".":
        return list(roots)
    first, *steps = path.strip("/").split("/")
    found = [root for root in roots if _local(root) == first]
    for step in steps:
        found = [child for one in found for child in one if _local(child) == step]
    return found


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2] if isinstance(element.tag, str) else ""


def around(source: Source, root: Any, path: str) -> tuple[bytes, bytes]:
    """(octets before, octets after) the end of the element at `path`; where only its last step is missing, it is made.

    Raises `DocumentError` (``xml_path_not_found``).
    """
    found = at([root], path)
    above, _, last = path.rpartition("/")
    opening, closing = b"", b""
    if not found and above:
        found = at([root], above)
        made = True
    else:
        made = False
    if len(found) != 1:
        raise DocumentError("xml_path_not_found", path=path)
    number = next(n for n, one in enumerate(root.iter("*")) if one is found[0])
    place = located(source.octets, number)
    if made:
        prefix = f"{place.name.partition(':')[0]}:" if ":" in place.name else ""
        opening, closing = source.encoded(f"<{prefix}{last}>"), source.encoded(f"</{prefix}{last}>")
    if place.inner is not None:
        return source.octets[: place.inner] + opening, closing + source.octets[place.inner :]
    end = place.end - 2  # an empty-element tag gets an end tag
    return source.octets[:end] + b">" + opening, closing + f"</{place.name}>".encode() + source.octets[place.end :]


def located(data: bytes, number: int) -> Place:
    """Where the element with this number (from 0, in document order) stands in the octets (UTF-8)."""
    parser = expat.ParserCreate(encoding="utf-8")
    open_: list[tuple[int, int]] = []
    found: list[Place] = []
    seen = -1

    def start(_: str, __: object) -> None:
        nonlocal seen
        seen += 1
        open_.append((seen, parser.CurrentByteIndex))

    def end(name: str) -> None:
        which, begun = open_.pop()
        if which != number:
            return
        inner, after = extent(data, begun, parser.CurrentByteIndex)
        found.append(Place(name, begun, inner, after))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        raise DocumentError("xml_malformed") from None
    if len(found) != 1:
        raise DocumentError("xml_malformed")
    return found[0]


__all__ = ["around", "at", "located"]
