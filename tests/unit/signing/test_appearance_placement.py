"""Where visible signatures stand, and what is refused."""

from __future__ import annotations

import io
import re
import unicodedata
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from signsvc.errors import ConfigError, RequestError, SignsvcError
from signsvc.formats.pades.fonts import Font
from signsvc.formats.pades.pages import Geometry
from signsvc.formats.pades.pictures import picture
from signsvc.formats.pdf import Document
from signsvc.signing import SignParams, appearance, wire
from signsvc.signing.appearance.images import Images
from signsvc.signing.appearance.values import values
from signsvc.signing.model import TEMPLATES
from signsvc.signing.visible import Anchor, Beside, Visible, parse
from tests.unit.signing.appearance_pages import METADATA, SHAPES, WHEN, document, geometry, hand, run, seal, sign

MM = 72 / 25.4


def rect_of(path: Path) -> tuple[float, float, float, float]:
    """The rectangle of the newest signature, in default user space."""
    found = re.findall(rb"/Rect ?\[ ?([-\d. ]+)\]", path.read_bytes())
    left, bottom, right, top = map(float, found[-1].split())
    return left, bottom, right, top


def put(plan_for: Callable[..., Any], path: Path, shape: str = "portrait", **visible: Any) -> tuple[float, ...]:
    wanted = SignParams(metadata=METADATA, visible=Visible(**visible))
    sign(document(*SHAPES[shape]), plan_for, path, wanted)
    return geometry(shape).as_shown(rect_of(path))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("words", ["GIÁM ĐỐC", "giÁM  đỐc", unicodedata.normalize("NFD", "GIÁM ĐỐC")])
def test_words_of_the_page(words: str, shape: str, plan_for: Callable[..., Any], tmp_path: Path) -> None:
    left, bottom, right, top = put(plan_for, tmp_path / "x.pdf", shape, anchor=Anchor(words, position="below"))
    centre = SHAPES[shape][0] * 0.72
    assert (left + right) / 2 == pytest.approx(centre, abs=2)
    assert 240 < top < 262
    assert (right - left, top - bottom) == pytest.approx((74 * MM, 28 * MM), abs=1)


@pytest.mark.parametrize(
    ("position", "x", "y"), [("above", 0, 1), ("left", -1, 0), ("right", 1, 0), ("over", 0, 0), ("below", 0, -1)]
)
def test_sides_of_words(position: str, x: int, y: int, plan_for: Callable[..., Any], tmp_path: Path) -> None:
    anchor = Anchor("QUYẾT ĐỊNH", position=position, occurrence=1)
    left, bottom, right, top = put(plan_for, tmp_path / "x.pdf", anchor=anchor, size=(30, 10))
    middle = (left + right) / 2 - 595 / 2, (bottom + top) / 2 - (842 - 146)
    assert [round(side / abs(side)) if abs(side) > 5 else 0 for side in middle] == [x, y]


