"""Signatures that are answered at once and raised later: the authority down and up again, the worker killed, all over
HTTP and with processes as they run at a site."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import test_pki
from test_pki.responders import Responders
from tests.support.installation import install
from tests.support.service import Service, running

PDF = Path("signsvc/samples/van-ban.pdf").read_bytes()


@pytest.fixture(scope="module")
def service(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("raising")
    installation = install(directory, pki, responders)
    with installation.config.open("a", encoding="utf-8") as config:
        config.write("[jobs]\npoll_seconds = 0.2\nlease_seconds = 2\nretry_seconds = 0.5\nretry_max_seconds = 1\n")
    profile = installation.data_dir / "profiles" / "nang-sau.toml"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(
        'id = "nang-sau"\nversion = "1"\ntitle_vi = "Nâng sau"\ntitle_en = "Raised later"\nlevel = "B-B"\n'
        '[timestamp]\nraise_to = "B-LTA"\n',
        "utf-8",
    )
    with running(installation, worker=True, workers=1) as found:
        yield found


def sign(service: Service, level: str = "B-LTA") -> dict[str, Any]:
    answer = service.call(
        "POST",
        f"/v1/sign?profile=pades-b-b&credential=p12-person&raise_to={level}",
        PDF,
        {"Content-Type": "application/pdf", "Accept": "application/json"},
    )
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def state(service: Service, signed: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = service.call("GET", f"/v1/signatures/{signed['id']}").json
    return found


def metrics(service: Service) -> str:
    return service.call("GET", "/metrics").body.decode()


def wait(service: Service, signed: dict[str, Any], wanted: str, seconds: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (found := state(service, signed))["state"] != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def worker(service: Service) -> int:
    """The process that works, below the one that keeps it alive."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for pid, command in service.children().items():
            if command.rstrip().endswith("worker --tied"):
                return pid
        time.sleep(0.05)
    raise AssertionError(service.children())


