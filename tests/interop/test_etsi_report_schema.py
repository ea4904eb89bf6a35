"""The schema of ETSI TS 119 102-2 on our XML reports, of files of every level and fate, with and without their octets."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

import test_pki
from signsvc.reports.etsi import NAMESPACE, render_xml
from signsvc.trust import TrustStore
from signsvc.verification import TrustSource, Verifier, VerifyRequest, snapshot
from signsvc.verification.model import Outcome
from tests.interop.conftest import JAVA, _build
from tests.pdf_writer import PdfWriter
from tests.support.signed_cms import sign
from tests.support.signed_pdf import ROOM, claiming, maker, stamp, token, values

DS = "http://www.w3.org/2000/09/xmldsig#"
XSD = "TS119102-2-v122.xsd"
LISTS = "ts_119612v020401_xsd.xsd"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    _build()
    directory = tmp_path_factory.mktemp("etsi-xsd")
    for name in ("specs-validation-report", "specs-xades", "specs-xmldsig", "specs-trusted-list"):
        (jar,) = (JAVA / "lib").glob(f"{name}-[0-9]*.jar")
        with zipfile.ZipFile(jar) as held:
            for item in held.namelist():
                if item.endswith(".xsd"):
                    (directory / Path(item).name).write_bytes(held.read(item))
    local = {
        DS: "xmldsig-core-schema.xsd",
        "http://uri.etsi.org/01903/v1.3.2#": "XAdES01903v132-202407.xsd",
        "http://uri.etsi.org/02231/v2#": LISTS,
        "http://www.w3.org/XML/1998/namespace": "xml.xsd",
    }
    for name in (XSD, LISTS, "XAdES01903v132-202407.xsd"):
        document = etree.parse(str(directory / name), etree.XMLParser(no_network=True, load_dtd=False))
        for one in document.iter("{http://www.w3.org/2001/XMLSchema}import"):
            one.set("schemaLocation", local[str(one.get("namespace"))])
        (directory / name).write_bytes(etree.tostring(document))
    return etree.XMLSchema(etree.parse(str(directory / XSD), etree.XMLParser(no_network=True)))


@pytest.fixture(scope="module")
def outcomes(pki: test_pki.Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    place = tmp_path_factory.mktemp("etsi")
    at = pki.epoch + timedelta(days=9)
    files: dict[str, bytes] = {"unsigned": PdfWriter().data, "cms.p7s": sign(pki, detached=False)}
    for label in ("person", "revoked", "expired", "ec"):
        for level in ("B-B", "B-T", "B-LTA"):
            pdf = PdfWriter(pages=2)
            tokens = [] if level == "B-B" else [token(pki, at)]
            pdf.sign(pki, room=ROOM // 2, extra=claiming(at), cms=maker(pki, label, tokens=tokens))
            if level == "B-LTA":
                pdf.store(pki, values=values(pki, label, "tsa1", at=at + timedelta(minutes=1)))
                stamp(pdf, pki, token(pki, at + timedelta(minutes=2)), name="Stamp")
            files[f"{label} {level}"] = pdf.data
    damaged = bytearray(files["person B-LTA"])
    damaged[20] ^= 1
    files["damaged"] = bytes(damaged)
    anchor = pki.cert("root-g2")
    TrustStore(place / "trust").install("test", anchor, confirm=(hashlib.sha256(anchor).hexdigest(),))
    found = {}
    with Verifier(TrustSource(place / "trust", ("test",)), workers=1) as verifier:
        for name, data in files.items():
            (place / name).write_bytes(data)
            found[name] = verifier.verify(place / name, VerifyRequest(record=True, offline=True, name=name))
    with Verifier(TrustSource(place / "none"), workers=1) as verifier:
        found["untrusted"] = verifier.verify(place / "person B-LTA", VerifyRequest(record=True, offline=True))
    return found


def test_every_report_is_valid(schema: etree.XMLSchema, outcomes: dict[str, Outcome]) -> None:
    assert {one.indication for one in outcomes.values()} == {
        "TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE", "NO-SIGNATURE",
    }  # fmt: skip
    for name, outcome in outcomes.items():
        assert outcome.snapshot is not None
        for objects in (None, snapshot.objects(outcome.snapshot)):
            made = etree.fromstring(render_xml(outcome.report, objects))
            assert schema.validate(made), (name, schema.error_log)
            said = _said(made, "SignatureValidationReport/v:SignatureValidationStatus/v:MainIndication")
            assert said[0].rpartition(":")[2] == (
                outcome.report["signatures"][0]["indication"].lower()
                if outcome.report["signatures"]
                else "no-signature"
            )
            if objects is not None and outcome.report["signatures"]:
                assert all(entry in objects.certificates for entry in _chain(outcome.report))
                assert len(made.findall(f".//{{{NAMESPACE}}}base64")) >= len(_chain(outcome.report))


def test_the_schema_does_look(schema: etree.XMLSchema, outcomes: dict[str, Outcome]) -> None:
    made = etree.fromstring(render_xml(outcomes["person B-LTA"].report))
    made.find(f".//{{{NAMESPACE}}}POETime").text = "yesterday"
    assert not schema.validate(made)


def _said(made: Any, path: str) -> list[str]:
    return [str(one.text) for one in made.findall(f"v:{path}", {"v": NAMESPACE})]


def _chain(report: dict[str, Any]) -> set[str]:
    return {entry["sha256"] for one in report["signatures"] for entry in one["chain"]}
