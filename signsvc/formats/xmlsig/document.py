"""A parsed XML document: its elements by Id, its signatures."""

from __future__ import annotations

import functools
import mmap
from itertools import islice
from typing import Any

from signsvc.errors import DocumentError
from signsvc.formats.xmlsig import parse as parsing
from signsvc.formats.xmlsig.names import XML, ds
from signsvc.formats.xmlsig.parse import LIMITS, Limits

# Every spelling under which some reader takes an attribute for an Id.
_IDS = ("Id", "ID", "id", f"{{{XML}}}id")
_HOLDERS = "//*[@Id or @ID or @id or @xml:id]"
# So many names are looked for one by one.
_FEW = 4
# Elements of one name before another are counted so far.
_COUNTED = 1_000
_UNSIGNED = frozenset(("UnsignedProperties", "UnsignedSignatureProperties"))


class Document:
    """An XML document in memory.  Not for several threads: canonicalising marks the tree for a moment."""

    def __init__(self, tree: Any, data: bytes | mmap.mmap, limits: Limits = LIMITS) -> None:
        self.tree = tree
        self.root: Any = tree.getroot()
        self.data = data
        self.limits = limits
        self._named: dict[str, list[Any]] = {}
        self._index: dict[str, list[Any]] | None = None
        self.left = limits.digested * (len(data) + 1_000_000)  # octets that may still be made of it

    def spend(self, octets: int) -> None:
        """Count octets that were made of the document.  Raises `DocumentError` where they are too many in all."""
        self.left -= octets
        if self.left < 0:
            raise DocumentError("document_too_complex", limit="references")

    def named(self, name: str) -> list[Any]:
        """The elements of which an Id attribute, in any spelling, is `name`; an empty name is nobody's."""
        if not name:
            return []
        found = self._named.get(name)
        if found is None and self._index is None and len(self._named) < _FEW:
            found = [element for element in _with_value()(self.root, n=name) if _is_id(element, name)]
            self._named[name] = found
        if found is None:
            if self._index is None:
                self._index = self._indexed()
            found = self._index.get(name, [])
        return found

    def _indexed(self) -> dict[str, list[Any]]:
        """For many names: looking through all attributes for each would take the square."""
        found: dict[str, list[Any]] = {}
        for element in self.root.xpath(_HOLDERS):
            for value in {element.get(name) for name in _IDS} - {None, ""}:
                found.setdefault(value, []).append(element)
        return found

    @functools.cached_property
    def signatures(self) -> tuple[Any, ...]:
        """The ds:Signature elements in document order, without those among another's unsigned properties.

        Raises `DocumentError` (``document_too_complex``) for more than the limit.
        """
        every = list(self.root.iter(ds("Signature")))
        if len(every) > self.limits.signatures:
            raise DocumentError("document_too_complex", limit="signatures")
        return tuple(element for element in every if not _countersigns(element))

    def path(self, element: Any) -> str:
        """Where an element stands: local names from the root, such as ``/a/b/c``, with its place where one of several
        of its name is meant, such as ``/a/b[2]`` (up to some number)."""
        return "/" + "/".join(reversed([_step(one) for one in (element, *element.iterancestors())]))


def parse(data: bytes | mmap.mmap, limits: Limits = LIMITS) -> Document:
    """The document in `data`; see `parse.tree` for what is raised."""
    return Document(parsing.tree(data, limits), data, limits)


def local(element: Any) -> str:
    """The local name of an element; empty for comments and instructions."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


@functools.cache
def _with_value() -> Any:
    """Elements with an attribute of the value `n`."""
    from lxml import etree

    return etree.XPath("//@*[. = $n]/..")


def _is_id(element: Any, name: str) -> bool:
    return any(element.get(spelling) == name for spelling in _IDS)


def _step(element: Any) -> str:
    before = sum(1 for _ in islice(element.itersiblings(element.tag, preceding=True), _COUNTED))
    if not before and next(element.itersiblings(element.tag), None) is None:
        return local(element)
    return f"{local(element)}[{before + 1 if before < _COUNTED else '…'}]"


def _countersigns(element: Any) -> bool:
    inside = False
    for above in element.iterancestors():
        if local(above) in _UNSIGNED:
            inside = True
        elif inside and above.tag == ds("Signature"):
            return True
    return False


__all__ = ["Document", "local", "parse"]
