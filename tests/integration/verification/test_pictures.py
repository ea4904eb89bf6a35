"""Pages as signed beside as they are now: what changed, where signatures sit, pictures of seals."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import test_pki
from signsvc.errors import DocumentError
from signsvc.samples import path as sample
from signsvc.verification import TrustSource, Verifier
from signsvc.verification.pictures import Box, Pictures
from tests.pdf_writer import PdfWriter
from tests.support.installation import Installation
from tests.support.seals import seal, with_image

Look = Callable[..., Pictures]


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    place = tmp_path_factory.mktemp("pictures")
    with Verifier(TrustSource(place / "trust"), workers=1) as verifier:

        def one(data: bytes, signature: str | None = None) -> Pictures:
            (place / "file").write_bytes(data)
            return verifier.pictures(place / "file", signature)

        yield one


def other_text(pdf: PdfWriter, said: bytes = b"So tien khac") -> bytes:
    content = b"BT /F1 12 Tf 72 720 Td (%s) Tj ET" % said
    pdf.update({4: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)})
    return pdf.data


def image(data: bytes | None) -> Any:
    assert data is not None
    return Image.open(io.BytesIO(data))


def test_what_changed_is_marked(look: Look, pki: test_pki.Pki) -> None:
    pdf = PdfWriter(pages=3)
    pdf.sign(pki, "person")
    same = look(pdf.data)
    assert (same.pages, same.pages_signed) == (3, None)
    assert all(not one.changed and one.signed is None and one.now for one in same.shown)
    found = look(other_text(pdf))
    assert (found.pages, found.pages_signed) == (3, 3)
    changed = [one for one in found.shown if one.changed]
    assert [one.page for one in changed] == [1, 2, 3]  # they share their content
    # 720 points from the bottom of the page: in its upper part.
    assert all(box.y < 0.25 and box.height < 0.2 for box in changed[0].changed)
    now, signed = image(changed[0].now), image(changed[0].signed)
    assert now.size == signed.size
    assert now.width == 900
    assert now.tobytes() != signed.tobytes()


def test_pages_come_and_go(look: Look, pki: test_pki.Pki) -> None:
    pdf = PdfWriter(pages=2)
    pdf.sign(pki, "person")
    signed = pdf.data
    kids = signed[signed.index(b"/Kids [") + 7 : signed.index(b"]", signed.index(b"/Kids ["))]
    first = b" ".join(kids.split()[:3])
    pdf.update({2: b"<< /Type /Pages /Kids [%s] /Count 1 >>" % first})
    found = look(pdf.data)
    assert (found.pages, found.pages_signed) == (1, 2)
    gone = found.shown[-1]
    assert (gone.page, gone.now, gone.changed) == (2, None, (Box(0, 0, 1, 1),))
    assert gone.signed is not None


def test_where_signatures_sit(look: Look, installation: Installation, tmp_path: Path) -> None:
    from signsvc.services import Services
    from signsvc.signing.model import SignParams, Visible
    from signsvc.signing.profiles import load

    target = tmp_path / "signed.pdf"
    with Services(installation.settings, workers=1) as services:
        params = SignParams(visible=Visible(page=1, rect=(300, 100, 500, 200), template="simple"))
        services.signing.sign(
            sample("van-ban.pdf"), target, profile=load("pades-b-b"), signer=services.keyring.get("p12-person"),
            params=params,
        )  # fmt: skip
    found = look(target.read_bytes())
    (field,) = [field for one in found.shown for field in one.fields]
    assert field.name
    assert abs(field.box.x - 300 / 595) < 0.02
    assert abs(field.box.y - (842 - 200) / 842) < 0.02
    assert abs(field.box.height - 100 / 842) < 0.02


def test_a_picture_of_a_seal(look: Look) -> None:
    (page,) = look(with_image((300, 150, 105, 105), seal)).shown
    (box,) = page.seals
    assert abs(box.x - 300 / 595) < 0.03
    assert abs(box.y - (842 - 255) / 842) < 0.03


@pytest.mark.parametrize(
    ("box", "draw"),
    [
        ((60, 740, 80, 80), seal),  # an emblem in the head of the page
        ((300, 150, 20, 20), seal),  # a bullet
        ((300, 150, 300, 300), seal),  # a picture
        ((300, 150, 105, 105), lambda pen: pen.rectangle((0, 0, 239, 239), fill=(200, 20, 30))),
        ((300, 150, 105, 105), lambda pen: pen.ellipse((6, 6, 233, 233), outline=(20, 20, 160), width=8)),
        ((100, 150, 400, 60), seal),  # a banner
    ],
)
def test_no_picture_of_a_seal(look: Look, box: tuple[int, int, int, int], draw: Callable[[Any], None]) -> None:
    assert [one.seals for one in look(with_image(box, draw)).shown] == [()]


def test_what_cannot_be_drawn(look: Look) -> None:
    with pytest.raises(DocumentError, match="unsupported_format"):
        look(b"<a/>")
    with pytest.raises(DocumentError):
        look(b"%PDF-1.7\nnothing\n%%EOF\n")


def test_strange_pages(look: Look) -> None:
    """Sizes that would fill the memory."""
    data = with_image((0, 0, 1, 1), seal)
    for size in (b"[0 0 595 842]", b"[0 0 0 0]    ", b"[0 0 9e9 1]  ", b"[0 0 1 14400]"):
        found = look(data.replace(b"[0 0 595 842]", size.ljust(13)))
        assert sum(len(one.now or b"") for one in found.shown) < 1 << 20
