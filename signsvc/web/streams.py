"""Server-sent events under a server of threads: few streams at a time, each with an end.

A stream holds a thread.  Where all places are taken a caller gets what there is and is told to come again, which is
what an `EventSource` does by itself.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from flask import Response

# Places in one process; the server has a thread for each (`signsvc.web.server`).
PLACES = 8
# Seconds: of a stream, between two looks, between two signs of life, until a reader comes again.
WHOLE, LOOK, BEAT, AGAIN = 60.0, 0.4, 10.0, 2.0


class Event(NamedTuple):
    """`sequence` is what `Last-Event-ID` names."""

    sequence: int
    kind: str
    data: Mapping[str, object]

    def encoded(self) -> bytes:
        text = json.dumps(dict(self.data), ensure_ascii=False)
        return f"id: {self.sequence}\nevent: {self.kind}\ndata: {text}\n\n".encode()


# Events after a sequence number, and whether more may come.
Look = Callable[[int], tuple[Sequence[Event], bool]]


class Streams:
    """The places of one process."""

    def __init__(self, places: int = PLACES, whole: float = WHOLE) -> None:
        self._free = threading.BoundedSemaphore(places)
        self._whole = whole

    def answer(self, look: Look, after: int) -> Response:
        """A stream of what `look` finds, from the event after `after` on.

        The first look happens now, so that what it raises is the answer.
        """
        first = look(after)
        place = _Place(self._free)
        response = Response(self._events(look, after, first, place), mimetype="text/event-stream")
        response.call_on_close(place.leave)
        response.headers["X-Accel-Buffering"] = "no"  # a proxy in between hands on each event at once
        return response

    def _events(self, look: Look, after: int, first: tuple[Sequence[Event], bool], place: _Place) -> Iterator[bytes]:
        yield f"retry: {int(AGAIN * 1000)}\n\n".encode()
        found, more = first
        end = time.monotonic() + self._whole
        beat = time.monotonic() + BEAT
        while True:
            for event in found:
                after = event.sequence
                yield event.encoded()
            if not more or not place.taken or time.monotonic() >= end:
                return
            if time.monotonic() >= beat:
                beat = time.monotonic() + BEAT
                yield b": still here\n\n"
            time.sleep(LOOK)
            found, more = look(after)


class _Place:
    """One of the places, if there was one."""

    def __init__(self, free: threading.BoundedSemaphore) -> None:
        self._free = free
        self.taken = free.acquire(blocking=False)

    def leave(self) -> None:
        if self.taken:
            self.taken = False
            self._free.release()
