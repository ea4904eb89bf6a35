"""Messages between a client and a token process: a four-octet length, then JSON.  Octets travel as base64.

Both ends belong to one user, but neither trusts a length: a frame above `MAX_FRAME` ends the connection.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from signsvc import errors
from signsvc.errors import SignsvcError

MAX_FRAME = 16 * 1024 * 1024
PROTOCOL = 1

_LENGTH = struct.Struct(">I")

_CLASSES: dict[str, type[SignsvcError]] = {
    "credential": errors.CredentialError,
    "signature": errors.CredentialError,
    "user": errors.CredentialError,
    "configuration": errors.ConfigError,
    "invalid": errors.RequestError,
    "internal": errors.InternalError,
}


class FramingError(Exception):
    """The other end does not speak this protocol."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One frame.  Raises `FramingError` where it would be too long."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME:
        raise FramingError("frame too long")
    return _LENGTH.pack(len(body)) + body


class FrameBuffer:
    """Collects octets until whole frames are there."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Add `data`; yield the messages completed by it.  Raises `FramingError` for what is none."""
        self._data += data
        while len(self._data) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._data)
            if size > MAX_FRAME:
                raise FramingError("frame too long")
            end = _LENGTH.size + size
            if len(self._data) < end:
                return
            body = bytes(self._data[_LENGTH.size : end])
            del self._data[:end]
            try:
                message = json.loads(body)
            except ValueError:
                raise FramingError("not JSON") from None
            if not isinstance(message, dict):
                raise FramingError("not an object")
            yield message


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def unb64(text: object) -> bytes:
    """Raises `FramingError` for what is not base64."""
    if not isinstance(text, str):
        raise FramingError("not base64")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise FramingError("not base64") from None


def error_to_wire(error: SignsvcError) -> dict[str, Any]:
    return {"code": error.code, "data": {k: str(v) for k, v in error.data.items()}}


def error_from_wire(wire: object) -> SignsvcError:
    """The error the other end met, in the class that its code belongs to."""
    if not isinstance(wire, dict) or wire.get("code") not in errors.PROBLEMS:
        return errors.InternalError()
    code = str(wire["code"])
    data = wire.get("data")
    known = {str(k): v for k, v in data.items()} if isinstance(data, dict) else {}
    return _CLASSES.get(code.partition("_")[0], errors.TokenError)(code, **known)


def peer_uid(sock: socket.socket) -> int:
    """The user at the other end of a Unix socket (SO_PEERCRED); -1 where the system does not say."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])
    except OSError:
        return -1
