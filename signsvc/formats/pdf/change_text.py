"""Whether the new appearance of a text field shows its new value (ISO 32000-2 §12.7.4.3)."""

from __future__ import annotations

import re

from signsvc.formats.pdf.change_step import Step, dictionary, inherited
from signsvc.formats.pdf.limits import PdfError
from signsvc.formats.pdf.objects import PdfDict, PdfObject, PdfString
from signsvc.formats.pdf.parser import Parser
from signsvc.formats.pdf.stream import Stream

_MAX_TEXT = 1 << 16  # octets of an appearance that are read
_STRINGS = re.compile(rb"\((?:[^()\\]|\\[\s\S])*\)|<[0-9A-Fa-f\s]*>|(?<![A-Za-z'\"])(?:Do|BI|Tj|TJ|'|\")(?![A-Za-z])")
_BASE_ENCODINGS = frozenset({"WinAnsiEncoding", "MacRomanEncoding", "StandardEncoding", "PDFDocEncoding"})
_SUBTYPES = frozenset({"Type1", "TrueType", "MMType1"})
_SYMBOLS = ("Symbol", "ZapfDingbats")
_PAINTING = frozenset((b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*", b"S", b"s", b"sh", b"gs", b"scn", b"SCN"))
_PASSWORD = 1 << 13  # /Ff: shown as asterisks


def differs(step: Step, field: PdfDict, kind: PdfObject, value: PdfObject) -> bool:
    """Whether what `field` draws is text in a plain font and surely is not `value`.

    Only letters and digits of ASCII are compared, and only where every font of the appearance maps octets to them as
    they are; in all other cases the answer is False.
    """
    if kind != "Tx" or _flags(step, field) & _PASSWORD or inherited(step.new, field, "AA") is not None:
        return False  # a script may show 1234 as 1,234.00
    text = step.after(value)
    appearance = dictionary(step.new, field.get("AP"))
    stream = step.after(appearance.get("N")) if appearance else None
    if not isinstance(text, PdfString) or not isinstance(stream, Stream) or not _plain(step, stream.dictionary):
        return False
    try:
        content = stream.decode(_MAX_TEXT)
    except PdfError:  # too long to be told, or the document has had its share and says so elsewhere
        return False
    drawn = _drawn(content)
    return drawn is not None and _essence(text.text()) != _essence(drawn)


def only_text(step: Step, field: PdfDict) -> bool:
    """Whether `field` draws text in plain fonts and nothing else: no image, no area, no line."""
    appearance = dictionary(step.new, field.get("AP"))
    stream = step.after(appearance.get("N")) if appearance else None
    if stream is None:
        return True
    if not isinstance(stream, Stream):
        return False
    try:
        content = stream.decode(_MAX_TEXT)
    except PdfError:  # too long to be told, or the document has had its share and says so elsewhere
        return False
    words = set(_STRINGS.sub(b" ", content).split())
    return not words & _PAINTING and _drawn(content) is not None and (not words or _plain(step, stream.dictionary))


def _flags(step: Step, field: PdfDict) -> int:
    flags = step.after(field.get("Ff"))
    return flags if isinstance(flags, int) else 0


def _plain(step: Step, stream: PdfDict) -> bool:
    """Whether every font maps an octet to the character of the same code."""
    resources = dictionary(step.new, stream.get("Resources")) or {}
    fonts = dictionary(step.new, resources.get("Font")) or {}
    found = [dictionary(step.new, font) for font in fonts.values()]
    return bool(found) and all(
        font is not None
        and font.get("Subtype") in _SUBTYPES
        and step.after(font.get("Encoding")) in (None, *_BASE_ENCODINGS)
        and ("Encoding" in font or not ("FontDescriptor" in font or font.get("BaseFont") in _SYMBOLS))
        for font in found
    )


def _drawn(content: bytes) -> str | None:
    """All strings that the content shows; None where it draws by other means too."""
    parts: list[bytes] = []
    parser = Parser(content, tokens=_MAX_TEXT, depth=8)
    for found in _STRINGS.finditer(content):
        token = found[0]
        if token in (b"Do", b"BI"):
            return None
        if token[:1] in b"(<":
            try:
                value, _ = parser.read(found.start())
            except PdfError:
                return None
            if isinstance(value, PdfString):
                parts.append(bytes(value))
    return b"".join(parts).decode("latin-1")


def _essence(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii() and letter.isalnum())


__all__ = ["differs", "only_text"]
