"""Which object numbers a stretch of a file refers to, without parsing it."""

from __future__ import annotations

import re

from signsvc.formats.pdf.objects import Buffer

_BACK = re.compile(rb"(?<![0-9])(\d{1,10})[\x00\t\n\x0c\r ]+\d{1,5}[\x00\t\n\x0c\r ]*\Z")
# Octets looked at before an R: two numbers and a few blanks.  Six searches for a fixed pair of octets are several
# times faster than one regular expression over a large file.
_WINDOW = 48


def scan_references(buffer: Buffer, start: int, end: int) -> set[int]:
    """Numbers of all ``n g R`` in ``[start, end)`` written with white space only, stream bodies included.

    What it finds in binary stream data may be no reference: a caller takes the result as an upper bound.
    """
    numbers: set[int] = set()
    for blank in (b" R", b"\nR", b"\rR", b"\tR", b"\x0cR", b"\x00R"):
        pos = buffer.find(blank, start, end)
        while pos >= 0:
            found = _BACK.search(bytes(buffer[max(start, pos - _WINDOW) : pos]))
            if found:
                numbers.add(int(found[1]))
            pos = buffer.find(blank, pos + 2, end)
    return numbers


__all__ = ["scan_references"]
