"""Every way of changing a signed file is seen and named."""

from __future__ import annotations

import pytest

from signsvc.formats import pades
from signsvc.formats.pdf import Document
from signsvc.formats.pdf.changes import compare
from signsvc.messages import catalogue
from signsvc.types import Grade
from tests.attacks.pdf_documents import ATTACKS, Signed


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
@pytest.mark.parametrize("name", ATTACKS)
def test_attack(name: str, style: str) -> None:
    make, reasons = ATTACKS[name]
    document = Document(make(style).data)
    assert document.repair is None
    changes = compare(document, 2)
    assert changes[-1].grade is Grade.UNDEFINED, changes
    assert reasons & set(changes[-1].reasons), changes
    assert all(reason in catalogue() for change in changes for reason in change.reasons)


@pytest.mark.parametrize("style", ["table", "stream", "hybrid"])
def test_nothing_after_the_signature(style: str) -> None:
    document = Document(Signed(style).data)
    assert len(document.revisions) == 3
    assert compare(document, 2) == ()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_signature_says_so(name: str) -> None:
    """By the road that a verification takes, whatever became of the form."""
    view = pades.read(ATTACKS[name][0]("table").data)
    assert view.signatures
    assert any(change.grade is Grade.UNDEFINED for change in view.signatures[0].scope.changes_after)
