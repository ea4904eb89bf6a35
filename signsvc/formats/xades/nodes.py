"""Small steps over elements: by local name, since editions of XAdES differ in their namespaces alone."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from signsvc.algorithms import DIGESTS
from signsvc.formats.xades.names import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterator

DS = "http://www.w3.org/2000/09/xmldsig#"
_SPACES = EVERY | {DS}
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,12})?(Z|[+-]\d\d:\d\d)?", re.ASCII
)  # xs:dateTime with years of four digits
_DIGESTS = {found.xml_uri: found.oid for found in DIGESTS if found.xml_uri}


def local(element: Any) -> str:
    """The local name of an element of XAdES or XML Signature; empty for comments, instructions, other namespaces."""
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    space, _, name = tag.rpartition("}")
    return name if space[1:] in _SPACES else ""


def namespace(element: Any) -> str:
    """The namespace of an element; empty where it has none."""
    tag = element.tag
    return tag[1:].partition("}")[0] if isinstance(tag, str) and tag[0] == "{" else ""


def named(parent: Any, name: str) -> Iterator[Any]:
    """The children called `name`, in document order."""
    return (child for child in parent if local(child) == name)


def first(parent: Any, *path: str) -> Any:
    """The element at the end of `path`, taking the first child of each name; None where there is none."""
    for name in path:
        parent = next(named(parent, name), None)
        if parent is None:
            return None
    return parent


def text(element: Any) -> str:
    """The character data of an element and those below it, without comments."""
    return "" if element is None else str(element.xpath("string()")).strip()


def octets(element: Any) -> bytes | None:
    """The octets that an element holds in base64; None where it holds none, or no base64."""
    written = "".join(text(element).split())
    try:
        return base64.b64decode(written, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def moment(written: str) -> datetime | None:
    """An ``xs:dateTime`` in UTC; a missing offset is read as UTC; None where it is malformed."""
    found = _TIME.fullmatch(written.strip())
    if found is None:
        return None
    zone = found[8] or "Z"
    shift = timedelta()
    if zone != "Z":
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:])) * (-1 if zone[0] == "-" else 1)
    try:
        value = datetime(*(int(found[at]) for at in range(1, 6)), min(int(found[6]), 59), tzinfo=UTC)  # type: ignore[arg-type,misc]
        return value - shift
    except (ValueError, OverflowError):
        return None


def digest(holder: Any) -> tuple[str, bytes] | None:
    """(digest OID, digest) of what holds a DigestMethod and a DigestValue; the URI itself where it is unknown."""
    if holder is None:
        return None
    method, value = first(holder, "DigestMethod"), octets(first(holder, "DigestValue"))
    if method is None or value is None:
        return None
    uri = method.get("Algorithm", "")[:200]
    return _DIGESTS.get(uri, uri), value


__all__ = ["DS", "digest", "first", "local", "moment", "named", "namespace", "octets", "text"]
