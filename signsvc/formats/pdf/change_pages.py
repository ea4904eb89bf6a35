"""What pages and their annotations may change (ISO 32000-2 §7.7.3, §12.5)."""

from __future__ import annotations

from signsvc.formats.pdf.change_cover import cover
from signsvc.formats.pdf.change_form import covers, fresh_appearance, is_visible, newly_signed, rectangle
from signsvc.formats.pdf.change_step import Step, dictionary, inherited, items
from signsvc.formats.pdf.document import Revision
from signsvc.formats.pdf.limits import LimitError, PdfError, SpentError
from signsvc.formats.pdf.objects import PdfDict, PdfObject, PdfString, Ref
from signsvc.types import Grade

_CONTENT = frozenset({"Contents", "Resources", "MediaBox", "CropBox", "Rotate", "UserUnit", "Group"})
# Comments that people add; everything else that can stand in /Annots plays, replaces or belongs to a form.
_COMMENTS = frozenset(
    {
        "Text", "FreeText", "Line", "Square", "Circle", "Polygon", "PolyLine", "Highlight", "Underline", "Squiggly",
        "StrikeOut", "Caret", "Stamp", "Ink", "Popup", "FileAttachment", "Link", "Redact",
    }
)  # fmt: skip
_OPAQUE = frozenset({"FreeText", "Stamp", "Redact", "Square", "Circle", "Polygon", "Ink", "Line", "PolyLine"})
_STAMPS = frozenset({"FreeText", "Stamp"})
MAX_STAMPS = 20  # told of one step; of more, none
# Entries of a comment that answer it, date it or remember a window; none is drawn on the page.
_CONVERSATION = frozenset({"Popup", "M", "NM", "StructParent", "P", "Open", "CreationDate", "IRT", "RT"})
_RUNS = frozenset({"JavaScript", "Launch", "ImportData", "SubmitForm", "Rendition", "Movie", "Sound", "Hide"})
_MAX_DEPTH = 64
_MAX_WIDGETS = 2_000  # annotations of one page that overlap is looked for
_MAX_WALKED = 300_000  # pages of all revisions walked only to tell the place of one; then it is not told
_PER_ANNOTATION = 24  # what looking at one new annotation costs, in values compared
_MAX_DIRECT = 500  # annotations of one page that are no objects of their own; each may be looked for among all


_Box = tuple[float, float, float, float]
_ICON = 40.0 * 40.0  # points: the pictures of notes and attachments are smaller


class Boxes:
    """Where the annotations of a page stood before, looked at when the first question comes."""

    def __init__(self, annotations: list[PdfObject], page: PdfDict) -> None:
        self._annotations = annotations
        self.page = page
        self._found: list[tuple[bool, _Box]] | None = None

    def meet(self, step: Step, value: PdfDict, *, widgets: bool) -> bool:
        """Whether `value` overlaps one of them that is (or is not) a widget."""
        if self._found is None:
            self._found = [found for item in self._annotations[:_MAX_WIDGETS] if (found := self._box(step, item))]
        box = rectangle(step, value)
        return box is not None and any(
            box[0] < there[2] and there[0] < box[2] and box[1] < there[3] and there[1] < box[3]
            for widget, there in self._found
            if widget is widgets
        )

    def covered(self, step: Step, value: PdfDict) -> bool:
        """Whether `value` covers so much of the page that it is no signature's image but another page."""
        return covers(step, value, self.page)

    def _box(self, step: Step, item: PdfObject) -> tuple[bool, _Box] | None:
        found = dictionary(step.new, item)
        if found is None:
            return None
        kept = step.usages.boxes.get(id(found))
        if kept is not None and kept[0] is found:
            return kept[1]
        kind = step.after(found.get("Subtype"))
        box = rectangle(step, found) if kind not in ("Popup", "Link") and is_visible(step, found) else None
        result = (kind == "Widget", box) if box else None
        corners = found.get("Rect")
        written = (found.get("Subtype"), found.get("F"), corners, *(corners if isinstance(corners, list) else ()))
        if not any(isinstance(value, Ref) for value in written):
            step.usages.boxes[id(found)] = found, result
        return result


def page(step: Step, number: int, old: PdfDict, new: PdfDict) -> None:
    """A page dictionary."""
    keys = step.differing(old, new)
    place = page_number(step, number)
    if keys & _CONTENT:
        step.refuse("page_content_changed", page=place)
    elif keys - {"Annots", "Tabs"}:
        step.refuse("page_changed", page=place)
    if "Tabs" in keys and step.named(number):
        step.refuse("object_in_two_roles", page=place)
    if "Annots" in keys:
        annots(step, old.get("Annots"), new.get("Annots"), place, new)


