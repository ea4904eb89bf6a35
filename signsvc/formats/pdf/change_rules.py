"""Each object that a step changed is judged by the place it holds in the document."""

from __future__ import annotations

import re
from operator import is_

from signsvc.formats.pdf import change_form, change_pages, change_store, change_structure
from signsvc.formats.pdf.change_climb import climb
from signsvc.formats.pdf.change_step import Step, dictionary, full_name, inherited
from signsvc.formats.pdf.change_text import differs
from signsvc.formats.pdf.change_usages import Path, User
from signsvc.formats.pdf.headers import headers
from signsvc.formats.pdf.limits import LimitError, PdfError, SpentError
from signsvc.formats.pdf.objects import Buffer, PdfDict, PdfObject, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.formats.pdf.xref import FREE, PACKED, PLAIN
from signsvc.types import Grade

_PLACED = ("AcroForm", "DSS", "StructTreeRoot", "Metadata", "Extensions", "MarkInfo")
_MAX_EXPLORED = 40_000  # objects visited for one step; after that its undefined changes are no longer explained
_TRAILER = re.compile(rb"trailer(?=[\x00\t\n\x0c\r ]*+<<)")


def judge(step: Step) -> None:
    """Grade everything that `step` touched.  Raises LimitError."""
    places = _places(step)
    if step.old.root is not None and step.named(step.old.root.num):
        step.refuse("object_in_two_roles")
    _trailer(step)
    _readable(step)
    _listed(step)
    later: list[int] = []
    for number, (old, new) in step.changed.items():
        if number in step.explained:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            if change_pages.is_page(old) or (change_pages.is_annotation(old) and not change_form.is_field(step, old)):
                later.append(number)
                continue
            if _dictionary(step, number, old, new, places):
                continue
        if not _by_place(step, number, old, new, places, later):
            _unexplained(step, number)
    for number in later:
        old, new = step.changed[number]
        if isinstance(old, dict) and isinstance(new, dict) and change_pages.is_page(old):
            change_pages.page(step, number, old, new)
        elif isinstance(old, dict) and isinstance(new, dict):
            change_pages.annotation(step, number, old, new)
        elif not _annotations_array(step, number, old, new):
            _unexplained(step, number)
    _added(step)
    _freed(step)


def _readable(step: Step) -> None:
    """What cannot be read here may be read elsewhere: programs mend what is malformed, each in its own way."""
    document, index = step.document, step.new.index
    for number in step.new.touched:
        entry = step.new.own_entry(number)
        if entry is None or entry.kind == FREE or entry == document.entry(number, index - 1):
            continue
        try:
            value = document.object_of(number, entry, index)
            if isinstance(value, Stream) and value.dictionary.get("Type") == "ObjStm" and entry.kind == PLAIN:
                for place, (held, _) in enumerate(document.object_stream(number, index).places):
                    if step.new.own_entry(held) != (PACKED, number, place):
                        step.refuse("object_unlisted")
                        break
        except (LimitError, SpentError):
            raise
        except PdfError:
            step.refuse("object_unreadable")
            return


def _listed(step: Step) -> None:
    """Objects among the octets of the revision that its cross-references leave out: who rebuilds a file finds them."""
    buffer, new = step.document.buffer, step.new
    known = {section.offset for section in new.sections}
    known.update(at for section in new.sections if type(at := section.trailer.get("XRefStm")) is int)
    for number in new.touched:
        entry = new.own_entry(number)
        if entry is not None and entry.kind == PLAIN:
            known.add(entry.where)
    for at in headers(buffer, new.start, new.end):
        if at not in known and not any(
            _leads(buffer, before, at) for before in range(max(0, at - 4), at) if before in known
        ):
            number = int(bytes(buffer[at : at + 11]).replace(b"\0", b" ").split(maxsplit=1)[0])
            entry = new.own_entry(number)
            if entry is None or entry.kind != PLAIN or entry.where < at:
                # who rebuilds a file takes the last object of a number
                step.refuse("object_unlisted")
                return
            step.note(Grade.UNREACHED, "object_unlisted")
    tables = sum(not section.is_stream for section in new.sections)
    if sum(1 for _ in _TRAILER.finditer(buffer, new.start, new.end)) > tables:
        step.refuse("object_unlisted")


def _leads(buffer: Buffer, before: int, at: int) -> bool:
    """Whether nothing but white space stands between an offset that is listed and the object."""
    return not bytes(buffer[before:at]).strip(b"\x00\t\n\x0c\r ")


