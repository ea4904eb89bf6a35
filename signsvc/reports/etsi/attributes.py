"""What a signature says of itself, signed and unsigned (TS 119 102-2, 4.2.8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signsvc.reports.etsi.base import SHA256, Page, encoded

_STAMPS = {
    "signature": "SignatureTimeStamp",
    "archive": "ArchiveTimeStamp",
    "content": "AllDataObjectsTimeStamp",
    "document": "DocTimeStamp",
}


def attributes(page: Page, parent: Any, one: Mapping[str, Any]) -> None:
    """Write the attributes; nothing where there are none."""
    made = page.add(parent, "SignatureAttributes")
    if one.get("claimed_signing_time"):
        page.add(_signed(page, made, "SigningTime"), "Time", one["claimed_signing_time"])
    leaf = (one.get("certificate") or {}).get("sha256")
    if leaf in page.chain:
        part = _signed(page, made, "SigningCertificate")
        page.refer(part, "AttributeObject", f"CERT-{leaf}")
        page.digest_parts(page.add(part, "CertID"), leaf)
    for kind in dict.fromkeys(c["media_type"] for c in one.get("covered", ()) if c["media_type"]):
        page.add(_signed(page, made, "DataObjectFormat"), "MimeType", kind)
    for commitment in one.get("commitments", ()):
        part = _signed(page, made, "CommitmentTypeIndication")
        page.add(part, "CommitmentTypeIdentifier", f"urn:oid:{commitment['oid']}")
    if one.get("location"):
        page.add(_signed(page, made, "SignatureProductionPlace"), "AddressString", one["location"])
    if one.get("claimed_roles"):
        part = _signed(page, made, "SignerRole")
        for role in one["claimed_roles"]:
            detail = page.add(part, "RoleDetails")
            page.add(detail, "Role", role)
            page.add(detail, "EndorsementType", "claimed")
    for counter in one["counter_signatures"]:
        if bound := counter.get("binding"):
            part = page.add(page.add(made, "CounterSignature"), "CounterSignature")
            page.add(part, "DigestMethod", SHA256)
            page.add(part, "DigestValue", encoded(bound["signature_sha256"]))
    for stamp in one["timestamps"]:
        _stamp(page, made, stamp)
    scope = one.get("scope") or {}
    for stamp in page.report["timestamps"]:
        # One over an earlier revision says nothing of this signature.
        if (stamp.get("scope") or {}).get("revision") and scope.get("revision"):
            if stamp["scope"]["revision"] > scope["revision"]:
                _stamp(page, made, stamp)
        elif not scope.get("revision"):
            _stamp(page, made, stamp)
    if one.get("reason"):
        page.add(_signed(page, made, "Reason"), "ReasonElement", one["reason"])
    ranges = [number for pair in scope.get("byte_ranges") or () for number in pair]
    if ranges:
        page.add(made, "ByteRange", " ".join(map(str, ranges)))
    if not len(made):
        parent.remove(made)


def _signed(page: Page, parent: Any, name: str) -> Any:
    made = page.add(parent, name)
    made.set("Signed", "true")
    return made


def _stamp(page: Page, parent: Any, stamp: Mapping[str, Any]) -> None:
    name = page.stamp(stamp["id"])
    if not stamp["time"] or name is None:
        return
    made = page.add(parent, _STAMPS.get(stamp.get("kind", ""), "SignatureTimeStamp"))
    made.set("Signed", "true" if stamp.get("kind") == "content" else "false")
    page.refer(made, "AttributeObject", name)
    page.add(made, "TimeStampValue", stamp["time"])


__all__ = ["attributes"]
