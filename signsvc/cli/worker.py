"""``signsvc worker``: do what the ledger of jobs has to be done."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from signsvc.cli.root import EXIT_PASSED

# A worker that dies at once is not started again without a pause.
_PAUSE_SECONDS = 1.0


@click.command(help="Do what was put off: jobs of the ledger, until told to stop.")
@click.option("--threads", type=click.IntRange(1, 64), help="Items in work at a time (default: from the settings).")
@click.option("--tied", is_flag=True, hidden=True, help="End when standard input ends.")
@click.option("--supervise", is_flag=True, hidden=True, help="Run the worker in a process of its own; renew it.")
@click.option("--json", "as_json", is_flag=True, help="Say as JSON that work begins.")
def worker(threads: int | None, tied: bool, supervise: bool, as_json: bool) -> int:
    if supervise:
        _supervise()
        return EXIT_PASSED
    from signsvc.jobs import worker as jobs
    from signsvc.services import Services
    from signsvc.settings import Settings
    from signsvc.web.logs import configure

    settings = Settings.load()
    if threads is not None:
        settings = settings.model_copy(update={"jobs": settings.jobs.model_copy(update={"threads": threads})})
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    configure()
    if as_json:
        click.echo(json.dumps({"state": "working", "threads": settings.jobs.threads}))
    if tied:
        jobs.tied()
    with Services(settings, shared_tokens=True) as services:
        jobs.run(services)
    return EXIT_PASSED


def _supervise() -> None:
    """Keep one worker alive until standard input ends or this process is told to stop."""
    from signsvc.jobs.worker import command

    reader, writer = os.pipe()

    def stop(_number: int, _frame: FrameType | None) -> None:
        os.write(writer, b"\0")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while True:
        child = subprocess.Popen(command("--tied"), stdin=subprocess.PIPE)
        ended = os.pidfd_open(child.pid)
        try:
            ready, _, _ = select.select((0, reader, ended), (), ())
        finally:
            os.close(ended)
        assert child.stdin is not None
        child.stdin.close()  # which ends it where it has not ended by itself
        child.wait()
        if ended not in ready:
            return
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def beside() -> Iterator[None]:
    """A supervised worker for as long as the service runs; it ends with this process, whatever becomes of it."""
    from signsvc.jobs.worker import command

    owner = os.getpid()
    process = subprocess.Popen(command("--tied", "--supervise"), stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        if os.getpid() == owner:  # not in a worker of the web server that leaves by the same way
            process.terminate()
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
