"""A batch of files that may be interrupted: what was signed is on record, and a token that went may come back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.errors import ConfigError, CredentialError, RequestError, SignsvcError, TokenError

if TYPE_CHECKING:
    from signsvc.signing import SignResult

Work = Callable[[Path, Path], "SignResult"]
NAME = ".signsvc-batch.jsonl"
_GONE = ("token_removed", "token_not_present")
_LOOK_SECONDS = 1.0
# What a second document would meet as well; every try may cost the token one of its own.
_STOPS = ("pin_incorrect", "pin_locked", "pin_required", "remote_key_needs_person", "remote_key_refused")


class Journal:
    """One JSON line before and after each document, on the disk before anything goes on.  Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Raises `ConfigError` where the file is no journal."""
        self._path = path
        self._lock = threading.Lock()
        self._last: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                with contextlib.suppress(ValueError):  # the line that was written when everything stopped
                    found = json.loads(line)
                    if not isinstance(found, dict) or not isinstance(found.get("source"), str):
                        raise ConfigError(reason=f"{path}: not a record of a batch")
                    self._last[found["source"]] = found

    def signed_before(self, source: Path, target: Path) -> bool:
        """Whether `source` was signed into `target` in an earlier run; also where that run ended before it said so.

        Raises `RequestError` where the document, or what was made of it, is not what it was then.
        """
        found = self._last.get(str(source.absolute()))
        if found is None or found.get("target") != str(target.absolute()):
            return False
        if found.get("sha256") != _digest(source):
            raise RequestError("invalid_request", reason="the file has changed since the batch began")
        if "signed" in found:
            if not target.is_file() or _digest(target) != found["signed"]:
                raise RequestError("invalid_request", reason="the signed file has changed or is gone")
            return True
        # Targets appear whole: one that continues this document is the signature that was not yet on record.
        if target.is_file() and _continues(target, source):
            self.done(source, target, _digest(target))
            return True
        return False

    def begin(self, source: Path, target: Path) -> None:
        """Say what is about to be signed."""
        self._write({"source": str(source.absolute()), "target": str(target.absolute()), "sha256": _digest(source)})

    def done(self, source: Path, target: Path, signed: str) -> None:
        """Say that it is signed: `signed` is the SHA-256 of the target in hex."""
        line = {"source": str(source.absolute()), "target": str(target.absolute())}
        self._write(line | {"sha256": _digest(source), "signed": signed})

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                # A line end before as well: an earlier run may have stopped within its last line.
                os.write(
                    handle, b"\n" + json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
                )
                os.fsync(handle)
            finally:
                os.close(handle)
            self._last[line["source"]] = line


def resumable(work: Work, journal: Journal) -> Callable[[Path, Path], SignResult | None]:
    """`work` with a record of each document; None for one that was signed in an earlier run."""

    def do(source: Path, target: Path) -> SignResult | None:
        if journal.signed_before(source, target):
            return None
        journal.begin(source, target)
        result = work(source, target)
        journal.done(source, target, result.sha256)
        return result

    return do


class NotTriedError(Exception):
    """Another document met what this one would meet as well: `error`."""

    def __init__(self, error: SignsvcError) -> None:
        super().__init__(error.code)
        self.error = error


def stopping(work: Callable[[Path, Path], SignResult | None]) -> Callable[[Path, Path], SignResult | None]:
    """`work` until the first failure that is about the key or its PIN; from then on `NotTriedError`."""
    met: list[SignsvcError] = []

    def do(source: Path, target: Path) -> SignResult | None:
        if met:
            raise NotTriedError(met[0])
        try:
            return work(source, target)
        except SignsvcError as error:
            if isinstance(error, CredentialError) or error.code in _STOPS:
                met.append(error)
            raise

    return do


def patient(work: Work, seconds: float) -> Work:
    """`work` that waits up to `seconds` for a token that was removed, and says so once each time."""
    lock = threading.Lock()
    told = [0.0]

    def do(source: Path, target: Path) -> SignResult:
        deadline: float | None = None
        while True:
            try:
                return work(source, target)
            except TokenError as error:
                if error.code not in _GONE:
                    raise
                now = time.monotonic()
                deadline = deadline or now + seconds
                if now >= deadline:
                    raise
                with lock:
                    if now > told[0]:
                        told[0] = deadline
                        click.echo(
                            f"Không thấy thiết bị ký; cắm lại thiết bị trong {seconds:.0f} giây. / "
                            f"The token is gone; plug it in again within {seconds:.0f} seconds.",
                            err=True,
                        )
                time.sleep(_LOOK_SECONDS)

    return do


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _continues(target: Path, source: Path) -> bool:
    with target.open("rb") as longer, source.open("rb") as shorter:
        while chunk := shorter.read(1 << 20):
            if longer.read(len(chunk)) != chunk:
                return False
        return bool(longer.read(1))
