"""The caller's end of a token process.  Thread-safe; after a fork the child makes its own connection."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from signsvc.errors import SignsvcError, TokenError
from signsvc.keys import framing, refusals
from signsvc.keys.framing import FrameBuffer, FramingError
from signsvc.keys.launch import START_TIMEOUT, Launcher, Link
from signsvc.keys.pins import PinSource, Secret, source_for

log = logging.getLogger("signsvc.keys")

DEFAULT_SECONDS = 60.0
GRACE = 2.0  # seconds past its deadline in which a healthy process has answered

PinPrompt = Callable[[str], Secret]

_clients: weakref.WeakSet[TokenClient] = weakref.WeakSet()


class _Answer:
    __slots__ = ("event", "message")

    def __init__(self) -> None:
        self.event = threading.Event()
        self.message: dict[str, Any] | None = None


class _NotSentError(Exception):
    """The process was gone before it could take the request: another one may safely be asked."""


class _Connection:
    """One socket, many waiting threads, one reader."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.dead = False
        self._lock = threading.Lock()
        self._waiting: dict[int, _Answer] = {}
        self._numbers = itertools.count(1)
        threading.Thread(target=self._read, name="token-client", daemon=True).start()

    def call(self, message: Mapping[str, Any], seconds: float) -> Any:
        """Raises the error that the process answers, ``token_removed`` where it went meanwhile, ``token_timeout``;
        `_NotSentError` where it was gone before.
        """
        answer = _Answer()
        number = next(self._numbers)
        frame = framing.encode({**message, "id": number, "seconds": seconds})
        with self._lock:
            if self.dead:
                raise _NotSentError
            self._waiting[number] = answer
            try:
                self.link.sock.sendall(frame)
            except OSError:
                self._waiting.pop(number, None)
                raise _NotSentError from None
        if not answer.event.wait(seconds + GRACE):
            # It promises an answer in time, so it is stuck as a whole.
            self.link.kill()
            self.close()
            raise TokenError("token_timeout")
        if answer.message is None:
            raise TokenError("token_removed")
        if "error" in answer.message:
            raise framing.error_from_wire(answer.message["error"])
        return answer.message.get("result")

    def _read(self) -> None:
        buffer = FrameBuffer()
        try:
            while data := self.link.sock.recv(1 << 16):
                for message in buffer.feed(data):
                    if "leaving" in message:  # it will take nothing more
                        self.dead = True
                        continue
                    with self._lock:
                        answer = self._waiting.pop(message.get("id", 0), None)
                    if answer is not None:
                        answer.message = message
                        answer.event.set()
        except (OSError, FramingError):
            pass
        with self._lock:
            self.dead = True
            waiting, self._waiting = self._waiting, {}
            self.link.sock.close()
        for answer in waiting.values():
            answer.event.set()

    def close(self) -> None:
        self.dead = True
        try:
            self.link.sock.shutdown(socket.SHUT_RDWR)  # wakes the reader, which closes
        except OSError:
            pass


