"""``multipart/form-data`` (RFC 7578) read in a stream: files go to files, fields stay small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from signsvc.errors import RequestError

# Names and values of a form beside its files.
MAX_PARTS = 64
MAX_FIELD_BYTES = 1 << 20
# What stands behind a delimiter to its end, padding included.
_ENDING = 64

# Told the fields that came before the first file, before anything of that file is kept.
Admit = Callable[[Mapping[str, str]], None]


@dataclass(slots=True)
class Part:
    """One part: a field with its `value`, or a file at `path`; `digest` is its own Content-Digest."""

    name: str
    filename: str | None = None
    digest: str | None = None
    value: bytes = b""
    path: Path | None = None

    @property
    def text(self) -> str:
        return self.value.decode("utf-8", "replace")


def read(
    chunks: Iterable[bytes], boundary: bytes, directory: Path, admit: Admit, *, max_parts: int = MAX_PARTS
) -> list[Part]:
    """The parts in their order, files as ``part-N`` in `directory`.

    Raises `RequestError` (invalid_request) for what is malformed, unfinished or too much, and what `admit` raises.
    """
    parts: list[Part] = []
    size = 0
    admitted = False
    with ExitStack() as opened:
        target: IO[bytes] | None = None
        try:
            decoder = MultipartDecoder(boundary, MAX_FIELD_BYTES, max_parts=max_parts)
            for event in _events(decoder, _whole(chunks, boundary)):
                if isinstance(event, Field):
                    parts.append(Part(event.name))
                    target = None
                elif isinstance(event, File):
                    if not admitted:
                        admit({part.name: part.text for part in parts})
                        admitted = True
                    path = directory / f"part-{len(parts)}"
                    target = opened.enter_context(path.open("wb"))
                    parts.append(Part(event.name, event.filename, event.headers.get("Content-Digest"), path=path))
                elif isinstance(event, Data) and target is not None:
                    target.write(event.data)
                    if not event.more_data:
                        target.flush()
                elif isinstance(event, Data):
                    size += len(event.data)
                    if size > MAX_FIELD_BYTES:
                        raise RequestEntityTooLarge
                    parts[-1].value += event.data
        except RequestEntityTooLarge:
            raise RequestError("invalid_request", reason="too many or too large form fields") from None
        except ValueError:
            raise RequestError("invalid_request", reason="malformed or unfinished multipart body") from None
    if not admitted:
        admit({part.name: part.text for part in parts})
    return parts


def _whole(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """The octets of `chunks` in pieces of which none ends within a delimiter or right behind one.

    The decoder would take the CR before such a delimiter for content.
    """
    mark = b"--" + boundary
    held = b""
    for chunk in chunks:
        held += chunk
        cut = len(held) - len(mark) - _ENDING
        if cut <= 0:
            continue
        at = held.rfind(mark, max(0, cut - len(mark) - _ENDING), cut + len(mark))
        if at >= 0:
            cut = max(0, at - len(b"\r\n"))
        yield held[:cut]
        held = held[cut:]
    yield held


def _events(decoder: MultipartDecoder, chunks: Iterable[bytes]) -> Iterator[Event]:
    for chunk in chunks:
        decoder.receive_data(chunk)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            yield event
    decoder.receive_data(None)
    while not isinstance(event := decoder.next_event(), NeedData | Epilogue):  # raises where the end is missing
        yield event
