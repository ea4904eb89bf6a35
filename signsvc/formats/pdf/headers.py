"""Where object headers (``n g obj``) stand in a stretch of a file, without parsing it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from signsvc.formats.pdf.objects import Buffer

_NUMBERS = re.compile(rb"(?<![0-9])\d{1,10}+[\x00\t\n\x0c\r ]++\d{1,5}+[\x00\t\n\x0c\r ]++\Z")
_PART = b"0123456789\x00\t\n\x0c\r "
_WINDOW = 48  # octets looked at before a keyword: two numbers and a few blanks


def headers(buffer: Buffer, start: int, end: int) -> Iterator[int]:
    """Offsets of all headers whose keyword stands in ``[start, end)``, ascending.

    What it finds in the data of a stream or in a string is none.  The cost is linear in the octets.
    """
    # the rare keyword is looked for, not the digits that fill a file
    at = buffer.find(b"obj", start, end)
    while at >= 0:
        if not buffer[at + 3 : min(at + 4, end)].isalnum():
            found = header_of(buffer, start, at)
            if found is not None:
                yield found
        start = at + 3
        at = buffer.find(b"obj", start, end)


def header_of(buffer: Buffer, start: int, at: int) -> int | None:
    """Where the header begins whose keyword ``obj`` stands at `at`, not before `start`; None for anything else."""
    room = _WINDOW
    while True:
        begin = max(start, at - room)
        text = bytes(buffer[begin:at])
        if begin > start and not text.translate(None, _PART):
            room *= 2  # nothing but digits and blanks: the numbers may begin further ahead
            continue
        found = _NUMBERS.search(text)
        return begin + found.start() if found else None


__all__ = ["header_of", "headers"]
