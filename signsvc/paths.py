"""Where signsvc keeps what it installs and caches, found without reading any configuration."""

from __future__ import annotations

import os
from pathlib import Path


def data_dir() -> Path:
    """The data directory: ``SIGNSVC_DATA_DIR``, else ``/var/lib/signsvc`` where it exists and is writable, else
    ``$XDG_DATA_HOME/signsvc`` (``~/.local/share/signsvc``).  The directory may not exist yet.
    """
    given = os.environ.get("SIGNSVC_DATA_DIR")
    if given:
        return Path(given)
    system = Path("/var/lib/signsvc")
    if system.is_dir() and os.access(system, os.W_OK):
        return system
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "signsvc"
