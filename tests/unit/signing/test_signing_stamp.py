"""Visible signatures: Vietnamese text that can be read and extracted, upright where it was asked for."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.errors import RequestError
from signsvc.formats.pades.write import SignatureSpec, sign_revision
from signsvc.signing import SignParams
from signsvc.signing.appearance import stamp, text_stamp
from signsvc.signing.appearance.layout import wrap
from signsvc.signing.appearance.values import filled
from signsvc.signing.statement import VIETNAM
from signsvc.types import Certificate

WHEN = datetime(2026, 11, 23, 16, 5, 9, tzinfo=VIETNAM)
EVERY = "ĂăÂâĐđÊêÔôƠơƯư ÀẢÃÁẠ ằẳẵắặ ầẩẫấậ èẻẽéẹ ềểễếệ ìỉĩíị òỏõóọ ồổỗốộ ờởỡớợ ùủũúụ ừửữứự ỳỷỹýỵ – “Số 12/QĐ-UBND” …"
RECT = (60.0, 40.0, 300.0, 120.0)


def _sign(data: bytes, plan_for: Callable[..., Any], path: Path, text: tuple[str, ...], **spec: Any) -> None:
    plan, sign = plan_for()
    stream = io.BytesIO(data)
    sign_revision(stream, plan, SignatureSpec(WHEN, appearance=text_stamp(text, frame=True), **spec), sign)
    path.write_bytes(stream.getvalue())


def _run(*command: str | Path) -> bytes:
    return subprocess.run(list(map(str, command)), capture_output=True, check=True, timeout=60).stdout


def test_every_vietnamese_letter_comes_out_of_the_file(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "stamped.pdf"
    _sign(make_pdf(), plan_for, path, (EVERY,), rect=RECT)
    assert " ".join(_run("pdftotext", path, "-").decode().split()) == EVERY
    fonts = _run("pdffonts", path).decode()
    assert "Tinos" in fonts
    assert fonts.splitlines()[-1].split()[-5:-2] == ["yes", "yes", "yes"], "embedded, subset, with Unicode"


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [None, (40, 30, 560, 800)])
def test_the_stamp_stands_where_people_see_it(
    rotate: int,
    crop: tuple[int, ...] | None,
    make_pdf: Callable[..., bytes],
    plan_for: Callable[..., Any],
    tmp_path: Path,
) -> None:
    from PIL import Image

    path = tmp_path / "stamped.pdf"
    text = ("Người ký: Nguyễn Văn An", "Thời gian ký: 2026-11-23T16:05:09+07:00")
    _sign(make_pdf(rotate=rotate, crop=crop), plan_for, path, text, rect=RECT)
    _run("pdftoppm", "-r", "72", "-cropbox", "-png", "-singlefile", path, tmp_path / "page")
    page = Image.open(tmp_path / "page.png").convert("RGB")
    reds = [
        (x, page.height - y)
        for x in range(page.width)
        for y in range(page.height)
        if (p := page.getpixel((x, y)))[0] > p[1] + 40  # type: ignore[index]
    ]
    frame = (min(x for x, _ in reds), min(y for _, y in reds), max(x for x, _ in reds), max(y for _, y in reds))
    assert frame == pytest.approx(RECT, abs=2.5)
    words = _run("pdftotext", "-bbox", "-cropbox", path, "-").decode()
    inside = [line for line in words.splitlines() if "<word" in line]
    assert len(inside) == 9
    left = [float(line.split('xMin="')[1].split('"')[0]) for line in inside[:5]]
    assert left == sorted(left), "the first line reads from left to right"


def test_text_is_made_small_until_it_fits(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "stamped.pdf"
    text = tuple(f"Dòng thứ {n} của một chữ ký có nhiều nội dung cần hiển thị" for n in range(8))
    _sign(make_pdf(), plan_for, path, text, rect=(100.0, 100.0, 220.0, 180.0))
    words = [line for line in _run("pdftotext", "-bbox", path, "-").decode().splitlines() if "<word" in line]
    tops = [float(line.split('yMin="')[1].split('"')[0]) for line in words]
    ends = [float(line.split('xMax="')[1].split('"')[0]) for line in words]
    assert len(words) == 8 * 14
    assert 842 - 181 < min(tops) < max(tops) < 842 - 100
    assert max(ends) < 221


@pytest.mark.parametrize(("page", "rect"), [(2, RECT), (-2, RECT), (1, (500.0, 0.0, 700.0, 80.0))])
def test_no_such_place(
    page: int, rect: tuple[float, ...], make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(RequestError) as caught:
        _sign(make_pdf(), plan_for, tmp_path / "x.pdf", ("A",), page=page, rect=rect)
    assert caught.value.code == "invalid_request"


def test_the_last_page_and_object_streams(
    make_pdf: Callable[..., bytes], plan_for: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "stamped.pdf"
    _sign(make_pdf(pages=3, stream_xrefs=True), plan_for, path, ("Người ký: Ẩn",), rect=RECT, page=-1)
    assert _run("pdftotext", "-l", "2", path, "-").strip() == b""
    assert _run("pdftotext", "-f", "3", path, "-").decode().strip() == "Người ký: Ẩn"


def test_the_simple_template(pki: test_pki.Pki) -> None:
    certificate = Certificate.from_der(pki.cert("person"))
    params = SignParams(reason="Phê\nduyệt", location="Hà Nội", metadata={"doc_number": "12/QĐ-UBND"})
    made = stamp("simple", params, certificate, WHEN)
    (text,) = made.template.texts
    assert filled(text.lines, made.values) == (
        f"Người ký: {certificate.common_name}",
        f"Cơ quan: {certificate.organization}",
        "Số, ký hiệu: 12/QĐ-UBND",
        "Thời gian ký: 2026-11-23T16:05:09+07:00",
        "Lý do: Phê duyệt",
        "Nơi ký: Hà Nội",
    )
    with pytest.raises(RequestError):
        stamp("unknown", SignParams(), certificate, WHEN)


def test_wrapping() -> None:
    assert wrap(("một hai ba bốn", "", "năm"), len, 8) == ["một hai", "ba bốn", "", "năm"]
    assert wrap(("dàihơncảdòng x",), len, 5) == ["dàihơncảdòng", "x"]
