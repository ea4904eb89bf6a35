"""Make the samples anew: an office document printed by LibreOffice, and a colour scan of it at 200 dpi.

    python -m signsvc.samples.make      # needs soffice, pdftoppm, Pillow, and the Tinos fonts (fonts-croscore)

The layout follows Decree 30/2020 App. I; agency, person and number are invented.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
DPI = 200


def office(target: Path) -> None:
    """Print the Flat ODF text through LibreOffice Writer."""
    with tempfile.TemporaryDirectory() as place:
        command = ["soffice", "--headless", "--convert-to", "pdf", "--outdir", place, str(HERE / "van-ban.fodt")]
        subprocess.run(command, check=True, capture_output=True)
        target.write_bytes((Path(place) / "van-ban.pdf").read_bytes())


def scan(source: Path, target: Path) -> None:
    """A page as a scanner gives it: slightly turned, grey paper, noise, JPEG, no text layer."""
    from PIL import Image, ImageChops, ImageFilter

    with tempfile.TemporaryDirectory() as place:
        stem = Path(place) / "page"
        subprocess.run(["pdftoppm", "-r", str(DPI), "-png", "-singlefile", str(source), str(stem)], check=True)
        page = Image.open(stem.with_suffix(".png")).convert("RGB")
    page = page.rotate(0.4, resample=Image.Resampling.BICUBIC, fillcolor="white").filter(ImageFilter.GaussianBlur(0.6))
    chance = random.Random(30)  # noqa: S311 - the same noise every time
    small = (page.width // 8, page.height // 8)
    noise = Image.frombytes("L", small, bytes(chance.randrange(236, 252) for _ in range(small[0] * small[1])))
    paper = Image.merge("RGB", (noise, noise, noise.point(lambda v: v - 6))).resize(page.size)
    ImageChops.multiply(page, paper).save(
        target, "PDF", resolution=DPI, quality=45, title="Bản quét công văn 125/SNV-VP"
    )


if __name__ == "__main__":
    office(HERE / "van-ban.pdf")
    scan(HERE / "van-ban.pdf", HERE / "ban-quet.pdf")
