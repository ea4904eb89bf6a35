"""The fields of a document's form, listed without trusting the tree (ISO 32000-2 §12.7.4)."""

from __future__ import annotations

from dataclasses import dataclass

from signsvc.formats.pades.fields import page_number, rectangle
from signsvc.formats.pades.pages import Rect, geometry_of
from signsvc.formats.pdf import LimitError, PdfDict, PdfError, PdfObject, PdfString, Ref, Revision

_KINDS = {"Sig": "signature", "Tx": "text", "Btn": "button", "Ch": "choice"}
_MAX_TEXT = 500  # characters of a name or a value that are kept
_MAX_LOCKED = 200  # names of a lock that are kept
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True)
class FieldLock:
    """What signing in a field locks (/Lock): ``All`` fields, those of `fields` (``Include``) or all others
    (``Exclude``), and the DocMDP `permissions` from then on (1, 2 or 3)."""

    action: str
    fields: tuple[str, ...] = ()
    permissions: int | None = None


@dataclass(frozen=True, slots=True)
class FormField:
    """One field.  `kind` is signature, text, button, choice or other; `filled` says whether it has a value, `value`
    is that of a text field; `page` counts from 1 and `rect` is (left, bottom, right, top) in points as the page is
    shown; `ref` is the field's object and `widget` what is shown of it."""

    name: str
    kind: str
    filled: bool
    value: str | None
    page: int | None
    rect: Rect | None
    lock: FieldLock | None
    seeded: bool
    ref: Ref | None
    widget: PdfDict


def listed(revision: Revision) -> tuple[FormField, ...]:
    """The fields of `revision` in the order of the tree; nodes that cannot be read are left out.

    Raises LimitError; PdfError where there is no catalog.
    """
    form = revision.dictionary(revision.catalog.get("AcroForm"))
    found: list[FormField] = []
    left = revision.limits.fields
    seen: set[Ref] = set()
    # node, the name above it, inherited /FT and /V, depth
    stack: list[tuple[PdfObject, str, PdfObject, PdfObject, int]] = [
        (root, "", None, None, 0) for root in reversed(revision.array(form.get("Fields")) if form else [])
    ]
    while stack:
        node, prefix, kind, value, depth = stack.pop()
        left -= 1
        if left < 0 or depth > _MAX_DEPTH:
            raise LimitError("fields")
        ref = node if isinstance(node, Ref) else None
        if ref is not None:
            if ref in seen:
                continue
            seen.add(ref)
        try:
            entry = revision.dictionary(node)
            if entry is None:
                continue
            title = revision.value(entry, "T")
            kids = [(kid, revision.dictionary(kid)) for kid in revision.array(entry.get("Kids"))]
            kind = revision.value(entry, "FT") or kind
        except LimitError:
            raise
        except PdfError:
            continue
        name = title.text()[:_MAX_TEXT] if isinstance(title, PdfString) else ""
        name = f"{prefix}.{name}" if prefix and name else prefix or name
        value = entry.get("V", value)
        below = [kid for kid, child in kids if child is not None and "T" in child]
        if below:
            stack.extend((kid, name, kind, value, depth + 1) for kid in reversed(below))
        elif name:
            shown = next((child for _, child in kids if child is not None), entry)
            found.append(_field(revision, name[:_MAX_TEXT], str(kind), value, entry, shown, ref))
    return tuple(found)


def _field(
    revision: Revision, name: str, kind: str, value: PdfObject, entry: PdfDict, widget: PdfDict, ref: Ref | None
) -> FormField:
    try:
        held = revision.resolve(value)
        text = held.text()[:_MAX_TEXT] if kind == "Tx" and isinstance(held, PdfString) else None
        filled = bool(held) if isinstance(held, PdfString) else held is not None
        page, rect = _place(revision, widget)
        lock = _lock(revision, revision.dictionary(entry.get("Lock")))
        seeded = revision.dictionary(entry.get("SV")) is not None
    except LimitError:
        raise
    except PdfError:
        return FormField(name, _KINDS.get(kind, "other"), True, None, None, None, None, False, ref, widget)
    return FormField(name, _KINDS.get(kind, "other"), filled, text, page, rect, lock, seeded, ref, widget)


def _place(revision: Revision, widget: PdfDict) -> tuple[int | None, Rect | None]:
    number, box = page_number(revision, widget), rectangle(revision, widget)
    if number is None or box is None:
        return number, None
    left, bottom, right, top = geometry_of(revision, revision.pages()[number - 1][1]).as_shown(box)
    return number, (left, bottom, right, top)


def _lock(revision: Revision, written: PdfDict | None) -> FieldLock | None:
    if written is None:
        return None
    names = (revision.resolve(item) for item in revision.array(written.get("Fields"))[:_MAX_LOCKED])
    level = revision.value(written, "P")
    return FieldLock(
        str(revision.value(written, "Action") or "All"),
        tuple(name.text()[:_MAX_TEXT] for name in names if isinstance(name, PdfString)),
        level if type(level) is int else None,
    )


__all__ = ["FieldLock", "FormField", "listed"]
