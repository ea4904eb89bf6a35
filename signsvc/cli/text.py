"""The verdict in a terminal, for people."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import click

from signsvc.messages import text as message

_VIETNAM = timezone(timedelta(hours=7))
_COLOURS = {"TOTAL-PASSED": "green", "TOTAL-FAILED": "red", "INDETERMINATE": "yellow", "NO-SIGNATURE": "yellow"}
_MARKS = {"passed": "✓", "failed": "✗", "unknown": "?", "not_applicable": "–"}
_STATES = {"good": "✓", "bad": "✗", "open": "?"}
_WORDS = {
    "vi": {"time": "Thời gian ký", "timestamp": "dấu thời gian", "claimed": "do người ký khai", "org": "Cơ quan",
           "as_signed": "Khi ký", "policy": "Chính sách", "doc_ts": "Dấu thời gian tài liệu",
           "decision": "Quyết định", "roles": "Tư cách ký", "commitments": "Mục đích ký"},
    "en": {"time": "Signing time", "timestamp": "timestamp", "claimed": "claimed by the signer", "org": "Agency",
           "as_signed": "As signed", "policy": "Policy", "doc_ts": "Document timestamp",
           "decision": "Acceptance", "roles": "Signs as", "commitments": "Commitment"},
}  # fmt: skip


def render(report: dict[str, Any], path: str, lang: str = "vi") -> str:
    """A few lines per signature: verdict, signer, time, checks, and what was found."""
    words = _WORDS[lang]
    lines = [f"{path}: {_verdict(report, lang)}"]
    for signature in report["signatures"]:
        lines.append(f"  {signature['field'] or signature['id']}: {_verdict(signature, lang)}")
        lines.append(f"    {signature['signed_by'] or '?'}   {signature['format']} {signature['level']}")
        if signature["organization"]:
            lines.append(f"    {words['org']}: {signature['organization']}")
        if roles := signature.get("claimed_roles"):
            lines.append(f"    {words['roles']}: {'; '.join(roles)}")
        if covered := signature.get("covered"):
            lines.append(f"    {_names(covered, signature['scope']['type'], lang)}")
        if commitments := signature.get("commitments"):
            said = (entry["text_vi" if lang == "vi" else "text"] for entry in commitments)
            lines.append(f"    {words['commitments']}: {'; '.join(said)}")
        when = signature["best_signature_time"] if signature["time_source"] == "timestamp" else None
        when = when or signature["claimed_signing_time"]
        if when:
            lines.append(f"    {words['time']}: {local(when)} ({words[signature['time_source']]})")
        said_first = (signature.get("lines") or {}).values()
        lines += [f"    {_STATES[one['state']]} {one['text_vi' if lang == 'vi' else 'text']}" for one in said_first]
        checks = (f"{_MARKS[c['result']]} {message('check_' + c['id'], lang)}" for c in signature["checks"])
        lines.append("    " + "  ".join(checks))
        if signature["as_signed"]["indication"] != signature["indication"]:
            lines.append(f"    {words['as_signed']}: {_verdict(signature['as_signed'], lang, short=True)}")
        lines += _notes(signature["messages"], lang, "    ")
        for stamp in signature["timestamps"]:
            lines += _notes(stamp["messages"], lang, "      ")
    for stamp in report["timestamps"]:
        lines.append(
            f"  {words['doc_ts']} {stamp['field'] or stamp['id']}: {local(stamp['time'])} {stamp['tsa'] or ''}"
        )
        if stamp["indication"] != "TOTAL-PASSED":
            lines.append(f"    {_verdict(stamp, lang, short=True)}")
        lines += _notes(stamp["messages"], lang, "    ")
    lines += _form(report.get("form"), lang)
    lines += _notes(report["messages"], lang, "  ")
    if "acceptance" in report:
        decision = report["acceptance"]
        reasons = "; ".join(r["text_vi" if lang == "vi" else "text"] for r in decision["reasons"])
        word = message(f"decision_{decision['decision']}", lang)
        lines.append(f"  {words['decision']}: {word} [{decision['decision']}]" + (f": {reasons}" if reasons else ""))
    if "supplied_trust_anchors" in report:
        lines.append(f"  ! {message('report_supplied_anchors', lang)}: {'; '.join(report['supplied_trust_anchors'])}")
    if report.get("offline"):
        lines.append(f"  ! {message('report_offline', lang)}")
    lines.append(f"  {words['policy']}: {report['policy']['id']} {report['policy']['version']}")
    return "\n".join(lines)


def local(moment: str | None) -> str:
    """An RFC 3339 time in Vietnamese time, ISO 8601 with +07:00 and whole seconds."""
    if moment is None:
        return "?"
    return datetime.fromisoformat(moment).astimezone(_VIETNAM).isoformat(sep=" ", timespec="seconds")


def _verdict(part: dict[str, Any], lang: str, *, short: bool = False) -> str:
    indication = part["indication"]
    word = indication + (f" / {part['sub_indication']}" if part["sub_indication"] else "")
    if not short:
        word = f"{message('conclusion_' + indication.lower().replace('-', '_'), lang)} ({word})"
    return click.style(word, fg=_COLOURS[indication])


def _names(covered: list[dict[str, Any]], scope: str, lang: str) -> str:
    """What is covered, a few of it; what was altered or is missing with a mark."""
    shown = [{True: "", False: "✗ ", None: "? "}[one["matches"]] + str(one["name"]) for one in covered[:5]]
    more = f" … ({len(covered)})" if len(covered) > len(shown) else ""
    label = message("report_covered_only" if scope == "PARTIAL" else "report_covered", lang)
    whole = message("report_covers_all", lang) + ": " if scope == "FULL" else ""
    return f"{label}: {whole}" + "; ".join(shown) + more


def _form(form: dict[str, Any] | None, lang: str) -> list[str]:
    if form is None:
        return []
    key = "title_vi" if lang == "vi" else "title"
    lines = []
    for document in form["documents"][:5]:
        facts = "; ".join(f"{message('fact_' + name, lang)}: {said}" for name, said in document["facts"].items())
        lines.append(f"  {form[key]} {document['path']}" + (f": {facts}" if facts else ""))
        lines += [f"    {signer[key]}: {signer['signature'] or '–'}" for signer in document["signers"]]
    return lines


def _notes(messages: list[dict[str, Any]], lang: str, indent: str) -> list[str]:
    marks = {"error": "✗", "warning": "!"}
    key = "text_vi" if lang == "vi" else "text"
    step = "next_step_vi" if lang == "vi" else "next_step"
    lines = []
    for m in messages:
        if m["level"] in marks:
            lines.append(f"{indent}{marks[m['level']]} {m[key]} [{m['code']}]")
            if m["level"] == "error" and m.get(step):
                lines.append(f"{indent}  → {m[step]}")
    return lines