def test_exact_case_first_and_the_nth(plan_for: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    upper = put(plan_for, path, anchor=Anchor("Giám đốc"), size=(20, 8))
    assert upper[1] > 600, "the sentence that has it in this case"
    moved = put(plan_for, path, anchor=Anchor("Giám đốc", offset=(10, -5)), size=(20, 8))
    assert (moved[0] - upper[0], moved[1] - upper[1]) == pytest.approx((10 * MM, -5 * MM), abs=1)
    with pytest.raises(RequestError) as caught:
        put(plan_for, path, anchor=Anchor("Giám đốc", occurrence=2))
    assert caught.value.code == "anchor_not_found"
    assert caught.value.data == {"found": 1}
    for absent in ("PHÓ GIÁM ĐỐC", "ám đốc", "GIÁM ĐỐ"):  # parts of words are no words
        with pytest.raises(RequestError, match="anchor_not_found"):
            put(plan_for, path, anchor=Anchor(absent))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_seal_covers_a_third_of_the_signature(shape: str, plan_for: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    between = Anchor("GIÁM ĐỐC", to="Nguyễn Văn An", position="between")
    wanted = SignParams(visible=Visible(template="ky-phe-duyet", anchor=between, picture=hand()))
    sign(document(*SHAPES[shape]), plan_for, path, wanted, field="A")
    person = geometry(shape).as_shown(rect_of(path))
    assert (person[0] + person[2]) / 2 == pytest.approx(SHAPES[shape][0] * 0.72, abs=2)
    assert 172 < person[1] < person[3] < 258
    assert (person[2] - person[0]) / (person[3] - person[1]) == pytest.approx(440 / 140, rel=0.05)
    wanted = SignParams(visible=Visible(template="dong-dau", beside=Beside("A"), picture=seal(), size=(40, 40)))
    sign(path.read_bytes(), plan_for, path, wanted, label="agency")
    agency = geometry(shape).as_shown(rect_of(path))
    assert agency[2] == pytest.approx(person[0] + (person[2] - person[0]) / 3, abs=1)
    assert (agency[2] - agency[0], agency[3] - agency[1]) == pytest.approx((40 * MM, 40 * MM), abs=1)
    assert agency[1] + agency[3] == pytest.approx(person[1] + person[3], abs=2)


def test_beside_never_covers_what_stands_there(plan_for: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    sign(
        document(), plan_for, path, SignParams(visible=Visible(template="simple", anchor=Anchor("GIÁM ĐỐC"))), field="A"
    )
    person = rect_of(path)
    wanted = SignParams(visible=Visible(template="simple", beside=Beside("A")))
    sign(path.read_bytes(), plan_for, path, wanted, label="agency")
    agency = rect_of(path)
    assert agency[2] <= person[0] + 1 or agency[0] >= person[2] - 1  # left of it: on the right there is no room


def test_sizes_are_real_whatever_the_unit(plan_for: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    wanted = SignParams(visible=Visible(template="dong-dau", anchor=Anchor("GIÁM ĐỐC"), picture=seal()))
    sign(document(unit=2), plan_for, path, wanted)
    left, _, right, _ = rect_of(path)
    assert (right - left) * 2 == pytest.approx(36 * MM, abs=2)


def test_an_existing_field_keeps_its_place(plan_for: Callable[..., Any], tmp_path: Path) -> None:
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign.fields import SigFieldSpec, append_signature_field

    stream = io.BytesIO(document())
    writer = IncrementalPdfFileWriter(stream)
    append_signature_field(writer, SigFieldSpec("VanThu", box=(100, 100, 200, 180)))
    writer.write_in_place()
    path = tmp_path / "x.pdf"
    wanted = SignParams(field="VanThu", visible=Visible(template="dong-dau", picture=seal()))
    sign(stream.getvalue(), plan_for, path, wanted, field="VanThu")
    field = Document(path.read_bytes()).last
    from signsvc.formats.pades.fields import Visits, rectangle, walk

    (found,) = walk(field, Visits(100)).fields
    assert rectangle(field, found.widget) == (100, 100, 200, 180)
    assert field.dictionary(found.widget["AP"]) is not None


@pytest.mark.parametrize(
    ("visible", "code"),
    [
        ({"template": "ky-phe-duyet"}, "image_missing"),
        ({"template": "ky-phe-duyet", "picture": hand()}, "appearance_place_missing"),
        ({"template": "phu-luc"}, "appearance_incomplete"),
        ({"template": "simple", "beside": Beside("Nobody")}, "signature_field_not_found"),
        ({"template": "simple", "anchor": Anchor("CHỦ TỊCH")}, "anchor_not_found"),
        ({"template": "sao-y", "page": 7}, "invalid_request"),
        ({"template": "sao-y", "rect": (10, 10, 60, 25)}, "appearance_no_room"),
        ({"template": "dong-dau", "rect": (10, 10, 90, 90), "picture": b"%PDF-1.7"}, "image_unusable"),
        ({"template": "dong-dau", "rect": (10, 10, 90, 90), "picture": hand()[:90]}, "image_unusable"),
    ],
)
def test_refusals(visible: dict[str, Any], code: str, plan_for: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(SignsvcError) as caught:
        sign(document(), plan_for, tmp_path / "x.pdf", SignParams(visible=Visible(**visible)))
    assert caught.value.code == code
    assert caught.value.text("vi") != code


def test_pictures() -> None:
    def octets(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
        out = io.BytesIO()
        image.save(out, kind, **options)
        return out.getvalue()

    found = picture(seal())
    assert (found.width, found.height, found.transparent) == (400, 400, True), "the empty border is cut off"
    flat = picture(seal(), flat=True)
    assert (flat.width, flat.height, flat.transparent, flat.masked) == (400, 400, False, True)
    entries = flat.xobject.value.entries  # type: ignore[union-attr]
    assert "SMask" not in entries
    bits = zlib.decompress(entries["Mask"].value.data)
    assert len(bits) == 50 * 400, "a bit for each point"
    assert (bits[0] >> 7, bits[200 * 50] >> 7) == (1, 0), "nothing in the corner, the ring at the edge"
    assert not picture(octets(Image.new("RGBA", (9, 9), (1, 2, 3, 255)))).masked
    photo = octets(Image.new("RGB", (40, 30), (200, 0, 0)), "JPEG")
    assert picture(photo).xobject.value.data == photo  # type: ignore[union-attr]
    turned = Image.Exif()
    turned[0x0112] = 6
    found = picture(octets(Image.new("RGB", (40, 30), (200, 0, 0)), "JPEG", exif=turned))
    assert (found.width, found.height) == (30, 40)
    for bad in (
        octets(Image.new("RGBA", (9, 9))),
        octets(Image.new("1", (5000, 4000))),
        b"\xff\xd8\xff\xff\xff",
        b"GIF89a",
    ):
        with pytest.raises(RequestError, match="image_unusable"):
            picture(bad)


def test_a_seal_on_a_white_ground_is_refused(plan_for: Callable[..., Any], tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (50, 50), (255, 255, 255)).save(out, "PNG")
    wanted = SignParams(visible=Visible(template="dong-dau", rect=(10, 10, 90, 90), picture=out.getvalue()))
    with pytest.raises(RequestError) as caught:
        sign(document(), plan_for, tmp_path / "x.pdf", wanted)
    assert caught.value.data == {"reason": "opaque"}


def test_images_of_an_installation(tmp_path: Path) -> None:
    (tmp_path / "dau.png").write_bytes(seal())
    images = Images(tmp_path, {"seal": ("dau.png", 38.0)})
    found = images.supplied(SignParams(), "dong-dau", "seal").visible
    assert found is not None
    assert (found.picture, found.size) == (seal(), (38.0, 38.0))
    assert images.supplied(SignParams(), "simple", "seal") == SignParams()
    named = SignParams(visible=Visible(image="dau.png", size=(30, 30)))
    found = images.supplied(named, "dong-dau", "other").visible
    assert found is not None
    assert (found.picture, found.size) == (seal(), (30, 30))
    for name in ("../dau.png", "/etc/passwd", "none.png", ".dau.png", "a/b"):
        with pytest.raises(RequestError, match="image_not_found"):
            images.supplied(SignParams(visible=Visible(image=name)), "dong-dau", "other")
    with pytest.raises(RequestError, match="image_missing"):
        images.supplied(SignParams(), "dong-dau", "other")


def test_the_wish_survives_the_way_to_a_worker() -> None:
    import json

    for visible in (
        None,
        Visible(-1, (1, 2, 30, 40)),
        Visible(anchor=Anchor("A", "B", "between", 2, (1, 2)), picture=hand(), size=(3, 4)),
        Visible(beside=Beside("F", "left", (0, 1)), image="x.png", time_format="vgca"),
    ):
        params = SignParams(visible=visible, metadata={"a": "b"})
        assert wire.params_from_json(json.loads(json.dumps(wire.params_to_json(params)))) == params


@pytest.mark.parametrize(
    "wrong",
    [
        "page 1",
        {"pages": 1},
        {"page": 0},
        {"page": True},
        {"rect": [0, 0, 5, 5]},
        {"rect": [0, 0, 50]},
        {"rect": [0, 0, 50, float("nan")]},
        {"rect": [0, 0, 50, 50], "anchor": "A"},
        {"anchor": ""},
        {"anchor": {"text": "A", "position": "between"}},
        {"anchor": {"text": "A", "to": "B", "position": "left"}},
        {"anchor": {"text": "A", "position": "seal"}},
        {"anchor": {"text": "A", "occurrence": 0}},
        {"anchor": {"text": "A", "offset": [1]}},
        {"beside": {"field": "A", "position": "between"}},
        {"beside": {}},
        {"template": "none"},
        {"time_format": "us"},
        {"size": [1, 1]},
    ],
)
def test_wishes_that_are_wrong(wrong: Any) -> None:
    with pytest.raises(RequestError, match="invalid_request"):
        parse(wrong, TEMPLATES)


def test_wishes() -> None:
    found, field = parse({"anchor": {"text": "GIÁM ĐỐC", "to": "An"}, "template": "dong-dau"}, TEMPLATES)
    assert found == Visible(anchor=Anchor("GIÁM ĐỐC", "An", "between"), template="dong-dau")
    assert field is None
    assert parse({"field": "A"}, TEMPLATES) == (Visible(), "A")
    assert SignParams.from_json({"visible": {"field": "A"}}).field == "A"
    with pytest.raises(RequestError):
        SignParams.from_json({"visible": {"field": "A"}, "field": "B"})


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_there_and_back(rotate: int) -> None:
    page = Geometry((10, 20, 310, 520), rotate)
    rect = (5.0, 6.0, 50.0, 80.0)
    assert page.as_shown(page.in_file(rect)) == pytest.approx(rect)
    assert page.size == ((500, 300) if rotate in (90, 270) else (300, 500))


def test_times(pki: Any, plan_for: Callable[..., Any]) -> None:
    plan, _ = plan_for()
    params = SignParams(visible=Visible(time_format="vgca"))
    assert values(params, plan.certificate, WHEN)["time"] == "03.02.2026 16:05:09 +07:00"
    assert values(SignParams(), plan.certificate, WHEN)["time"] == "2026-02-03T16:05:09+07:00"
    assert values(SignParams(), plan.certificate, WHEN.replace(month=3))["month"] == "3"


def test_fonts_of_a_site(tmp_path: Path, plan_for: Callable[..., Any]) -> None:
    from fontTools import ttLib

    own = tmp_path / "own.ttf"

    def save(**changes: Any) -> Path:
        font = ttLib.TTFont(appearance.Fonts().regular)
        for key, value in changes.items():
            setattr(font["OS/2"], key, value)
        font.save(own)
        return own

    for kind in (2, 0x200):
        with pytest.raises(ConfigError, match="forbids embedding"):
            Font(save(fsType=kind).read_bytes())
    whole = Font(save(fsType=0x100).read_bytes()).subset(frozenset("A"))
    part = Font(save(fsType=0).read_bytes()).subset(frozenset("A"))
    assert len(whole.codes) > 200 > len(part.codes)
    with pytest.raises(ConfigError, match="not a TrueType"):
        Font(b"no font")
    made = replace(appearance.text_stamp(("Ngày",)), fonts=appearance.Fonts(own, own))
    made.draw(100, 50, 0)


def test_one_subset_for_one_signer() -> None:
    font = Font(appearance.Fonts().regular.read_bytes())
    first = font.subset(frozenset("Thời gian 2026-11-23T16:05:09+07:00"))
    assert font.subset(frozenset("Thời gian 2027-01-30T23:48:59+07:00")) is first
    assert font.plain("a\u200bb\tc\u0301 中") == "ab ć ?"
    again = Font(appearance.Fonts().regular.read_bytes()).subset(frozenset("Thời gian 2026-11-23T16:05:09+07:00"))
    assert again.codes == first.codes


def test_the_file_is_sound(plan_for: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "x.pdf"
    put(plan_for, path, template="sao-y")
    run("qpdf", "--check", path)
    fonts = run("pdffonts", path).decode().splitlines()[2:]
    assert all(line.split()[-5:-2] == ["yes", "yes", "yes"] for line in fonts)
