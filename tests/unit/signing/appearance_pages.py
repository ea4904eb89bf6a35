"""Pages, pictures and signatures for the tests of appearances."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from signsvc.formats.pades.drawing import Canvas
from signsvc.formats.pades.fonts import Font
from signsvc.formats.pades.pages import Geometry
from signsvc.formats.pades.stamp import to_pyhanko
from signsvc.formats.pades.write import SignatureSpec, Written, sign_revision
from signsvc.signing import SignParams, appearance
from signsvc.signing.statement import VIETNAM
from signsvc.types import Certificate

WHEN = datetime(2026, 2, 3, 16, 5, 9, tzinfo=VIETNAM)
METADATA = {"doc_number": "12/QĐ-SNV", "place": "Hà Nội", "agency": "SỞ NỘI VỤ", "incoming_number": "357"}

# Shown width and height, /Rotate, and what is cut off the media box on each side.
SHAPES: dict[str, tuple[float, float, int, float]] = {
    "portrait": (595, 842, 0, 0),
    "landscape": (842, 595, 0, 0),
    "rotated90": (595, 842, 90, 0),
    "rotated180": (595, 842, 180, 0),
    "rotated270": (842, 595, 270, 0),
    "cropped": (560, 800, 0, 30),
}
_TURNS = {0: "1 0 0 1", 90: "0 1 -1 0", 180: "-1 0 0 -1", 270: "0 -1 1 0"}
_CORNERS = {0: (0, 1), 90: (2, 1), 180: (2, 3), 270: (0, 3)}


def document(width: float = 595, height: float = 842, rotate: int = 0, cut: float = 0, unit: float = 1.0) -> bytes:
    """A letter with a signature block, upright as shown."""
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

    canvas = Canvas(width, height)
    font = Font.load(appearance.Fonts().regular)

    def centred(x: float, y: float, text: str, size: float = 13) -> None:
        canvas.text(font, size, x - font.width(text, size) / 2, y, text)

    left, right = width * 0.27, width * 0.72
    centred(left, height - 72, "SỞ NỘI VỤ")
    centred(right, height - 72, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", 12)
    centred(width / 2, height - 150, "QUYẾT ĐỊNH")
    centred(width / 2, height - 175, "Giám đốc Sở Nội vụ quyết định:")
    centred(right, 260, "GIÁM ĐỐC")
    centred(right, 160, "Nguyễn Văn An")
    drawing = canvas.finish()
    tall, wide = (width, height) if rotate in (90, 270) else (height, width)
    box = (cut, cut, cut + wide, cut + tall)
    writer: Any = PdfFileWriter()
    corner = [box[at] for at in _CORNERS[rotate]]
    content = f"q {_TURNS[rotate]} {corner[0]} {corner[1]} cm /X Do Q".encode()
    form = writer.add_object(to_pyhanko(drawing.form, writer))
    page = PageObject(
        contents=writer.add_object(generic.StreamObject(stream_data=content)),
        media_box=(0, 0, wide + 2 * cut, tall + 2 * cut),
        resources=generic.DictionaryObject(
            {generic.NameObject("/XObject"): generic.DictionaryObject({generic.NameObject("/X"): form})}
        ),
    )
    if cut:
        page["/CropBox"] = generic.ArrayObject(map(generic.FloatObject, map(str, box)))
    if rotate:
        page["/Rotate"] = generic.NumberObject(rotate)
    if unit != 1:
        page["/UserUnit"] = generic.FloatObject(str(unit))
    writer.insert_page(page)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def seal() -> bytes:
    """A round red seal on a transparent ground, with room around it."""
    image = Image.new("RGBA", (440, 440), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    red = (205, 20, 20, 255)
    draw.ellipse((20, 20, 419, 419), outline=red, width=14)
    draw.ellipse((110, 110, 329, 329), outline=red, width=8)
    draw.polygon(
        [
            (220, 150),
            (238, 205),
            (295, 205),
            (249, 238),
            (266, 292),
            (220, 259),
            (174, 292),
            (191, 238),
            (145, 205),
            (202, 205),
        ],
        fill=red,
    )
    return _png(image)


def hand() -> bytes:
    """A hand's signature in blue on a transparent ground."""
    image = Image.new("RGBA", (480, 200), (0, 0, 0, 0))
    points = [(20, 150), (90, 40), (130, 160), (190, 60), (230, 150), (300, 80), (340, 130), (460, 60)]
    ImageDraw.Draw(image).line(points, fill=(20, 40, 190, 255), width=9, joint="curve")
    ImageDraw.Draw(image).line([(60, 175), (440, 160)], fill=(20, 40, 190, 255), width=6)
    return _png(image)


def sign(
    data: bytes,
    plan_for: Callable[..., Any],
    path: Path,
    params: SignParams,
    template: str = "simple",
    label: str = "person",
    field: str | None = None,
) -> Written:
    """Sign `data` into `path` with a visible signature placed as the service places it."""
    plan, key = plan_for(label)
    path.write_bytes(data)
    made = appearance.stamp(template, params, plan.certificate, WHEN)
    found = appearance.spot(path, params, made)
    spec = SignatureSpec(
        WHEN,
        field=field,
        page=found.page if found else 1,
        rect=found.rect if found else None,
        appearance=found.stamp if found else made,
    )
    stream = io.BytesIO(data)
    written = sign_revision(stream, plan, spec, key)
    path.write_bytes(stream.getvalue())
    return written


def run(*command: str | Path) -> bytes:
    return subprocess.run(list(map(str, command)), capture_output=True, check=True, timeout=60).stdout


def rendered(path: Path, dpi: int) -> Image.Image:
    """The first page as poppler shows it."""
    target = path.with_suffix("")
    run("pdftoppm", "-r", str(dpi), "-cropbox", "-png", "-singlefile", path, target)
    return Image.open(target.with_suffix(".png")).convert("RGB")


def geometry(shape: str) -> Geometry:
    width, height, rotate, cut = SHAPES[shape]
    tall, wide = (width, height) if rotate in (90, 270) else (height, width)
    return Geometry((cut, cut, cut + wide, cut + tall), rotate)


__all__ = [
    "METADATA",
    "SHAPES",
    "WHEN",
    "Certificate",
    "document",
    "geometry",
    "hand",
    "rendered",
    "run",
    "seal",
    "sign",
]
