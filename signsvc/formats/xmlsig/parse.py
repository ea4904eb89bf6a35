"""XML in, without its dangers: no document type, nothing fetched, and a limit for everything that costs.

The prolog is read by expat before libxml2 sees an octet: what a document type declares (entities, attribute defaults)
would take effect while libxml2 parses, before any check of the tree.
"""

from __future__ import annotations

import codecs
import mmap
import re
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from signsvc.errors import DocumentError

_CHUNK = 1 << 16
# Octets of a prolog: comments, processing instructions and stylesheets before the document element.
_MAX_PROLOG = 1 << 20
_ENCODINGS = frozenset(("utf-8", "utf8", "utf-16", "utf-16le", "utf-16be", "us-ascii", "ascii"))
_DECLARED = re.compile(r"\ufeff?<\?xml\s[^>]*\?>")
# No start tag holds "<": octets from one to the next hold all of a tag's attributes, and the text behind it.
_LONG = re.compile(rb"<[^<!?/][^<]{3000,}+")
_PAIR = re.compile(rb"=\s*[\"']")
_PREFIX = re.compile(rb"xmlns:([^\s=]{1,200})")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost: octets, nodes, attributes and namespaces of one element (canonicalisation takes
    their square), prefixes in all, signatures, references of a signature, transforms of a reference, octets that all
    references of a document digest, as a multiple of its own."""

    octets: int = 256 * 1024 * 1024
    nodes: int = 4_000_000
    attributes: int = 1_000
    prefixes: int = 1_000
    signatures: int = 500
    references: int = 5_000
    transforms: int = 5
    digested: int = 40


LIMITS = Limits()


class _Begun(Exception):  # noqa: N818 - says that the document element was reached
    pass


def tree(data: bytes | mmap.mmap, limits: Limits = LIMITS) -> Any:
    """The document in `data` as an lxml tree; comments and instructions stay, CDATA becomes text.

    Raises `DocumentError`: ``xml_malformed``, ``xml_doctype``, ``xml_encoding``, ``document_too_complex``.
    """
    from lxml import etree

    if len(data) > limits.octets:
        raise DocumentError("document_too_complex", limit="size")
    octets = _narrow(bytes(data))
    gate(octets)
    suspicious = _looked_over(octets, limits)
    try:
        root: Any = etree.fromstring(octets, _parser(etree))
    except (etree.XMLSyntaxError, ValueError):
        raise DocumentError("xml_malformed") from None
    made: Any = root.getroottree()
    if made.docinfo.internalDTD is not None or made.docinfo.externalDTD is not None:
        raise DocumentError("xml_doctype")
    if suspicious and root.xpath(f"boolean(//*[@*[{limits.attributes + 1}]])"):
        raise DocumentError("document_too_complex", limit="attributes")
    return made


def again(octets: bytes) -> Any:
    """A tree of octets that were canonicalised or serialised here."""
    from lxml import etree

    try:
        root: Any = etree.fromstring(octets, _parser(etree))
    except (etree.XMLSyntaxError, ValueError):
        raise DocumentError("xml_malformed") from None
    return root.getroottree()


def _parser(etree: Any) -> Any:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=True, recover=False
    )


def _narrow(data: bytes) -> bytes:
    """UTF-16 as UTF-8, so that everything after looks at one spelling; its declaration goes, which would lie."""
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith((mark, "<?".encode(name))):
            try:
                text = data.decode(name)
            except UnicodeDecodeError:
                raise DocumentError("xml_malformed") from None
            return _DECLARED.sub("", text, count=1).removeprefix("\ufeff").encode("utf-8")
    return data


def gate(data: bytes) -> None:
    """Read up to the document element with expat, which needs no trust.  Raises like `tree`."""
    parser = expat.ParserCreate()

    def declared(version: str, encoding: str | None, standalone: int) -> None:  # noqa: ARG001
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise DocumentError("xml_encoding")

    def doctype(*_: object) -> None:
        raise DocumentError("xml_doctype")

    def begun(*_: object) -> None:
        raise _Begun

    parser.XmlDeclHandler = declared
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = begun
    try:
        for start in range(0, min(len(data), _MAX_PROLOG), _CHUNK):
            parser.Parse(data[start : start + _CHUNK], False)
        parser.Parse(b"", True)
    except _Begun:
        return
    except (expat.ExpatError, LookupError, ValueError):
        raise DocumentError("xml_malformed") from None
    raise DocumentError("xml_malformed")


def _looked_over(data: bytes, limits: Limits) -> bool:
    """Refuse what would take the square of something; whether attributes have to be counted once it is parsed."""
    if data.count(b"<") > 2 * limits.nodes:
        raise DocumentError("document_too_complex", limit="nodes")
    if data.count(b"xmlns:") > limits.prefixes and len(set(_PREFIX.findall(data))) > limits.prefixes:
        raise DocumentError("document_too_complex", limit="namespaces")
    if data.count(b"=") <= limits.attributes:
        return False
    return any(len(_PAIR.findall(found[0])) > limits.attributes for found in _LONG.finditer(data))


__all__ = ["LIMITS", "Limits", "again", "gate", "tree"]