def test_answered_at_once_and_raised_when_the_authority_is_back(service: Service, responders: Responders) -> None:
    responders.fault("/tsa", "down")
    started = time.monotonic()
    signed = sign(service)
    assert time.monotonic() - started < 5
    assert (signed["state"], signed["signature"]["level"]) == ("raising", "PAdES-B-B")
    first = service.call("GET", signed["document"]["href"])
    assert hashlib.sha256(first.body).hexdigest() == signed["document"]["sha256"]
    deadline = time.monotonic() + 30
    while (seen := state(service, signed))["raising"]["last_error"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert seen["state"] == "raising"
    assert seen["raising"]["last_error"]["code"] == "tsa_unavailable"
    assert re.search(r'signsvc_job_items{kind="raise",state="(waiting|running)"} 1.0', metrics(service))
    assert "HTTP 503" in seen["raising"]["last_error"]["text_vi"]
    responders.clear("/tsa")
    raised = wait(service, signed, "succeeded")
    assert raised["signature"]["level"] == "PAdES-B-LTA"
    assert [v["level"] for v in raised["versions"]] == ["PAdES-B-B", "PAdES-B-LTA"]
    assert raised["raising"]["attempts"] >= 2
    newer = service.call("GET", raised["document"]["href"])
    assert newer.body.startswith(first.body)
    report = service.verify(newer.body).json
    assert report["indication"] == "TOTAL-PASSED"
    assert report["signatures"][0]["level"] == "B-LTA"
    assert service.call("GET", signed["document"]["href"]).body == first.body
    assert raised["report"]["indication"] == "TOTAL-PASSED"
    assert "signsvc_job_items{" not in metrics(service)


def test_a_worker_killed_in_the_middle_loses_nothing(service: Service, responders: Responders) -> None:
    responders.fault("/tsa", "slow", delay=1.5)
    signed = [sign(service, "B-T") for _ in range(3)]
    before = responders.requests["/tsa/1"]
    deadline = time.monotonic() + 30
    while responders.requests["/tsa/1"] == before:  # it is in the middle now
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed = worker(service)
    os.kill(killed, signal.SIGKILL)
    responders.clear("/tsa")
    for one in signed:
        raised = wait(service, one, "succeeded")
        body = service.call("GET", raised["document"]["href"]).body
        report = service.verify(body).json
        assert report["signatures_count"] == 1
        assert len(report["timestamps"]) == 1  # not raised twice
        assert raised["signature"]["level"] == "PAdES-B-T"
    assert worker(service) != killed
    job = service.call("GET", state(service, signed[0])["raising"]["job"]).json
    assert (job["state"], job["counts"]["succeeded"]) == ("succeeded", 1)
    items = service.call("GET", job["items"] + "?state=succeeded").json
    assert items["items"][0]["result"]["level"] == "B-T"
    assert items["next"] is None
    spool = service.installation.data_dir / "spool"
    deadline = time.monotonic() + 20
    while left := [p.name for p in spool.iterdir() if p.name.startswith("job-")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def test_a_job_is_cancelled_and_stays_signed(service: Service, responders: Responders) -> None:
    responders.fault("/tsa", "down")
    signed = sign(service)
    job = state(service, signed)["raising"]["job"]
    with contextlib.suppress(AssertionError):
        deadline = time.monotonic() + 10
        while state(service, signed)["raising"]["attempts"] == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
    assert service.call("DELETE", job).status == 200
    found = wait(service, signed, "raise_canceled", 20)
    assert found["signature"]["level"] == "PAdES-B-B"
    assert service.call("GET", f"{job}x").status == 404
    assert service.call("GET", "/v1/signatures/sig_none").status == 404


def test_a_profile_that_raises_later(service: Service, responders: Responders, tmp_path: Path) -> None:
    """Over HTTP a job does it; on the command line, where nobody waits, it is done at once or said that it is not."""
    sent = {"Content-Type": "application/pdf", "Accept": "application/json"}
    signed = service.call("POST", "/v1/sign?profile=nang-sau&credential=p12-person", PDF, sent)
    assert signed.status == 200, signed.body
    assert (signed.json["state"], signed.json["signature"]["level"]) == ("raising", "PAdES-B-B")
    raised = wait(service, signed.json, "succeeded")
    assert [v["level"] for v in raised["versions"]] == ["PAdES-B-B", "PAdES-B-LTA"]

    def run(name: str) -> tuple[dict[str, Any], Path]:
        source, target = tmp_path / "a.pdf", tmp_path / name
        source.write_bytes(PDF)
        command = [sys.executable, "-m", "signsvc", "sign", str(source), "--profile", "nang-sau"]
        command += ["--credential", "p12-person", "--out", str(target), "--json"]
        done = subprocess.run(
            command, env={**os.environ, **service.installation.environment}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        assert found["output"]["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
        assert found["signature"]["certificate"]["subject"]
        return found, target

    found, target = run("now.pdf")
    assert (found["signature"]["level"], found["warnings"]) == ("B-LTA", [])
    assert service.verify(target.read_bytes()).json["signatures"][0]["level"] == "B-LTA"
    responders.fault("/tsa", "down")
    found, target = run("away.pdf")
    assert (found["signature"]["level"], found["warnings"][0]["code"]) == ("B-B", "level_not_raised")
    assert "signsvc extend --level B-LTA" in found["warnings"][0]["text_vi"]
    assert service.verify(target.read_bytes()).json["indication"] == "TOTAL-PASSED"


def test_what_has_nothing_to_raise_is_done(service: Service) -> None:
    answer = service.call(
        "POST",
        "/v1/sign?profile=pades-b-t&credential=p12-person&raise_to=B-T",
        PDF,
        {"Content-Type": "application/pdf", "Accept": "application/json"},
    )
    assert answer.json["state"] == "succeeded"
    found = state(service, answer.json)
    assert (found["state"], len(found["versions"])) == ("succeeded", 1)
    described = json.loads(service.call("GET", "/openapi.json").body)["paths"]
    assert {"get", "delete"} <= set(described["/v1/jobs/{job}"])
    assert Path(service.log).exists()