def _places(step: Step) -> dict[int, Path]:
    """Numbers of the objects with a place of their own in the old revision."""
    root = step.old.root
    if root is None:
        return {}
    catalog = dictionary(step.old, root) or {}
    store = dictionary(step.old, catalog.get("DSS")) or {}
    entries = dictionary(step.old, store.get("VRI")) or {}
    form = dictionary(step.old, catalog.get("AcroForm")) or {}
    resources = dictionary(step.old, form.get("DR")) or {}
    sources = (catalog, store, entries, form, resources)
    kept, found = step.usages.places.get(root, ((), {}))
    if len(kept) == len(sources) and all(map(is_, kept, sources)):
        return found
    step.spend(len(entries))
    found = {}
    for above, below in (
        ((), {key: catalog.get(key) for key in _PLACED}),
        (("DSS",), {key: store.get(key) for key in (*change_store.DSS_LISTS, "VRI")}),
        (("DSS", "VRI"), entries),
        (("AcroForm",), {"DR": form.get("DR")}),
        (("AcroForm", "DR"), resources),
    ):
        found.update((value.num, (*above, key)) for key, value in below.items() if isinstance(value, Ref))
    found[root.num] = ()
    step.usages.places = {root: (sources, found)}
    return found


def _trailer(step: Step) -> None:
    old, new = step.old, step.new
    if not step.same(old.trailer.get("Encrypt"), new.trailer.get("Encrypt")):
        step.refuse("encryption_changed")
    for value in (old.trailer.get("Encrypt"), old.trailer.get("ID")):
        if isinstance(value, Ref) and value.num in step.changed:
            step.refuse("encryption_changed")
    before, after = dictionary(old, old.trailer.get("Root")), dictionary(new, new.trailer.get("Root"))
    if before is None or after is None:
        step.refuse("catalog_changed")
    elif before is not after:
        if old.root is not None:
            step.explained.add(old.root.num)
        _catalog(step, before, after)
    info = new.trailer.get("Info")
    if (
        isinstance(info, Ref)
        and info == old.trailer.get("Info")
        and all(isinstance(value, dict) for value in step.changed.get(info.num, (None,)))
        and not step.users(info.num)
    ):
        # nothing but the trailer refers to it: whatever it says is shown nowhere
        step.explained.add(info.num)


def _catalog(step: Step, old: PdfDict, new: PdfDict) -> None:
    keys = step.differing(old, new)
    if "Pages" in keys:
        change_pages.tree(step)
    rest = change_store.extensions(step, old, new, keys)
    if "AcroForm" in rest:
        change_form.form(step, old.get("AcroForm"), new.get("AcroForm"))
    if "StructTreeRoot" in rest:
        change_structure.root(step, old.get("StructTreeRoot"), new.get("StructTreeRoot"))


def _dictionary(step: Step, number: int, old: PdfDict, new: PdfDict, places: dict[int, Path]) -> bool:
    """Judge a dictionary whose entries say what it is.

    Only entries that mean something to such an object and to no other may change, so that it does not matter who else
    refers to it.
    """
    if number in places:
        return False
    if change_form.is_field(step, old):
        change_form.field(step, number, old, new)
    elif old.get("Type") == "Sig" or old.get("Type") == "DocTimeStamp" or "ByteRange" in old:
        step.refuse("signature_dictionary_changed")
    elif old.get("Type") == "Pages" or ("Kids" in old and "Count" in old and "T" not in old):
        change_pages.tree(step)
    elif change_structure.is_element(old):
        change_structure.element(step, old, new)
    else:
        return False
    return True


def _by_place(
    step: Step, number: int, old: PdfObject, new: PdfObject, places: dict[int, Path], later: list[int]
) -> bool:
    """Judge an object by the only reference to it; False where no rule covers that."""
    if isinstance(old, Stream) and old.dictionary.get("Type") == "ObjStm":
        if _in_use(step, number):
            step.refuse("object_stream_replaced")
        else:
            step.note(Grade.UNREACHED, "object_unreached")
        return True
    users = step.users(number)
    if not users:
        return False
    if isinstance(old, Stream) or (isinstance(old, dict) and len(users) > 1):
        return (
            _appearance(step, number, old, new)
            or (len(users) == 1 and _rooted(step, old, new, users[0], places))
            or _evidence(step, old, new, users, places)
            or _structure(step, number, old, new, users, places)
        )
    if len(users) != 1:
        return False
    user = users[0]
    if user.path[-1:] == ("Annots",):
        later.append(number)
        return True
    return _rooted(step, old, new, user, places) or _held(step, number, old, new, user.number, user.path)


