"""What forms may change: filling, signing, new signature fields (ISO 32000-2 §12.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from signsvc.formats.pdf.change_step import (
    NewSignature,
    Step,
    dictionary,
    full_name,
    inherited,
    items,
    parents,
    resolved,
)
from signsvc.formats.pdf.change_text import differs, only_text
from signsvc.formats.pdf.change_usages import references
from signsvc.formats.pdf.document import Revision
from signsvc.formats.pdf.limits import PdfError
from signsvc.formats.pdf.objects import PdfBool, PdfDict, PdfObject, PdfString, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.types import Grade

_MAX_BLANK = 4096  # octets of an appearance that shows nothing
_HIDDEN = 2 | 32  # annotation flags Hidden and NoView
_STILL_SHOWN = 4 | 256  # Print and ToggleNoView: shown at times in spite of NoView
_A4 = 595.0 * 842.0
_MOST = 0.4  # of a page (of A4 where that is less): the image of a signature and a seal takes a tenth
# /Type, /Ff and the rest say nothing about what is shown; writers set them whenever they rewrite a field.
_QUIET = frozenset({"Ff", "Type", "StructParent", "P"})
_SHOWN = frozenset({"AP", "AS", "DA", "Q", "F"})
_SIGNING = _QUIET | _SHOWN | {"V", "M"}
_FILLING = _QUIET | _SHOWN | {"V", "I", "TI", "M", "RV", "BS"}  # /BS: what the new appearance was drawn by
# Entries of page tree nodes, name and number trees, actions and file specifications: an object made to be a field and
# one of those as well does not get a field's freedom.
_FOREIGN = frozenset({"Count", "Names", "Nums", "Limits", "S", "EF", "UF"})
_OF_PAGES = frozenset({"MediaBox", "Resources", "Annots", "Kids", "Names", "Nums"})
_KIDS = frozenset({"Kids"})  # judged by themselves
_FORM_QUIET = frozenset({"SigFlags", "NeedAppearances", "DA", "Q"})


def form(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/AcroForm."""
    before, after = dictionary(step.old, old) or {}, dictionary(step.new, new)
    if after is None:
        step.refuse("form_removed")
        return
    keys = step.differing(before, after)
    if "Fields" in keys:
        fields(step, before.get("Fields"), after.get("Fields"))
    if "DR" in keys:
        resources(step, before.get("DR"), after.get("DR"))
    if keys & {"NeedAppearances", "DA", "Q"}:
        step.note(Grade.FORM_OR_SIGNATURE)
    if keys & {"NeedAppearances", "DA", "Q"} and step.after(after.get("NeedAppearances")) is PdfBool.TRUE:
        _drawn_again(step, before, after, keys)
    if "XFA" in keys:
        step.refuse("form_xfa_changed")
    if keys - _FORM_QUIET - {"Fields", "DR", "XFA"}:
        step.refuse("form_changed")


def _drawn_again(step: Step, before: PdfDict, after: PdfDict, keys: set[str]) -> None:
    """Programs draw all fields anew: those that showed something else than their value show another one then."""
    if any(key in keys and step.before(before.get(key)) is not None for key in ("DA", "Q")):
        step.refuse("form_changed")
    stack, seen = list(items(step.new, after.get("Fields"))), set[PdfObject]()
    while stack:
        ref = stack.pop()
        node = dictionary(step.new, ref)
        if node is None or not isinstance(ref, Ref) or ref in seen:
            continue
        seen.add(ref)
        step.spend(1)
        stack.extend(items(step.new, node.get("Kids")))
        if "AP" in node and differs(step, node, inherited(step.new, node, "FT"), inherited(step.new, node, "V")):
            step.refuse("appearance_differs", field=full_name(step.new, node))


