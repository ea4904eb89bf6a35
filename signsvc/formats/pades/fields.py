"""Signature fields of one revision, found without trusting the tree (ISO 32000-2 §12.7.4.5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from signsvc.formats.pdf import LimitError, PdfDict, PdfError, PdfObject, PdfString, Ref, Revision

_MAX_NAME = 512  # characters of a qualified field name that are kept


@dataclass(frozen=True, slots=True)
class SignatureField:
    """One field of type /Sig.  `value` is /V as written (own or inherited); `widget` the dictionary that is shown."""

    name: str
    ref: Ref | None
    dictionary: PdfDict
    value: PdfObject
    widget: PdfDict


@dataclass(frozen=True, slots=True)
class FieldTree:
    """What the walk over /AcroForm found; `repeated` says that a field is listed more than once or contains itself."""

    fields: tuple[SignatureField, ...] = ()
    repeated: bool = False
    broken: bool = False  # part of the tree cannot be read


class Visits:
    """Nodes that may still be visited, over the trees of all revisions that are walked."""

    def __init__(self, left: int) -> None:
        self.left = left

    def one(self) -> None:
        """Count one.  Raises LimitError."""
        self.left -= 1
        if self.left < 0:
            raise LimitError("fields")


def walk(revision: Revision, visits: Visits) -> FieldTree:
    """All signature fields of `revision`, in the order of the tree.  Raises LimitError."""
    fields: list[SignatureField] = []
    repeated = broken = False
    try:
        form = revision.dictionary(revision.catalog.get("AcroForm"))
        roots = revision.array(form.get("Fields")) if form else []
    except LimitError:
        raise
    except PdfError:
        return FieldTree(broken=True)
    seen: set[int] = set()
    # node, its parent's name, inherited /FT and /V
    stack: list[tuple[PdfObject, str, PdfObject, PdfObject]] = [(root, "", None, None) for root in reversed(roots)]
    while stack:
        node, prefix, kind, value = stack.pop()
        ref = node if isinstance(node, Ref) else None
        if ref is not None:
            if ref.num in seen:
                repeated = True
                continue
            seen.add(ref.num)
        visits.one()
        try:
            found = revision.dictionary(node)
            if found is None:
                continue
            title = revision.value(found, "T")
            kids = revision.array(found.get("Kids"))
            own = revision.value(found, "FT")
            children = [(kid, revision.dictionary(kid)) for kid in kids] if own == "Sig" or kind == "Sig" else []
        except LimitError:
            raise
        except PdfError:
            broken = True
            continue
        name = _join(prefix, title.text()) if isinstance(title, PdfString) else prefix
        kind = own if own is not None else kind
        value = found.get("V", value)
        widgets = [child for _, child in children if child is not None and "T" not in child]
        if kind == "Sig" and ("T" in found or not prefix) and (not kids or widgets):
            # a widget is shown for its field, and is no field of its own
            fields.append(SignatureField(name, ref, found, value, widgets[0] if widgets else found))
            kids = [kid for kid, child in children if child is None or "T" in child]
        stack.extend((kid, name, kind, value) for kid in reversed(kids))
    return FieldTree(tuple(fields), repeated, broken)


def _join(prefix: str, title: str) -> str:
    return (f"{prefix}.{title}" if prefix else title)[:_MAX_NAME]


def rectangle(revision: Revision, widget: PdfDict) -> tuple[float, float, float, float] | None:
    """The rectangle of a widget; None where it is missing or malformed."""
    values = [revision.resolve(value) for value in revision.array(widget.get("Rect"))[:4]]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) != 4 or not all(math.isfinite(number) and abs(number) < 1e7 for number in numbers):
        return None
    return min(numbers[0], numbers[2]), min(numbers[1], numbers[3]), max(numbers[0], numbers[2]), max(numbers[1::2])


def page_number(revision: Revision, widget: PdfDict) -> int | None:
    """The page (from 1) that a widget says it stands on; None where there is no such page.  Raises LimitError."""
    page = widget.get("P")
    if not isinstance(page, Ref):
        return None
    return _short_cut(revision, page) or next(
        (index for index, (ref, _) in enumerate(revision.pages(), 1) if ref == page), None
    )


def _short_cut(revision: Revision, page: Ref) -> int | None:
    """For one node that holds all pages: the place among its kids, without reading the others."""
    tree = revision.dictionary(revision.catalog.get("Pages"))
    kids = revision.array(tree.get("Kids")) if tree else []
    if tree is None or tree.get("Count") != len(kids) or page not in kids:
        return None
    return kids.index(page) + 1


__all__ = ["FieldTree", "SignatureField", "Visits", "page_number", "rectangle", "walk"]
