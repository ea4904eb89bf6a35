"""``signsvc verify`` of e-invoices and notices: who signed, what is covered, whose tax code; and wrapping attacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import test_pki
from test_pki.responders import Responders
from tests.support.installation import Installation, install
from tests.support.invoices import SHAPES, TAX_CODE, invoice, viettel, with_tax_authority


@pytest.fixture(scope="module")
def house(pki: test_pki.Pki, responders: Responders, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    found = install(tmp_path_factory.mktemp("invoices"), pki, responders)
    (found.directory / "root.crt").write_bytes(pki.cert("root-public"))
    return found


def verified(house: Installation, data: bytes, *options: str) -> dict[str, Any]:
    path = house.directory / "file.xml"
    path.write_bytes(data)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "signsvc",
            "verify",
            "--json",
            "--trust-anchor",
            str(house.directory / "root.crt"),
            *options,
            str(path),
        ],
        env={**os.environ, **house.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def codes(report: dict[str, Any]) -> set[str]:
    every = [*report["messages"], *(m for s in report["signatures"] for m in s["messages"])]
    return {message["code"] for message in every}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape(shape: str, house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    data = invoice(pki, tmp_path, shape)
    report = verified(house, data)
    assert (report["indication"], report["sub_indication"]) == ("TOTAL-PASSED", None), codes(report)
    (signature,) = report["signatures"]
    part = "/TBao/DLTBao" if shape == "notice" else "/HDon/DLHDon"
    assert [(one["kind"], one["name"], one["matches"]) for one in signature["covered"]] == [
        ("element", part, True),
        ("object", f"{part.rpartition('/')[0]}/DSCKS/{'CQT' if shape == 'notice' else 'NBan'}/Signature/Object", True),
    ]
    assert signature["claimed_signing_time"] == "2026-11-24T01:00:00Z"
    (document,) = report["form"]["documents"]
    if shape != "notice":
        assert document["facts"]["seller_tax_code"] == TAX_CODE
        assert (document["signers"][0]["role"], document["signers"][0]["signature"]) == ("seller", signature["id"])
    changed = verified(house, data.replace(b"01/TB", b"02/TB").replace(b"<SHDon>17", b"<SHDon>18"))
    assert (changed["indication"], changed["sub_indication"]) == ("TOTAL-FAILED", "HASH_FAILURE")


def test_the_transform_that_does_nothing(house: Installation, pki: test_pki.Pki) -> None:
    report = verified(house, viettel(pki))
    assert report["indication"] == "TOTAL-PASSED", codes(report)
    assert report["signatures"][0]["claimed_signing_time"] == "2026-11-24T01:00:00Z"
    assert verified(house, viettel(pki).replace(b"08:00", b"09:00"))["sub_indication"] == "HASH_FAILURE"


def test_the_tax_authority_signs_too(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    report = verified(house, with_tax_authority(pki, tmp_path))
    assert [s["indication"] for s in report["signatures"]] == ["TOTAL-PASSED"] * 2, codes(report)
    (document,) = report["form"]["documents"]
    assert {s["role"]: s["signature"] for s in document["signers"]} == {
        "seller": "sig-1",
        "buyer": None,
        "tax-authority": "sig-2",
    }
    assert document["facts"]["tax_authority_code"] == "00A1B2"
    less = verified(house, with_tax_authority(pki, tmp_path, covers_code=False))
    assert [s["sub_indication"] for s in less["signatures"]] == [None, "SIG_CONSTRAINTS_FAILURE"]


def test_a_seller_with_another_tax_code(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    report = verified(house, invoice(pki, tmp_path, "tt24", tax_code="0100000000"))
    assert (report["indication"], report["sub_indication"]) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")
    assert "signer_tax_code_differs" in codes(report)
    assert "signer_tax_code_unknown" in codes(verified(house, invoice(pki, tmp_path, "tt24", seller="person")))


def test_a_signed_invoice_moved_aside(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    data = invoice(pki, tmp_path, "notice")
    start, end = data.index(b"<DLTBao"), data.index(b"</DLTBao>") + 9
    real = data[start:end]
    fake = real.replace(b'Id="data"', b'Id="other"').replace(b"01/TB", b"99/TB")
    moved = data[:start] + fake + data[end:].replace(b"</TBao>", b"<X>" + real + b"</X></TBao>")
    report = verified(house, moved)
    assert report["indication"] == "TOTAL-FAILED" or report["sub_indication"] == "SIG_CONSTRAINTS_FAILURE"
    assert {"form_not_covered", "xml_covered_namesake"} <= codes(report)
    doubled = data[:start] + fake.replace(b'"other"', b'"data"') + data[start:]
    assert "xml_id_not_unique" in codes(verified(house, doubled))


def test_what_a_caller_wants_covered(house: Installation, pki: test_pki.Pki, tmp_path: Path) -> None:
    data = invoice(pki, tmp_path, "tt24")
    assert verified(house, data, "--must-cover", "/HDon/DLHDon/TTChung")["indication"] == "TOTAL-PASSED"
    wanted = verified(house, data, "--must-cover", "/HDon")
    assert (wanted["indication"], wanted["sub_indication"]) == ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<a>", "xml_malformed"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "xml_doctype"),
        (b'<?xml version="1.0" encoding="iso-8859-1"?><a/>', "xml_encoding"),
        (b"<a " + b" ".join(b'a%d="x"' % n for n in range(1_200)) + b"/>", "document_too_complex"),
        (b"<a>" * 3_000 + b"</a>" * 3_000, "xml_malformed"),
    ],
)
def test_what_is_not_read(data: bytes, code: str, house: Installation) -> None:
    assert verified(house, data)["problem"]["code"] == code


def test_xml_without_signatures(house: Installation) -> None:
    report = verified(house, "<?xml version='1.0' encoding='utf-16'?><a>Ủy ban</a>".encode("utf-16"))
    assert (report["indication"], report["document"]["media_type"]) == ("NO-SIGNATURE", "application/xml")
