"""The road of one edXML packet inside a worker: unpack, judge every attachment, and the own signature apart."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.errors import SignsvcError
from signsvc.formats import edxml
from signsvc.formats.edxml import write
from signsvc.messages import text
from signsvc.types import Finding, Indication
from signsvc.verification.engine import judged
from signsvc.verification.files import opened
from signsvc.verification.model import TrustSource, VerifyRequest

if TYPE_CHECKING:
    from signsvc.trust.fetching import Fetch

_ORDER = (Indication.TOTAL_FAILED, Indication.INDETERMINATE, Indication.TOTAL_PASSED)


def examine(
    path: Path,
    request: VerifyRequest,
    *,
    trust: TrustSource,
    fetch: Fetch | None,
    now: datetime,
    report_id: str,
) -> dict[str, Any]:
    """What is found: the packet's header, each attachment with its report or problem, the state of the packet's own
    signature (``absent``, ``placeholder``, ``non-standard``, ``broken-in-transit``, ``invalid``, ``unknown``,
    ``valid``), and the worst indication of the signed attachments.

    Raises `DocumentError` where it is no packet that can be read.
    """

    def judge(data: bytes, name: str | None, identifier: str, must_cover: tuple[str, ...] = ()) -> dict[str, Any]:
        asked = replace(request, name=name, originals=(), must_cover=must_cover)
        try:
            report = judged(data, (), asked, trust=trust, fetch=fetch, now=now, report_id=identifier)
        except SignsvcError as error:
            problem = {"code": error.code, "detail": error.text("en"), "detail_vi": error.text("vi")}
            return {"report": None, "problem": problem}
        return {"report": report, "problem": None}

    with opened(path) as data:
        octets = bytes(data)
    packet = edxml.read(octets)
    attachments = [
        _attachment(one, judge(one.data, one.name, f"{report_id}-{number}") if one.data is not None else None)
        for number, one in enumerate(packet.attachments, 1)
    ]
    own = None
    if packet.signature.state == "present":  # one over less than the packet's content says nothing of it
        own = judge(octets, None, f"{report_id}-0", write.due(octets))["report"]
    state = _state(packet, own)
    signed = [one["report"]["indication"] for one in attachments if one["report"] and one["report"]["signatures_count"]]
    findings = [*packet.findings, Finding.of(f"edxml_signature_{state.replace('-', '_')}")]
    if not signed and packet.status_code is None:
        findings.append(Finding.of("edxml_nothing_signed"))
    if any(one["problem"] for one in attachments):
        findings.append(Finding.of("edxml_attachment_unreadable"))
    return {
        "id": report_id,
        "document": {"sha256": hashlib.sha256(octets).hexdigest(), "size": len(octets), "media_type": edxml.MEDIA_TYPE},
        "packet": _packet(packet),
        "indication": str(next((one for one in _ORDER if str(one) in signed), Indication.NO_SIGNATURE)),
        "attachments": attachments,
        "signature": {"state": state, "report": own},
        "messages": _messages(findings),
    }


def unpacked(path: Path, keep: Callable[[bytes], None]) -> dict[str, Any]:
    """What a packet says and what is attached; `keep` is given the octets of the attachments that can be read, in
    their order.  Nothing is judged.  Raises `DocumentError` where it is no packet that can be read."""
    with opened(path) as data:
        packet = edxml.read(bytes(data))
    listed = []
    for one in packet.attachments:
        if one.data:
            keep(one.data)
        listed.append({"name": one.name, "size": len(one.data) if one.data else None, "problem": one.problem})
    return {"packet": _packet(packet), "attachments": listed}


def _state(packet: edxml.Packet, own: Mapping[str, Any] | None) -> str:
    if packet.signature.state != "present":
        return packet.signature.state
    if own is None or not own["signatures"]:
        return "placeholder"
    # Whoever reads "valid" relies on each of them.
    signature = min(own["signatures"], key=lambda one: _ORDER.index(Indication(one["indication"])))
    codes = {message["code"] for message in signature["messages"]}
    if signature["indication"] == Indication.TOTAL_PASSED:
        return "valid"
    if "xml_certificate_unreadable" in codes and signature["certificate"] is None:
        return "placeholder"
    # The value holds, and what differs is the whole packet, which hubs extend: a likely cause, no proof.
    altered = signature["sub_indication"] == "HASH_FAILURE" and "xml_reference_altered" in codes
    if altered and packet.signature.whole and packet.hops:
        return "broken-in-transit"
    return "invalid" if signature["indication"] == Indication.TOTAL_FAILED else "unknown"


def _packet(packet: edxml.Packet) -> dict[str, Any]:
    def party(one: edxml.Party) -> dict[str, Any]:
        return {"id": one.id, "name": one.name}

    return {
        "from": party(packet.sender),
        "to": [party(one) for one in packet.recipients],
        "document_id": packet.document_id,
        "number": packet.number,
        "notation": packet.notation,
        "promulgation_date": packet.promulgation_date,
        "subject": packet.subject,
        "business": packet.business,
        "hops": list(packet.hops),
        "status_code": packet.status_code,
    }


def _attachment(one: edxml.Attachment, found: Mapping[str, Any] | None) -> dict[str, Any]:
    problem = {"code": one.problem, "detail": one.problem, "detail_vi": one.problem} if one.problem else None
    return {
        "name": one.name,
        "content_id": one.content_id,
        "content_type": one.content_type,
        "size": len(one.data) if one.data is not None else None,
        "sha256": hashlib.sha256(one.data).hexdigest() if one.data is not None else None,
        "zipped": one.zipped,
        "report": found["report"] if found else None,
        "problem": found["problem"] if found else problem,
    }


def _messages(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    levels = {"fail": "error", "warn": "warning", "info": "info"}
    return [
        {
            "level": levels[one.level],
            "code": one.code,
            "text": text(one.code, "en", one.data),
            "text_vi": text(one.code, "vi", one.data),
        }
        for one in findings
    ]


__all__ = ["examine", "unpacked"]
