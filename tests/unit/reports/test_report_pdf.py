"""The report as PDF: all that decides is on the page, hostile texts are only texts, size and octets stay in bounds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from signsvc.reports.pdf import render_pdf
from signsvc.reports.pdf.content import _SHOWN, MOST_SIGNATURES, shown

SCOPE = {"type": "FULL", "revision": 1, "of": 1, "byte_ranges": [], "changes_after": [], "changes_omitted": 0}
CHAIN = {
    "subject": "CN=Nguyễn Văn An", "serial": "0a", "sha256": "00" * 32, "not_after": "2027-01-01T00:00:00Z",
    "status": "good", "source": "ocsp", "origin": "dss", "produced_at": "2026-11-24T01:00:00Z", "next_update": None,
    "revoked_at": None, "reason": None, "trust_anchor": False,
}  # fmt: skip


def message(level: str, said: str, **more: Any) -> dict[str, Any]:
    return {"level": level, "code": f"code_{level}", "text": said, "text_vi": said, "block": None, **more}


def signature(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": f"signature-{number}", "field": "Signature1", "indication": "TOTAL-PASSED", "sub_indication": None,
        "as_signed": {"indication": "TOTAL-PASSED", "sub_indication": None}, "format": "PAdES", "level": "B-LTA",
        "scope": SCOPE, "signed_by": "Nguyễn Văn An", "organization": "Ủy ban nhân dân tỉnh", "certificate": None,
        "claimed_signing_time": "2026-11-24T01:02:03Z", "best_signature_time": "2026-11-24T01:02:04Z",
        "time_source": "timestamp", "digest_algorithm": "sha256", "signature_algorithm": "rsa-pkcs1v15-sha256",
        "reason": "Phê duyệt", "location": None, "claimed_roles": [], "covered": [], "covered_omitted": 0,
        "commitments": [], "chain": [CHAIN], "timestamps": [], "messages": [], "extend_before": None,
        "checks": [{"id": "chain", "result": "passed"}, {"id": "integrity", "result": "passed"}],
        "counter_signatures": [], **more,
    }  # fmt: skip


def report(*signatures: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "rep_1", "validation_time": "2026-11-24T02:00:00.123456Z",
        "document": {"name": "văn bản.pdf", "sha256": "ab" * 32, "size": 1234, "pages": 2, "revisions": 1},
        "policy": {"id": "hon-hop", "version": "1.0", "sha256": "cd" * 32}, "indication": "TOTAL-PASSED",
        "sub_indication": None, "signatures_count": len(signatures), "valid_signatures_count": len(signatures),
        "signatures": list(signatures), "timestamps": [], "messages": [], "warnings": [], **more,
    }  # fmt: skip


def words(data: bytes, place: Path) -> str:
    path = place / "r.pdf"
    path.write_bytes(data)
    done = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_what_stands_on_the_page(lang: str, tmp_path: Path) -> None:
    found = report(
        signature(messages=[message("warning", "Cảnh giác", next_step="Call", next_step_vi="Gọi")]),
        acceptance={"rule": "van-ban-den", "decision": "review", "reasons": [message("info", "vì sao")]},
    )
    said = words(render_pdf(found, lang=lang, check_url="https://a.example/r/1"), tmp_path)
    wanted = {
        "vi": ("Chữ ký hợp lệ", "KHÔNG được ký số", "Gọi", "cần cán bộ xem xét", "24/11/2026 08:02:04 +07:00"),
        "en": ("Valid signature", "NOT sealed", "Call", "for a person to review", "24/11/2026 08:02:04 +07:00"),
    }
    for one in (*wanted[lang], "Nguyễn Văn An", "Ủy ban nhân dân tỉnh", "rep_1", "https://a.example/r/1", "ab" * 32):
        assert one in said, one
    sealed = words(render_pdf(found, lang=lang, sealed=True), tmp_path)
    assert wanted[lang][1] not in sealed


def test_the_same_octets_again_and_what_is_attached(tmp_path: Path) -> None:
    found = report(signature())
    held = {"report.json": json.dumps(found, ensure_ascii=False).encode(), "report.xml": "<a>ê</a>".encode()}
    data = render_pdf(found, attachments=held)
    assert render_pdf(found, attachments=held) == data
    (tmp_path / "r.pdf").write_bytes(data)
    subprocess.run(["pdfdetach", "-saveall", "-o", str(tmp_path), str(tmp_path / "r.pdf")], check=True)
    assert {name: (tmp_path / name).read_bytes() for name in held} == held


@pytest.mark.parametrize(
    "hostile",
    [
        "#panic()", '"] #sys.inputs', "$x$ *b* _i_ `r` <l> @r = h\n- i", "\u202ecod.exe", "مرحبا 中文 😀", "a\u0300" * 50,
        "x" * 10_000, "\\u{1F}", "//", "/* ", "\ue000\U0010ffff",
    ],
)  # fmt: skip
def test_hostile_texts_are_only_texts(hostile: str, tmp_path: Path) -> None:
    one = signature(signed_by=hostile, organization=hostile, reason=hostile, field=hostile)
    found = report(one, messages=[message("error", hostile)])
    found["document"]["name"] = hostile
    data = render_pdf(found, check_url="https://a.example/r/1")
    said = words(data, tmp_path)
    assert "Chữ ký hợp lệ" in said
    assert len(data) < 400_000


def test_every_character_that_is_let_through_has_a_glyph() -> None:
    """PDF/A refuses text without one, so that setting it says so."""
    every = "".join(map(chr, sorted(_SHOWN)))
    parts = [every[at : at + 300] for at in range(0, len(every), 300)]
    render_pdf(report(*(signature(n, signed_by=part) for n, part in enumerate(parts))))
    assert shown("e\u0302\u0323") == "ệ"
    assert shown("\u202e") == "[U+202E]"


def test_many_signatures_stay_in_bounds(tmp_path: Path) -> None:
    many = [signature(n, messages=[message("info", "x" * 500)] * 100) for n in range(MOST_SIGNATURES + 40)]
    data = render_pdf(report(*many))
    assert len(data) < 3_000_000
    assert "Còn 40 chữ ký" in words(data, tmp_path)
