"""XML signatures without XAdES over elements with an Id, as invoices and school records have them: through the command
line, accepted by xmlsec1 and by ``signsvc verify``, and refused where the document is not of the shape."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.errors import SignsvcError
from signsvc.formats.xades import plain
from signsvc.formats.xades.source import Source, locate
from signsvc.formats.xades.write import XmlPlan
from signsvc.types import Certificate
from test_pki.responders import Responders
from tests.support import xmlsec
from tests.support.installation import Installation, install
from tests.support.invoices import TAX_CODE, pem_pair

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
CONTENT = (
    '<DLHDon Id="data"><TTChung><SHDon>17</SHDon></TTChung><NDHDon><NBan><Ten>Công ty &amp; B</Ten>'
    f"<MST>{TAX_CODE}</MST></NBan></NDHDon></DLHDon>"
)
# The same invoice with what may stand around the place of the signature.
SHAPES = {
    "there": f"{HEAD}<HDon>{CONTENT}<DSCKS><NBan></NBan></DSCKS></HDon>\n",
    "empty tag": f"{HEAD}<HDon>{CONTENT}<DSCKS><NBan x='/>'/></DSCKS></HDon>",
    "missing": f"{HEAD}<HDon>{CONTENT}<DSCKS/></HDon>",
    "missing beside": f"{HEAD}<HDon>{CONTENT}<DSCKS><NMua/><!-- </DSCKS> --></DSCKS><?p ?></HDon><!-- e -->",
    "namespaces": f'{HEAD}<HDon xmlns:x="urn:x" xml:lang="vi">{CONTENT}<DSCKS xmlns:y="urn:y"><NBan/></DSCKS></HDon>',
    "prefix": f'{HEAD}<h:HDon xmlns:h="urn:h">'
    + CONTENT.replace("</", "</h:").replace("<", "<h:").replace("<h:/h:", "</h:")
    + "<h:DSCKS/></h:HDon>",
}


# An empty element, and the same with room in it; a place that is made stands last.
EMPTY = (
    (b"<NBan></NBan></DSCKS>", b"</DSCKS>"),
    (b"<h:NBan></h:NBan>", b""),
    (b"<h:DSCKS/>", b"<h:DSCKS></h:DSCKS>"),
    (b"<DSCKS/>", b"<DSCKS></DSCKS>"),
    (b"<NBan/></DSCKS>", b"</DSCKS>"),
    (b"<NBan x='/>'/>", b"<NBan x='/>'></NBan>"),
)


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = install(tmp_path_factory.mktemp("by-id"), pki, responders)
    (made.directory / "pin").write_bytes(test_pki.PASSWORD)
    folder = made.data_dir / "profiles"
    folder.mkdir(exist_ok=True)
    own = 'extends = "hoa-don-nguoi-ban"\nid = "hoa-don-exclusive"\nversion = "1"\ncanonical = "exclusive"\n'
    (folder / "hoa-don-exclusive.toml").write_text(own, "utf-8")
    return made


def run(house: Installation, *words: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "signsvc", *map(str, words), "--json"],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def signed(
    house: Installation, pki: test_pki.Pki, path: Path, profile: str, *more: object, label: str = "public-business"
) -> Any:
    pin = f"file:{house.directory / 'pin'}"
    return run(house, "sign", path, "--pkcs12", pki.p12(label), "--pin-source", pin, "--profile", profile, *more)


@pytest.mark.parametrize(
    ("shape", "profile"), [*((shape, "hoa-don-nguoi-ban") for shape in SHAPES), ("namespaces", "hoa-don-exclusive")]
)
def test_invoice(shape: str, profile: str, house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    path = tmp_path / "hoa-don.xml"
    path.write_text(SHAPES[shape], "utf-8")
    answer = signed(house, pki, path, profile)
    assert "problem" not in answer, answer
    assert answer["signature"]["level"] == "XML-NOT-ETSI"
    target = Path(answer["output"]["path"])
    data = target.read_bytes()
    begun = data.index(b"<Signature xmlns=")
    end = data.index(b"</Signature>") + len(b"</Signature>")
    before, after = path.read_bytes(), data[:begun] + data[end:]
    for empty, full in EMPTY:
        before, after = before.replace(empty, full), after.replace(empty, full)
    assert before == after  # every octet that was there, and nothing but the signature and its place
    _, certificate = pem_pair(pki, "public-business", tmp_path)
    ids = xmlsec.ids_of("DLHDon", "urn:h:DLHDon")
    assert xmlsec.verifies(data, certificate, tmp_path, *ids)
    assert not xmlsec.verifies(data.replace(b"17<", b"18<"), certificate, tmp_path, *ids)
    report = run(house, "verify", target)
    (signature,) = report["signatures"]
    assert signature["format"] == "XMLDSig"
    assert signature["indication"] != "TOTAL-FAILED", report["messages"]
    assert signature["claimed_signing_time"] == answer["signature"]["signed_at"].partition(".")[0].rstrip("Z") + "Z"
    assert {"kind": "element", "matches": True}.items() <= signature["covered"][0].items()
    assert report["form"]["id"] == "hoa-don-dien-tu"
    assert "form_signature_elsewhere" not in json.dumps(report)
    assert b"<X509SubjectName>" in data[begun:]
    assert base64.b64encode(pki.cert("public-business")) in data[begun:]


def test_school_record(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    path = tmp_path / "hoc-ba.xml"
    for text in (
        '<DU_LIEU_HOC_BA Id="data"><HS>An</HS></DU_LIEU_HOC_BA>',
        '<HOC_BA><DU_LIEU_HOC_BA Id="data"><HS>An</HS></DU_LIEU_HOC_BA></HOC_BA>',
    ):
        path.write_text(text, "utf-8")
        answer = signed(house, pki, path, "hoc-ba-so", label="agency")
        assert "problem" not in answer, answer
        target = Path(answer["output"]["path"])
        report = run(house, "verify", target)
        assert report["indication"] == "TOTAL-PASSED", report["messages"]
        assert report["form"]["id"] == "hoc-ba-so"
        _, certificate = pem_pair(pki, "agency", tmp_path)
        assert xmlsec.verifies(target.read_bytes(), certificate, tmp_path, *xmlsec.ids_of("DU_LIEU_HOC_BA"))
        changed = tmp_path / "changed.xml"
        changed.write_bytes(target.read_bytes().replace(b"An<", b"Ba<"))
        assert run(house, "verify", changed)["sub_indication"] == "HASH_FAILURE"


INVOICE = SHAPES["there"]
REFUSED = {
    "no Id": (INVOICE.replace(' Id="data"', ""), "xml_id_missing", "/HDon/DLHDon"),
    "no data": (INVOICE.replace("DLHDon", "Khac"), "xml_path_not_found", "/HDon/DLHDon"),
    "Id twice": (INVOICE.replace("<TTChung>", '<TTChung id="data">'), "xml_element_not_found", ""),
    "data twice": (INVOICE.replace("<DSCKS>", '<DLHDon Id="b"/><DSCKS>'), "xml_path_not_found", "/HDon/DLHDon"),
    "no parent": (INVOICE.replace("DSCKS", "Khac"), "xml_path_not_found", "/HDon/DSCKS/NBan"),
    "place twice": (INVOICE.replace("<NBan></NBan>", "<NBan/><NBan/>"), "xml_path_not_found", "/HDon/DSCKS/NBan"),
    "parent twice": (INVOICE.replace("<DSCKS><NBan></NBan></DSCKS>", "<DSCKS/><DSCKS/>"), "xml_path_not_found", "NBan"),
    "no XML": ("no xml", "xml_malformed", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_signing(case: str, pki: test_pki.Pki) -> None:
    text, code, words = REFUSED[case]
    certificate = Certificate.from_der(pki.cert("public-business"))
    plan = XmlPlan(certificate, SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256"), datetime.now(UTC))
    spec = plain.PlainSpec("/HDon/DSCKS/NBan", covers=("/HDon/DLHDon",))
    with pytest.raises(SignsvcError) as refused:
        plain.prepare(text.encode(), plan, spec)
    assert (refused.value.code, words in refused.value.text("en")) == (code, True)


def test_refused(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    path = tmp_path / "hoa-don.xml"
    for text, code in ((REFUSED["no Id"][0], "xml_id_missing"), ("no xml", "unsupported_format")):
        path.write_text(text, "utf-8")
        assert signed(house, pki, path, "hoa-don-nguoi-ban")["problem"]["code"] == code
        assert list(tmp_path.iterdir()) == [path]


def test_place_of_an_empty_element_tag() -> None:
    ds = "http://www.w3.org/2000/09/xmldsig#"
    data = f'<Signature xmlns="{ds}"><Object><a x=">"/></Object><b y="\'/>"/></Signature>'.encode()
    found = locate(Source.of(data), frozenset((0,)), frozenset(("Object", "Object/a", "b")))[0]
    assert (found["Object"].inner, found["Object/a"].inner, found["b"].inner) == (data.index(b"</Object>"), None, None)
    assert [data[one.start : one.end] for one in found.values()] == [
        b'<a x=">"/>',
        b'<Object><a x=">"/></Object>',
        b'<b y="\'/>"/>',
    ]


def test_says_no_place_or_role(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    path = tmp_path / "hoa-don.xml"
    path.write_text(INVOICE, "utf-8")
    answer = signed(house, pki, path, "hoa-don-nguoi-ban", "--role", "x")
    assert answer["problem"]["code"] == "invalid_request"
