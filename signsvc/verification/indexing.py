"""Indexes of revocation lists, each made by a process of its own that sees one list and nothing else.

A worker that reads documents may be taken over by one; what it made of a list would then hide revocations from every
other.  A list can only spoil its own index, which its issuer can do anyway.
"""

from __future__ import annotations

import time
from contextlib import suppress

from signsvc.verification import frames
from signsvc.verification.processes import Reach, Worker

SECONDS = 60.0
_MEMORY = 3 * 1024**3
_CPU_SECONDS = 30


def build(encoded: bytes) -> bytes | None:
    """The index file (`signsvc.trust.crl_index`) of a fetched list, or None: it cannot be made, or is not worth it."""
    from signsvc.trust.crl_index import MAX_FACTOR

    deadline = time.monotonic() + SECONDS
    found = Worker.spawn(__name__, Reach())
    try:
        frames.send(found.sock, {}, encoded, deadline=deadline)
        _, made = frames.receive(found.sock, deadline, max_payload=MAX_FACTOR * len(encoded))
    except frames.FrameError:
        return None
    finally:
        found.stop()
    return made or None


def main() -> None:
    from signsvc.asn1 import DerError
    from signsvc.trust.crl import Crl
    from signsvc.verification import worker

    with worker.begin() as sock:
        worker.limit(_MEMORY, _CPU_SECONDS)
        _, encoded = frames.receive(sock)
        made: bytes | None = None
        with suppress(DerError, MemoryError):
            made = Crl(encoded).make_index()
        frames.send(sock, {}, made or b"")
