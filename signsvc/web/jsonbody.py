"""JSON with long base64 strings, read in a stream: a string longer than `LONG` is decoded into a file as it comes,
and what remains of the JSON is small enough to be parsed whole.
"""

from __future__ import annotations

import binascii
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signsvc.errors import RequestError
from signsvc.store import full_disk

LONG = 8192
# What may remain beside the long strings.
MAX_REST = 1 << 20
MAX_LONG_STRINGS = 200


@dataclass
class LongStrings:
    """Long strings of a JSON body, decoded to files in `directory`; `files` are named by their stand-ins."""

    directory: Path
    most: int = MAX_LONG_STRINGS
    files: dict[str, Path] = field(default_factory=dict)
    _token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def parse(self, chunks: Iterable[bytes]) -> dict[str, Any]:
        """The JSON object, each long string replaced by its stand-in.

        Raises `RequestError` (invalid_request): not JSON, not an object, a long string that is not base64.
        """
        reader = _Reader(self)
        try:
            for chunk in chunks:
                reader.feed(chunk)
            return _loads(reader.finish())
        finally:
            reader.close()

    def new(self) -> Path:
        """A file for one more string."""
        if len(self.files) >= self.most:
            raise RequestError("invalid_request", reason="too many long strings")
        return self.directory / f"string-{len(self.files)}"

    def stand_in(self, path: Path) -> str:
        """Name a finished file; a caller cannot guess such a name."""
        name = f"{self._token}-{len(self.files)}"
        self.files[name] = path
        return name


class _Reader:
    """The state between chunks."""

    def __init__(self, strings: LongStrings) -> None:
        self._strings = strings
        self._rest = bytearray()
        self._inside = False
        self._begin = 0  # where the string in work begins in `_rest`
        self._carry = b""
        self._decoder: _Decoder | None = None

    def feed(self, chunk: bytes) -> None:
        data, self._carry = self._carry + chunk, b""
        position = 0
        while position < len(data):
            position = self._string(data, position) if self._inside else self._between(data, position)
        if len(self._rest) > MAX_REST:
            raise RequestError("invalid_request", reason="too much JSON beside the document")

    def finish(self) -> bytes:
        if self._inside or self._carry:
            raise RequestError("invalid_request", reason="the JSON ends early")
        return bytes(self._rest)

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.close()

    def _between(self, data: bytes, position: int) -> int:
        quote = data.find(b'"', position)
        if quote < 0:
            self._rest += data[position:]
            return len(data)
        self._rest += data[position : quote + 1]
        self._inside, self._begin = True, len(self._rest)
        return quote + 1

    def _string(self, data: bytes, position: int) -> int:
        stop, closed = _string_end(data, position)
        if self._decoder is not None:
            self._decoder.feed(data[position:stop])
        else:
            self._rest += data[position:stop]
            if len(self._rest) - self._begin > LONG:
                self._decoder = _Decoder(self._strings.new())
                self._decoder.feed(bytes(self._rest[self._begin :]))
                del self._rest[self._begin :]
        if not closed:
            self._carry = data[stop:]  # a backslash whose pair is in the next chunk
            return len(data)
        if self._decoder is not None:
            self._rest += self._decoder.finish(self._strings).encode()
            self._decoder = None
        self._rest += b'"'
        self._inside = False
        return stop + 1


class _Decoder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = b""
        self._file = path.open("wb")

    def feed(self, part: bytes) -> None:
        # JSON may write "/" as "\/"; no other escape belongs into base64.
        text = self._left + part.replace(b"\\/", b"/")
        whole = len(text) & ~3
        # The last group is kept back: only it may hold padding.
        whole = max(whole - 4, 0)
        self._write(text[:whole], last=False)
        self._left = text[whole:]

    def finish(self, strings: LongStrings) -> str:
        self._write(self._left, last=True)
        self.close()
        return strings.stand_in(self._path)

    def close(self) -> None:
        self._file.close()

    def _write(self, text: bytes, *, last: bool) -> None:
        try:
            if not last and b"=" in text:
                raise binascii.Error
            decoded = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            raise RequestError("invalid_request", reason="a long string is not base64") from None
        with full_disk():
            self._file.write(decoded)


def _string_end(data: bytes, start: int) -> tuple[int, bool]:
    """Where the string in `data` ends, or stops being whole; and whether its quote stands there."""
    position = start
    while True:
        quote = data.find(b'"', position)
        slash = data.find(b"\\", position, quote if quote >= 0 else len(data))
        if slash < 0:
            return (quote, True) if quote >= 0 else (len(data), False)
        if slash + 1 >= len(data):
            return slash, False
        position = slash + 2


def _loads(text: bytes) -> dict[str, Any]:
    def refuse(_word: str) -> Any:
        raise ValueError

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError
        return found

    try:
        value = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise RequestError("invalid_request", reason="not well-formed JSON") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", reason="expected a JSON object")
    return value


def loads(text: str | bytes) -> dict[str, Any]:
    """A small JSON object.  Raises `RequestError` (invalid_request)."""
    return _loads(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
