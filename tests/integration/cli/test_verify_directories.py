"""``signsvc verify`` over many files: order, exit codes, cost per file, and the end by Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import test_pki
from tests.support.signed_pdf import signed

FULL = bool(os.environ.get("SIGNSVC_TEST_FULL"))
COUNT = 1000 if FULL else 100


@pytest.fixture(scope="module")
def folder(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that differ: octets behind the end make each another document, and each fails by them."""
    place = tmp_path_factory.mktemp("many")
    data = signed(pki, claimed=datetime.now(UTC)).data
    for number in range(COUNT):
        (place / f"{number:04}.pdf").write_bytes(data + f"% {number}\n".encode())
    return place


@pytest.fixture
def environment(tmp_path: Path, pki: test_pki.Pki) -> dict[str, str]:
    (tmp_path / "root.crt").write_bytes(pki.cert("root-g2"))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SIGNSVC_")}
    return {**kept, "SIGNSVC_DATA_DIR": str(tmp_path / "data"), "COLUMNS": "100"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "signsvc", "verify", *map(str, arguments)]


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def test_every_file_has_its_line_in_order_and_costs_the_same(folder: Path, environment: dict[str, str]) -> None:
    """CPU per file, start-up taken off, is that of few files: nothing grows with the number of files."""

    def cost(*paths: object) -> tuple[float, list[str]]:
        before = os.times()
        done = subprocess.run(command("--offline", "--jobs", 2, "--json", *paths), env=environment, capture_output=True)
        after = os.times()
        assert done.returncode == 1, done.stderr
        assert done.stderr == b""
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return used, done.stdout.decode().splitlines()

    files = sorted(folder.iterdir())
    start, _ = cost(files[0], files[1])
    few, _ = cost(*files[: COUNT // 5])
    whole, lines = cost(folder)
    reports = [json.loads(line) for line in lines]
    assert [r["document"]["name"] for r in reports] == [f.name for f in files]
    assert len({r["id"] for r in reports}) == COUNT
    assert len({r["document"]["sha256"] for r in reports}) == COUNT
    each_of_few, each = (few - start) / (COUNT // 5 - 2), (whole - start) / (COUNT - 2)
    assert each < 1.5 * max(each_of_few, 0.002), (each_of_few, each)


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_it_clean(folder: Path, environment: dict[str, str], jobs: int) -> None:
    """Ctrl-C goes to the whole group, as from a terminal: one word, exit code 4, no trace, no process left."""
    process = subprocess.Popen(
        command("--offline", "--jobs", jobs, "--json", *([folder] * (1 if FULL else 20))),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what a buffer had read ahead would be missing from what comes later
        start_new_session=True,
        # The tests themselves may have been started in the background, where interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stdout is not None
    for _ in range(5):
        json.loads(process.stdout.readline())
    workers = children(process.pid)
    assert len(workers) == jobs
    os.killpg(process.pid, signal.SIGINT)
    before = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - before < 10
    assert process.returncode == 4
    assert err.decode().splitlines()[-1] == "Đã dừng. / Aborted."
    assert b"Traceback" not in err
    for line in out.splitlines()[:-1]:
        json.loads(line)
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_reader_that_goes_away_ends_it(folder: Path, environment: dict[str, str]) -> None:
    shell = " ".join(command("--offline", "--jobs", 2, "--json", *([folder] * 5))) + " | head -n 2"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], env=environment, capture_output=True, timeout=60)
    assert done.returncode == 4
    assert len(done.stdout.splitlines()) == 2
    assert b"Traceback" not in done.stderr


def read_all(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # the other side is closed
            return
        if not chunk:
            return
        yield chunk


def test_progress_is_for_terminals_alone(folder: Path, environment: dict[str, str]) -> None:
    """On standard error, where it is a terminal; standard output holds the reports and nothing else."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("--offline", "--jobs", 2, "--json", folder), env=environment, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    assert process.stdout is not None
    import threading

    shown: list[bytes] = []
    reader = threading.Thread(target=lambda: shown.extend(read_all(ours)))
    reader.start()
    lines = process.stdout.read().splitlines()
    process.stdout.close()
    process.wait(timeout=60)
    reader.join(timeout=10)
    os.close(ours)
    assert len([json.loads(line) for line in lines]) == COUNT
    assert f"/{COUNT}" in b"".join(shown).decode("utf-8", "replace")
