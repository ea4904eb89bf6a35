"""The ETSI rendering says what the report says."""

from __future__ import annotations

import base64
from typing import Any

from lxml import etree

from signsvc.reports.etsi import NAMESPACE, render_xml
from signsvc.reports.objects import Objects

_NS = {"v": NAMESPACE, "ds": "http://www.w3.org/2000/09/xmldsig#"}
_LEAF, _ROOT = "aa" * 32, "bb" * 32
_NOW, _STAMPED = "2026-11-24T06:00:00Z", "2026-11-20T06:00:00Z"


def _stamp() -> dict[str, Any]:
    return {"id": "T1", "indication": "TOTAL-PASSED", "sub_indication": None, "time": _STAMPED, "chain": []}


def _report(**changed: Any) -> dict[str, Any]:
    chain = [{"sha256": _LEAF, "trust_anchor": False}, {"sha256": _ROOT, "trust_anchor": True}]
    one = {
        "indication": "INDETERMINATE",
        "sub_indication": "REVOKED_NO_POE",
        "level": "PAdES-B-T",
        "signed_by": "Nguyễn Văn A",
        "certificate": {"sha256": _LEAF},
        "best_signature_time": _STAMPED,
        "time_source": "timestamp",
        "chain": chain,
        "timestamps": [_stamp()],
        "counter_signatures": [],
        "binding": {
            "signature_value": "AQID",
            "signature_sha256": "dd" * 32,
            "signed_bytes_sha256": "cc" * 32,
            "data": [],
        },
    }
    facts = {"indication": "INDETERMINATE", "sub_indication": None, "validation_time": _NOW}
    return {**facts, "signatures": [{**one, **changed}], "timestamps": []}


def _texts(octets: bytes, path: str) -> list[Any]:
    found = etree.fromstring(octets).xpath(path, namespaces=_NS)
    assert isinstance(found, list)
    return found


def test_indication_time_and_path_are_said() -> None:
    made = render_xml(_report(), Objects(certificates={_LEAF: b"leaf"}, timestamps={"T1": b"token"}))
    status = "/v:ValidationReport/v:SignatureValidationReport/v:SignatureValidationStatus"
    assert _texts(made, f"{status}/v:MainIndication/text()") == ["urn:etsi:019102:mainindication:indeterminate"]
    assert _texts(made, f"{status}/v:SubIndication/text()") == ["urn:etsi:019102:subindication:REVOKED_NO_POE"]
    assert _texts(made, "/*/v:SignatureValidationReport//v:BestSignatureTime/v:POETime/text()") == [_STAMPED]
    assert _texts(made, "//v:POEObject/@VOReference") == ["TST-1"]
    assert _texts(made, "//v:CertificateChain/v:TrustAnchor/@VOReference") == [f"CERT-{_ROOT}"]
    assert [base64.b64decode(t) for t in _texts(made, "//v:base64/text()")] == [b"leaf", b"token"]
    assert _texts(made, "//ds:SignatureValue/text()") == ["AQID"]


def test_claimed_time_proves_nothing() -> None:
    made = render_xml(_report(time_source="claimed", timestamps=[]))
    assert _texts(made, "//v:BestSignatureTime/v:POETime/text()") == [_NOW]
    assert _texts(made, "//v:POEObject") == []


def test_counter_signatures_have_their_own_report() -> None:
    inner = _report(indication="TOTAL-FAILED", sub_indication="HASH_FAILURE")["signatures"][0]
    made = render_xml(_report(counter_signatures=[inner]))
    assert len(_texts(made, "/v:ValidationReport/v:SignatureValidationReport")) == 2
    assert _texts(made, "//v:ValidationObject[starts-with(@id, 'TST')]/@id") == ["TST-1", "TST-2"]
