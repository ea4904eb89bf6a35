"""What a rule makes of a report, and what to tell the sender."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from signsvc.messages import text
from signsvc.reports.acceptance.rules import LEVELS, Rule
from signsvc.types.holders import AGENCY, PERSON, folded

# Indeterminate for the standard, but a clerk must not wait for it to become better.
_REJECTED_SUBS = frozenset(("REVOKED_NO_POE", "REVOKED_CA_NO_POE", "REVOKED"))
_WORST = ("reject", "review", "accept")
# QCVN 102: 03 received, 02 refused, 01 arrived while somebody has a look.
_STATUS = {"accept": "03", "reject": "02", "review": "01"}


def accept(report: Mapping[str, Any], by: Rule, *, issuer: str | None = None) -> dict[str, Any]:
    """The decision with its reasons (codes and texts) and the edXML status to send, to be put beside the report.

    `issuer` is the identifier of the agency that issued the document (Decision 20/2020), as far as it is known.
    """
    found = list(_reasons(report, by, issuer))
    decision = min((made for _, made in found), key=_WORST.index, default="accept")
    reasons = [_reason(code) for code, _ in found]
    return _made(by, decision, reasons, "; ".join(one["text_vi"] for one in reasons))


def accept_packet(found: Mapping[str, Any], by: Rule) -> dict[str, Any]:
    """The decision about an edXML packet from those about its signed attachments, with the status to send: 03 received,
    02 refused with the reasons in Vietnamese, 01 arrived while somebody has a look."""
    issuer = found["packet"]["from"]["id"]
    signed = [one for one in found["attachments"] if one["report"] and one["report"]["signatures_count"]]
    decisions = [(one, accept(one["report"], by, issuer=issuer)) for one in signed]
    reasons = [{**reason, "attachment": one["name"]} for one, made in decisions for reason in made["reasons"]]
    words = {made["decision"] for _, made in decisions}
    decision = next((word for word in _WORST if word in words), "reject")
    if not signed:
        reasons.append({**_reason("accept_no_signature"), "attachment": None})
    if decision == "accept" and any(one["problem"] and one["report"] is None for one in found["attachments"]):
        decision = "review"
        reasons.append({**_reason("edxml_attachment_unreadable"), "attachment": None})
    said = "; ".join(
        f"{reason['attachment']}: {reason['text_vi']}" if reason["attachment"] else str(reason["text_vi"])
        for reason in reasons
    )
    return _made(by, decision, reasons, said)


def _made(by: Rule, decision: str, reasons: list[dict[str, Any]], said: str) -> dict[str, Any]:
    return {
        "rule": by.id,
        "version": by.version,
        "sha256": by.sha256,
        "decision": decision,
        "reasons": reasons,
        "status": {"code": _STATUS[decision], "reason": said},
    }


def _reason(code: str) -> dict[str, Any]:
    return {"code": code, "text": text(code, "en"), "text_vi": text(code, "vi")}


def _reasons(report: Mapping[str, Any], by: Rule, issuer: str | None) -> Iterator[tuple[str, str]]:
    """Codes, and what each leads to.  What is wrong with the signatures themselves stands alone."""
    indication = report["indication"]
    if indication == "NO-SIGNATURE":
        yield "accept_no_signature", "reject"
    elif indication == "TOTAL-FAILED":
        yield "accept_total_failed", "reject"
    elif indication == "INDETERMINATE":
        revoked = any(one["sub_indication"] in _REJECTED_SUBS for one in report["signatures"])
        yield ("accept_revoked", "reject") if revoked else ("accept_indeterminate", "review")
    else:
        yield from _conditions(report, by, issuer)


def _conditions(report: Mapping[str, Any], by: Rule, issuer: str | None) -> Iterator[tuple[str, str]]:
    signatures = report["signatures"]
    if by.timestamp and any(one["time_source"] != "timestamp" for one in signatures):
        yield "accept_time_unproven", by.decision("timestamp")
    if len(signatures) < by.min_signatures:
        yield "accept_too_few_signatures", by.decision("min_signatures")
    if by.level is not None and any(_level(one) < LEVELS.index(by.level) for one in signatures):
        yield "accept_level_too_low", by.decision("level")
    if by.coverage and any(one["scope"]["type"] == "PARTIAL" for one in signatures):
        yield "accept_not_covered", by.decision("coverage")
    yield from _signers(signatures, by)
    if by.max_age_days is not None:
        times = [_time(one) for one in signatures]
        oldest = _moment(report["validation_time"]) - timedelta(days=by.max_age_days)
        if any(found is None or found < oldest for found in [max((t for t in times if t), default=None)]):
            yield "accept_too_old", by.decision("max_age_days")
    if by.policies and report["policy"]["id"] not in by.policies:
        yield "accept_other_policy", by.decision("policies")
    trusted = set((report.get("trust") or {}).get("profiles") or ())
    if by.trust_profiles and not trusted <= set(by.trust_profiles):
        yield "accept_other_trust", by.decision("trust_profiles")
    if report.get("supplied_trust_anchors"):
        yield "accept_other_trust", by.decision("trust_profiles")
    if by.organisation:
        code = _organisation(signatures, by, issuer)
        if code is not None:
            yield code, by.decision("organisation")


def _signers(signatures: list[Mapping[str, Any]], by: Rule) -> Iterator[tuple[str, str]]:
    holders = {one.get("holder") for one in signatures}
    wanted = {"seal": {AGENCY}, "person": {PERSON}, "both": {AGENCY, PERSON}}.get(by.signers, set())
    missing = wanted - holders
    if not missing:
        return
    if None in holders:  # one of them may be who is missing
        yield "accept_holder_unknown", by.decision("holder_unknown")
        return
    for one in sorted(missing):
        yield f"accept_no_{one}", by.decision("signers")


def _organisation(signatures: list[Mapping[str, Any]], by: Rule, issuer: str | None) -> str | None:
    if issuer is None:
        return "accept_issuer_unknown"
    names = {folded(name) for name in by.organisations.get(issuer, ())}
    if not names:
        return "accept_issuer_not_listed"
    said = {folded(part) for one in signatures for part in str(one["organization"] or "").split(",")}
    said |= {folded(str(one["signed_by"] or "")) for one in signatures}
    return None if names & said else "accept_other_organisation"


def _level(signature: Mapping[str, Any]) -> int:
    """The place of its level among those of the baseline; -1 for others."""
    return LEVELS.index(signature["level"]) if signature["level"] in LEVELS else -1


def _time(signature: Mapping[str, Any]) -> datetime | None:
    said = (
        signature["best_signature_time"]
        if signature["time_source"] == "timestamp"
        else signature["claimed_signing_time"]
    )
    return _moment(said) if said else None


def _moment(said: str) -> datetime:
    return datetime.fromisoformat(said)


__all__ = ["accept", "accept_packet"]
