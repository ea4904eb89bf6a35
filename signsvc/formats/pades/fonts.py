"""Fonts of visible signatures: measured, cut down to the characters in use, embedded (ISO 32000-2 §9.7, §9.9).

Every subset holds digits and the marks of dates and numbers besides the text it is made for, so that one signer's
signatures share one subset, whatever the time.
"""

from __future__ import annotations

import functools
import hashlib
import io
import string
import threading
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signsvc.errors import ConfigError
from signsvc.formats.pdf.emit import Indirect, NewStream
from signsvc.formats.pdf.objects import Name, PdfObject, PdfString

# Without these a font writes no Vietnamese.
_NEEDED = "AaĂăÂâĐđÊêÔôƠơƯưẠạẢảẾếỆệỘộỢợỮữỴỵỸỹ0123456789"
_ALWAYS = frozenset(string.digits + "+-.,:/TZ ")
_MOST_OCTETS = 32 * 1024 * 1024
_MISSING = "?"  # stands for a character that the font has not
_SYMBOLIC, _SERIF, _ITALIC = 4, 2, 64
_NOT_SYMBOLIC = 32
_FIRST = 18  # code of a form's font
_MOST_SUBSETS = 64

# fontTools keeps state in its fonts while it reads them.
_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class Subset:
    """Part of a font in a file: `resource` is the font dictionary, `codes` the character codes."""

    resource: Indirect
    codes: dict[str, int]

    def encoded(self, text: str) -> bytes:
        """`text` (from `Font.plain`) as a hexadecimal string of character codes."""
        return b"<" + "".join(f"{self.codes[c]:04X}" for c in text).encode() + b">"


