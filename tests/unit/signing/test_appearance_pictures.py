"""Every template on every kind of page, beside pictures that people have looked at.

SIGNSVC_NEW_PICTURES=1 writes the pictures anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageFilter

from signsvc.signing import SignParams
from signsvc.signing.model import TEMPLATES
from signsvc.signing.visible import Anchor, Beside, Visible
from tests.unit.signing.appearance_pages import METADATA, SHAPES, document, hand, rendered, run, seal, sign

PICTURES = Path(__file__).with_name("pictures")
COPIES = {
    "phu-luc": ["12/QĐ-SNV"],
    "sao-y": ["Sao y", "SỞ NỘI VỤ"],
    "sao-luc": ["Sao lục", "SỞ NỘI VỤ"],
    "trich-sao": ["Trích sao", "SỞ NỘI VỤ"],
    "ban-sao": ["Bản sao 12/QĐ-SNV", "SỞ NỘI VỤ"],
}
TIME = "2026-02-03T16:05:09+07:00"


def differing(one: Image.Image, other: Image.Image) -> float:
    """Share of pixels that differ by more than the edges of letters do between two programs."""
    if one.size != other.size:
        return 1.0
    soft = [image.convert("RGB").filter(ImageFilter.BoxBlur(1)) for image in (one, other)]
    changes = ImageChops.difference(*soft).convert("L").point(lambda value: 255 if value > 40 else 0)
    return changes.histogram()[255] / (one.width * one.height)


def compare(shown: Image.Image, name: str) -> None:
    path = PICTURES / f"{name}.png"
    if os.environ.get("SIGNSVC_NEW_PICTURES"):
        shown.quantize(24).save(path, optimize=True)
    assert differing(shown, Image.open(path)) < 0.0005, f"{name} looks otherwise than the stored picture"


def params(template: str, **visible: Any) -> SignParams:
    return SignParams(
        metadata=METADATA, location="Hà Nội", reason="Phê duyệt", visible=Visible(template=template, **visible)
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_signatures_of_person_and_agency(shape: str, plan_for: Callable[..., Any], tmp_path: Path) -> None:
    width, height, rotate, cut = SHAPES[shape]
    path = tmp_path / "page.pdf"
    between = Anchor("GIÁM ĐỐC", to="Nguyễn Văn An", position="between")
    path.write_bytes(document(width, height, rotate, cut))
    for wanted, label, field in (
        (params("ky-phe-duyet", anchor=between, picture=hand()), "person", "GiamDoc"),
        (params("dong-dau", beside=Beside("GiamDoc"), picture=seal()), "agency", None),
        (params("so-ngay", rect=(30, height - 112, width - 30, height - 92)), "agency", None),
        (params("cong-van-den", rect=(40, height - 280, 182, height - 195)), "agency", None),
        (params("simple", rect=(40, 60, 250, 150)), "person", None),
    ):
        sign(path.read_bytes(), plan_for, path, wanted, label=label, field=field)
    compare(rendered(path, 50), shape)
    text = " ".join(run("pdftotext", "-cropbox", "-layout", path, "-").decode().split())
    assert "Số: 12/QĐ-SNV" in text
    assert "Hà Nội, ngày 03 tháng 02 năm 2026" in text
    for line in ("Số: 357", "Ngày: 03/02/2026", "ĐẾN", "Người ký: Nguyễn Văn An", f"Thời gian ký: {TIME}"):
        assert line in text


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("template", COPIES)
def test_annexes_and_copies(template: str, shape: str, plan_for: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    sign(document(*SHAPES[shape]), plan_for, path, SignParams(metadata=METADATA), template=template, label="agency")
    page = rendered(path, 50)
    compare(page.crop((page.width - 170, 0, page.width, 60)), f"{template}-{shape}")
    width, _, _, cut = SHAPES[shape]
    box = ("-x", str(int(width + cut) - 260), "-y", str(int(cut)), "-W", "260", "-H", "62")
    lines = [line.strip() for line in run("pdftotext", *box, path, "-").decode().splitlines()]
    assert [line for line in lines if line] == [*COPIES[template], TIME]


def test_every_template_is_looked_at() -> None:
    from signsvc.signing.appearance.templates import builtin

    assert set(TEMPLATES) == set(builtin())
    assert set(TEMPLATES) == {"simple", "ky-phe-duyet", "dong-dau", "so-ngay", "cong-van-den", *COPIES}


def test_a_shift_of_two_points_is_seen() -> None:
    picture = Image.open(PICTURES / "portrait.png").convert("RGB")
    moved = ImageChops.offset(picture, 2, 0)
    assert differing(picture, picture) == 0
    assert differing(picture, moved) > 0.002
