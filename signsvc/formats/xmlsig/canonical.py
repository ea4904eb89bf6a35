"""Canonical XML 1.0 and 1.1, inclusive and exclusive, of a document or of an element within it.

libxml2 canonicalises whole documents right, and elements exclusively; inclusively, an element is canonicalised by lxml
as if it were a document's, which is wrong where namespaces or `xml:` attributes are inherited.  So a small element is
serialised with what it inherits and read again; a large one is cut out of the canonical form of its whole document,
where processing instructions mark its place, and gets the start tag that an apex has.  Signatures that a transform
takes out are cut out of the octets in the same way: no node is ever moved.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from signsvc.formats.xmlsig.document import Document
from signsvc.formats.xmlsig.names import METHODS, XML, Method
from signsvc.formats.xmlsig.parse import again

_SMALL_NODES, _SMALL_TEXT = 400, 100_000
_ATTRIBUTE = re.compile(rb' ([^\s=]+)="([^"]*)"')
_START = re.compile(rb'<([^\s/>]+)((?: [^\s=]+="[^"]*")*)>')
_INHERITED = {"1.0": None, "1.1": ("lang", "space")}


class CanonicalError(ValueError):
    """A canonicalisation that is not done here; the argument is a short name."""


def method_of(uri: str, prefixes: Sequence[str] = ()) -> Method:
    """The canonicalisation named by `uri`.  Raises `CanonicalError` where it is none."""
    found = METHODS.get(uri)
    if found is None:
        raise CanonicalError("unknown")
    return Method(found.name, found.comments, tuple(prefixes)) if prefixes and found.exclusive else found


def canonicalize(document: Document, element: Any, uri: str, prefixes: Sequence[str] = ()) -> bytes:
    """The canonical octets of `element` (None: of the document) as the method at `uri` has them.

    Raises `CanonicalError` for an unknown method, and in C14N 1.1 where `xml:base` would have to be joined.
    """
    return octets(document, element, method_of(uri, prefixes))


def octets(document: Document, apex: Any, method: Method, cuts: Sequence[Any] = ()) -> bytes:
    """The canonical octets of the element `apex` (None: of the document) without the elements `cuts` within it."""
    outer = _outermost(cuts, apex)
    if apex is not None and any(cut is apex for cut in cuts):
        return b""
    if apex is None and any(cut is document.root for cut in cuts):
        outer = [document.root]
    with _marked(outer) as mark:
        made = _made(document, apex, method)
    document.spend(len(made))
    return made if mark is None else _without(made, mark)


def _made(document: Document, apex: Any, method: Method) -> bytes:
    if apex is None:
        return _whole(document, method)
    if apex is document.root and not method.exclusive:
        return _root(document, _whole(document, method), method)
    if method.exclusive:
        return _written(apex, method)
    inherited = _inherited(apex, method)
    if _small(apex):
        return _reread(apex, method, inherited)
    return _cut_out(document, apex, method, inherited)


def _whole(document: Document, method: Method) -> bytes:
    return _written(document.tree, method)


def _written(node: Any, method: Method) -> bytes:
    from lxml import etree

    prefixes = list(method.prefixes) or None
    if prefixes is not None:
        prefixes = [prefix for prefix in prefixes if prefix != "#default"]
        if len(prefixes) != len(method.prefixes):
            raise CanonicalError("default prefix")
    try:
        made: bytes = etree.tostring(
            node,
            method="c14n",
            exclusive=method.exclusive,
            with_comments=method.comments,
            inclusive_ns_prefixes=prefixes if method.exclusive else None,
        )
    except etree.C14NError:  # a relative namespace name has no canonical form (C14N 1.0 §1.3)
        raise CanonicalError("relative namespace") from None
    return made


def _root(document: Document, whole: bytes, method: Method) -> bytes:
    """The canonical document without the instructions and comments around its element."""
    before, after = b"", b""
    for node in document.root.itersiblings(preceding=True):
        before = (_around(node, method) + b"\n" if _shown(node, method) else b"") + before
    for node in document.root.itersiblings():
        after += b"\n" + _around(node, method) if _shown(node, method) else b""
    return whole[len(before) : len(whole) - len(after)]


def _shown(node: Any, method: Method) -> bool:
    from lxml import etree

    return node.tag is not etree.Comment or method.comments


def _around(node: Any, method: Method) -> bytes:  # noqa: ARG001 - which of them are shown is asked before
    from lxml import etree

    text = (node.text or "").replace("\r", "&#xD;")
    if node.tag is etree.Comment:
        return f"<!--{text}-->".encode()
    return f"<?{node.target}{' ' if text else ''}{text}?>".encode()


def _inherited(apex: Any, method: Method) -> dict[str, str]:
    """The `xml:` attributes that an apex takes over from what stands around it (C14N 1.0 §2.4, 1.1 §2.4)."""
    names = _INHERITED[method.name]
    found: dict[str, str] = {}
    for above in apex.iterancestors():
        for name, value in above.attrib.items():
            if not name.startswith(f"{{{XML}}}"):
                continue
            local = name[len(XML) + 2 :]
            if names is not None and local == "base":
                raise CanonicalError("xml:base")
            if (names is None or local in names) and name not in apex.attrib:
                found.setdefault(name, value)
    return found


def _small(apex: Any) -> bool:
    """Whether reading it once more costs next to nothing."""
    text = 0
    for count, node in enumerate(islice(apex.iter(), _SMALL_NODES + 1)):
        text += len(node.text or "") + len(node.tail or "")
        if count >= _SMALL_NODES or text > _SMALL_TEXT:
            return False
    return True


def _reread(apex: Any, method: Method, inherited: dict[str, str]) -> bytes:
    from lxml import etree

    tree = again(etree.tostring(apex, with_tail=False, encoding="utf-8"))
    root = tree.getroot()
    for name, value in inherited.items():
        root.set(name, value)
    return _written(tree, method)


def _cut_out(document: Document, apex: Any, method: Method, inherited: dict[str, str]) -> bytes:
    with _marked([apex]) as mark:
        whole = _whole(document, method)
    document.spend(len(whole))
    start, end = (b"<?%s %s?>" % (mark or b"", which) for which in (b"b", b"e"))
    begin = whole.index(start) + len(start)
    found = _START.match(whole, begin)
    if found is None:
        raise CanonicalError("start tag")
    return _apex(apex, found, inherited) + whole[found.end() : whole.index(end, found.end())]


def _apex(apex: Any, found: re.Match[bytes], inherited: dict[str, str]) -> bytes:
    """The start tag of an element as an apex: all namespaces in scope, and its attributes in their order."""
    scope = {prefix or "": uri for prefix, uri in apex.nsmap.items() if prefix != "xml"}
    declared = [
        f' xmlns{":" if prefix else ""}{prefix}="{_escaped(uri)}"'.encode()
        for prefix, uri in sorted(scope.items())
        if uri
    ]
    attributes = []
    for name, value in _ATTRIBUTE.findall(found[2]):
        if name == b"xmlns" or name.startswith(b"xmlns:"):
            continue
        prefix, _, local = name.decode().rpartition(":")
        uri = XML if prefix == "xml" else scope.get(prefix, "") if prefix else ""
        attributes.append(((uri, local), b' %s="%s"' % (name, value)))
    for name, value in inherited.items():
        local = name[len(XML) + 2 :]
        attributes.append(((XML, local), f' xml:{local}="{_escaped(value)}"'.encode()))
    return b"<%s%s%s>" % (found[1], b"".join(declared), b"".join(written for _, written in sorted(attributes)))


def _escaped(value: str) -> str:
    for raw, written in (
        ("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), ("\t", "&#x9;"), ("\n", "&#xA;"), ("\r", "&#xD;"),
    ):  # fmt: skip
        value = value.replace(raw, written)
    return value


def _outermost(cuts: Sequence[Any], apex: Any) -> list[Any]:
    """Of `cuts` those that stand inside `apex` (None: inside the root), and in no other."""
    every = set(cuts)
    found = []
    for cut in dict.fromkeys(cuts):
        above = list(cut.iterancestors())
        if not any(one in every for one in above) and ((apex is None and above) or apex in above):
            found.append(cut)
    return found


@contextmanager
def _marked(elements: Sequence[Any]) -> Iterator[bytes | None]:
    """Processing instructions right before and behind each of `elements`, while it lasts; their target."""
    from lxml import etree

    if not elements:
        yield None
        return
    name = f"s{secrets.token_hex(12)}"
    placed: list[tuple[Any, Any, Any]] = []
    try:
        for element in elements:
            before, behind = etree.PI(name, "b"), etree.PI(name, "e")
            element.addprevious(before)
            if element.getparent() is not None:
                behind.tail, element.tail = element.tail, None
            element.addnext(behind)
            placed.append((element, before, behind))
        yield name.encode()
    finally:
        for element, before, behind in reversed(placed):
            parent = element.getparent()
            if parent is None:
                _drop(before)
                _drop(behind)
                continue
            parent.remove(before)
            element.tail, behind.tail = behind.tail, None
            parent.remove(behind)


def _drop(node: Any) -> None:
    """Take away an instruction beside the root: it goes to another tree."""
    from lxml import etree

    etree.Element("x").append(node)


def _without(made: bytes, mark: bytes) -> bytes:
    start, end = (b"<?%s %s?>" % (mark, which) for which in (b"b", b"e"))
    parts, at = [], 0
    while (begin := made.find(start, at)) >= 0:
        parts.append(made[at:begin])
        at = made.index(end, begin) + len(end)
    parts.append(made[at:])
    return b"".join(parts)


__all__ = ["CanonicalError", "canonicalize", "method_of", "octets"]
