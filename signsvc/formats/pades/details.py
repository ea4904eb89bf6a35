"""What a signature dictionary and a catalog say besides the signature: times, texts, restrictions, versions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from signsvc.formats.pdf import Document, LimitError, PdfDict, PdfError, PdfString, Ref, Revision, Stream

_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?\s*(?:([+\-Z])(?:(\d\d)'?(?:(\d\d)'?)?)?)?", re.ASCII
)
_PART = re.compile(rb"pdfaid:part(?:\s*=\s*[\"']|>)\s*(\d)")
_CONFORMANCE = re.compile(rb"pdfaid:conformance(?:\s*=\s*[\"']|>)\s*([A-Za-z]{1,2})")
_MAX_XMP = 4 << 20  # octets of metadata; real packets are 2 to 100 kB
_MAX_TEXT = 1024  # characters of a reason or name that are kept
_MAX_NAMES = 200  # field names of one lock


def date(value: object) -> datetime | None:
    """A PDF date (ISO 32000-2 §7.9.4) in UTC; a missing offset is read as UTC; None where it is malformed."""
    found = _DATE.fullmatch(value.text().strip()) if isinstance(value, PdfString) and len(value) < 64 else None
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) if part else None for part in found.groups()[:6])
    sign, hours, minutes = found[7], int(found[8] or 0), int(found[9] or 0)
    try:
        zone = timezone(timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)) if sign else UTC
        return datetime(
            year or 0, month or 1, day or 1, hour or 0, minute or 0, min(second or 0, 59), tzinfo=zone
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text(revision: Revision | None, dictionary: PdfDict, key: str) -> str | None:
    """A text entry, shortened; None where it is missing or no string."""
    value = dictionary.get(key)
    try:
        value = revision.resolve(value) if revision else value
    except LimitError:
        raise
    except PdfError:
        return None
    return value.text()[:_MAX_TEXT] if isinstance(value, PdfString) else None


def transforms(revision: Revision | None, dictionary: PdfDict) -> dict[str, PdfDict]:
    """Transform methods of the signature references with their parameters (ISO 32000-2 §12.8.2)."""
    found: dict[str, PdfDict] = {}
    if revision is None:
        return found
    try:
        for item in revision.array(dictionary.get("Reference"))[:16]:
            reference = revision.dictionary(item) or {}
            method = revision.value(reference, "TransformMethod")
            if isinstance(method, str):
                found.setdefault(method, revision.dictionary(reference.get("TransformParams")) or {})
    except LimitError:
        raise
    except PdfError:
        pass
    return found


def certification(methods: dict[str, PdfDict]) -> int | None:
    """P of a certification signature (2 where it is left out); None for others."""
    if "DocMDP" not in methods:
        return None
    level = methods["DocMDP"].get("P", 2)
    return level if type(level) is int and level in (1, 2, 3) else 1


def lock(revision: Revision, parameters: PdfDict | None) -> str | None:
    """A lock or FieldMDP as ``All``, ``Include a, b`` or ``Exclude a, b``."""
    if not parameters:
        return None
    action = revision.value(parameters, "Action")
    if not isinstance(action, str):
        return None
    names = [revision.resolve(name) for name in revision.array(parameters.get("Fields"))[:_MAX_NAMES]]
    listed = ", ".join(name.text()[:_MAX_TEXT] for name in names if isinstance(name, PdfString))
    return f"{action} {listed}".strip()


def is_docmdp_of_catalog(revision: Revision, number: int | None) -> bool:
    """Whether the catalog names object `number` as its certification signature."""
    permissions = revision.dictionary(revision.catalog.get("Perms")) or {}
    named = permissions.get("DocMDP")
    return isinstance(named, Ref) and named.num == number


def version(document: Document) -> str:
    """The higher of the header's and the catalog's version."""
    try:
        named = document.last.value(document.last.catalog, "Version")
    except LimitError:
        raise
    except PdfError:
        named = None
    written = str(named) if isinstance(named, str) and re.fullmatch(r"\d\.\d", named) else ""
    return max(document.header_version, written)


def page_count(document: Document) -> int | None:
    """Pages by the tree's own count where it is one flat list, else by walking it."""
    try:
        revision = document.last
        tree = revision.dictionary(revision.catalog.get("Pages"))
        kids = revision.array(tree.get("Kids")) if tree else []
        refs = {kid for kid in kids if isinstance(kid, Ref)}
        if tree and tree.get("Count") == len(kids) == len(refs):
            return len(kids)
        return len(revision.pages())
    except LimitError:
        raise
    except PdfError:
        return None


def pdfa(document: Document) -> str | None:
    """The PDF/A part and conformance that the metadata claims, such as ``3b``."""
    try:
        stream = document.last.value(document.last.catalog, "Metadata")
        octets = stream.decode(_MAX_XMP) if isinstance(stream, Stream) else b""
    except PdfError:
        return None
    part, conformance = _PART.search(octets), _CONFORMANCE.search(octets)
    if part is None:
        return None
    return part[1].decode() + (conformance[1].decode().lower() if conformance else "")


__all__ = [
    "certification",
    "date",
    "is_docmdp_of_catalog",
    "lock",
    "page_count",
    "pdfa",
    "text",
    "transforms",
    "version",
]
