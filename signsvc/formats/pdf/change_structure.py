"""What the structure tree may change: it may name new signature widgets (ISO 32000-2 §14.7)."""

from __future__ import annotations

from signsvc.formats.pdf.change_step import Step, dictionary, items
from signsvc.formats.pdf.objects import PdfDict, PdfObject, Ref
from signsvc.types import Grade

_REASON = "structure_changed"
_TREE = frozenset({"Nums", "Kids", "Limits", "Type"})


def root(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/StructTreeRoot."""
    before, after = dictionary(step.old, old), dictionary(step.new, new)
    if before is None or after is None:
        step.refuse(_REASON)
        return
    keys = step.differing(before, after)
    if keys - {"K", "ParentTree", "ParentTreeNextKey"}:
        step.refuse(_REASON)
    if "K" in keys:
        kids(step, before.get("K"), after.get("K"))
    if "ParentTree" in keys:
        numbers(step, before.get("ParentTree"), after.get("ParentTree"))
    step.note(Grade.FORM_OR_SIGNATURE)


def element(step: Step, old: PdfDict, new: PdfDict) -> None:
    """A structure element: it may gain children that this revision made."""
    if step.differing(old, new) - {"K"}:
        step.refuse(_REASON)
        return
    kids(step, old.get("K"), new.get("K"))


def kids(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/K of an element or of the root: all stay in their order, those that come name what this revision made."""
    before, after = _as_list(step.before(old), old), _as_list(step.after(new), new)
    step.note(Grade.FORM_OR_SIGNATURE)
    place = 0
    for item in after:
        if place < len(before) and step.same(before[place], item):
            place += 1
        elif not _names_new(step, item):
            step.refuse(_REASON)
            return
    if place < len(before):
        step.refuse(_REASON)


def _as_list(value: PdfObject, raw: PdfObject) -> list[PdfObject]:
    if isinstance(value, list):
        return value
    return [] if value is None else [raw]


def _names_new(step: Step, item: PdfObject) -> bool:
    """Whether everything below a new child is new, and leads to new or signed widgets only."""
    stack, left = [item], 1000
    while stack:
        left -= 1
        part = stack.pop()
        if left < 0 or not step.fresh(part):
            return False
        node = dictionary(step.new, part)
        if node is None or "ActualText" in node or "MCID" in node:
            return False
        if step.after(node.get("Type")) == "OBJR" or "Obj" in node:
            target = node.get("Obj")
            if not isinstance(target, Ref) or not (target.num in step.added or target.num in step.new_widgets):
                return False
            continue
        stack.extend(_as_list(step.after(node.get("K")), node.get("K")))
    return True


def numbers(step: Step, old: PdfObject, new: PdfObject) -> None:
    """A node of /ParentTree: keys may come, none changes."""
    before, after = dictionary(step.old, old), dictionary(step.new, new)
    step.note(Grade.FORM_OR_SIGNATURE)
    if before is None or after is None or step.differing(before, after) - {"Nums", "Kids", "Limits"}:
        step.refuse(_REASON)
        return
    pairs(step, before.get("Nums"), after.get("Nums"))
    old_kids, new_kids = items(step.old, before.get("Kids")), items(step.new, after.get("Kids"))
    known = {item for item in old_kids if isinstance(item, Ref)}
    kept = {item for item in new_kids if isinstance(item, Ref)}
    if len(kept) < len(new_kids) or known - kept or not all(step.fresh(item) for item in kept - known):
        step.refuse(_REASON)


def pairs(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/Nums of a node."""
    before, after = items(step.old, old), items(step.new, new)
    step.note(Grade.FORM_OR_SIGNATURE)
    known = {key: value for key, value in zip(before[::2], before[1::2], strict=False) if type(key) is int}
    found = {key: value for key, value in zip(after[::2], after[1::2], strict=False) if type(key) is int}
    if len(found) * 2 != len(after) or len(known) * 2 != len(before):
        step.refuse(_REASON)
    for key, value in known.items():
        if key not in found or not step.same(value, found[key]):
            step.refuse(_REASON)
    for key in found.keys() - known.keys():
        if not step.fresh(found[key]):
            step.refuse(_REASON)


def is_element(node: PdfDict) -> bool:
    """Whether an object is a structure element by its entries."""
    return "S" in node and "P" in node and node.get("Type") in (None, "StructElem") and "Subtype" not in node


def is_numbers(node: PdfDict) -> bool:
    """Whether an object is a node of a number tree by its entries."""
    return set(node) <= _TREE and ("Nums" in node or "Limits" in node)


__all__ = ["element", "is_element", "is_numbers", "kids", "numbers", "pairs", "root"]
