"""How loudly later revisions are spoken of."""

from __future__ import annotations

from signsvc.types import Change, Grade, Level, Scope
from signsvc.validation.changes import check_changes


def levels(change: Change) -> dict[str, Level]:
    return {f.code: f.level for f in check_changes(Scope("REVISION", 1, 2, (), (change,)), "s")}


def test_the_agencys_visible_seal_is_no_warning_and_one_that_covers_something_is() -> None:
    reasons = ("signature_field_visible", "signature_overlaps")
    found = levels(Change(2, Grade.FORM_OR_SIGNATURE, pages=(1,), reasons=reasons))
    assert found == {
        "changed_form": Level.INFO,
        "signature_field_visible": Level.INFO,
        "signature_overlaps": Level.WARN,
    }


def test_reasons_of_graver_changes_are_warnings() -> None:
    for grade in (Grade.ANNOTATION, Grade.UNREACHED, Grade.UNDEFINED):
        found = levels(Change(2, grade, reasons=("annotation_added", "no_such_reason")))
        assert found["annotation_added"] is Level.WARN
        assert "no_such_reason" not in found
