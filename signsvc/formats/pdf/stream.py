"""Streams: a dictionary and octets that are looked at only when asked for."""

from __future__ import annotations

from collections.abc import Callable

from signsvc.formats.pdf import filters
from signsvc.formats.pdf.limits import LimitError, PdfError
from signsvc.formats.pdf.objects import Buffer, PdfDict


class Budget:
    """Octets that may still be decoded in one document, those between two filters included."""

    __slots__ = ("left", "most")

    def __init__(self, left: int, most: int) -> None:
        self.left = left
        self.most = most

    def spend(self, octets: int) -> None:
        """Count `octets`.  Raises LimitError."""
        self.left -= octets
        if self.left < 0:
            raise LimitError("decoded")


class Stream:
    """A stream object (ISO 32000-2 §7.3.8).

    `start` is the offset of its first octet in the file.  Two streams are the same object where `start` is the same.
    """

    __slots__ = ("_budget", "_buffer", "_decrypt", "_length", "_resolve", "dictionary", "start")

    def __init__(
        self,
        buffer: Buffer,
        dictionary: PdfDict,
        start: int,
        *,
        length: Callable[[PdfDict], int],
        resolve: Callable[[PdfDict], PdfDict],
        budget: Budget,
        decrypt: Callable[[PdfDict, bytes], bytes] | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.start = start
        self._buffer = buffer
        self._length = length
        self._resolve = resolve
        self._budget = budget
        self._decrypt = decrypt

    def __repr__(self) -> str:
        return f"<Stream at {self.start}>"

    @property
    def length(self) -> int:
        """Octets as /Length says, proven by the keyword that follows them.  Raises PdfError."""
        length = self._length(self.dictionary)
        end = self.start + length
        if length < 0 or end > len(self._buffer):
            raise PdfError("stream longer than the file")
        tail = bytes(self._buffer[end : end + 11])
        if not tail.lstrip(b"\r\n").startswith(b"endstream"):
            raise PdfError("stream that does not end where its length says")
        return length

    def raw(self) -> bytes:
        """The octets as written, decrypted where the file is encrypted.  Raises PdfError."""
        octets = bytes(self._buffer[self.start : self.start + self.length])
        return self._decrypt(self.dictionary, octets) if self._decrypt else octets

    def decode(self, limit: int | None = None) -> bytes:
        """The decoded octets.  Raises PdfError, LimitError."""
        budget = self._budget
        return filters.decode(self.raw(), self._resolve(self.dictionary), limit or budget.most, budget.spend)


__all__ = ["Budget", "Stream"]
