"""``signsvc trust import-list``: from a published list to a verdict."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.types import Certificate
from tests.support.signed_pdf import signed, token
from tests.unit.trust.test_trusted_list import document, granted, service

POLICY = 'id = "{0}"\nversion = "1"\nextends = "hon-hop"\ntrust_profiles = ["tl-vn"]\n'


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SIGNSVC_")}
        self.environment = {**kept, "SIGNSVC_DATA_DIR": str(folder / "data")}

    def run(self, *arguments: object, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "signsvc", *map(str, arguments)],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: object, status: int = 0, **environment: str) -> Any:
        return json.loads(self.run(*arguments, "--json", status=status, **environment).stdout)

    def write(self, name: str, data: bytes) -> tuple[Path, str]:
        path = self.folder / name
        path.write_bytes(data)
        return path, hashlib.sha256(data).hexdigest()


@pytest.fixture
def house(tmp_path: Path) -> House:
    found = House(tmp_path)
    policies = tmp_path / "data" / "policies"
    policies.mkdir(parents=True)
    (policies / "theo-danh-sach.toml").write_text(POLICY.format("theo-danh-sach"))
    return found


def whole(pki: test_pki.Pki, **options: str) -> bytes:
    return document(
        granted(pki, "sub-g2-state"),
        granted(pki, "sub-g2-tsa", kind="TSA/QTST"),
        service("CA/QC", pki.cert("ca-public1"), "withdrawn", "2024-01-01", ("granted", "2018-01-01")),
        **options,
    )


def test_a_list_becomes_trust_that_a_policy_names(house: House, pki: test_pki.Pki) -> None:
    now = datetime.now(UTC)
    file, sha256 = house.write("tl.xml", whole(pki))
    lists = [house.write(f"{label}.crl", pki.crl(label))[0] for label in ("sub-g2-state", "sub-g2-tsa")]
    house.run("trust", "import-crl", *lists)
    paper, _ = house.write("a.pdf", signed(pki, claimed=now, tokens=(token(pki, now - timedelta(minutes=1)),)).data)
    verify = ("verify", paper, "--offline", "--policy", "theo-danh-sach")
    assert "trust_profile_not_found" in house.run(*verify, status=4).stderr
    refused = house.run("trust", "import-list", file, status=4)
    assert sha256 in refused.stderr
    assert "trust_list_not_confirmed" in refused.stderr
    done = house.run("trust", "import-list", file, "--confirm", sha256)
    assert "was NOT checked" in done.stderr
    assert "✓ tl-vn: " in done.stdout
    report = house.json(*verify)
    assert report["indication"] == "TOTAL-PASSED", json.dumps(report["signatures"], ensure_ascii=False)
    assert report["signatures"][0]["time_source"] == "timestamp"
    assert [e["trust_anchor"] for e in report["signatures"][0]["chain"]] == [False, True]
    shown = house.json("trust", "show", "tl-vn")
    assert shown["source"]["sha256"] == sha256
    assert shown["source"]["signature"] == "not checked"
    assert {(e["service"], e.get("use"), e.get("sunset", "")[:4]) for e in shown["installed"]} == {
        ("CA/QC", None, ""), ("TSA/QTST", "timestamp", ""), ("CA/QC", None, "2024"),
    }  # fmt: skip
    text = house.run("trust", "show", "tl-vn").stdout
    assert f"← tl.xml   SHA-256 {sha256}" in text
    assert "signature was not checked" in text
    assert "2018-01-01 → 2024-01-01" in text
    # A service withdrawn before the signature was made is trusted no more.
    newer = document(
        service("CA/QC", pki.cert("sub-g2-state"), "withdrawn", "2022-01-01", ("granted", "2020-01-01")),
        granted(pki, "sub-g2-tsa", kind="TSA/QTST"),
        sequence="8",
    )
    file, sha256 = house.write("tl8.xml", newer)
    house.run("trust", "import-list", file, "--confirm", sha256)
    report = house.json(*verify, status=2)
    assert report["sub_indication"] == "NO_CERTIFICATE_CHAIN_FOUND_NO_POE"
    assert "trust_anchor_sunset" in json.dumps(report)
    house.run("trust", "remove-list", "tl-vn")
    assert "trust_profile_not_found" in house.run(*verify, status=4).stderr


def test_an_outdated_list_warns_at_its_import_and_in_reports(house: House, pki: test_pki.Pki) -> None:
    old = f"<dateTime>{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}</dateTime>"
    file, sha256 = house.write("tl.xml", whole(pki, next_update=old))
    done = house.run("trust", "import-list", file, "--confirm", sha256)
    assert "should have been replaced" in done.stderr
    house.run("trust", "import-crl", house.write("s.crl", pki.crl("sub-g2-state"))[0])
    paper, _ = house.write("a.pdf", signed(pki, claimed=datetime.now(UTC)).data)
    report = house.json("verify", paper, "--offline", "--policy", "theo-danh-sach")
    assert report["indication"] == "TOTAL-PASSED"
    (message,) = [m for m in report["signatures"][0]["messages"] if m["code"] == "trusted_list_outdated"]
    assert message["level"] == "warning"
    closed, sha256 = house.write("closed.xml", whole(pki, next_update="", sequence="9"))
    found = house.json("trust", "import-list", closed, "--confirm", sha256)
    assert (found["next_update"], found["outdated"]) == (None, False)


class _Handler(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/tl.xml" else 404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def published(pki: test_pki.Pki) -> Iterator[tuple[int, str]]:
    body = whole(pki)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("H", (_Handler,), {"body": body}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, hashlib.sha256(body).hexdigest()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_list_is_fetched_by_the_guarded_way_alone(house: House, published: tuple[int, str]) -> None:
    port, sha256 = published
    url = f"http://127.0.0.1:{port}/tl.xml"
    refused = house.run("trust", "import-list", url, "--confirm", sha256, status=4)
    assert "outbound_refused" in refused.stderr
    allowed = {"SIGNSVC_NET__ALLOW": json.dumps([f"127.0.0.1:{port}"])}
    found = house.json("trust", "import-list", url, "--confirm", sha256, **allowed)
    assert (found["profile"], len(found["entries"])) == ("tl-vn", 3)
    assert house.json("trust", "show", "tl-vn")["source"]["list"] == url
    missing = house.run("trust", "import-list", url + "x", "--confirm", sha256, status=4, **allowed)
    assert "404" in missing.stderr
    assert "trust_list_not_confirmed" in house.run("trust", "import-list", url, status=4, **allowed).stderr


def test_mistakes_end_in_words(house: House, pki: test_pki.Pki) -> None:
    assert house.run("trust", "import-list", house.folder / "none.xml", status=64).stderr
    bomb, sha256 = house.write("b.xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    assert "DOCTYPE" in house.run("trust", "import-list", bomb, "--confirm", sha256, status=4).stderr
    large, _ = house.write("l.xml", b"")
    os.truncate(large, 100 * 1024 * 1024)
    shown = house.run("trust", "import-list", large, "--confirm", "00" * 32, status=4).stderr
    assert "quá lớn" in shown
    good, sha256 = house.write("g.xml", whole(pki))
    said = house.run("trust", "import-list", good, "--confirm", sha256, "--profile", "cong-vu", status=4).stderr
    assert "có sẵn" in said
    assert house.run("trust", "remove-list", "cong-vu", status=4).stderr
    assert (
        Certificate.from_der(pki.cert("ca-public1")).common_name
        in house.run("trust", "import-list", good, "--confirm", sha256, "--profile", "rieng").stdout
    )
