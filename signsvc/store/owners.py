"""Which process holds something, and whether it still lives.

A name tells the running system, the process number and the moment it started, so that a number used again, a restart
or another container is never taken for the process that made it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{12}_[0-9]{1,10}_[0-9]{1,20}\Z")


def me() -> str:
    """The name of this process, of characters that file names may have."""
    return _named(os.getpid())


@functools.lru_cache(maxsize=4)
def _named(pid: int) -> str:
    return f"{_place()}_{pid}_{_started(pid) or 0}"


def alive(owner: str) -> bool | None:
    """Whether the process of that name runs; None where this cannot be known from here (another machine or
    container, or the same before its restart)."""
    if not _NAME.match(owner):
        return None
    place, pid, started = owner.split("_")
    if place != _place() or started == "0":
        return None
    return _started(int(pid)) == int(started)


@functools.cache
def _place() -> str:
    """This run of this machine, and within it the container: process numbers mean something only there."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        boot, space = os.urandom(16).hex(), ""  # nobody else can be told apart then
    return hashlib.sha256(f"{boot}/{space}".encode()).hexdigest()[:12]


def _started(pid: int) -> int | None:
    """When the process started, in the kernel's ticks; None where there is none or it only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    fields = text[text.rfind(")") + 2 :].split()  # the name before may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


__all__ = ["alive", "me"]
