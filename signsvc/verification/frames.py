"""Frames between the service and a worker: a JSON header and raw octets, both with a length.

No pickle crosses this line: a worker that a hostile document took over must not be able to run code in its parent.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from typing import Any

_HEAD = struct.Struct("!IQ")
MAX_HEADER = 64 * 1024 * 1024  # a report over thousands of signatures
MAX_PAYLOAD = 512 * 1024 * 1024


class FrameError(Exception):
    """The other side is gone, late, or speaks nonsense."""


class FrameTimeoutError(FrameError):
    """The deadline passed."""


def send(sock: socket.socket, header: dict[str, Any], payload: bytes = b"", *, deadline: float | None = None) -> None:
    """Send one frame; `deadline` is a `time.monotonic` instant.  Raises `FrameError` where the other side is gone,
    `FrameTimeoutError` where it does not read."""
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        for part in (_HEAD.pack(len(encoded), len(payload)) + encoded, payload):
            if not part:
                continue
            if deadline is not None:
                sock.settimeout(max(deadline - time.monotonic(), 0.001))
            sock.sendall(part)
        sock.settimeout(None)
    except TimeoutError:
        raise FrameTimeoutError from None
    except OSError as error:
        raise FrameError("send") from error


def receive(
    sock: socket.socket, deadline: float | None = None, *, max_payload: int = MAX_PAYLOAD
) -> tuple[dict[str, Any], bytes]:
    """The next frame; `deadline` is a `time.monotonic` instant.  Raises `FrameError`, `FrameTimeoutError`."""
    header_size, payload_size = _HEAD.unpack(_exactly(sock, _HEAD.size, deadline))
    if header_size > MAX_HEADER or payload_size > max_payload:
        raise FrameError("frame too large")
    try:
        header = json.loads(_exactly(sock, header_size, deadline))
    except (ValueError, RecursionError) as error:
        raise FrameError("frame is not JSON") from error
    if not isinstance(header, dict):
        raise FrameError("frame is not an object")
    return header, _exactly(sock, payload_size, deadline) if payload_size else b""


def _exactly(sock: socket.socket, size: int, deadline: float | None) -> bytes:
    buffer = bytearray(size)
    view = memoryview(buffer)
    filled = 0
    while filled < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([sock], [], [], left)[0]:
                raise FrameTimeoutError
        try:
            got = sock.recv_into(view[filled:])
        except OSError as error:
            raise FrameError("receive") from error
        if not got:
            raise FrameError("closed")
        filled += got
    return bytes(buffer)