def _evidence(step: Step, old: PdfObject, new: PdfObject, users: list[User], places: dict[int, Path]) -> bool:
    """Judge a certificate, CRL or OCSP response to which nothing but several lists of the validation store refer."""
    step.spend(len(users))
    path: Path = ()
    for user in users:
        path = (*places.get(user.number, ()), *user.path)
        if path[:1] != ("DSS",) or not change_store.is_value(path[1:]):
            return False
    return change_store.inside(step, path[1:], old, new)


def _structure(
    step: Step, number: int, old: PdfObject, new: PdfObject, users: list[User], places: dict[int, Path]
) -> bool:
    """Judge the root of the structure tree, which its upper elements name as their parent."""
    step.spend(len(users))
    if places.get(number) != ("StructTreeRoot",):
        return False
    for user in users:
        value = _before(step, user.number)
        parent = user.path == ("P",) and isinstance(value, dict) and change_structure.is_element(value)
        if not parent and (*places.get(user.number, ("?",)), *user.path) != ("StructTreeRoot",):
            return False
    change_structure.root(step, old, new)
    return True


def _rooted(step: Step, old: PdfObject, new: PdfObject, user: tuple[int, Path], places: dict[int, Path]) -> bool:
    above = places.get(user[0])
    if above is None:
        return False
    path = (*above, *user[1])
    if path == ("AcroForm",):
        change_form.form(step, old, new)
    elif path == ("AcroForm", "Fields"):
        change_form.fields(step, old, new)
    elif path[:2] == ("AcroForm", "DR") and len(path) <= 3:
        if not _of_form_alone(step, user[0]):
            return False
        if len(path) == 2:
            change_form.resources(step, old, new)
        else:
            change_form.resources(step, {"": old}, {"": new})
    elif path[:1] == ("DSS",):
        return change_store.inside(step, path[1:], old, new)
    elif path == ("Metadata",):
        change_store.metadata(step, new)
    elif path == ("Extensions",) and not isinstance(new, Stream):
        change_store.developer(step, old, new)
    elif path == ("MarkInfo",) and not isinstance(new, Stream):
        pass
    elif path == ("StructTreeRoot",):
        change_structure.root(step, old, new)
    elif path == ("StructTreeRoot", "K"):
        change_structure.kids(step, old, new)
    elif path == ("StructTreeRoot", "ParentTree"):
        change_structure.numbers(step, old, new)
    elif path == ("StructTreeRoot", "ParentTree", "Nums"):
        change_structure.pairs(step, old, new)
    else:
        return False
    return True


def _of_form_alone(step: Step, number: int) -> bool:
    """Whether the catalog's form leads to an object and nothing else does: resources of a page are shown there."""
    root = step.old.root
    while root is not None and number != root.num:
        user = step.sole_user(number)
        if user is None or user.path not in (("AcroForm",), ("DR",), ("AcroForm", "DR")):
            return False
        number = user.number
    return root is not None


def _held(step: Step, number: int, old: PdfObject, new: PdfObject, holder: int, path: Path) -> bool:
    """Judge what a field, a structure element or a number tree holds."""
    value = _before(step, holder)
    if not isinstance(value, dict):
        return False
    if path == ("Kids",) and change_form.is_field(step, value):
        change_form.fields(step, old, new, value)
    elif path == ("K",) and change_structure.is_element(value):
        change_structure.kids(step, old, new)
    elif path == ("Nums",) and change_structure.is_numbers(value) and _of_parent_tree(step, holder):
        change_structure.pairs(step, old, new)
    elif path[:1] == ("Kids",) and change_structure.is_numbers(value) and _of_parent_tree(step, number):
        change_structure.numbers(step, old, new)
    else:
        return _appearance(step, number, old, new)
    return True


def _of_parent_tree(step: Step, number: int) -> bool:
    """Whether a node of a number tree belongs to /ParentTree and to nothing else."""
    root = dictionary(step.old, step.old.root)
    above = root.get("StructTreeRoot") if root else None
    tree = (dictionary(step.old, above) or {}).get("ParentTree")
    for _ in range(64):
        user = step.sole_user(number)
        if user is None:
            return False
        if isinstance(tree, Ref) and tree.num == number:
            return True
        if isinstance(above, Ref) and user.number == above.num:
            return user.path[:1] == ("ParentTree",)
        if user.path[:1] != ("Kids",):
            return False
        number = user.number
    return False