def resources(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/DR: fonts may be added for new appearances; what is there stays."""
    step.note(Grade.FORM_OR_SIGNATURE)
    stack: list[tuple[PdfObject, PdfObject, int]] = [(old, new, 0)]
    while stack:
        a, b, level = stack.pop()
        if step.same(a, b) or step.before(a) is None:
            continue
        before, after = dictionary(step.old, a), dictionary(step.new, b)
        if before is None or after is None or level > 1:
            step.refuse("form_resources_changed")
            return
        stack.extend((value, after.get(key), level + 1) for key, value in before.items())


def fields(step: Step, old: PdfObject, new: PdfObject, parent: PdfDict | None = None) -> None:
    """/Fields, or the /Kids of a field: nothing leaves, only new signature fields come."""
    before, after = items(step.old, old), items(step.new, new)
    kept = {item for item in after if isinstance(item, Ref)}
    if any(isinstance(item, Ref) and item not in kept and step.before(item) is not None for item in before):
        step.refuse("field_removed")
    if any(not isinstance(item, Ref) for item in (*before, *after)):
        step.refuse("field_malformed")
    known = {item for item in before if isinstance(item, Ref)}
    names: set[str] | None = None
    if len(kept) + sum(not isinstance(item, Ref) for item in after) < len(after):
        step.refuse("field_listed_again")
    for item in after:
        if isinstance(item, Ref) and item not in known:
            if names is None:
                names = {name for name in (_known_title(step, node) for node in known) if name is not None}
            _new_field(step, item, names, parent)


def _known_title(step: Step, ref: Ref) -> str | None:
    """The title of a field of the old revision, read once for all revisions that leave it alone."""
    titles, key = step.usages.titles, (ref, step.old.entry(ref.num))
    if key not in titles:
        titles[key] = _title(step.old, ref)
    return titles[key]


def _title(revision: Revision, node: PdfObject) -> str | None:
    title = resolved(revision, (dictionary(revision, node) or {}).get("T"))
    return title.text() if isinstance(title, PdfString) else None


def _new_field(step: Step, ref: Ref, names: set[str], parent: PdfDict | None) -> None:
    node = dictionary(step.new, ref)
    if node is None:
        step.refuse("field_malformed")
        return
    name = full_name(step.new, node) or "?"
    if ref.num not in step.added:
        step.refuse("field_prepared", field=name)
        return
    kind = step.after(node.get("FT"))
    if kind is None and parent is not None:
        kind = inherited(step.new, parent, "FT")
    title = _title(step.new, ref)
    if kind != "Sig":
        step.refuse("field_added", field=name)
        return
    if title is None or title in names or "." in title:
        step.refuse("field_name_taken", field=name)
        return
    names.add(title)
    widgets = list(_widgets(step, ref, node))
    for number, widget in widgets:
        more = _OF_PAGES - {"Kids"} if widget is node else _OF_PAGES
        text = isinstance(step.after(widget.get("Contents")), PdfString | None)
        if widget.get("Type") not in (None, "Annot") or widget.keys() & more or not text:
            step.refuse("field_malformed", field=name)
        step.new_widgets.add(number)
        if number not in step.added:
            step.refuse("field_prepared", field=name)
        if "A" in widget or "AA" in widget:
            step.refuse("action_added", field=name)
        if not fresh_appearance(step, None, widget.get("AP")):
            step.refuse("appearance_prepared", field=name)
    visible = any(is_visible(step, widget) for _, widget in widgets)
    value = dictionary(step.new, node.get("V"))
    if node.get("V") is not None and (value is None or not step.fresh(node["V"])):
        step.refuse("signature_value_prepared", field=name)
        return
    _signed(step, name, node, value, visible=visible)
    if visible:
        step.note(Grade.FORM_OR_SIGNATURE, "signature_field_visible")
    if (value is None or _is_stamp(step, value)) and any(paints(step, widget) for _, widget in widgets):
        step.refuse("field_shows_without_signature", field=name)


def _widgets(step: Step, ref: Ref, node: PdfDict) -> Iterator[tuple[int, PdfDict]]:
    yield ref.num, node
    for kid in items(step.new, node.get("Kids"))[:1000]:
        found = dictionary(step.new, kid)
        if isinstance(kid, Ref) and found is not None:
            if "T" in found:
                step.refuse("field_added")
            yield kid.num, found


def is_visible(step: Step, widget: PdfDict) -> bool:
    """Whether a widget takes room on its page in the new revision."""
    box = rectangle(step, widget)
    flags = step.after(widget.get("F"))
    flags = flags if isinstance(flags, int) else 0
    hidden = flags & 2 or (flags & 32 and not flags & _STILL_SHOWN)
    return box is not None and box[0] < box[2] and box[1] < box[3] and not hidden


def covers(step: Step, widget: PdfDict, page: PdfDict | None) -> bool:
    """Whether a widget takes so much of its page that what it shows is no part of a form but another page."""
    box = rectangle(step, widget)
    if box is None:
        return False
    found = page if page is not None else dictionary(step.new, widget.get("P")) or {}
    rooms = [rectangle(step, {"Rect": inherited(step.new, found, key)}) for key in ("MediaBox", "CropBox")]
    least = min([_A4, *((room[2] - room[0]) * (room[3] - room[1]) for room in rooms if room)])
    return (box[2] - box[0]) * (box[3] - box[1]) > _MOST * least


def rectangle(step: Step, annotation: PdfDict) -> tuple[float, float, float, float] | None:
    """/Rect of an annotation, ordered."""
    values = items(step.new, annotation.get("Rect"))
    if len(values) != 4:
        return None
    numbers: list[float] = []
    for value in values:
        found = step.after(value) if type(value) is Ref else value
        if type(found) is not int and type(found) is not float:
            return None
        numbers.append(found)
    x1, y1, x2, y2 = numbers
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _shows(step: Step, field: PdfDict) -> bool:
    """Whether what a filled field draws is more than text and covers its page."""
    kind = inherited(step.new, field, "FT")
    return is_visible(step, field) and covers(step, field, None) and not (kind == "Tx" and only_text(step, field))


def _signed(step: Step, name: str, node: PdfDict, value: PdfDict | None, *, visible: bool) -> None:
    """A field that now holds `value`; None is an empty new field."""
    if value is not None:
        step.notes.signatures.append(NewSignature(name, node, value))
    stamp = value is not None and _is_stamp(step, value)
    if stamp and not visible:
        step.note(Grade.EXTENSION, field=name)
        return
    step.note(Grade.FORM_OR_SIGNATURE, field=name)
    if visible or value is None or not stamp:
        step.notes.filled.add(name)


def _is_stamp(step: Step, value: PdfDict) -> bool:
    return step.after(value.get("Type")) == "DocTimeStamp" or step.after(value.get("SubFilter")) == "ETSI.RFC3161"


def paints(step: Step, widget: PdfDict) -> bool:
    """Whether a widget would put anything on its page: nobody answers for what it shows where nobody signs in it."""
    if not is_visible(step, widget):
        return False
    if step.after((dictionary(step.new, widget.get("MK")) or {}).get("BG")):
        return True
    written = widget.get("AP")
    appearances = dictionary(step.new, written)
    if appearances is None:
        return written is not None
    shown = appearances.get("N")
    states = step.after(shown)
    return any(
        state is not None and not (isinstance(found := step.after(state), Stream) and _blank(found))
        for state in (states.values() if isinstance(states, dict) else [shown])
    )


def _blank(stream: Stream) -> bool:
    """Whether a stream draws nothing, as writers fill it for a field that waits for its signature."""
    try:
        octets = stream.decode(_MAX_BLANK)
    except PdfError:
        return False
    lines = (line.partition(b"%")[0] for line in octets.replace(b"\r", b"\n").split(b"\n"))
    return set(b" ".join(lines).split()) <= {b"q", b"Q", b"/Tx", b"BMC", b"EMC"}


def is_field(step: Step, node: PdfDict) -> bool:
    """Whether an object of the old revision is a form field or a widget of one."""
    return (
        ("FT" in node or "T" in node or node.get("Subtype") == "Widget")
        and node.get("Type") in (None, "Annot")
        and not node.keys() & _FOREIGN
        and any("FT" in found for found in parents(step.old, node))
    )


def field(step: Step, number: int, old: PdfDict, new: PdfDict) -> None:
    """A field or widget that was there before."""
    keys = step.differing(old, new)
    name = full_name(step.old, old) or "?"
    if keys - _KIDS and not _plain(step, old, new, keys - _KIDS) and step.named(number):
        step.refuse("object_in_two_roles", field=name)
    if "Kids" in keys:
        fields(step, old.get("Kids"), new.get("Kids"), new)
        keys.discard("Kids")
    if keys & {"A", "AA"}:
        step.refuse("action_added", field=name)
        return
    if "Type" in keys and new.get("Type") != "Annot":
        step.refuse("field_changed", field=name)
    if _type(step, old) == "Sig":
        _signature_field(step, old, new, keys, name)
    else:
        _filled(step, old, new, keys, name)


def _plain(step: Step, old: PdfDict, new: PdfDict, keys: set[str]) -> bool:
    """Whether the values of `keys` are neither dictionaries nor streams, so that they can be no resource."""
    values = [step.before(old.get(key)) for key in keys] + [step.after(new.get(key)) for key in keys]
    return not any(isinstance(value, dict | Stream) for value in values)


def _type(step: Step, node: PdfDict) -> PdfObject:
    return inherited(step.old, node, "FT")


def _signature_field(step: Step, old: PdfDict, new: PdfDict, keys: set[str], name: str) -> None:
    if keys <= _QUIET:
        return
    signing = "V" in keys and step.before(old.get("V")) is None
    if not signing:
        if "V" in keys and step.before(old.get("V")) is not None:
            step.refuse("signature_value_changed", field=name)
        elif keys & _SHOWN and not _parent_signed(step, old):
            step.refuse("appearance_changed", field=name)
        elif keys - _SIGNING:
            step.refuse("field_changed", field=name)
        elif not fresh_appearance(step, old.get("AP"), new.get("AP")):
            step.refuse("appearance_prepared", field=name)
        return
    value = dictionary(step.new, new.get("V"))
    if value is None or not step.fresh(new["V"]):
        step.refuse("signature_value_prepared", field=name)
        return
    if keys - _SIGNING - _vanished(step, new):
        step.refuse("field_changed", field=name)
    if not fresh_appearance(step, old.get("AP"), new.get("AP")):
        step.refuse("appearance_prepared", field=name)
    shown = [new, *(found for kid in items(step.new, new.get("Kids"))[:1000] if (found := dictionary(step.new, kid)))]
    if any(is_visible(step, widget) and covers(step, widget, None) for widget in shown):
        step.refuse("signature_covers_page", field=name)
    if _is_stamp(step, value) and any(paints(step, widget) for widget in shown):
        step.refuse("field_shows_without_signature", field=name)
    _signed(step, name, new, value, visible=any(is_visible(step, widget) for widget in shown))


def _vanished(step: Step, node: PdfDict) -> frozenset[str]:
    """/Rect where it takes no room: whoever signs a field without an image of the signature may write it so."""
    box = rectangle(step, node)
    return frozenset({"Rect"}) if box is not None and box[0] == box[2] and box[1] == box[3] else frozenset()


def _parent_signed(step: Step, node: PdfDict) -> bool:
    """Whether this is a widget of a signature field that is signed in the same step."""
    return "T" not in node and any(
        isinstance(found, dict) and isinstance(after, dict) and "V" not in found and "V" in after
        for found, after in _changed_parents(step, node)
    )


def newly_signed(step: Step, number: int) -> bool:
    """Whether object `number` is a signature field, or a widget of one, that this step signs."""
    old, new = step.changed.get(number, (None, None))
    if not isinstance(old, dict) or not isinstance(new, dict) or _type(step, old) != "Sig":
        return False
    return (step.before(old.get("V")) is None and step.after(new.get("V")) is not None) or _parent_signed(step, old)


def _changed_parents(step: Step, node: PdfDict) -> Iterator[tuple[PdfObject, PdfObject]]:
    for found in parents(step.old, node):
        above = found.get("Parent")
        if isinstance(above, Ref) and above.num in step.changed:
            yield step.changed[above.num]


def _filled(step: Step, old: PdfDict, new: PdfDict, keys: set[str], name: str) -> None:
    if keys <= _QUIET:
        if keys:
            step.note(Grade.FORM_OR_SIGNATURE)
        return
    if keys - _FILLING:
        step.refuse("field_changed", field=name)
        return
    if not refilled(step, old, new):
        hides = "F" in keys and keys <= _QUIET | {"F"}
        step.refuse("field_visibility_changed" if hides else "appearance_without_value", field=name)
        return
    flags = [value if isinstance(value, int) else 0 for value in (step.before(old.get("F")), step.after(new.get("F")))]
    if (flags[0] ^ flags[1]) & _HIDDEN:
        step.refuse("field_visibility_changed", field=name)
    if not fresh_appearance(step, old.get("AP"), new.get("AP")) or not _fresh_value(step, old, new):
        step.refuse("appearance_prepared", field=name)
    if "AP" in keys and _shows(step, new):
        step.refuse("field_covers_page", field=name)
    value = inherited(step.new, new, "V")
    if differs(step, new, _type(step, old), value):
        step.refuse("appearance_differs", field=name)
    step.note(Grade.FORM_OR_SIGNATURE, field=name)
    step.notes.filled.add(name)


def refilled(step: Step, old: PdfDict, new: PdfDict) -> bool:
    """Whether this step gives the field, or the field this widget belongs to, another value."""
    if not step.same(old.get("V"), new.get("V")):
        return True
    if "V" in old or "V" in new:
        return False
    return any(
        isinstance(a, dict) and isinstance(b, dict) and not step.same(a.get("V"), b.get("V"))
        for a, b in _changed_parents(step, old)
    )


def _fresh_value(step: Step, old: PdfDict, new: PdfDict) -> bool:
    known = {ref.num for _, ref in references(old.get("V"))}
    return all(ref.num in step.added or ref.num in known for _, ref in references(new.get("V")))


def fresh_appearance(step: Step, old: PdfObject, new: PdfObject) -> bool:
    """Whether an appearance consists of what this revision made and of what the same field showed before.

    An object that lay in the file unused, prepared to be switched on, is neither.
    """
    known = _appearances(step.before(old), step.before, old)
    return all(number in step.added or number in known for number in _appearances(step.after(new), step.after, new))


def _appearances(value: PdfObject, resolve: Callable[[PdfObject], PdfObject], raw: PdfObject = None) -> set[int]:
    """Numbers of the objects that an appearance dictionary names, through dictionaries of states."""
    found: set[int] = {raw.num} if isinstance(raw, Ref) else set()
    stack: list[tuple[PdfObject, int]] = [(value, 0)]
    while stack:
        item, level = stack.pop()
        if isinstance(item, Ref):
            found.add(item.num)
            item = resolve(item)
        if isinstance(item, dict) and level < 3:
            stack.extend((part, level + 1) for part in item.values())
    return found


def appearance(step: Step, holder: PdfDict, after: PdfDict) -> bool:
    """Whether a field that shows a rewritten object gets another value, or its signature, in the same step."""
    if _type(step, holder) == "Sig":
        return (step.before(holder.get("V")) is None and step.after(after.get("V")) is not None) or _parent_signed(
            step, holder
        )
    if _shows(step, after):
        step.refuse("field_covers_page")
    return refilled(step, holder, after)


__all__ = [
    "appearance",
    "field",
    "fields",
    "form",
    "fresh_appearance",
    "is_field",
    "is_visible",
    "newly_signed",
    "rectangle",
    "resources",
]