class Font:
    """A TrueType or OpenType font.  Thread-safe."""

    def __init__(self, data: bytes, where: str = "font") -> None:
        """Raises `ConfigError` for what is no such font, may not be embedded, or has no Vietnamese letters."""
        from fontTools import ttLib

        self._data = data
        self._where = where
        self._subsets: dict[frozenset[str], Subset] = {}
        try:
            font: Any = ttLib.TTFont(io.BytesIO(data), recalcTimestamp=False, lazy=True)
            embedding = font["OS/2"].fsType
            self._cmap: dict[int, str] = font.getBestCmap() or {}
            self._scale = 1000 / font["head"].unitsPerEm
            metrics = font["hmtx"].metrics
            self._widths: dict[int, float] = {code: metrics[name][0] * self._scale for code, name in self._cmap.items()}
            self.name = str(font["name"].getDebugName(6) or "Font")
            self.ascent: float = font["hhea"].ascent * self._scale
            self.descent: float = font["hhea"].descent * self._scale
            self._angle = float(font["post"].italicAngle)
            head = font["head"]
            self._box = [round(v * self._scale) for v in (head.xMin, head.yMin, head.xMax, head.yMax)]
            self._cff = "CFF " in font
            drawn = self._cff or "glyf" in font
        except Exception:  # noqa: BLE001 - the library raises anything on what is no font
            raise ConfigError("configuration_invalid", reason=f"{where}: not a TrueType or OpenType font") from None
        if not drawn:
            raise ConfigError("configuration_invalid", reason=f"{where}: a font without outlines")
        # OpenType OS/2 fsType: 2 alone forbids embedding, 0x200 allows bitmaps only, 0x100 forbids subsets.
        if embedding & 0xF == 2 or embedding & 0x200:
            raise ConfigError("configuration_invalid", reason=f"{where}: the font's licence forbids embedding")
        self._whole = bool(embedding & 0x100)
        missing = [c for c in _NEEDED if ord(c) not in self._cmap]
        if missing:
            raise ConfigError(
                "configuration_invalid", reason=f"{where}: the font has no Vietnamese letters ({missing[0]})"
            )

    @classmethod
    def load(cls, path: Path) -> Font:
        """The font in a file, read once while the file stays the same.  Raises `ConfigError`."""
        try:
            state = path.stat()
            if state.st_size > _MOST_OCTETS:
                raise ConfigError("configuration_invalid", reason=f"{path.name}: too large for a font")
            return _loaded(path, state.st_mtime_ns, state.st_size)
        except OSError:
            raise ConfigError("configuration_invalid", reason=f"{path.name}: the font cannot be read") from None

    def plain(self, text: str) -> str:
        """`text` as this font can show it: composed (NFC), white space as spaces, what it lacks as question marks."""
        composed = unicodedata.normalize("NFC", text)
        return "".join(
            c if ord(c) in self._cmap else " " if c.isspace() else _MISSING
            for c in composed
            if unicodedata.category(c) not in ("Cc", "Cf") or c.isspace()
        )

    def width(self, text: str, size: float = 1.0) -> float:
        """Width of `text` (from `plain`) at `size`, in the unit of `size`."""
        return float(sum(self._widths[ord(c)] for c in text)) * size / 1000

    def subset(self, characters: frozenset[str]) -> Subset:
        """The part with at least `characters` (from `plain`)."""
        with _lock:
            for held, found in self._subsets.items():
                if characters <= held:
                    return found
            wanted = frozenset(c for c in characters | _ALWAYS if ord(c) in self._cmap)
            made = self._cut(wanted)
            if len(self._subsets) >= _MOST_SUBSETS:
                self._subsets.pop(next(iter(self._subsets)))
            self._subsets[wanted] = made
            return made

    def for_forms(self) -> Indirect:
        """A simple font of the whole program whose codes are Windows' Latin ones and all Vietnamese letters, so that
        any viewer can write in a text field with it (ISO 32000-2 §9.6.3, §12.7.4.3).

        Raises `ConfigError` for outlines that are not TrueType.
        """
        from fontTools import agl, ttLib

        with _lock:
            font: Any = ttLib.TTFont(io.BytesIO(self._data), recalcTimestamp=False, lazy=True)
            capital = getattr(font["OS/2"], "sCapHeight", 0) or font["hhea"].ascent
            unicode_map = font["cmap"].getcmap(3, 1)
        if self._cff or unicode_map is None:
            raise ConfigError("configuration_invalid", reason=f"{self._where}: text fields need a TrueType font")
        names = {value[0]: name for name, value in agl.LEGACY_AGL2UV.items() if len(value) == 1}
        codes = form_codes()
        widths = [round(self._widths.get(ord(codes[code]), 0)) if code in codes else 0 for code in range(_FIRST, 256)]
        differences: list[PdfObject] = []
        for code, character in sorted(codes.items()):
            if character != bytes([code]).decode("cp1252", "replace"):
                differences += (code, Name(names[ord(character)]))
        name = Name("".join(c for c in self.name if c.isascii() and (c.isalnum() or c in "-_")))
        descriptor: dict[str, PdfObject | NewStream | Indirect] = {
            "Type": Name("FontDescriptor"),
            "FontName": name,
            "Flags": _NOT_SYMBOLIC | _SERIF | (_ITALIC if self._angle else 0),
            "FontBBox": list(self._box),
            "ItalicAngle": round(self._angle),
            "Ascent": round(self.ascent),
            "Descent": round(self.descent),
            "CapHeight": round(capital * self._scale),
            "StemV": 80,
            "FontFile2": Indirect(NewStream.deflated({"Length1": len(self._data)}, self._data)),
        }
        encoding: dict[str, PdfObject] = {
            "Type": Name("Encoding"), "BaseEncoding": Name("WinAnsiEncoding"), "Differences": differences,
        }  # fmt: skip
        return Indirect(
            {
                "Type": Name("Font"),
                "Subtype": Name("TrueType"),
                "BaseFont": name,
                "FirstChar": _FIRST,
                "LastChar": 255,
                "Widths": list(widths),
                "FontDescriptor": Indirect(descriptor),
                "Encoding": encoding,
            }
        )

    def _cut(self, characters: frozenset[str]) -> Subset:
        from fontTools import ttLib

        font: Any = ttLib.TTFont(io.BytesIO(self._data), recalcTimestamp=False)
        if not self._whole:
            from fontTools import subset

            options = subset.Options(
                hinting=False, layout_features=[], name_IDs=[], notdef_outline=True, glyph_names=False
            )
            options.drop_tables += ["GSUB", "GPOS", "GDEF", "kern", "name", "DSIG", "FFTM", "gasp", "meta", "STAT"]
            chosen = subset.Subsetter(options)
            chosen.populate(unicodes=[ord(c) for c in characters])
            chosen.subset(font)
        used = font.getBestCmap()
        order = {name: number for number, name in enumerate(font.getGlyphOrder())}
        codes = {chr(code): order[name] for code, name in used.items()}
        metrics = font["hmtx"].metrics
        widths = [round(metrics[name][0] * self._scale) for name in font.getGlyphOrder()]
        capital = getattr(font["OS/2"], "sCapHeight", 0) or font["hhea"].ascent
        if self._cff:
            program = font["CFF "].compile(font)
        else:
            # Of an embedded TrueType program only these are looked at (ISO 32000-2 table 124).
            for tag in set(font.keys()) - {"glyf", "head", "hhea", "hmtx", "loca", "maxp", "cvt ", "fpgm", "prep"}:
                if tag != "GlyphOrder":
                    del font[tag]
            out = io.BytesIO()
            font.save(out, reorderTables=True)
            program = out.getvalue()
        return Subset(self._resource(program, widths, codes, round(capital * self._scale)), codes)

    def _resource(self, program: bytes, widths: list[int], codes: dict[str, int], capital: int) -> Indirect:
        """The Type 0 font whose character codes are the glyphs of `program`."""
        tag = "" if self._whole else f"{_tag(program)}+"
        name = Name(tag + "".join(c for c in self.name if c.isascii() and (c.isalnum() or c in "-_")))
        glyphs = bytearray(-(-len(widths) // 8))
        for glyph in range(len(widths)):
            glyphs[glyph >> 3] |= 0x80 >> (glyph & 7)
        descriptor: dict[str, PdfObject | NewStream | Indirect] = {
            "Type": Name("FontDescriptor"),
            "FontName": name,
            "Flags": _SYMBOLIC | _SERIF | (_ITALIC if self._angle else 0),
            "FontBBox": list(self._box),
            "ItalicAngle": round(self._angle),
            "Ascent": round(self.ascent),
            "Descent": round(self.descent),
            "CapHeight": capital,
            "StemV": 80,
            "CIDSet": Indirect(NewStream.deflated({}, bytes(glyphs))),  # ISO 19005-1 §6.3.5 wants it of subsets
        }
        if self._cff:
            descriptor["FontFile3"] = Indirect(NewStream.deflated({"Subtype": Name("CIDFontType0C")}, program))
        else:
            descriptor["FontFile2"] = Indirect(NewStream.deflated({"Length1": len(program)}, program))
        descendant: dict[str, Any] = {
            "Type": Name("Font"),
            "Subtype": Name("CIDFontType0" if self._cff else "CIDFontType2"),
            "BaseFont": name,
            "CIDSystemInfo": {"Registry": PdfString(b"Adobe"), "Ordering": PdfString(b"Identity"), "Supplement": 0},
            "FontDescriptor": Indirect(descriptor),
            "DW": 1000,
            "W": [0, list(widths)],
        }
        if not self._cff:
            descendant["CIDToGIDMap"] = Name("Identity")
        return Indirect(
            {
                "Type": Name("Font"),
                "Subtype": Name("Type0"),
                "BaseFont": name,
                "Encoding": Name("Identity-H"),
                "DescendantFonts": [Indirect(descendant)],
                "ToUnicode": Indirect(NewStream.deflated({}, _to_unicode(codes))),
            }
        )


@functools.lru_cache(maxsize=1)
def form_codes() -> dict[int, str]:
    """The characters of a form's font by code: Windows' Latin ones, whose foreign letters and signs made room for the
    102 Vietnamese letters that they lack."""
    letters = "àáâãèéêìíòóôõùúýăđĩũơư" + "".join(map(chr, range(0x1EA1, 0x1EFA, 2)))
    wanted = sorted({*letters, *letters.upper()})
    kept = {*range(32, 127), 133, *range(145, 149), 150, 151, 160}
    codes = {code: bytes([code]).decode("cp1252") for code in kept}
    codes |= {ord(c): c for c in wanted if ord(c) < 256}
    free = (code for code in (*range(128, 256), *range(_FIRST, 32)) if code not in codes)
    return codes | {code: c for c, code in zip((c for c in wanted if ord(c) > 255), free, strict=False)}


@functools.lru_cache(maxsize=16)
def _loaded(path: Path, changed: int, size: int) -> Font:  # noqa: ARG001
    return Font(path.read_bytes(), path.name)


def _tag(program: bytes) -> str:
    """Six capital letters that name this subset (ISO 32000-2 §9.9.2)."""
    value = int.from_bytes(hashlib.sha256(program).digest()[:8], "big")
    letters = ""
    for _ in range(6):
        value, letter = divmod(value, 26)
        letters += string.ascii_uppercase[letter]
    return letters


def _to_unicode(codes: dict[str, int]) -> bytes:
    rows = [f"<{code:04X}> <{c.encode('utf-16-be').hex().upper()}>" for c, code in sorted(codes.items(), key=_by_code)]
    blocks = [rows[start : start + 100] for start in range(0, len(rows), 100)]
    listed = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        f"{listed}\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode("ascii")


def _by_code(entry: tuple[str, int]) -> int:
    return entry[1]


__all__ = ["Font", "Subset", "form_codes"]
