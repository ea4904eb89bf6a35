"""What a worker that was taken over finds: no network, no programs, no other processes, no files of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from signsvc.verification import sandbox

PROGRAM = """
import ctypes, json, os, signal, socket, sys
from pathlib import Path
from signsvc.verification import sandbox
left, right = socket.socketpair()
held = os.getppid()
calls = sandbox.refuse_calls()
files = sandbox.refuse_files([Path(sys.argv[1]) / "seen"], [Path(sys.argv[1]) / "work"])
found = {"calls": calls, "files": files}
def attempt(name, what):
    try:
        what()
    except OSError as error:
        found[name] = error.errno
    else:
        found[name] = 0
base = Path(sys.argv[1])
attempt("socket", lambda: socket.socket(socket.AF_UNIX))
attempt("internet", lambda: socket.socket(socket.AF_INET))
attempt("program", lambda: os.execv("/bin/true", ["true"]))
attempt("signal", lambda: os.kill(held, 0))
attempt("group", lambda: os.kill(0, 0))
attempt("own signal", lambda: os.kill(os.getpid(), 0))
import resource
attempt("limits of others", lambda: resource.prlimit(held, resource.RLIMIT_NOFILE, (1, 1)))
attempt("own limits", lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 120)))
attempt("environment of others", lambda: Path(f"/proc/{held}/environ").read_bytes())
attempt("memory of others", lambda: open(f"/proc/{held}/mem", "rb"))
attempt("secret", lambda: (base / "secret").read_bytes())
attempt("by a link", lambda: (base / "seen" / "link").read_bytes())
attempt("accounts", lambda: Path("/etc/passwd").read_bytes())
attempt("seen", lambda: (base / "seen" / "document").read_bytes())
attempt("write seen", lambda: (base / "seen" / "document").write_bytes(b""))
attempt("remove seen", lambda: (base / "seen" / "document").unlink())
attempt("write work", lambda: (base / "work" / "new").write_bytes(b"x"))
attempt("rename work", lambda: (base / "work" / "new").rename(base / "work" / "newer"))
attempt("talk", lambda: (left.sendall(b"x"), right.recv(1)))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    base = tmp_path_factory.mktemp("sandbox")
    for name in ("seen", "work"):
        (base / name).mkdir()
    (base / "secret").write_text("1234")
    (base / "seen" / "document").write_text("x")
    (base / "seen" / "link").symlink_to(base / "secret")
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(base)], capture_output=True, text=True, check=True, timeout=60
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "name", ["socket", "internet", "program", "signal", "group", "limits of others", "environment of others",
             "memory of others", "secret", "by a link", "accounts", "write seen", "remove seen"],
)  # fmt: skip
def test_out_of_reach(name: str, tried: dict[str, Any]) -> None:
    assert tried["calls"]
    assert tried["files"]
    assert tried[name] in (1, 13), os.strerror(tried[name])


@pytest.mark.parametrize("name", ["own signal", "own limits", "seen", "write work", "rename work", "talk"])
def test_within_reach(name: str, tried: dict[str, Any]) -> None:
    assert tried[name] == 0, os.strerror(tried[name])


def test_other_machines_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.platform, "machine", lambda: "sparc64")
    assert sandbox.refuse_calls() is False
