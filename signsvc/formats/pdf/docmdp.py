"""What signatures forbid from then on: DocMDP, FieldMDP and field locks (ISO 32000-2 §12.8.2, §12.7.5.5)."""

from __future__ import annotations

from dataclasses import dataclass

from signsvc.formats.pdf.change_step import NewSignature, Notes, dictionary, full_name, inherited, items, resolved
from signsvc.formats.pdf.document import Revision
from signsvc.formats.pdf.limits import LimitError
from signsvc.formats.pdf.objects import PdfDict, PdfObject, PdfString, Ref
from signsvc.types import Grade

_ALLOWED = {
    1: frozenset({Grade.EXTENSION, Grade.UNREACHED}),
    2: frozenset({Grade.EXTENSION, Grade.UNREACHED, Grade.FORM_OR_SIGNATURE}),
    3: frozenset({Grade.EXTENSION, Grade.UNREACHED, Grade.FORM_OR_SIGNATURE, Grade.ANNOTATION}),
}
_DEFAULT = 2  # /P left out
_STRICTEST = 1  # for a level that is none


@dataclass(frozen=True, slots=True)
class Lock:
    """Fields that a signature locks: /Action All, Include or Exclude, with full names."""

    action: str
    names: frozenset[str] = frozenset()

    def holds(self, name: str) -> bool:
        """Whether the field `name` is locked, by its own name or by that of a field above it."""
        if self.action == "All":
            return True
        listed = any(name == entry or name.startswith(entry + ".") for entry in self.names)
        return listed if self.action == "Include" else not listed


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What the signatures of a document up to some revision forbid.  `level` is the strictest P, None for none."""

    level: int | None = None
    locks: tuple[Lock, ...] = ()

    def permit(self, notes: Notes) -> bool | None:
        """Whether a step is allowed; None where nothing restricts."""
        if self.level is None and not self.locks:
            return None
        if notes.grade is Grade.UNDEFINED:
            return False
        if self.level is not None and notes.grade not in _ALLOWED[self.level]:
            return False
        return not any(lock.holds(name) for lock in self.locks for name in notes.filled)

    def tightened(self, other: Restrictions) -> Restrictions:
        """Both together."""
        levels = [level for level in (self.level, other.level) if level is not None]
        return Restrictions(min(levels, default=None), (*self.locks, *(x for x in other.locks if x not in self.locks)))


def of_signatures(revision: Revision, found: list[NewSignature]) -> Restrictions:
    """What these signatures, read in `revision`, forbid."""
    result = Restrictions()
    for signature in found:
        result = result.tightened(_of_value(revision, signature.value))
        result = result.tightened(_of_lock(revision, signature.field.get("Lock")))
    return result


def of_revision(revision: Revision) -> Restrictions:
    """What all signatures in the fields of `revision` forbid.  Raises LimitError."""
    form = dictionary(revision, (dictionary(revision, revision.trailer.get("Root")) or {}).get("AcroForm"))
    left, seen = revision.limits.fields, set[int]()
    found: list[NewSignature] = []
    stack = list(items(revision, form.get("Fields"))) if form else []
    while stack:
        left -= 1
        if left < 0:
            raise LimitError("fields")
        item = stack.pop()
        if isinstance(item, Ref):
            if item.num in seen:
                continue
            seen.add(item.num)
        node = dictionary(revision, item)
        if node is None:
            continue
        stack.extend(items(revision, node.get("Kids")))
        if "V" in node and inherited(revision, node, "FT") == "Sig":
            value = dictionary(revision, node["V"])
            if value is not None:
                found.append(NewSignature(full_name(revision, node), node, value))
    return of_signatures(revision, found)


def _of_value(revision: Revision, value: PdfDict) -> Restrictions:
    result = Restrictions()
    for item in items(revision, value.get("Reference"))[:100]:
        reference = dictionary(revision, item) or {}
        method = _name(revision, reference.get("TransformMethod"))
        parameters = dictionary(revision, reference.get("TransformParams")) or {}
        if method == "DocMDP":
            result = result.tightened(Restrictions(_level(revision, parameters.get("P")) or _DEFAULT))
        elif method == "FieldMDP":
            result = result.tightened(_of_lock(revision, parameters))
    return result


def _of_lock(revision: Revision, value: PdfObject) -> Restrictions:
    lock = dictionary(revision, value)
    if lock is None:
        return Restrictions()
    action = _name(revision, lock.get("Action"))
    names = frozenset(
        title.text()
        for item in items(revision, lock.get("Fields"))
        if isinstance(title := resolved(revision, item), PdfString)
    )
    locks = (Lock(action, names),) if action in ("All", "Include", "Exclude") else ()
    return Restrictions(_level(revision, lock.get("P")), locks)


def _level(revision: Revision, value: PdfObject) -> int | None:
    """The level that is written; the strictest for what is no level, None where nothing is."""
    found = resolved(revision, value)
    if found is None and not isinstance(value, Ref):
        return None
    return found if type(found) is int and 1 <= found <= 3 else _STRICTEST


def _name(revision: Revision, value: PdfObject) -> str | None:
    found = resolved(revision, value)
    return str(found) if isinstance(found, str) else None


__all__ = ["Lock", "Restrictions", "of_revision", "of_signatures"]
