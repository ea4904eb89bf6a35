"""A batch on the command line, and how often it logs in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from signsvc.samples import path as sample
from tests.support.installation import install

if TYPE_CHECKING:
    import test_pki
    from test_pki.responders import Responders
    from test_pki.softhsm import Token
    from tests.integration.keys.faults import Fault

COUNT = 4


@pytest.mark.parametrize("more", [(), ("--resume",), ("--jobs", "2")])
def test_a_wrong_pin_is_offered_once_for_a_whole_batch(
    more: tuple[str, ...], fault: Fault, softhsm: Token, pki: test_pki.Pki, responders: Responders, tmp_path: Path
) -> None:
    made = install(tmp_path, pki, responders, replace(softhsm, module=Path(fault.module), pin="0000"))
    files = []
    for number in range(COUNT):
        files.append(tmp_path / f"{number}.pdf")
        files[-1].write_bytes(sample("van-ban.pdf").read_bytes())
    out = tmp_path / "out"
    command = [sys.executable, "-m", "signsvc", "sign", "--credential", "person", "--profile", "pades-b-b"]
    command += ["--out-dir", str(out), *more, *map(str, files)]
    environment = {**os.environ, **made.environment}
    run = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 4, run.stderr
    assert fault.count("C_Login") == 1
    problems = [json.loads(line)["problem"] for line in run.stdout.splitlines()]
    assert [p["code"] for p in problems] == ["pin_incorrect"] * COUNT
    assert sum("tried" not in p for p in problems) <= (2 if "--jobs" in more else 1)
    assert not list(out.glob("*.pdf"))
    # With the right PIN all of them are signed, after one login.
    (tmp_path / "pin").write_text(softhsm.pin)
    fault.forget()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert fault.count("C_Login") == 1
    assert len(list(out.glob("*.pdf"))) == COUNT
