"""What verbs over files share: expanding arguments, reading certificates and CRLs, progress, running jobs."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from signsvc.errors import RequestError

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


def expand(arguments: Iterable[Path]) -> list[Path]:
    """Files in the order given; a directory means all regular files in it, by name, hidden ones left out."""
    found: list[Path] = []
    for argument in arguments:
        if argument.is_dir():
            found += sorted(p for p in argument.iterdir() if p.is_file() and not p.name.startswith("."))
        else:
            found.append(argument)
    if not found:
        click.echo("Không có tệp nào trong thư mục. / The directory holds no file.", err=True)
    return found


def read_ders(paths: Iterable[Path], label: str) -> tuple[bytes, ...]:
    """The DER values in files that hold DER or PEM (several PEM blocks with `label` allowed).

    Raises `RequestError` where a file holds none, click's usage error where it cannot be read.
    """
    found: list[bytes] = []
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise click.UsageError(f"{path}: {error.strerror}") from None
        values = pem_blocks(data, label) if b"-----BEGIN" in data else [data]
        if not values or not all(v[:1] == b"0" for v in values):
            raise RequestError("invalid_request", reason=f"{path}: not DER or PEM ({label})")
        found += values
    return tuple(found)


def pem_blocks(data: bytes, label: str) -> list[bytes]:
    """The contents of the PEM blocks named `label` (RFC 7468)."""
    import base64
    import binascii

    found: list[bytes] = []
    begin, end = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    pos = 0
    while (start := data.find(begin, pos)) >= 0:
        pos = data.find(end, start)
        if pos < 0:
            break
        try:
            found.append(base64.b64decode(b"".join(data[start + len(begin) : pos].split()), validate=True))
        except binascii.Error:
            raise RequestError("invalid_request", reason="malformed PEM") from None
    return found


@contextmanager
def progress(total: int, label: str, *, shown: bool = True) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error for more than one file, only on a terminal; yields the step function."""
    if not shown or total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def ordered(work: Callable[[Path], T], paths: Sequence[Path], jobs: int) -> Iterator[tuple[Path, T]]:
    """The results of `work` in the order of `paths`, at most `jobs` at a time and only a few ahead of the reader."""
    if jobs <= 1 or len(paths) <= 1:
        for path in paths:
            yield path, work(path)
        return
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(jobs)
    waiting: deque[tuple[Path, Future[T]]] = deque()
    try:
        for path in paths:
            waiting.append((path, pool.submit(work, path)))
            if len(waiting) >= 4 * jobs:
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()
    finally:
        pool.shutdown(cancel_futures=True)  # who stops (Ctrl-C, a closed pipe) waits for what runs, not for the rest
