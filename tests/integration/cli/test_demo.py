"""``signsvc demo --once``: the main job on real parts, as README promises it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def test_the_demonstration_signs_and_verifies(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "signsvc", "demo", "--once", "--port", "0", "--dir", str(tmp_path / "demo")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SIGNSVC_", "SOFTHSM2_"))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Chữ ký hợp lệ (TOTAL-PASSED)") >= 4
    left = {path.name for path in (tmp_path / "demo").iterdir()}
    assert left >= {
        "van-ban-signed.pdf", "van-ban-signed.report.json", "van-ban-signed.report.html",
        "ban-quet-signed.pdf", "ban-quet-signed.report.json", "ban-quet-signed.report.html", "root-g2.crt",
    }  # fmt: skip
    report = json.loads((tmp_path / "demo" / "van-ban-signed.report.json").read_text("utf-8"))
    assert [s["level"] for s in report["signatures"]] == ["B-LTA", "B-LTA"]
    assert "Chữ ký hợp lệ" in (tmp_path / "demo" / "ban-quet-signed.report.html").read_text("utf-8")
    # The PIN stays in its file: not in logs, not in configuration, not in the database.
    for path in (tmp_path / "demo").rglob("*"):
        if path.is_file() and path.name != "token-pin" and "softhsm" not in path.parts:
            assert b"12345678" not in path.read_bytes(), path
