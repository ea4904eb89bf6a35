"""Acceptance rules: from a report to what a receiving system does with the document.

A rule answers ``accept``, ``reject`` or ``review`` with reasons by code.  The document's own indication decides,
since a document is what is accepted, not one of its signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from signsvc.errors import RequestError
from signsvc.messages import text


@dataclass(frozen=True, slots=True)
class Rule:
    """`timestamp`: every signature's time must be proven; `min_signatures`: how many must be there."""

    id: str
    timestamp: bool = False
    min_signatures: int = 1


RULES: dict[str, Rule] = {
    "hop-le": Rule("hop-le"),
    "hop-le-co-dau-thoi-gian": Rule("hop-le-co-dau-thoi-gian", timestamp=True),
    "van-ban-ban-hanh": Rule("van-ban-ban-hanh", timestamp=True, min_signatures=2),
}

# Indeterminate for the standard, but a clerk must not wait for it to become better.
_REJECTED_SUBS = frozenset(("REVOKED_NO_POE", "REVOKED_CA_NO_POE", "REVOKED"))


def rule(rule_id: str) -> Rule:
    """The rule by its id.  Raises `RequestError` where there is none."""
    found = RULES.get(rule_id)
    if found is None:
        raise RequestError("invalid_request", reason=f"no acceptance rule of this name; known: {', '.join(RULES)}")
    return found


def accept(report: Mapping[str, Any], by: Rule) -> dict[str, Any]:
    """The decision with its reasons (codes and texts), to be put beside the report."""
    reasons: list[str] = []
    decision = {"TOTAL-PASSED": "accept", "INDETERMINATE": "review"}.get(report["indication"], "reject")
    if report["indication"] == "NO-SIGNATURE":
        reasons.append("accept_no_signature")
    elif decision == "reject":
        reasons.append("accept_total_failed")
    elif any(s["sub_indication"] in _REJECTED_SUBS for s in report["signatures"]):
        decision = "reject"
        reasons.append("accept_revoked")
    elif decision == "review":
        reasons.append("accept_indeterminate")
    if decision == "accept" and by.timestamp and any(s["time_source"] != "timestamp" for s in report["signatures"]):
        decision = "review"
        reasons.append("accept_time_unproven")
    if decision == "accept" and report["signatures_count"] < by.min_signatures:
        decision = "reject"
        reasons.append("accept_too_few_signatures")
    return {
        "rule": by.id,
        "decision": decision,
        "reasons": [{"code": c, "text": text(c, "en"), "text_vi": text(c, "vi")} for c in reasons],
    }


def accept_packet(found: Mapping[str, Any], by: Rule) -> dict[str, Any]:
    """The decision about an edXML packet from those about its signed attachments, with the status to send: 03 received,
    02 refused with the reasons in Vietnamese, 01 arrived while somebody has a look."""
    signed = [one for one in found["attachments"] if one["report"] and one["report"]["signatures_count"]]
    decisions = [(one, accept(one["report"], by)) for one in signed]
    reasons = [{**reason, "attachment": one["name"]} for one, made in decisions for reason in made["reasons"]]
    words = {made["decision"] for _, made in decisions}
    decision = next((word for word in ("reject", "review", "accept") if word in words), "reject")
    if not signed:
        code = "accept_no_signature"
        reasons.append({"code": code, "text": text(code, "en"), "text_vi": text(code, "vi"), "attachment": None})
    if decision == "accept" and any(one["problem"] and one["report"] is None for one in found["attachments"]):
        decision = "review"
        code = "edxml_attachment_unreadable"
        reasons.append({"code": code, "text": text(code, "en"), "text_vi": text(code, "vi"), "attachment": None})
    status = {"accept": "03", "reject": "02", "review": "01"}[decision]
    said = "; ".join(
        f"{reason['attachment']}: {reason['text_vi']}" if reason["attachment"] else str(reason["text_vi"])
        for reason in reasons
    )
    return {"rule": by.id, "decision": decision, "reasons": reasons, "status": {"code": status, "reason": said}}