def annots(step: Step, old: PdfObject, new: PdfObject, place: int | None, page: PdfDict) -> None:
    """The annotations of one page."""
    before, after = items(step.old, old), items(step.new, new)
    step.spend((len(before) + len(after)) // 4)
    if step.after(new) is not None and not isinstance(step.after(new), list):
        step.refuse("page_changed", page=place)
    kept = {item for item in after if isinstance(item, Ref)}
    known = {item for item in before if isinstance(item, Ref)}
    fresh: list[PdfObject] = [item for item in after if not isinstance(item, Ref)]
    if len(fresh) > _MAX_DIRECT:
        step.refuse("page_changed", page=place)
        return
    for shown in before:
        if isinstance(shown, Ref):
            continue
        match = next((other for other in fresh if step.same(shown, other)), None)
        if match is None:
            step.refuse("annotation_removed", page=place)
            break
        fresh.remove(match)
    if any(item not in kept and step.before(item) is not None for item in known):
        step.refuse("annotation_removed", page=place)
    # drawn in the order of the array: what was drawn below stays below
    order = dict.fromkeys(item for item in before if isinstance(item, Ref) and item in kept)
    if list(order) != list(dict.fromkeys(item for item in after if isinstance(item, Ref) and item in known)):
        step.refuse("annotation_order_changed", page=place)
    come = [item for item in after if isinstance(item, Ref) and item not in known]
    boxes = Boxes(before, page)
    step.spend(_PER_ANNOTATION * (len(fresh) + len(come)))
    for item in (*fresh, *come):
        value = dictionary(step.new, item)
        if value is None:
            if item is not None:  # also a reference that leads nowhere: elsewhere it may lead somewhere
                step.refuse("page_changed", page=place)
            continue
        _added(step, item, value, place, boxes)


def _added(step: Step, item: PdfObject, value: PdfDict, place: int | None, boxes: Boxes) -> None:
    kind = step.after(value.get("Subtype"))
    if "Rect" in value and rectangle(step, value) is None:
        step.refuse("annotation_malformed", page=place)
    if kind == "Widget":
        _widget(step, item, value, place, boxes)
        return
    if not isinstance(kind, str) or kind not in _COMMENTS:
        step.refuse("annotation_kind", page=place)
        return
    if not step.fresh(item) or not fresh_appearance(step, None, value.get("AP")):
        step.refuse("appearance_prepared", page=place)
    action = dictionary(step.new, value.get("A"))
    if "AA" in value or (action is not None and (step.after(action.get("S")) in _RUNS or "Next" in action)):
        step.refuse("action_added", page=place)
    opaque = kind in _OPAQUE or _drawn_large(step, value)
    step.note(Grade.ANNOTATION, "annotation_opaque" if opaque else "annotation_added", page=place)
    if kind in _STAMPS and len(step.notes.stamps) <= MAX_STAMPS:
        step.notes.stamps.append((place, _reach(step, value, boxes.page)))
    if opaque:
        cover(step, kind, value, boxes.page, place)
    if opaque and boxes.meet(step, value, widgets=True):
        step.refuse("annotation_over_field", page=place)
    elif opaque and boxes.meet(step, value, widgets=False):
        step.note(Grade.ANNOTATION, "annotation_overlaps", page=place)


def _reach(step: Step, value: PdfDict, page: PdfDict) -> float | None:
    """How far down its page an annotation reaches, as a share of what is shown of it; None for pages that turn."""
    box = rectangle(step, value)
    rooms = [rectangle(step, {"Rect": inherited(step.new, page, key)}) for key in ("CropBox", "MediaBox")]
    room = next((room for room in rooms if room and room[3] > room[1]), None)
    if box is None or room is None or step.after(inherited(step.new, page, "Rotate")) not in (None, 0):
        return None
    return (room[3] - box[1]) / (room[3] - room[1]) if room[1] <= box[1] and box[3] <= room[3] else None


def _drawn_large(step: Step, value: PdfDict) -> bool:
    """Whether a comment of any kind brings a picture that is larger than an icon: it may hide what lies below."""
    box = rectangle(step, value) if "AP" in value else None
    return box is not None and (box[2] - box[0]) * (box[3] - box[1]) > _ICON


def _widget(step: Step, item: PdfObject, value: PdfDict, place: int | None, boxes: Boxes) -> None:
    number = item.num if isinstance(item, Ref) else -1
    if number not in step.new_widgets:
        # a signature field that stood in the form may be placed on its page when it is signed
        if not newly_signed(step, number) or not fresh_appearance(step, None, value.get("AP")):
            step.refuse("widget_added", page=place)
            return
        step.note(Grade.FORM_OR_SIGNATURE)
    if is_visible(step, value):
        step.note(Grade.FORM_OR_SIGNATURE, page=place)
        if number in step.new_widgets and boxes.covered(step, value):
            step.refuse("signature_covers_page", page=place)
        if boxes.meet(step, value, widgets=True):
            step.note(Grade.FORM_OR_SIGNATURE, "signature_overlaps", page=place)


def annotation(step: Step, number: int, old: PdfDict, new: PdfDict) -> None:
    """An annotation that was there before and is no widget."""
    keys = step.differing(old, new)
    place = _page_of(step, old)
    if keys <= _CONVERSATION and step.named(number):
        step.refuse("object_in_two_roles", page=place)
    elif keys <= _CONVERSATION:
        step.note(Grade.ANNOTATION, "annotation_answered", page=place)
    elif keys & {"A", "AA"}:
        step.refuse("action_added", page=place)
    else:
        step.refuse("annotation_changed", page=place)


def _page_of(step: Step, value: PdfDict) -> int | None:
    above = value.get("P")
    return page_number(step, above.num) if isinstance(above, Ref) else None


def page_number(step: Step, number: int) -> int | None:
    """The place of the page object `number` in the old revision, counted from 1; None where it is none or unknown."""
    revision = step.old
    quick = _climb(step, revision, number)
    if quick is not None:
        return quick
    if step.usages.walked > _MAX_WALKED:
        return None
    try:
        found = revision.pages()
        step.usages.walked += len(found)
        return next((at for at, (ref, _) in enumerate(found, 1) if ref and ref.num == number), None)
    except LimitError:
        raise
    except PdfError:
        return None


def _places(step: Step, kids: list[PdfObject]) -> dict[Ref, int]:
    """Where each reference stands in an array; arrays are shared between revisions and looked through once."""
    found = step.usages.kids.get(id(kids))
    if found is None or found[0] is not kids:
        places = {ref: at for at, ref in enumerate(kids) if isinstance(ref, Ref)}
        if len(places) < len(kids):
            places = {}
        found = step.usages.kids[id(kids)] = kids, places
    return found[1]


def _climb(step: Step, revision: Revision, number: int) -> int | None:
    """The place by way of /Parent, proven by each parent's /Kids, where every node before it tells its /Count."""
    place, root = 1, revision.root
    entry = revision.entry(number)
    if entry is None or root is None:
        return None
    ref = Ref(number, entry.extra if entry.kind == 1 else 0)
    top = revision.catalog.get("Pages")
    for _ in range(_MAX_DEPTH):
        if ref == top:
            return place
        node = dictionary(revision, ref)
        above = node.get("Parent") if node else None
        if not isinstance(above, Ref):
            return None
        parent = dictionary(revision, above)
        kids = items(revision, parent.get("Kids")) if parent else []
        at = _places(step, kids).get(ref)
        if parent is None or at is None:
            return None
        if parent.get("Count") == len(kids):
            place += at
        else:
            for kid in kids[:at]:
                found = dictionary(revision, kid)
                count = found.get("Count") if found and found.get("Type") == "Pages" else 1
                if type(count) is not int:
                    return None
                place += count
        ref = above
    return None


def tree(step: Step) -> None:
    """The page tree is another one: say which pages came or went."""
    if step.notes.reasons.keys() & {"pages_replaced", "page_removed", "page_added"}:
        return
    try:
        before = [ref for ref, _ in step.old.pages()]
        after = [ref for ref, _ in step.new.pages()]
        step.spend(len(before) + len(after))
    except (LimitError, SpentError):
        raise
    except PdfError:
        step.refuse("pages_replaced")
        return
    gone, come = set(before) - set(after), set(after) - set(before)
    for place, ref in enumerate(before, 1):
        if ref in gone:
            step.refuse("page_removed", page=place)
    for place, ref in enumerate(after, 1):
        if ref in come:
            step.refuse("page_added", page=place)
    if not gone and not come:
        step.refuse("pages_replaced")


def is_page(node: PdfDict) -> bool:
    """Whether an object says it is a page."""
    return node.get("Type") == "Page"


def is_annotation(node: PdfDict) -> bool:
    """Whether an object is an annotation by its entries."""
    return "Subtype" in node and "Rect" in node and not isinstance(node.get("Subtype"), PdfString)


__all__ = ["annotation", "annots", "is_annotation", "is_page", "page", "page_number", "tree"]
