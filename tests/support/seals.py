"""A page with a picture of a seal on it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from PIL import Image, ImageDraw


def with_image(box: tuple[int, int, int, int], draw: Callable[[Any], None]) -> bytes:
    picture = Image.new("RGB", (240, 240), "white")
    draw(ImageDraw.Draw(picture))
    data = zlib.compress(picture.tobytes())
    x, y, width, height = box
    content = b"q %d 0 0 %d %d %d cm /I Do Q" % (width, height, x, y)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << /I 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /XObject /Subtype /Image /Width 240 /Height 240 /ColorSpace /DeviceRGB /BitsPerComponent 8"
        b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(data), data),
    ]
    made, places = b"%PDF-1.7\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return made + b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table, len(made),
    )  # fmt: skip


def seal(pen: Any) -> None:
    pen.ellipse((6, 6, 233, 233), outline=(200, 20, 30), width=8)
    pen.ellipse((50, 50, 190, 190), outline=(200, 20, 30), width=4)
    pen.regular_polygon((120, 120, 40), 5, fill=(200, 20, 30))
