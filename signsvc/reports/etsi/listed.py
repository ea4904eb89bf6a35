"""Validation objects: the file, certificates, revocation values and timestamps, each with what proves that it existed
(TS 119 102-2, 4.4)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from signsvc.reports.etsi.base import DOCUMENT, SHA256, URN, Page, encoded
from signsvc.reports.etsi.signatures import timestamp


def list_objects(page: Page) -> None:
    """Write SignatureValidationObjects."""
    listed = page.add(page.root, "SignatureValidationObjects")
    whole = (page.report.get("document") or {}).get("sha256")
    if whole:
        _object(page, listed, DOCUMENT, "signedData", None, whole, None)
    for digest, entry in page.chain.items():
        octets = page.objects.certificates.get(digest)
        _object(page, listed, f"CERT-{digest}", "certificate", octets, digest, entry.get("known"))
    values: dict[str, Mapping[str, Any]] = {}
    for part in [*page.signatures, *page.stamps.values()]:
        for entry in part["chain"]:
            if entry.get("evidence_sha256"):
                values.setdefault(entry["evidence_sha256"], entry)
    for digest, entry in values.items():
        ocsp = entry.get("source") == "ocsp"
        octets = (page.objects.ocsps if ocsp else page.objects.crls).get(digest)
        kind = "OCSPResponse" if ocsp else "CRL"
        _object(page, listed, f"REV-{digest}", kind, octets, digest, entry.get("evidence_known"))
    for name, stamp in page.stamps.items():
        _stamp(page, listed, name, stamp)
    if not len(listed):
        page.root.remove(listed)


def _object(
    page: Page,
    parent: Any,
    name: str,
    kind: str,
    octets: bytes | None,
    digest: str | None,
    known: Mapping[str, Any] | None,
) -> Any:
    made = page.add(parent, "ValidationObject")
    made.set("id", name)
    page.add(made, "ObjectType", f"{URN}validationObject:{kind}")
    shown = page.add(made, "ValidationObjectRepresentation")
    if octets is not None:
        page.add(shown, "base64", base64.b64encode(octets).decode())
    elif digest:
        page.digest(shown, digest)
    else:
        page.add(shown, "URI", f"#{name}")
    if known:
        page.poe(made, "POE", known["since"], page.stamp(known["by"]))
    elif kind not in ("signedData", "timestamp"):
        page.poe(made, "POE", page.report["validation_time"], None)
    return made


def _stamp(page: Page, parent: Any, name: str, stamp: Mapping[str, Any]) -> None:
    made = _object(page, parent, name, "timestamp", page.objects.timestamps.get(stamp["id"]), None, None)
    if stamp["time"]:
        given = page.add(made, "POEProvisioning")
        page.add(given, "POETime", stamp["time"])
        for proven in _proven(page, stamp["id"]):
            page.refer(given, "ValidationObject", proven)
        owner = next((s for s in page.signatures if any(t["id"] == stamp["id"] for t in s["timestamps"])), None)
        bound = (owner or {}).get("binding")
        if bound:
            part = page.add(given, "SignatureReference")
            page.add(part, "DigestMethod", SHA256)
            page.add(part, "DigestValue", encoded(bound["signature_sha256"]))
        elif fields := [s["field"] for s in page.signatures if s.get("field") and _under(s, stamp)]:
            page.add(page.add(given, "SignatureReference"), "PAdESFieldName", fields[0])
    timestamp(page, made, stamp)


def _proven(page: Page, identifier: str) -> list[str]:
    """Objects whose earliest proof is this timestamp."""
    found = [f"CERT-{d}" for d, e in page.chain.items() if (e.get("known") or {}).get("by") == identifier]
    for part in [*page.signatures, *page.stamps.values()]:
        found += [
            f"REV-{entry['evidence_sha256']}"
            for entry in part["chain"]
            if (entry.get("evidence_known") or {}).get("by") == identifier
        ]
    return list(dict.fromkeys(found))


def _under(signature: Mapping[str, Any], stamp: Mapping[str, Any]) -> bool:
    own, over = (one.get("scope") or {} for one in (signature, stamp))
    return bool(own.get("revision") and over.get("revision") and over["revision"] > own["revision"])


__all__ = ["list_objects"]
