"""``signsvc serve``: run the HTTP service."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import click

from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM
from signsvc.errors import ConfigError

_METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"


@click.command(help="Run the HTTP service until it is told to stop.")
@click.option("--bind", metavar="HOST:PORT", help="Address to listen on (default: from the settings).")
@click.option("--workers", type=click.IntRange(1, 256), help="Number of processes (default: number of CPUs).")
@click.option("--no-worker", is_flag=True, help="Without the worker for jobs (signsvc worker runs elsewhere).")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
def serve(bind: str | None, workers: int | None, no_worker: bool, as_json: bool) -> int:
    from signsvc.settings import Settings

    settings = Settings.load()
    changes = {k: v for k, v in (("bind", bind), ("workers", workers)) if v is not None}
    if changes:
        settings = settings.model_copy(update={"server": settings.server.model_copy(update=changes)})
    _free(settings.server.bind)
    url = address(settings.server.bind, tls=settings.server.tls_certificate is not None)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if as_json:
        click.echo(json.dumps({"url": url, "pages": {"verify": f"{url}/verify", "docs": f"{url}/docs"}}))
    else:
        click.echo(f"signsvc ({settings.mode}): {url}/verify · {url}/docs")
    with _metrics_directory(), _worker(wanted=settings.jobs.worker and not no_worker):
        from signsvc.web.server import Server

        owner = os.getpid()
        try:
            Server(settings).run()
        except SystemExit as end:
            # The server's own 1 and 3 would read as TOTAL-FAILED and no signature; its workers' codes are its business.
            if os.getpid() != owner or not end.code:
                raise
            return EXIT_PROBLEM
    return EXIT_PASSED


@contextmanager
def _worker(*, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    from signsvc.cli.worker import beside

    with beside():
        yield


def _free(bind: str) -> None:
    """Raises `ConfigError` where the address cannot be listened on, in words rather than in the server's log."""
    host, _, port = bind.rpartition(":")
    if bind.startswith(("unix:", "fd://")) or not port.isdecimal():
        return  # the server's to judge
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except (OSError, OverflowError):
            raise ConfigError(reason=f"cannot listen on {bind}: the address is in use or not of this machine") from None


@contextmanager
def _metrics_directory() -> Iterator[None]:
    """Where the processes' counters meet; the metrics library looks for it when it is imported."""
    if _METRICS_DIR in os.environ:
        yield
        return
    owner = os.getpid()
    os.environ[_METRICS_DIR] = directory = tempfile.mkdtemp(prefix="signsvc-metrics-")
    try:
        yield
    finally:
        if os.getpid() == owner:  # not in a worker that leaves by the same way
            shutil.rmtree(directory, ignore_errors=True)


def address(bind: str, *, tls: bool = False) -> str:
    """The URL under which `bind` answers on this machine."""
    host, _, port = bind.rpartition(":")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104
    return f"{'https' if tls else 'http'}://{host}:{port}"
