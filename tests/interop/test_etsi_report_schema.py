"""The schema of ETSI TS 119 102-2 on our XML reports, of files of every level and fate, with and without their octets."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

import test_pki
from signsvc.issuing.seal import Sealer
from signsvc.reports.etsi import NAMESPACE, render_xml
from signsvc.services import Services
from signsvc.trust import TrustStore
from signsvc.verification import TrustSource, Verifier, VerifyRequest, snapshot
from signsvc.verification.model import Outcome
from tests.interop.conftest import JAVA, Question, _build
from tests.pdf_writer import PdfWriter
from tests.support.signed_cms import sign
from tests.support.signed_pdf import ROOM, claiming, maker, stamp, token, values

DS = "http://www.w3.org/2000/09/xmldsig#"
XSD = "TS119102-2-v122.xsd"
CAS = ("root-g2", "sub-g2-state", "sub-g2-software", "sub-g2-tsa")
Ask = Callable[[Sequence[Question]], list[dict[str, Any]]]
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
    for name in (XSD, LISTS, "XAdES01903v132-202407.xsd", "XAdES01903v141-202407.xsd"):
        document = etree.parse(str(directory / name), etree.XMLParser(no_network=True, load_dtd=False))
        for one in document.iter("{http://www.w3.org/2001/XMLSchema}import"):
            one.set("schemaLocation", local[str(one.get("namespace"))])
        (directory / name).write_bytes(etree.tostring(document))
    # Seals carry elements of both XAdES namespaces.
    both = [
        ("http://uri.etsi.org/19102/v1.2.1#", XSD),
        ("http://uri.etsi.org/01903/v1.4.1#", "XAdES01903v141-202407.xsd"),
    ]
    imports = "".join(f'<xs:import namespace="{space}" schemaLocation="{name}"/>' for space, name in both)
    whole = directory / "whole.xsd"
    whole.write_text(f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>', "utf-8")
    return etree.XMLSchema(etree.parse(str(whole), etree.XMLParser(no_network=True)))


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


def test_the_seal_is_one_for_others_too(
    schema: etree.XMLSchema,
    outcomes: dict[str, Outcome],
    services: Services,
    dss: Ask,
    pki: test_pki.Pki,
    tmp_path: Path,
) -> None:
    """A sealed report is valid against the schema, and EU DSS passes the seal and refuses a changed word."""
    for label in CAS:
        (tmp_path / f"{label}.crt").write_bytes(pki.cert(label))
        (tmp_path / f"{label}.crl").write_bytes(pki.crl(label))
    certificates = tuple(tmp_path / f"{label}.crt" for label in CAS)
    lists = tuple(tmp_path / f"{label}.crl" for label in CAS)
    questions, expected = [], []
    for level in ("b-b", "b-lta"):
        sealer = Sealer(services.keyring.get("person"), signing=lambda: services.signing, level=level)
        for name in ("person B-LTA", "revoked B-T", "unsigned"):
            outcome = outcomes[name]
            assert outcome.snapshot is not None
            sealed = sealer.xml(render_xml(outcome.report, snapshot.objects(outcome.snapshot)))
            assert schema.validate(etree.fromstring(sealed)), (name, schema.error_log)
            for data, word in (
                (sealed, "TOTAL_PASSED"),
                (sealed.replace(b"mainindication:", b"mainIndication:", 1), "TOTAL_FAILED"),
            ):
                path = tmp_path / f"{len(questions)}.xml"
                path.write_bytes(data)
                questions.append(Question(path, certificates[:1], certificates[1:], lists))
                expected.append((word, f"XAdES-BASELINE-{'B' if level == 'b-b' else 'LTA'}"))
    for (word, form), answer in zip(expected, dss(questions), strict=True):
        (one,) = answer["signatures"]
        assert (one["indication"], one["format"]) == (word, form), answer


def test_proofs_constraints_and_attributes_are_told(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["person B-LTA"]
    assert outcome.snapshot is not None
    made = etree.fromstring(render_xml(outcome.report, snapshot.objects(outcome.snapshot)))

    def found(path: str) -> list[Any]:
        return made.findall(path, {"v": NAMESPACE, "ds": DS})

    kinds = {str(one.text).rpartition(":")[2] for one in found(".//v:ObjectType")}
    assert {"certificate", "timestamp", "signedData"} < kinds
    assert kinds & {"CRL", "OCSPResponse"}
    stamps = [one.get("id") for one in found(".//v:ValidationObject") if str(one.get("id")).startswith("TST-")]
    assert len(stamps) == 2
    proven = [one.get("VOReference") for one in found(".//v:POE/v:POEObject")]
    assert proven
    assert set(proven) <= set(stamps)
    given = found(".//v:POEProvisioning")
    assert len(given) == 2
    assert all(len(one.findall("v:SignatureReference", {"v": NAMESPACE})) == 1 for one in given)
    reported = found(".//v:ValidationObject/v:ValidationReport")
    assert len(reported) == 2
    told = {str(one.text) for one in found(".//v:ValidationConstraintIdentifier")}
    assert {f"urn:signsvc:check:{name}" for name in ("integrity", "chain", "revocation", "timestamp")} <= told
    assert found(".//v:SignatureAttributes/v:SigningTime")
    assert found(".//v:SignatureAttributes/v:DocTimeStamp")
    assert found(".//v:SignatureAttributes/v:ByteRange")
    assert found("v:SignatureValidationReport/v:SignersDocument")
    revoked = etree.fromstring(render_xml(outcomes["revoked B-LTA"].report))
    gone = revoked.findall(".//v:RevocationStatusInformation/v:RevocationObject", {"v": NAMESPACE})
    assert gone
    named = {one.get("id") for one in revoked.iter(f"{{{NAMESPACE}}}ValidationObject")}
    assert {one.get("VOReference") for one in gone} <= named


def _said(made: Any, path: str) -> list[str]:
    return [str(one.text) for one in made.findall(f"v:{path}", {"v": NAMESPACE})]


def _chain(report: dict[str, Any]) -> set[str]:
    return {entry["sha256"] for one in report["signatures"] for entry in one["chain"]}
