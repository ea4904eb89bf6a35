"""Words of a page looked for in a process that may be lost: PDFium reads octets of anybody's."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from signsvc.formats.pades.page_text import Found
from signsvc.verification import Limits, Reach, worker
from signsvc.verification.processes import Pool

_limited = False


def here() -> None:
    """Look for words in this process, which is a limited one itself."""
    global _limited
    _limited = True


def find(path: Path, wanted: Sequence[str], pages: range | tuple[int, ...]) -> list[list[Found]]:
    """See `page_text.find`; besides, `DocumentError` (``document_too_complex``) where a limit was hit."""
    from signsvc.formats.pades import page_text

    if _limited:
        return page_text.find(path, wanted, pages)
    limits, path = Limits(), path.resolve()
    pool = Pool("signsvc.signing.appearance.words", 1, reach=Reach((path.parent,)))
    try:
        job = {
            "path": str(path),
            "wanted": list(wanted),
            "pages": list(pages)[: page_text.MOST_PAGES],
            "memory_bytes": limits.memory_bytes,
            "cpu_seconds": limits.cpu_seconds,
        }
        answer = pool.run(job, {}, seconds=limits.wall_seconds)
    finally:
        pool.close()
    return [[_found(one) for one in places] for places in answer["found"]]


def _found(value: Any) -> Found:
    page, (left, bottom, right, top) = value
    return Found(int(page), (float(left), float(bottom), float(right), float(top)))


def _run(_: socket.socket, job: dict[str, Any]) -> dict[str, Any]:
    from signsvc.formats.pades import page_text

    path = Path(job["path"])
    worker.limit(job["memory_bytes"] + path.stat().st_size, job["cpu_seconds"])
    found = page_text.find(path, job["wanted"], job["pages"])
    return {"found": [[(one.page, one.box) for one in places] for places in found]}


def main() -> None:
    """Answer on the socket whose descriptor is the argument."""
    with worker.begin() as sock:
        import pypdfium2 as _pypdfium2  # noqa: F401 - where memory is limited, a library cannot be loaded any more

        worker.serve(sock, _run)


__all__ = ["find", "here", "main"]
