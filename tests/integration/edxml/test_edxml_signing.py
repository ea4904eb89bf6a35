"""Packets of our own: made, signed over header, body and attachments, and still whole after hubs passed them on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.formats.edxml import read
from signsvc.formats.edxml.write import ready
from signsvc.samples import path as sample
from test_pki.responders import Responders
from tests.support import xmlsec
from tests.support.installation import Installation, install
from tests.support.invoices import pem_pair
from tests.support.packets import NAMESPACE, packet, zipped
from tests.support.signed_pdf import signed, token

Run = Callable[..., Any]
HOP = b"<TraceHeader><OrganId>000.00.00.H29</OrganId><Timestamp>2026/11/24 09:00:00</Timestamp></TraceHeader>"
IDS = xmlsec.ids_of(*(f"{NAMESPACE}:{name}" for name in ("MessageHeader", "edXMLBody", "AttachmentEncoded")))
XADES = ["--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"]


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = install(tmp_path_factory.mktemp("own-packets"), pki, responders)
    (made.directory / "pin").write_bytes(test_pki.PASSWORD)
    return made


@pytest.fixture
def run(house: Installation, pki: test_pki.Pki) -> Run:
    def call(*words: object, key: str | None = None) -> Any:
        options: list[object] = ["--json"]
        if key is not None:
            options += ["--pkcs12", pki.p12(key), "--pin-source", f"file:{house.directory / 'pin'}"]
        command = [sys.executable, "-m", "signsvc", "edxml", *map(str, (*words, *options))]
        environment = {**os.environ, **house.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[0])

    return call


def state(run: Run, path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(run("verify", path)["signature"]["state"])


@pytest.mark.parametrize("level", ["b-b", "b-t"])
def test_made_signed_passed_on(run: Run, pki: test_pki.Pki, tmp_path: Path, level: str) -> None:
    now = datetime.now(UTC)
    document = tmp_path / "Quyết định.pdf"
    document.write_bytes(signed(pki, claimed=now, tokens=(token(pki, now),)).data)
    annex = tmp_path / "phu-luc.pdf"
    annex.write_bytes(sample("van-ban.pdf").read_bytes())
    plain = tmp_path / "goi-tin.edxml"
    words = ("--from", "H41=UBND tỉnh", "--to", "000.00.00.G22", "--to", "H29=Sở", "--number", "12/QĐ-UBND")
    words = (*words, "--date", "2026-11-24", "--subject", "V/v <thử>", "--out", plain)
    assert run("pack", document, annex, *words)["attachments"] == [document.name, annex.name]
    said = read(plain.read_bytes())
    assert (said.number, said.notation, said.subject, said.recipients[1].name) == ("12", "QĐ-UBND", "V/v <thử>", "Sở")
    assert [one.data for one in said.attachments] == [document.read_bytes(), annex.read_bytes()]

    answer = run("sign", plain, "--profile", f"edxml-{level}", key="agency")
    assert "problem" not in answer, answer
    data = Path(answer["output"]["path"]).read_bytes()
    found = run("verify", answer["output"]["path"])
    assert (found["signature"]["state"], found["indication"]) == ("valid", "TOTAL-PASSED"), found["signature"]
    own = found["signature"]["report"]["signatures"][0]
    assert (own["format"], own["level"]) == ("XAdES", level.upper())
    assert {one["name"].rpartition("/")[2] for one in own["covered"]} == {
        "MessageHeader", "edXMLBody", "AttachmentEncoded",
    }  # fmt: skip

    _, certificate = pem_pair(pki, "agency", tmp_path)
    passed_on = data.replace(b"<Bussiness>", HOP + b"<Bussiness>")
    for octets in (data, passed_on):
        assert xmlsec.verifies(octets, certificate, tmp_path, *IDS, *XADES)
        assert state(run, tmp_path / "again.edxml", octets) == "valid"
    for old, new in (
        (b"12</CodeNumber>", b"13</CodeNumber>"),
        (b"phu-luc.pdf</AttachmentName></Reference>", b"phu-luc.exe</AttachmentName></Reference>"),
        (b"phu-luc.pdf</AttachmentName></Attachment>", b"phu-luc.exe</AttachmentName></Attachment>"),
    ):
        assert old in data
        changed = data.replace(old, new)
        assert not xmlsec.verifies(changed, certificate, tmp_path, *IDS, *XADES)
        assert state(run, tmp_path / "changed.edxml", changed) == "invalid"


def test_packets_of_other_systems(run: Run, pki: test_pki.Pki, tmp_path: Path) -> None:
    """Mixed prefixes, junk before the prolog, a placeholder in the signature's place: every octet else stays."""
    source = packet(("a.pdf", zipped(b"x")), before="1212", link=True, signature="<edXML:DigitalSignature/>")
    path = tmp_path / "theirs.edxml"
    path.write_bytes(source)
    answer = run("sign", path, "--profile", "edxml-b-b", key="agency")
    assert "problem" not in answer, answer
    data = Path(answer["output"]["path"]).read_bytes()
    assert run("verify", answer["output"]["path"])["signature"]["state"] == "valid"
    begun, end = data.index(b"<ds:Signature"), data.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    kept = data[:begun] + data[end:]
    for name in (b"edXML:MessageHeader", b"edXMLBody", b"AttachmentEncoded"):
        kept = kept.replace(b'<%s Id="%s"' % (name, name.rpartition(b":")[2]), b"<%s" % name)
    assert kept.replace(b' xmlns:xlink="http://www.w3.org/1999/xlink"', b"") == source[4:]


