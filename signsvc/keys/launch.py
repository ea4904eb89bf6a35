"""Starting token processes: one of one's own, or one that all workers of a service share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from signsvc.errors import ConfigError, TokenError
from signsvc.keys.framing import peer_uid

START_TIMEOUT = 20.0  # seconds a new process has to say hello: a slow disk and a busy machine
_MAX_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Link:
    """A connection to a token process and the means to end that process."""

    sock: socket.socket
    kill: Callable[[], None]


class Launcher(Protocol):
    def connect(self) -> Link:
        """A connection to a running process, started if need be."""

    def close(self) -> None:
        """Let go of what was started."""


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    module: str
    timeout: float
    login_timeout: float
    descriptors: tuple[int, ...] = ()  # inherited for ``fd:N`` PIN sources


def _command(options: LaunchOptions, extra: Sequence[str]) -> list[str]:
    # -P: the current directory must not supply modules.
    return [
        sys.executable,
        "-P",
        "-m",
        "signsvc.keys.token_process",
        "--module",
        options.module,
        "--timeout",
        str(options.timeout),
        "--login-timeout",
        str(options.login_timeout),
        *extra,
    ]


def _spawn(options: LaunchOptions, extra: Sequence[str], passed: int, *, detached: bool) -> subprocess.Popen[bytes]:
    usable = [d for d in options.descriptors if _is_open(d)]
    try:
        process = subprocess.Popen(
            _command(options, extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(passed, *usable),
            start_new_session=detached,
        )
    except OSError:
        raise TokenError("token_error", reason="the token process cannot be started") from None
    # Waits so that no zombie stays; a daemon thread, so that nobody waits for it.
    threading.Thread(target=process.wait, name="token-process-wait", daemon=True).start()
    return process


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class PrivateProcess:
    """A process for this client alone, over an anonymous socket pair; it ends with the client."""

    def __init__(self, options: LaunchOptions) -> None:
        self._options = options

    def connect(self) -> Link:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                process = _spawn(self._options, ["--connection", str(theirs.fileno())], theirs.fileno(), detached=False)
            except BaseException:
                ours.close()
                raise
        return Link(ours, process.kill)

    def close(self) -> None:
        """The process ends by itself when its connection is closed."""


class TokenServer:
    """One process for all clients of a runtime directory: whoever finds none starts it, under a lock.

    The directory must belong to this user alone (0700).  The process goes `linger` seconds after its last client.
    Raises `ConfigError` where the directory is not private or its path is too long for a socket.
    """

    def __init__(self, options: LaunchOptions, directory: Path, *, linger: float = 20.0) -> None:
        self._options = options
        self._linger = linger
        name = hashlib.sha256(os.path.realpath(options.module).encode()).hexdigest()[:12]
        self._path = str(directory / f"t{name}.sock")
        self._lock = str(directory / f"t{name}.lock")
        if len(os.fsencode(self._path)) > _MAX_SOCKET_PATH:
            raise ConfigError(reason="the path of the runtime directory is too long for a socket")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ConfigError(reason=f"the runtime directory {directory} must belong to this user alone (mode 0700)")

    def connect(self) -> Link:
        deadline = time.monotonic() + START_TIMEOUT
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._locked(descriptor, deadline)
            sock = self._try()
            if sock is None:
                self._start(descriptor)
                sock = self._try()
            if sock is None:
                raise TokenError("token_removed")
            process_id = _number(os.pread(descriptor, 32, 0))
        finally:
            os.close(descriptor)
        return Link(sock, lambda: _kill(process_id, self._path))

    def close(self) -> None:
        """Other clients may be using the process: it is left alone."""

    @staticmethod
    def _locked(descriptor: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TokenError("token_timeout") from None
                time.sleep(0.02)
            else:
                return

    def _try(self) -> socket.socket | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(2)
            sock.connect(self._path)
            if peer_uid(sock) != os.geteuid():
                raise TokenError("token_error", reason="the token process belongs to another user")
            sock.settimeout(None)
        except OSError:
            sock.close()
            return None
        except BaseException:
            sock.close()
            raise
        return sock

    def _start(self, lock: int) -> None:
        try:
            Path(self._path).unlink(missing_ok=True)
        except OSError:
            raise ConfigError(reason="the runtime directory cannot be written") from None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            previous = os.umask(0o177)
            try:
                listener.bind(self._path)
            finally:
                os.umask(previous)
            listener.listen(128)
            extra = ["--listener", str(listener.fileno()), "--path", self._path, "--linger", str(self._linger)]
            process = _spawn(self._options, extra, listener.fileno(), detached=True)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(process.pid).encode(), 0)


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0


def _kill(process_id: int, path: str) -> None:
    """End the process, provided that it still is the one that serves `path`: numbers are used again."""
    try:
        arguments = Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
        if process_id > 1 and os.fsencode(path) in arguments and b"signsvc.keys.token_process" in arguments:
            os.kill(process_id, signal.SIGKILL)
    except OSError:
        pass
