"""What forbids another signature on a document, found before any key is touched.

ISO 32000-2 §12.8.2.2 (DocMDP), §12.8.2.4 (FieldMDP), §12.7.5.5 (field locks), table 22 (permission bits); dynamic XFA
forms are drawn from data that a signature's appearance does not show.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from signsvc.errors import DocumentError
from signsvc.formats.pades.write_access import array, dictionary, get, resolved
from signsvc.formats.pades.write_open import Opened, in_our_words

# Visits of form field nodes, not distinct nodes: a tree with shared nodes would otherwise be walked without end.
MAX_FIELD_VISITS = 20_000
MAX_FIELD_DEPTH = 64

_MODIFY, _ANNOTATE, _FILL = 1 << 3, 1 << 5, 1 << 8


@dataclass(slots=True)
class FormFields:
    """The form of a document: names of all fields, empty and signed signature fields, empty text fields and those with
    a value."""

    names: set[str] = field(default_factory=set)
    empty: dict[str, Any] = field(default_factory=dict)
    signed: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)


def read_fields(root: Any) -> FormFields:
    """All fields of the AcroForm under the catalog `root`, walked with a bound.

    Raises `DocumentError` (``document_too_complex``).
    """
    found = FormFields()
    form = dictionary(get(root, "/AcroForm"))
    if form is None:
        return found
    stack = [(node, "", "", 0) for node in array(get(form, "/Fields"))]
    visits = 0
    while stack:
        node, prefix, kind, depth = stack.pop()
        visits += 1
        if visits > MAX_FIELD_VISITS or depth > MAX_FIELD_DEPTH:
            raise DocumentError("document_too_complex", limit="form fields")
        entry = dictionary(node)
        if entry is None:
            continue
        own = get(entry, "/T")
        name = f"{prefix}.{own}" if prefix and own else str(own or prefix)
        kind = str(get(entry, "/FT", kind))
        kids = [kid for kid in array(get(entry, "/Kids")) if "/T" in (dictionary(kid) or ())]
        if own:
            found.names.add(name)
        if kids:
            stack.extend((kid, name, kind, depth + 1) for kid in kids)
        elif kind == "/Sig":
            (found.signed if dictionary(get(entry, "/V")) is not None else found.empty)[name] = entry
        elif kind == "/Tx" and name and get(entry, "/V") in (None, ""):
            found.texts[name] = entry
        elif kind == "/Tx":
            found.filled.add(name)
    return found


def check_may_sign(
    opened: Opened, target: str | None, *, certify: bool = False, texts: Collection[str] = ()
) -> FormFields:
    """The form fields, when the document permits a signature in field `target` (None: a new field), with `texts`
    filled.

    Raises `DocumentError` (``signing_not_permitted``) with reason ``xfa``, ``permissions``,
    ``certified-no-changes``, ``field-locked``, ``already-signed`` (the field, or a certification that is not the
    first signature) or ``no-such-field``.
    """
    with in_our_words():
        root = opened.writer.root
        fields = read_fields(root)
        if target is not None and target in fields.signed:
            _refuse("already-signed")
        if target is not None and target in fields.names and target not in fields.empty:
            _refuse("no-such-field")
        if certify and fields.signed:
            _refuse("already-signed")
        form = dictionary(get(root, "/AcroForm"))
        if form is not None and "/XFA" in form:
            _refuse("xfa")
        if opened.permissions is not None:
            bits = opened.permissions
            existing = target is not None and target in fields.empty
            if not (bits & (_FILL | _ANNOTATE) if existing else bits & _MODIFY and bits & _ANNOTATE):
                _refuse("permissions")
        certified = dictionary(get(dictionary(get(root, "/Perms")), "/DocMDP"))
        values = [dictionary(get(entry, "/V")) for entry in fields.signed.values()]
        for value in (certified, *values):
            for method, params in _references(value):
                if get(params, "/P") == 1 and (method == "/FieldMDP" or value is certified or _is(value, certified)):
                    _refuse("certified-no-changes")
                if method == "/FieldMDP" and any(_locks(params, name) for name in (target, *texts)):
                    _refuse("field-locked")
        for entry in fields.signed.values():
            lock = dictionary(get(entry, "/Lock"))
            if lock is not None and get(lock, "/P") == 1:
                _refuse("certified-no-changes")
            if lock is not None and "/Action" in lock and any(_locks(lock, name) for name in (target, *texts)):
                _refuse("field-locked")
        return fields


def _is(one: Any, other: Any) -> bool:
    """Whether two dictionaries are the same object of the file."""
    if one is None or other is None:
        return False
    first, second = (getattr(value, "container_ref", None) for value in (one, other))
    return first is not None and first == second


def _references(value: Any) -> Iterator[tuple[str, Any]]:
    if value is None:
        return
    for entry in array(get(value, "/Reference")):
        reference = dictionary(entry)
        if reference is not None:
            params = dictionary(get(reference, "/TransformParams"))
            yield str(get(reference, "/TransformMethod")), params if params is not None else {}


def _locks(spec: Any, target: str | None) -> bool:
    """Whether a FieldMDP dictionary or field lock covers `target`; a new field is under /All and /Exclude."""
    action = str(get(spec, "/Action"))
    if action == "/All":
        return True
    names = [str(resolved(name)) for name in array(get(spec, "/Fields"))]
    listed = target is not None and any(target == name or target.startswith(f"{name}.") for name in names)
    return listed if action == "/Include" else not listed


def _refuse(reason: str) -> None:
    raise DocumentError("signing_not_permitted", reason=reason)
