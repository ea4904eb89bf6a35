"""Words of a page are looked for in a process that may be lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from signsvc.errors import DocumentError
from signsvc.formats.pades import page_text
from signsvc.signing.appearance import words
from signsvc.verification import Limits
from tests.unit.signing.appearance_pages import document


@pytest.fixture(autouse=True)
def in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_limited", False)


def test_found_as_in_this_process(tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    path.write_bytes(document())
    wanted = ("GIÁM ĐỐC", "CHỦ TỊCH")
    found = words.find(path, wanted, range(1))
    expected = page_text.find(path, wanted, range(1))
    assert [len(places) for places in found] == [1, 0]
    assert found[0][0].page == expected[0][0].page
    assert found[0][0].box == pytest.approx(expected[0][0].box)


def test_this_process_does_not_read_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.pdf"
    path.write_bytes(document())
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert len(words.find(path, ("GIÁM ĐỐC",), (0,))[0]) == 1


def test_a_lost_process_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.pdf"
    path.write_bytes(document())

    monkeypatch.setattr(words, "Limits", lambda: Limits(wall_seconds=0.0))
    with pytest.raises(DocumentError) as caught:
        words.find(path, ("GIÁM ĐỐC",), (0,))
    assert caught.value.code == "document_too_complex"
