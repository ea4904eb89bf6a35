"""Secrets that go to a remote service: a wrong one is sent once, whoever asks and however many ask at a time.

Until a secret was accepted one thread of one process offers it, and the others wait for what becomes of it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from signsvc.errors import SignsvcError, TokenError
from signsvc.keys.pins import PinSource, Secret, resolve
from signsvc.keys.refusals import Identity, Refusals

# What this process knows of secrets, under a key of its own: signers come and go.
_SALT = secrets.token_bytes(32)
_refused: dict[bytes, SignsvcError] = {}
_accepted: set[bytes] = set()
_gates: dict[Identity, threading.Lock] = {}
_gates_lock = threading.Lock()


class OneTry:
    """The secret of one account or key: `identity` is the service's URL and the name there.

    With `directory`, a private one, wrong secrets of files are remembered across processes and restarts.
    Thread-safe.
    """

    def __init__(self, identity: Identity, directory: Path | None = None) -> None:
        self._identity = identity
        self._directory = directory
        self._asking = threading.Lock()
        self._held: Secret | None = None  # of a source that gives it once: a person, a pipe

    @contextmanager
    def offer(self, source: PinSource) -> Iterator[Offer]:
        """The secret of `source`, to be sent within the block, which says what became of it.

        Raises `TokenError` ``pin_required`` where there is none, and what was told when it was refused before.
        """
        with ExitStack() as stack:
            secret = self._secret(source)
            mark = hashlib.blake2b(repr((self._identity, secret.reveal())).encode(), key=_SALT).digest()
            if mark not in _accepted:
                stack.enter_context(_gate(self._identity))
                if self._directory is not None:
                    stack.enter_context(_locked(self._directory, self._identity))
            if (known := _refused.get(mark)) is not None:
                raise type(known)(known.code, **known.data)
            if mark not in _accepted and Refusals(self._directory).known(self._identity, source):
                raise TokenError("pin_incorrect", tries_left="few")
            yield Offer(self, source, secret, mark)

    def _secret(self, source: PinSource) -> Secret:
        if source.repeatable:
            return resolve(source).secret
        with self._asking:
            if self._held is None:
                self._held = resolve(source).secret
            return self._held

    def _forget(self, source: PinSource, error: SignsvcError, mark: bytes, *, lasting: bool) -> None:
        _accepted.discard(mark)
        _refused[mark] = error
        self._held = None
        if lasting:
            Refusals(self._directory).add(self._identity, "few", source)


class Offer:
    """A secret on its way.  Where nothing is said of it, such as when no answer came, it may be offered again."""

    def __init__(self, owner: OneTry, source: PinSource, secret: Secret, mark: bytes) -> None:
        self._owner = owner
        self._source = source
        self._mark = mark
        self.secret = secret

    def accepted(self) -> None:
        _accepted.add(self._mark)

    @property
    def proven(self) -> bool:
        """Whether the service has accepted it before."""
        return self._mark in _accepted

    def refused(self, error: SignsvcError, *, lasting: bool = True) -> None:
        """It is not sent again, `error` is told instead; by other processes too where `lasting`."""
        self._owner._forget(self._source, error, self._mark, lasting=lasting)


def _gate(identity: Identity) -> threading.Lock:
    with _gates_lock:
        return _gates.setdefault(identity, threading.Lock())


@contextmanager
def _locked(directory: Path, identity: Identity) -> Iterator[None]:
    name = f"t{hashlib.sha256(repr(identity).encode()).hexdigest()[:24]}"
    descriptor = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def forget_all() -> None:
    """As after a restart of the process."""
    _refused.clear()
    _accepted.clear()


def _after_fork() -> None:
    global _gates_lock
    _gates_lock = threading.Lock()
    _gates.clear()


os.register_at_fork(after_in_child=_after_fork)
