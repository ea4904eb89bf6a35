"""Two documents for demonstrations and tests: `van-ban.pdf` from an office program, `ban-quet.pdf` a scan of it."""

from __future__ import annotations

from pathlib import Path


def path(name: str) -> Path:
    """Where a sample stands.  Raises `FileNotFoundError` where there is none of that name."""
    found = Path(__file__).parent / name
    if not found.is_file():
        raise FileNotFoundError(name)
    return found
