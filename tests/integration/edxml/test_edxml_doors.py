"""``signsvc edxml`` and ``POST /v1/edxml/verify``: packets with signed, altered and unsigned documents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

import test_pki
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.store import Scope
from signsvc.web import create_app
from test_pki.responders import Responders
from tests.support import xmlsec
from tests.support.installation import Installation, install
from tests.support.invoices import pem_pair
from tests.support.packets import packet, zipped
from tests.support.signed_pdf import signed, token


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("packets"), pki, responders)


@pytest.fixture(scope="module")
def good(pki: test_pki.Pki) -> bytes:
    now = datetime.now(UTC)
    return signed(pki, claimed=now, tokens=(token(pki, now),)).data


def run(house: Installation, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "signsvc", "edxml", *map(str, words)]
    environment = {**os.environ, **house.environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def verified(house: Installation, path: Path, data: bytes, *options: object) -> dict[str, Any]:
    path.write_bytes(data)
    done = run(house, "verify", path, "--json", *options)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_good_packet_is_received(house: Installation, good: bytes, tmp_path: Path) -> None:
    out = tmp_path / "status.xml"
    options = ("--accept", "hop-le-co-dau-thoi-gian", "--status-out", out, "--from", "000.00.00.G22=Bộ")
    data = packet(("quyết định.pdf", zipped(good)), ("phu-luc.pdf", sample("van-ban.pdf").read_bytes()), before="1212")
    found = verified(house, tmp_path / "a.edxml", data, *options)
    assert found["indication"] == "TOTAL-PASSED", found
    assert [(a["name"], a["zipped"], a["report"]["indication"]) for a in found["attachments"]] == [
        ("quyết định.pdf", True, "TOTAL-PASSED"),
        ("phu-luc.pdf", False, "NO-SIGNATURE"),
    ]
    assert found["signature"]["state"] == "absent"
    assert (found["acceptance"]["decision"], found["acceptance"]["status"]["code"]) == ("accept", "03")
    assert "<StatusCode>03</StatusCode>" in out.read_text("utf-8")


def test_an_altered_document_is_refused_in_vietnamese(house: Installation, good: bytes, tmp_path: Path) -> None:
    broken = bytearray(good)
    broken[300] ^= 1
    found = verified(
        house, tmp_path / "a.edxml", packet(("a.pdf", bytes(broken)), ("b.pdf", good)), "--accept", "hop-le"
    )
    assert found["indication"] == "TOTAL-FAILED"
    status = found["acceptance"]["status"]
    assert (found["acceptance"]["decision"], status["code"]) == ("reject", "02")
    assert status["reason"].startswith("a.pdf: ")
    assert "hợp lệ" in status["reason"]
    nothing = verified(house, tmp_path / "b.edxml", packet(("x.doc", b"no document")), "--accept", "hop-le")
    assert (nothing["indication"], nothing["acceptance"]["status"]["code"]) == ("NO-SIGNATURE", "02")
    assert nothing["attachments"][0]["problem"]["code"] == "unsupported_format"


def test_the_packets_own_signature(house: Installation, good: bytes, pki: test_pki.Pki, tmp_path: Path) -> None:
    template = xmlsec.template(xmlsec.reference("", xmlsec.ENVELOPED, xmlsec.EXCLUSIVE))
    key, certificate = pem_pair(pki, "agency", tmp_path)
    data = xmlsec.sign(packet(("a.pdf", good), signature=template).decode(), key, certificate, tmp_path)
    found = verified(house, tmp_path / "a.edxml", data)
    assert (found["signature"]["state"], found["indication"]) == ("valid", "TOTAL-PASSED")
    hop = b"<TraceHeader><OrganId>X</OrganId></TraceHeader><Bussiness>"
    moved = data.replace(b"<Bussiness>", hop)
    found = verified(house, tmp_path / "b.edxml", moved)
    assert (found["signature"]["state"], found["indication"]) == ("broken-in-transit", "TOTAL-PASSED")
    value = data.index(b"SignatureValue>") + 20
    forged = data[:value] + (b"A" if data[value : value + 1] != b"A" else b"B") + data[value + 1 :]
    assert verified(house, tmp_path / "c.edxml", forged)["signature"]["state"] == "invalid"


def test_unpacking(house: Installation, good: bytes, tmp_path: Path) -> None:
    path, out = tmp_path / "a.edxml", tmp_path / "out"
    path.write_bytes(packet(("../../a.pdf", zipped(good)), ("a.pdf", b"second")))
    done = run(house, "unpack", path, "--out-dir", out)
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_bytes() for p in out.iterdir()} == {"a.pdf": good, "a-2.pdf": b"second"}
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.edxml"]


def test_status_by_hand(house: Installation, tmp_path: Path) -> None:
    path, out = tmp_path / "a.edxml", tmp_path / "s.xml"
    path.write_bytes(packet())
    words = ("status", path, "--code", "02", "--from", "G22", "--out", out)
    assert run(house, *words).returncode == 64
    assert run(house, *words, "--reason", "Thiếu chữ ký").returncode == 0
    assert "Thiếu chữ ký" in "".join(etree.parse(str(out)).getroot().itertext())


def test_over_http(house: Installation, good: bytes) -> None:
    with Services(house.settings, workers=1) as services:
        secret = services.store.api_keys.create("tests", [Scope.VERIFY], now=datetime.now(UTC)).secret
        client = create_app(house.settings, services).test_client()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/xml"}
        answer = client.post("/v1/edxml/verify?accept=hop-le", data=packet(("a.pdf", good)), headers=headers)
        assert answer.status_code == 200, answer.text
        found = answer.get_json()
        assert (found["indication"], found["acceptance"]["status"]["code"]) == ("TOTAL-PASSED", "03")
        other = client.post("/v1/edxml/verify", data=b"<a/>", headers=headers)
        assert (other.status_code, other.get_json()["code"]) == (422, "not_edxml")
