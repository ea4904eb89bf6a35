"""What happened to a document after a signature, as findings about that signature."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from signsvc.messages import catalogue
from signsvc.types import Certificate, Change, Finding, Grade, Level, Scope

_CODES = {
    Grade.UNDEFINED: "changed_undefined",
    Grade.UNREACHED: "changed_unreached",
    Grade.ANNOTATION: "changed_annotation",
    Grade.FORM_OR_SIGNATURE: "changed_form",
}


# What a format's reader notes about a signature that somebody did to it afterwards: it counts with the changes.
AFTERWARDS = frozenset(("signature_dictionary_replaced",))


# How far down the first page number and date of an administrative document stand, as a share of its height: they
# belong to the heading, below the name of the agency (Decree 30/2020 App. I).
_HEADING = 0.25
_IDENTIFIED = ("MST:", "MNS:")  # tax code and budget code: of organizations, never of persons


def is_agency(certificate: Certificate | None) -> bool:
    """Whether a certificate is that of an organization: its subject has the code of one."""
    return certificate is not None and any(value.startswith(_IDENTIFIED) for value in certificate.subject_values("UID"))


def check_changes(scope: Scope, subject: str, sealed: Collection[int] = ()) -> Iterator[Finding]:
    """One finding per later revision that did more than add validation data, and one per reason that has a text.

    `sealed` are the revisions in which an agency signed.  Stamps in the heading of the first page that came with such
    a signature, where the earlier one forbids comments, are number and date by the issuing step: a finding of its own,
    which a policy may put up with.
    """
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
            numbered = revision in sealed and _number_and_date(change)
            code = "number_and_date_stamped" if numbered else "changed_not_permitted"
            yield Finding.of(code, subject=subject, revision=revision, pages=pages)


def _level(reason: str, grade: Grade) -> Level:
    """A reason explains its grade, which is what fails: an ordinary one (a second signature) is no warning."""
    quiet = catalogue()[reason].level == Level.INFO and grade is not Grade.UNDEFINED
    return Level.INFO if quiet else Level.WARN


def _number_and_date(change: Change) -> bool:
    in_heading = (page == 1 and reach is not None and reach <= _HEADING for page, reach in change.stamps)
    return bool(change.stamps) and all(in_heading)


def _pages(change: Change) -> str:
    """Such as ``; tr./p. 1, 3``: it stands behind the revision in either language."""
    return f"; tr./p. {', '.join(map(str, change.pages[:10]))}" if change.pages else ""