def test_ids_that_are_taken() -> None:
    source = packet(("a.pdf", b"x")).replace(b"<edXMLBody>", b"<edXMLBody id='body'>")
    source = source.replace(b"<Subject>", b"<Subject Id='MessageHeader'>")
    data, identifiers, header = ready(source)
    assert identifiers == ("MessageHeader-2", "body", "AttachmentEncoded")
    assert header == "/edXML/edXMLEnvelope/edXMLHeader"
    assert ready(data) == (data, identifiers, header)


def test_what_is_no_packet(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(b"<a/>")
    assert run("sign", path, "--profile", "edxml-b-b", key="agency")["problem"]["code"] == "not_edxml"


def test_a_packet_given_to_verify_is_named(house: Installation, tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(packet(("a.pdf", b"x")))
    command = [sys.executable, "-m", "signsvc", "verify", str(path), "--json"]
    done = subprocess.run(command, env={**os.environ, **house.environment}, capture_output=True, text=True, timeout=60)
    assert [one["code"] for one in json.loads(done.stdout)["messages"]] == ["edxml_is_a_packet"]


def test_a_signature_over_less_is_not_valid(run: Run, pki: test_pki.Pki, tmp_path: Path) -> None:
    """Over the subject alone, and over all but the attachments: what it leaves out could be anything."""
    key, certificate = pem_pair(pki, "agency", tmp_path)
    plain = (
        packet(("a.pdf", b"x"))
        .replace(b"<Subject>", b'<Subject Id="s">')
        .replace(b"<edXMLBody>", b'<edXMLBody Id="b">')
    )
    plain = plain.replace(b"<edXML:MessageHeader>", b'<edXML:MessageHeader Id="m">')
    plain = plain.replace(b"<AttachmentEncoded>", b'<AttachmentEncoded Id="a">')
    ids = xmlsec.ids_of(
        *(f"{NAMESPACE}:{one}" for one in ("Subject", "edXMLBody", "MessageHeader", "AttachmentEncoded"))
    )
    states = {}
    for over in ("s", "m", "mb", "mba"):
        references = [xmlsec.reference(f"#{one}", xmlsec.EXCLUSIVE) for one in over]
        text = plain.replace(b"</edXML:edXMLHeader>", xmlsec.template(*references).encode() + b"</edXML:edXMLHeader>")
        data = xmlsec.sign(text.decode(), key, certificate, tmp_path, *ids)
        states[over] = state(run, tmp_path / "part.edxml", data)
    assert states.pop("mba") == "valid"
    assert "valid" not in states.values(), states
