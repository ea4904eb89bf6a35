"""Files that others read while they are written: there whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(
    path: Path, *parts: bytes, mode: int | None = None, moment: float | None = None, durable: bool = False
) -> None:
    """Make `parts` the octets of `path`, in place of any older file.

    `mode` are its permissions (without: its owner's alone), `moment` its time of change in seconds since 1970;
    `durable` waits until the octets are on the disk.  Raises `OSError`, and then leaves nothing behind.
    """
    import tempfile

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
            if durable:
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        if moment is not None:
            os.utime(name, (moment, moment))
        Path(name).replace(path)
    except BaseException:  # also where the process is told to end: the half-written file goes
        Path(name).unlink(missing_ok=True)
        raise


__all__ = ["write_whole"]
