"""A PostgreSQL of our own: a cluster in a temporary directory, reached by a socket in it, gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# It refuses to run as root; anybody else will do.
_NOBODY = 65534
_OPTIONS = "-c fsync=off -c full_page_writes=off -c shared_buffers=16MB -c listen_addresses= -c max_connections=200"


@dataclass
class Postgres:
    """A running cluster; `directory` holds its socket."""

    directory: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def database(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        name = f"test_{next(self._numbers)}"
        dsn = f"host={self.directory} user=tests dbname=postgres"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://tests@/{name}?host={self.directory}"


def _programs() -> Path:
    """Where the newest installed server is; Debian keeps it out of PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    found = places[-1] if places else shutil.which("initdb")
    assert found, "PostgreSQL is not installed (apt-get install postgresql)"
    return Path(found).parent


@contextlib.contextmanager
def cluster() -> Iterator[Postgres]:
    """Start a cluster, stop it at the end."""
    programs = _programs()
    # Not below pytest's own directories, which no other user may enter.
    directory = Path(tempfile.mkdtemp(prefix="signsvc-pg-"))
    who = {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()} if os.getuid() == 0 else {}
    if who:
        os.chown(directory, _NOBODY, _NOBODY)
    data = directory / "data"

    def run(*command: object) -> None:
        # Not by a pipe: the server inherits it and would hold it open.
        with (directory / "log").open("ab") as log:
            subprocess.run([str(part) for part in command], check=True, stdout=log, stderr=log, cwd=directory, **who)  # type: ignore[call-overload]

    try:
        run(programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run(programs / "pg_ctl", "-D", data, "-w", "-o", f"{_OPTIONS} -k {directory}", "start")
        try:
            yield Postgres(directory)
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)