def _appearance(step: Step, number: int, old: PdfObject, new: PdfObject) -> bool:
    """Judge an appearance that is rewritten in its place: every user is a field that gets another value.

    False where something else refers to it.
    """
    found: list[tuple[PdfDict, PdfDict]] = []
    pending, seen = [number], {number}
    while pending:
        users = step.users(pending.pop())
        if not users:
            return False
        step.spend(len(users))
        for user in users:
            value = _before(step, user.number)
            if not isinstance(value, dict):
                return False
            if user.path[:1] == ("AP",) and change_form.is_field(step, value):
                after = step.changed.get(user.number, (value, value))[1]
                found.append((value, after if isinstance(after, dict) else value))
            elif user.path[:1] in (("N",), ("R",), ("D",)) and user.number not in seen and len(seen) < 100:
                seen.add(user.number)
                pending.append(user.number)
            else:
                return False
    if isinstance(old, Stream) is not isinstance(new, Stream):
        return False
    for before, after in found:
        name = full_name(step.old, before)
        if change_form.appearance(step, before, after):
            if differs(step, after, inherited(step.new, after, "FT"), inherited(step.new, after, "V")):
                step.refuse("appearance_differs", field=name)
            step.note(Grade.FORM_OR_SIGNATURE, field=name)
            step.notes.filled.add(name)
        else:
            step.refuse("appearance_without_value", field=name)
    return True


def _annotations_array(step: Step, number: int, old: PdfObject, new: PdfObject) -> bool:
    user = step.sole_user(number)
    value = _before(step, user.number) if user else None
    if user is None or not isinstance(value, dict) or not change_pages.is_page(value) or user.path != ("Annots",):
        return False
    if not isinstance(old, list) or not isinstance(new, list):
        return False
    page = dictionary(step.new, Ref(user.number, 0)) or {}
    change_pages.annots(step, old, new, change_pages.page_number(step, user.number), page)
    return True


def _before(step: Step, number: int) -> PdfObject:
    entry = step.old.entry(number)
    if entry is None or not entry.kind:
        return None
    try:
        return step.document.object_of(number, entry, step.old.index)
    except LimitError:
        raise
    except PdfError:
        return None


def _unexplained(step: Step, number: int) -> None:
    """An object that no rule explains: does anything that is shown lead to it?"""
    if step.explored >= _MAX_EXPLORED:
        step.refuse("object_changed")
        return
    reached, pages = climb(step, number, step.old.index)
    if not reached:
        step.note(Grade.UNREACHED, "object_unreached")
        return
    old, _ = step.changed.get(number, (None, None))
    for page in sorted(pages)[:100]:
        step.refuse("page_content_changed", page=change_pages.page_number(step, page))
    if not pages:
        step.refuse("signature_dictionary_changed" if _is_signature(old) else "object_changed")


def _is_signature(value: PdfObject) -> bool:
    return isinstance(value, dict) and "ByteRange" in value


def _added(step: Step) -> None:
    """New objects mean nothing by themselves, unless something older already refers to their numbers."""
    filled = False
    for number in step.added:
        if not filled and step.users(number) and climb(step, number, step.old.index)[0]:
            filled = True
            step.refuse("dangling_reference_filled")
        _holder_filled(step, number)


def _holder_filled(step: Step, number: int) -> None:
    """An object stream that older cross-references named before it existed would bring their objects to life."""
    if step.added[number].kind != PLAIN:
        return
    try:
        value = step.document.object_of(number, step.added[number], step.new.index)
        if not isinstance(value, Stream) or value.dictionary.get("Type") != "ObjStm":
            return
        places = step.document.object_stream(number, step.new.index).places
    except LimitError:
        raise
    except PdfError:
        return
    for held, _ in places:
        found = step.new.entry(held)
        if found and found.kind == PACKED and found.where == number and step.new.own_entry(held) != found:
            step.refuse("dangling_reference_filled")
            return


def _in_use(step: Step, number: int) -> bool:
    """Whether objects of the new revision are still looked for in the object stream `number` of the old one."""
    try:
        places = step.document.object_stream(number, step.old.index).places
    except LimitError:
        raise
    except PdfError:
        return True
    found = [step.new.entry(held) for held, _ in places]
    return any(entry and entry.kind == PACKED and entry.where == number for entry in found)


def _freed(step: Step) -> None:
    for number in step.freed:
        old = _before(step, number)
        if isinstance(old, Stream) and old.dictionary.get("Type") == "ObjStm" and _in_use(step, number):
            step.refuse("object_stream_replaced")
        elif "object_freed" in step.notes.reasons:
            return
        elif step.usages.of(number, step.new.index) and climb(step, number, step.new.index)[0]:
            step.refuse("object_freed")
        elif not step.users(number):
            step.note(Grade.UNREACHED, "object_freed_unused")


__all__ = ["judge"]
