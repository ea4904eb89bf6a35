"""What happened to a document after a signature, as findings about that signature."""

from __future__ import annotations

from collections.abc import Iterator

from signsvc.messages import catalogue
from signsvc.types import Change, Finding, Grade, Level, Scope

_CODES = {
    Grade.UNDEFINED: "changed_undefined",
    Grade.UNREACHED: "changed_unreached",
    Grade.ANNOTATION: "changed_annotation",
    Grade.FORM_OR_SIGNATURE: "changed_form",
}


# What a format's reader notes about a signature that somebody did to it afterwards: it counts with the changes.
AFTERWARDS = frozenset(("signature_dictionary_replaced",))


def check_changes(scope: Scope, subject: str) -> Iterator[Finding]:
    """One finding per later revision that did more than add validation data, and one per reason that has a text."""
    for change in scope.changes_after:
        revision, pages = change.revision, _pages(change)
        code = _CODES.get(change.grade)
        if code is not None:
            yield Finding.of(code, subject=subject, revision=revision, pages=pages)
            known = (reason for reason in dict.fromkeys(change.reasons) if reason in catalogue())
            # A further signature (the agency's seal after the person's) is ordinary: only what the catalogue warns of.
            level = None if change.grade is Grade.FORM_OR_SIGNATURE else Level.WARN
            for reason in known:
                data = {name: value for named, name, value in change.details if named == reason}
                yield Finding.of(reason, subject=subject, level=level, revision=revision, **data)
        if change.permitted is False and change.grade is not Grade.UNDEFINED:
            yield Finding.of("changed_not_permitted", subject=subject, revision=revision, pages=pages)


def _level(reason: str, grade: Grade) -> Level:
    """A reason explains its grade, which is what fails: an ordinary one (a second signature) is no warning."""
    quiet = catalogue()[reason].level == Level.INFO and grade is not Grade.UNDEFINED
    return Level.INFO if quiet else Level.WARN


def _pages(change: Change) -> str:
    """Such as ``; tr./p. 1, 3``: it stands behind the revision in either language."""
    return f"; tr./p. {', '.join(map(str, change.pages[:10]))}" if change.pages else ""
