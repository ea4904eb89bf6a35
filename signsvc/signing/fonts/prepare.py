"""Prepare the stamp font from Tinos (Times metrics, SIL Open Font License 1.1, no reserved name).

    python -m signsvc.signing.fonts.prepare Tinos-Regular.ttf

Keeps Latin with Vietnamese, digits and punctuation, and scales to 1000 units per em: pyHanko writes glyph widths
unscaled, so that fonts of 2048 units are spaced twice too wide.
"""

from __future__ import annotations

import sys
from pathlib import Path

RANGES = ((0x20, 0x7E), (0xA0, 0x17F), (0x1A0, 0x1B0), (0x300, 0x303), (0x309, 0x309), (0x323, 0x323), (0x1EA0, 0x1EF9))
POINTS = (0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x20AB, 0x2116)


def prepare(source: Path, target: Path) -> None:
    """Write the subset of `source`, at 1000 units per em, to `target`."""
    from fontTools import subset, ttLib
    from fontTools.ttLib.scaleUpem import scale_upem

    options = subset.Options(hinting=False, layout_features=["kern", "mark", "mkmk", "ccmp"], name_IDs=["*"])
    options.drop_tables += ["FFTM", "DSIG"]
    font = ttLib.TTFont(source)
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=[c for low, high in RANGES for c in range(low, high + 1)] + list(POINTS))
    chosen.subset(font)
    scale_upem(font, 1000)
    font.save(target)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), Path(__file__).with_name("Tinos-1000.ttf"))
