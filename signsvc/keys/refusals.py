"""Memory of wrong PINs, so that none is offered to a token twice.

In the process it holds for every source, and for a file until that is written anew.  With a directory it also
outlives the process, for PINs from files: a service that is restarted with the same wrong file must not use up the
token's tries.  What is kept is when the file was written, never anything made from the PIN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from signsvc.keys.pins import PinSource

Identity = tuple[str, str]  # a token's label and serial number


class Refusals:
    """`directory` must be private to this user; None keeps nothing."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._bands: dict[Identity, str] = {}
        self._stamps: dict[Identity, str] = {}  # of the files that the PINs were in

    def __bool__(self) -> bool:
        return bool(self._bands)

    def __iter__(self) -> Iterator[Identity]:
        return iter(tuple(self._bands))

    def known(self, identity: Identity, source: PinSource | None) -> str | None:
        """How many tries were left when the PIN that `source` still holds was refused; None where it was not."""
        band = self._bands.get(identity)
        if rewritten(self._stamps.get(identity), source):
            self.forget(identity)
            band = None
        if band is None and (mark := self._mark(identity)) is not None and (found := stamp(source)) is not None:
            try:
                written, _, kept = mark.read_text("utf-8").partition(" ")
            except (OSError, UnicodeDecodeError):
                return None
            if written == found:
                band = kept if kept in ("many", "few", "last") else "few"
        return band

    def add(self, identity: Identity, band: str, source: PinSource | None) -> None:
        """`source` is None where a person gave the PIN."""
        self.forget(identity)
        self._bands[identity] = band
        if (found := stamp(source)) is None:
            return
        self._stamps[identity] = found
        if (mark := self._mark(identity)) is not None:
            try:
                mark.write_text(f"{found} {band}", "utf-8")
            except OSError:
                pass  # this process remembers at least

    def clear(self, identity: Identity) -> None:
        self.forget(identity)
        if (mark := self._mark(identity)) is not None:
            try:
                mark.unlink(missing_ok=True)
            except OSError:
                pass

    def forget(self, identity: Identity) -> None:
        """The configuration names another source now, or the file has another PIN."""
        self._bands.pop(identity, None)
        self._stamps.pop(identity, None)

    def _mark(self, identity: Identity) -> Path | None:
        if self._directory is None:
            return None
        return self._directory / f"r{hashlib.sha256(repr(identity).encode()).hexdigest()[:24]}"


def stamp(source: PinSource | None) -> str | None:
    """When the file of `source` was written, in a form that is another for another content; None: it is no file."""
    if source is None or source.kind != "file":
        return None
    try:
        found = Path(source.value).stat()
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}:{found.st_size}"


def rewritten(before: str | None, source: PinSource | None) -> bool:
    """Whether the file of `source` is another than when `before` was its `stamp`."""
    return before is not None and stamp(source) not in (None, before)
