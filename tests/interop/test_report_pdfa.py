"""veraPDF on reports: they are the PDF/A-3 that they claim to be, in both languages, plain and crowded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from signsvc.reports.pdf import render_pdf
from tests.interop.test_pdfa_stays import verapdf  # noqa: F401 - a fixture
from tests.unit.reports.test_report_pdf import message, report, signature

Ask = Callable[[Sequence[Path]], list[tuple[str, str, str]]]


def test_reports_are_pdfa(verapdf: Ask, tmp_path: Path) -> None:  # noqa: F811
    change = {"revision": 2, "grade": "undefined", "permitted": False, "objects": [1], "pages": [1], "fields": ["ô"], "reasons": []}  # fmt: skip
    scope = {"type": "REVISION", "revision": 1, "of": 2, "byte_ranges": [], "changes_after": [change] * 30}
    crowded = [
        signature(n, signed_by="中文 <b>#x" * 5, scope=scope, messages=[message("error", "lỗi")] * 5) for n in range(9)
    ]
    reports = {"plain": report(signature()), "none": report(indication="NO-SIGNATURE"), "crowded": report(*crowded)}
    files = []
    for name, one in reports.items():
        for lang in ("vi", "en"):
            path = tmp_path / f"{name}-{lang}.pdf"
            held = {"report.json": b"{}", "report.xml": b"<a/>"}
            path.write_bytes(render_pdf(one, lang=lang, attachments=held, check_url="https://a.example/r/1"))
            files.append(path)
    assert verapdf(files) == [("3a", "true", "")] * len(files)