class TokenClient:
    """Talks to the process of one module; starts it again where it has gone.

    `pins` maps token labels (None: any other) to PIN sources.  `prompt` asks a person for the PIN of a token.
    """

    def __init__(
        self, launcher: Launcher, pins: Mapping[str | None, PinSource], prompt: PinPrompt | None = None
    ) -> None:
        self._launcher = launcher
        self._pins = dict(pins)
        self._prompt = prompt
        self._connection: _Connection | None = None
        self._lock = threading.Lock()
        self._prompting = threading.Lock()
        self._closed = False
        # A wrong PIN stays wrong for this client even when the process that found out has died since.
        # Until the file that it came from is written anew (`refusals.stamp`).
        self._refused: dict[tuple[str | None, str | None], tuple[TokenError, str | None]] = {}
        self._careful = False  # the last process went in the middle of a request that may have logged in
        _clients.add(self)

    # messages --------------------------------------------------------------------------------------------------
    def ping(self) -> int:
        """The process's id."""
        return int(self._call("ping", 5.0)["pid"])

    def info(self, *, seconds: float = DEFAULT_SECONDS) -> dict[str, Any]:
        """Library, slots and tokens."""
        result: dict[str, Any] = self._call("info", seconds)
        return result

    def certificates(
        self, label: str | None = None, serial: str | None = None, *, seconds: float = DEFAULT_SECONDS
    ) -> list[dict[str, Any]]:
        """``[{label, serial, slot, objects: [{id, label, der}]}]``; needs no PIN where certificates are public."""
        result: list[dict[str, Any]] = self._call("certificates", seconds, label=label, serial=serial)
        for token in result:
            for item in token["objects"]:
                item["der"] = framing.unb64(item["der"])
        return result

    def login(
        self, label: str | None, serial: str | None, pin: Secret | None = None, *, seconds: float = 120.0
    ) -> None:
        """Log in now.  A `pin` given here is a new try and goes nowhere but to the token process."""
        fields: dict[str, Any] = {"label": label, "serial": serial}
        if pin is not None:
            for name, number in list(self._refused):
                if label in (None, name) and serial in (None, number):
                    self._refused.pop((name, number), None)
            fields["pin"] = pin.reveal()
        self._guarded(label, serial, "login", seconds, fields)

    def logout(self, label: str | None = None, serial: str | None = None) -> None:
        self._call("logout", DEFAULT_SECONDS, label=label, serial=serial)

    def sign(self, label: str | None, serial: str | None, fields: Mapping[str, Any], deadline: float | None) -> bytes:
        """The raw value.  `deadline` as in `Signer.sign`.  Asks for the PIN once where the source is a prompt."""
        message = {**fields, "label": label, "serial": serial}
        try:
            return self._sign(label, serial, message, deadline)
        except TokenError as error:
            if error.code != "pin_required" or error.data.get("hint") != "prompt" or self._prompt is None:
                raise
        with self._prompting:
            # Another thread may have asked meanwhile: then this one signs without asking.
            try:
                return self._sign(label, serial, message, deadline)
            except TokenError as error:
                if error.code != "pin_required":
                    raise
            self.login(label, serial, self._prompt(label or ""))
        return self._sign(label, serial, message, deadline)

    def close(self) -> None:
        """Close the connection; a process of one's own ends with it."""
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._launcher.close()

    # inner parts -----------------------------------------------------------------------------------------------
    def _sign(self, label: str | None, serial: str | None, message: Mapping[str, Any], deadline: float | None) -> bytes:
        seconds = DEFAULT_SECONDS if deadline is None else deadline - time.monotonic()
        if seconds <= 0:
            raise TokenError("token_timeout")
        return framing.unb64(self._guarded(label, serial, "sign", seconds, message)["value"])

    def _guarded(
        self, label: str | None, serial: str | None, operation: str, seconds: float, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        source = source_for(self._pins, label or "")
        refused, stamp = self._refused.get((label, serial), (None, None))
        if refused is not None and not refusals.rewritten(stamp, source):
            raise type(refused)(refused.code, **refused.data)
        written = refusals.stamp(source) if "pin" not in fields else None
        try:
            result: dict[str, Any] = self._call(operation, seconds, **fields)
        except TokenError as error:
            if error.code in ("pin_incorrect", "pin_locked"):
                self._refused[label, serial] = error, written
            self._careful = self._careful or error.code in ("token_removed", "token_timeout")
            if error.data.get("untried"):
                log.warning(
                    "token %s: the last PIN try is left to a person: signsvc token test --pin-source prompt", label
                )
            raise
        self._careful = False
        for code in result.get("warnings", ()):
            log.warning("token %s: %s", label, code)
        return result

    def _call(self, operation: str, seconds: float, **fields: Any) -> Any:
        for _ in range(3):
            connection = self._connected()
            try:
                return connection.call({"op": operation, **fields}, seconds)
            except _NotSentError:
                connection.close()
        raise TokenError("token_removed")

    def _connected(self) -> _Connection:
        with self._lock:
            if self._closed:
                raise TokenError("token_removed")
            if self._connection is not None and not self._connection.dead:
                return self._connection
            for last in (False, True):
                # A process that is just leaving may still take a connection: then the second try finds a new one.
                connection = _Connection(self._launcher.connect())
                try:
                    settings = {"op": "configure", "pins": self._wire_pins(), "careful": self._careful}
                    hello = connection.call(settings, START_TIMEOUT)
                    if hello.get("protocol") != framing.PROTOCOL:
                        connection.link.kill()  # left over from another version
                        raise TokenError("token_removed")
                except (SignsvcError, _NotSentError) as error:
                    connection.close()
                    gone = isinstance(error, _NotSentError) or error.code == "token_removed"
                    if last or not gone:
                        raise (TokenError("token_removed") if gone else error) from None
                else:
                    self._connection = connection
                    return connection
        raise AssertionError("not reached")

    def _wire_pins(self) -> list[tuple[str | None, str]]:
        return [(label, str(source)) for label, source in self._pins.items()]

    def _forget(self) -> None:
        """In the child of a fork: the connection and the thread that reads it belong to the parent."""
        self._lock = threading.Lock()
        self._prompting = threading.Lock()
        if self._connection is not None:
            try:
                os.close(self._connection.link.sock.detach())
            except OSError:
                pass
            self._connection = None


def _after_fork() -> None:
    for client in list(_clients):
        client._forget()


os.register_at_fork(after_in_child=_after_fork)
