"""What stands on the pages of a report, in the reader's language: texts, labels and their order, without any layout."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from signsvc.messages import text
from signsvc.reports.html import helpers, local_time

# A page is for reading: what stands attached is whole.
MOST_SIGNATURES, MOST_MESSAGES, MOST_TEXT, MOST_CHANGES = 100, 30, 600, 40
# What the typeface has and people in Vietnam write; other characters are shown by their numbers.
_SHOWN = frozenset(
    (
        *(*range(0x20, 0x7F), *range(0xA0, 0xAD), *range(0xAE, 0x180), 0x1A0, 0x1A1, 0x1AF, 0x1B0),
        *(*range(0x1EA0, 0x1EFA), 0x2010, 0x2011, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D),
        *(0x2022, 0x2026, 0x2030, 0x20AB, 0x20AC),
    )
)
_WORST = ("error", "warning", "info")


def content(
    report: Mapping[str, Any], lang: str, *, sealed: bool, check_url: str | None, attached: Iterable[str]
) -> dict[str, Any]:
    """JSON-ready values for the template; every text of a document is made of characters that can be shown."""
    tools = helpers(lang)

    def label(code: str, **data: object) -> str:
        return text(code, lang, data)

    document = report["document"]
    listed = report["signatures"][:MOST_SIGNATURES]
    left = len(report["signatures"]) - len(listed)
    found = {
        "lang": lang,
        "title": label("report_title"),
        "name": document.get("name") or document["sha256"][:16],
        "look": tools["look"](report),
        "verdict": tools["verdict"](report),
        "etsi": _etsi(report),
        "reasons": tools["reasons"](report) if report["indication"] != "TOTAL-PASSED" else [],
        "next": [label("report_next"), tools["advice"](report)],
        "seal": "" if sealed else label("report_unsealed"),
        "acceptance": _acceptance(report.get("acceptance"), lang),
        "messages": _messages(report["messages"], lang, tools),
        "notes": _notes(report, label),
        "signatures": [_signature(one, n, lang, tools, label) for n, one in enumerate(listed, 1)],
        "left": label("report_left_out", count=left) if left else "",
        "stamps": _stamps(report["timestamps"], label, tools, lang),
        "stamps_title": label("report_document_timestamps"),
        "document_title": label("report_document"),
        "document": _document(report, label, tools),
        "attached": [label("report_attached"), ", ".join(attached)],
        "check": [label("report_check_here"), check_url] if check_url else None,
        "id": report["id"],
        "head": {
            "chain": [label(f"report_{name}") for name in ("subject", "serial", "valid_until", "status")],
            "changes": [label(f"report_{name}") for name in ("revision", "grade", "affected")],
            "chain_title": label("report_chain"),
            "changes_title": label("report_changes"),
        },
    }
    return {key: shown(value) for key, value in found.items()}


def shown(value: Any) -> Any:
    """`value` with texts of characters that the page has, and not longer than a page bears."""
    if isinstance(value, str):
        composed = unicodedata.normalize("NFC", value)
        kept = "".join(c if ord(c) in _SHOWN else f"[U+{ord(c):04X}]" for c in composed[:MOST_TEXT])
        return kept + ("…" if len(composed) > MOST_TEXT else "")
    if isinstance(value, dict):
        return {key: shown(one) for key, one in value.items()}
    return [shown(one) for one in value] if isinstance(value, list | tuple) else value


def _etsi(part: Mapping[str, Any]) -> str:
    return " / ".join(str(word) for word in (part.get("indication"), part.get("sub_indication")) if word)


def _notes(report: Mapping[str, Any], label: Any) -> list[str]:
    found = [label("report_offline")] if report.get("offline") else []
    anchors = report.get("supplied_trust_anchors")
    return [*found, f"{label('report_supplied_anchors')}: {'; '.join(anchors)}"] if anchors else found


def _acceptance(made: Mapping[str, Any] | None, lang: str) -> dict[str, Any] | None:
    if not made:
        return None
    word = text(f"decision_{made['decision']}", lang)
    return {
        "title": text("report_acceptance", lang),
        "decision": f"{word} ({made['rule']})",
        "look": {"accept": "good", "reject": "bad"}.get(made["decision"], "open"),
        "reasons": [one["text_vi" if lang == "vi" else "text"] for one in made["reasons"]],
    }


def _messages(entries: Iterable[Mapping[str, Any]], lang: str, tools: Mapping[str, Any]) -> list[dict[str, str]]:
    ranked = sorted(entries, key=lambda one: _WORST.index(one["level"]))[:MOST_MESSAGES]
    return [
        {
            "level": one["level"],
            "tag": text(f"report_level_{one['level']}", lang),
            "text": tools["message"](one),
            "code": one["code"],
            "step": str(one.get("next_step_vi" if lang == "vi" else "next_step") or ""),
        }
        for one in ranked
    ]


def _signature(one: Mapping[str, Any], number: int, lang: str, tools: Mapping[str, Any], label: Any) -> dict[str, Any]:
    proven = one["time_source"] == "timestamp"
    time = local_time(one["best_signature_time"] if proven else one["claimed_signing_time"])
    source = label("report_time_timestamp" if proven else "report_time_claimed")
    signer = one["signed_by"] or "?"
    if not tools["identified"](one):
        signer += f" ({label('report_not_identified')})"
    after = "; ".join(label(code) for _, code in tools["after"](one))
    covered = "; ".join(str(part["name"]) for part in one["covered"][:20])
    whole = one["scope"]["type"] == "FULL"
    rows = [
        (label("report_signed_by"), signer),
        (label("report_organization"), one["organization"]),
        (label("report_signing_time"), f"{time} ({source})"),
        (label("report_after"), after),
        (label("report_covered" if whole else "report_covered_only"), covered),
        (label("report_reason"), one["reason"]),
        (label("report_location"), one["location"]),
        (label("report_roles"), "; ".join(one["claimed_roles"])),
        (label("report_commitments"), tools["commitments"](one)),
        (label("report_level"), f"{one['format']} {one['level']}"),
        (label("report_field"), one["field"]),
        (label("report_algorithm"), one["signature_algorithm"]),
        (label("report_extend_before"), local_time(one["extend_before"]) if one["extend_before"] else ""),
    ]
    lines = one.get("lines") or {}
    return {
        "look": tools["look"](one),
        "title": f"{label('report_signature')} {number}: {tools['verdict'](one)}",
        "etsi": _etsi(one),
        "lines": [
            [lines[name]["state"], lines[name]["text_vi" if lang == "vi" else "text"]]
            for name in ("certificate", "integrity", "time")
            if name in lines
        ],
        "rows": [[name, value] for name, value in rows if value],
        "checks": [
            [label(f"check_{check['id']}"), label(f"result_{check['result']}"), check["result"]]
            for check in one["checks"]
        ],
        "messages": _messages(one["messages"], lang, tools),
        "stamps": _stamps(one["timestamps"], label, tools, lang),
        "chain": [_link(entry, label) for entry in one["chain"]],
        "changes": [_change(entry, label) for entry in one["scope"]["changes_after"][:MOST_CHANGES]],
    }


def _link(entry: Mapping[str, Any], label: Any) -> list[str]:
    if entry["trust_anchor"]:
        status = label("report_trust_anchor")
    else:
        status = label(f"report_status_{entry['status']}")
        if entry["source"]:
            status += f" ({entry['source'].upper()}, {local_time(entry['produced_at'])})"
        if entry["revoked_at"]:
            status += f": {local_time(entry['revoked_at'])}"
    return [entry["subject"], entry["serial"], local_time(entry["not_after"]), status]


def _change(entry: Mapping[str, Any], label: Any) -> list[str]:
    grade = label("report_grade_" + entry["grade"].replace("-", "_"))
    if entry["permitted"] is False:
        grade += f" – {label('report_not_permitted')}"
    places = [str(page) for page in entry["pages"]] + list(entry["fields"])
    return [str(entry["revision"]), grade, ", ".join(places[:MOST_CHANGES])]


def _stamps(
    entries: Iterable[Mapping[str, Any]], label: Any, tools: Mapping[str, Any], lang: str
) -> list[dict[str, Any]]:
    return [
        {
            "look": tools["look"](one),
            "text": f"{label('report_time')}: {local_time(one['time'])} – {one['tsa'] or '?'} ({_etsi(one)})",
            "messages": _messages(one["messages"], lang, tools),
        }
        for one in list(entries)[:MOST_SIGNATURES]
    ]


def _document(report: Mapping[str, Any], label: Any, tools: Mapping[str, Any]) -> list[list[str]]:
    document, policy, trust = report["document"], report["policy"], report.get("trust")
    rows = [
        (label("report_name"), document["name"]),
        (label("report_size"), tools["octets"](document["size"])),
        (label("report_sha256"), document["sha256"]),
        (label("report_pages"), document["pages"]),
        (label("report_revisions"), document["revisions"]),
        (label("report_count"), f"{report['valid_signatures_count']} / {report['signatures_count']}"),
        (label("report_checked_at"), local_time(report["validation_time"])),
        (label("report_policy"), f"{policy['id']} {policy['version']} (SHA-256 {policy['sha256']})"),
        (label("report_trust"), f"{', '.join(trust['profiles'])} (SHA-256 {trust['sha256']})" if trust else ""),
        (label("report_id"), report["id"]),
    ]
    return [[name, str(value)] for name, value in rows if value]
