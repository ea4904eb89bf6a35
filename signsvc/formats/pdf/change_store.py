"""What validation material and metadata may change: catalog, /DSS, /Extensions, /Metadata, /Info."""

from __future__ import annotations

import re

from signsvc.formats.pdf.change_step import Step, dictionary, items
from signsvc.formats.pdf.objects import Name, PdfDict, PdfObject, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.types import Grade

DSS_LISTS = ("Certs", "CRLs", "OCSPs")
_DSS_KEYS = frozenset(DSS_LISTS) | {"Type", "VRI"}
_VRI_LISTS = ("Cert", "CRL", "OCSP")
_VRI_KEYS = frozenset(_VRI_LISTS) | {"Type", "TU", "TS"}
_VRI_NAME = re.compile(r"[0-9A-Fa-f]{40}")

_LEVEL_KEYS = frozenset({"Type", "BaseVersion", "ExtensionLevel", "ExtensionRevision", "URL"})

# Catalog entries whose change shows or runs something, with the reason that says so.
_CATALOG_REASONS = {
    "Pages": "pages_replaced",
    "OpenAction": "action_added",
    "AA": "action_added",
    "Names": "catalog_names_changed",
    "Outlines": "catalog_changed",
    "OCProperties": "optional_content_changed",
    "Perms": "permissions_changed",
}


def extensions(step: Step, old: PdfDict, new: PdfDict, keys: set[str]) -> set[str]:
    """Judge those of the changed catalog `keys` that are validation material or metadata; the others are returned."""
    rest = set(keys)
    for key in ("Extensions", "MarkInfo"):
        if key in rest:
            rest.discard(key)
            if any(isinstance(value, Stream) for value in (step.before(old.get(key)), step.after(new.get(key)))):
                step.refuse("catalog_changed")
            elif key == "Extensions":
                developer(step, old.get(key), new.get(key))
    if "Version" in rest:
        rest.discard("Version")
        if not isinstance(step.after(new.get("Version")), Name):
            step.refuse("catalog_changed")
    if "Metadata" in rest:
        rest.discard("Metadata")
        metadata(step, new.get("Metadata"))
    if "DSS" in rest:
        rest.discard("DSS")
        store(step, old.get("DSS"), new.get("DSS"))
    if "Perms" in rest and _first_certification(step, old.get("Perms"), new.get("Perms")):
        rest.discard("Perms")
        step.note(Grade.FORM_OR_SIGNATURE)
    for key in rest - {"AcroForm", "StructTreeRoot"}:
        step.refuse(_CATALOG_REASONS.get(key, "catalog_changed"))
    return rest & {"AcroForm", "StructTreeRoot"}


def developer(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/Extensions (ISO 32000-2 §7.12): names of developers with what of theirs the file uses; it shows nothing.

    One that later goes, or is not written as the standard has it, makes other programs read the file otherwise.
    """
    before, after = dictionary(step.old, old) or {}, dictionary(step.new, new)
    if after is None or any(key not in after for key in before):
        step.note(Grade.UNREACHED, "extensions_removed")
    for key, value in (after or {}).items():
        if key == "Type" or step.same(before.get(key), value):
            continue
        found = step.after(value)
        levels = found if isinstance(found, list) else [found]
        if not levels or not all(_is_level(step, level) for level in levels):
            step.note(Grade.UNREACHED, "extensions_malformed")


def _is_level(step: Step, value: PdfObject) -> bool:
    found = dictionary(step.new, value)
    return (
        found is not None
        and found.keys() <= _LEVEL_KEYS
        and isinstance(step.after(found.get("BaseVersion")), Name)
        and type(step.after(found.get("ExtensionLevel"))) is int
    )


def _first_certification(step: Step, old: PdfObject, new: PdfObject) -> bool:
    """Whether /Perms appears with nothing but a /DocMDP that this revision made: it restricts and shows nothing."""
    found = dictionary(step.new, new)
    return (
        step.before(old) is None
        and step.fresh(new)
        and found is not None
        and set(found) == {"DocMDP"}
        and isinstance(found["DocMDP"], Ref)
        and found["DocMDP"].num in step.added
    )


def metadata(step: Step, new: PdfObject) -> None:
    """The catalog's /Metadata: another XMP stream shows nothing."""
    value = step.after(new)
    if value is not None and not (
        isinstance(value, Stream) and value.dictionary.get("Subtype") == "XML" and "Resources" not in value.dictionary
    ):
        step.refuse("metadata_malformed")


def store(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/DSS: values may come and go, since each is proven by the revision that held it."""
    before, after = dictionary(step.old, old) or {}, dictionary(step.new, new)
    if after is None:
        if new is not None or old is not None:
            step.note(Grade.UNREACHED, "dss_removed")
        return
    keys = step.differing(before, after)
    for key in keys & set(DSS_LISTS):
        material(step, after.get(key))
    if "VRI" in keys:
        index(step, before.get("VRI"), after.get("VRI"))
    if keys - _DSS_KEYS:
        step.note(Grade.UNREACHED, "dss_key_unknown")


def material(step: Step, new: PdfObject) -> None:
    """An array of certificates, CRLs or OCSP responses."""
    if step.after(new) is not None and not isinstance(step.after(new), list):
        step.note(Grade.UNREACHED, "dss_malformed")
    for item in items(step.new, new):
        if isinstance(item, Ref) and item.num in step.added and not isinstance(step.after(item), Stream):
            step.note(Grade.UNREACHED, "dss_malformed")


def index(step: Step, old: PdfObject, new: PdfObject) -> None:
    """/VRI by signature."""
    before, after = dictionary(step.old, old) or {}, dictionary(step.new, new)
    if after is None:
        step.note(Grade.UNREACHED, "dss_malformed" if new is not None else "dss_removed")
        return
    for key in step.differing(before, after):
        if not _VRI_NAME.fullmatch(key):
            step.note(Grade.UNREACHED, "vri_key_odd")
        entry(step, after.get(key))


def entry(step: Step, new: PdfObject) -> None:
    """One value of /VRI."""
    after = dictionary(step.new, new)
    if after is None:
        step.note(Grade.UNREACHED, "dss_malformed" if new is not None else "dss_removed")
        return
    if set(after) - _VRI_KEYS:
        step.note(Grade.UNREACHED, "dss_key_unknown")
    for key in _VRI_LISTS:
        material(step, after.get(key))


def inside(step: Step, path: tuple[str | int, ...], old: PdfObject, new: PdfObject) -> bool:
    """Judge an object that stands at `path` below /DSS; False where none of the rules covers that place."""
    if path == ():
        store(step, old, new)
    elif path == ("VRI",):
        index(step, old, new)
    elif len(path) == 1 and path[0] in DSS_LISTS:
        material(step, new)
    elif len(path) == 2 and path[0] == "VRI":
        entry(step, new)
    elif len(path) == 3 and path[0] == "VRI" and path[2] in _VRI_LISTS:
        material(step, new)
    elif is_value(path):
        if not isinstance(new, Stream):
            step.note(Grade.UNREACHED, "dss_malformed")
    else:
        return False
    return True


def is_value(path: tuple[str | int, ...]) -> bool:
    """Whether `path` below /DSS is that of a certificate, CRL or OCSP response in one of the lists."""
    if not path or not isinstance(path[-1], int):
        return False
    above = path[:-1]
    return (len(above) == 1 and above[0] in DSS_LISTS) or (
        len(above) == 3 and above[0] == "VRI" and above[2] in _VRI_LISTS
    )


__all__ = ["DSS_LISTS", "developer", "extensions", "inside", "is_value", "metadata", "store"]
