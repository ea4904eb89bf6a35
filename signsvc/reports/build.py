"""From a verdict to the JSON report that other systems read.

Words of ETSI EN 319 102-1 stand unaltered; texts come from the catalogue by code; identity-card numbers of citizens
are masked, since a report travels further than the document.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from signsvc.algorithms import digest_name
from signsvc.asn1 import DerError
from signsvc.formats.cms.claims import commitment_name
from signsvc.messages import text
from signsvc.reports.binding import binding
from signsvc.reports.lines import lines
from signsvc.reports.next_steps import step
from signsvc.types import (
    Certificate,
    ChainEntry,
    Change,
    Covered,
    DocumentVerdict,
    DocumentView,
    Finding,
    Form,
    Grade,
    Indication,
    Level,
    Scope,
    SignatureVerdict,
    TimestampVerdict,
)
from signsvc.types.holders import holder

if TYPE_CHECKING:
    from signsvc.trust import TrustMaterial

# Of the shape of the report: the second number grows with what is added, the first with what is taken away.
VERSION = "1.0"
_LEVELS = {Level.FAIL: "error", Level.WARN: "warning", Level.INFO: "info"}
_WEIGHTS = {level: place for place, level in enumerate((Level.FAIL, Level.WARN, Level.INFO))}
_GRADES = {grade: place for place, grade in enumerate(Grade)}
# Later revisions and messages listed, of each part and of all: hundreds of signatures each see hundreds of revisions.
_LEAST, _MOST = 20, 20_000
_MOST_FORM_DOCUMENTS = 200
_IDENTITY_CARD = re.compile(r"\b((?:CCCD|CMND|HC):\s?)([0-9A-Za-z]+)")


def build(
    verdict: DocumentVerdict,
    view: DocumentView,
    *,
    report_id: str,
    name: str | None,
    supplied_anchors: Iterable[Certificate] = (),
    offline: bool = False,
    material: TrustMaterial | None = None,
    data_digests: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """The report as JSON-ready values: strings, numbers, lists, dicts; times as RFC 3339 UTC.

    `name` is the file name the caller gave (shown only); `supplied_anchors` are trust anchors of this call, which the
    report names so that nobody takes them for installed trust.  `material` is what was trusted; `data_digests` as of
    `binding`.
    """
    room = max(_LEAST, _MOST // (len(verdict.signatures) + len(verdict.timestamps) + 1))
    signatures = [_signature(s, room) for s in verdict.signatures]
    for found, seen in zip(signatures, view.signatures, strict=True):
        found["binding"] = binding(seen, data_digests)
    report: dict[str, Any] = {
        "id": report_id,
        "report_version": VERSION,
        "validation_time": _time(verdict.validation_time),
        "document": {
            "name": name,
            "sha256": view.sha256.hex(),
            "size": view.size,
            "media_type": view.media_type,
            "pdfa": view.pdfa,
            "pages": view.pages,
            "revisions": view.revisions,
        },
        "policy": {
            "id": verdict.policy_id,
            "version": verdict.policy_version,
            "sha256": verdict.policy_sha256,
            "href": f"/v1/policies/{verdict.policy_id}",
        },
        "indication": str(verdict.indication),
        "sub_indication": _word(verdict.sub_indication),
        "conclusion": conclusion(verdict.indication),
        "signatures_count": len(signatures),
        "valid_signatures_count": sum(s["indication"] == Indication.TOTAL_PASSED for s in signatures),
        "signatures": signatures,
        "timestamps": [_timestamp(t, room) for t in verdict.timestamps],
        "messages": _messages(verdict.findings, room),
        "warnings": _messages((f for f in verdict.findings if f.level is not Level.INFO), room),
    }
    if material is not None:
        report["trust"] = _trust(material)
    if view.form is not None:
        report["form"] = _form(view.form)
    anchors = [mask(a.subject) for a in supplied_anchors]
    if anchors:
        report["supplied_trust_anchors"] = anchors
    if offline:
        report["offline"] = True
    _make_inert(report)
    return report


def _trust(material: TrustMaterial) -> dict[str, Any]:
    """The trust profiles in force and the state they were in: how many anchors, and one digest over all certificates
    that were trusted or known, with what ends trust in them."""
    state = hashlib.sha256()
    for anchor in sorted(material.anchors, key=lambda a: (a.certificate.sha256, a.profile or "", a.use)):
        state.update(anchor.certificate.sha256)
        state.update(f"{anchor.use} {_time(anchor.since)} {_time(anchor.sunset)}\n".encode())
    for digest in sorted(one.sha256 for one in material.intermediates):
        state.update(digest)
    return {"profiles": list(material.profiles), "anchors": len(material.anchors), "sha256": state.hexdigest()}


def conclusion(indication: Indication | str) -> dict[str, str]:
    """The verdict in the three words of the law (and one for a document without signatures), vi and en."""
    code = "conclusion_" + str(indication).lower().replace("-", "_")
    return {"vi": text(code, "vi"), "en": text(code, "en")}


def mask(value: str) -> str:
    """`value` with all but the last three characters of a citizen's identity number hidden."""
    return _IDENTITY_CARD.sub(lambda m: m[1] + "*" * max(len(m[2]) - 3, 0) + m[2][-3:], value)


def certificate_summary(certificate: Certificate) -> dict[str, Any]:
    """The facts of one certificate that people compare."""
    key = {"type": certificate.key_type, "bits": certificate.key_bits}
    return {**_summary(certificate), "key": key, "scope": {name: list(v) for name, v in _purposes(certificate).items()}}


@functools.lru_cache(maxsize=2048)
def _summary(certificate: Certificate) -> dict[str, str | None]:
    """The part that never changes; to be copied."""
    return {
        "subject": mask(certificate.subject),
        "issuer": mask(certificate.issuer),
        "serial": f"{certificate.serial_number:x}",
        "not_before": _time(certificate.not_before),
        "not_after": _time(certificate.not_after),
        "sha256": certificate.sha256.hex(),
    }


@functools.lru_cache(maxsize=2048)
def _purposes(certificate: Certificate) -> dict[str, tuple[str, ...]]:
    """What its issuer limits the certificate to (Decree 68/2024 art. 7, 31): usages, purposes, policies."""
    try:
        return {
            "key_usage": tuple(sorted(certificate.key_usage or ())),
            "extended_key_usage": certificate.extended_key_usage or (),
            "policies": certificate.policies,
        }
    except (DerError, IndexError):  # validation has its own finding
        return {}


def _signature(verdict: SignatureVerdict, room: int) -> dict[str, Any]:
    """At most `room` later revisions and messages of each kind are listed."""
    certificate = verdict.certificate
    made: dict[str, Any] = {
        "id": verdict.id,
        "field": verdict.field,
        "indication": str(verdict.indication),
        "sub_indication": _word(verdict.sub_indication),
        "conclusion": conclusion(verdict.indication),
        "as_signed": {
            "indication": str(verdict.as_signed_indication),
            "sub_indication": _word(verdict.as_signed_sub_indication),
        },
        "format": verdict.format,
        "level": verdict.level,
        "scope": _scope(verdict.scope, room),
        "signed_by": mask(certificate.common_name) if certificate else None,
        "organization": mask(certificate.organization) if certificate and certificate.organization else None,
        "holder": holder(certificate) if certificate else None,
        "certificate": certificate_summary(certificate) if certificate else None,
        "claimed_signing_time": _time(verdict.claimed_time),
        "best_signature_time": _time(verdict.best_signature_time),
        "time_source": verdict.time_source,
        "digest_algorithm": verdict.digest_algorithm,
        "signature_algorithm": verdict.signature_algorithm,
        "reason": verdict.reason,
        "location": verdict.location,
        "claimed_roles": list(verdict.claimed_roles[:_LEAST]),
        "covered": [_covered(one) for one in verdict.covered[:room]],
        "covered_omitted": max(len(verdict.covered) - room, 0),
        "commitments": [_commitment(oid) for oid in dict.fromkeys(verdict.commitment_oids[:_LEAST])],
        "chain": [_chain_entry(entry) for entry in verdict.chain],
        "checks": [{"id": c.id, "result": c.result} for c in verdict.checks],
        "timestamps": [_timestamp(t, room) for t in verdict.timestamps],
        "messages": _messages(verdict.findings, room),
        "extend_before": _time(verdict.extend_before),
        "counter_signatures": [_signature(c, room) for c in verdict.counter_signatures],
    }
    made["lines"] = lines(made)
    return made


def _covered(covered: Covered) -> dict[str, Any]:
    digest, name = covered.digest_oid, covered.name
    if covered.kind == "file" and name == covered.uri and "%" in name:  # a file that is not at hand
        from urllib.parse import unquote

        name = unquote(name)
    return {
        "kind": covered.kind,
        "name": name,
        "uri": covered.uri,
        "matches": covered.matches,
        "size": covered.size,
        "media_type": covered.media_type,
        "digest_algorithm": digest_name(digest) if digest else None,
    }


def _form(form: Form) -> dict[str, Any]:
    """What a known form of XML says: facts, and who signed where; identity numbers are masked."""
    return {
        "id": form.id,
        "title": form.title_en,
        "title_vi": form.title_vi,
        "documents": [
            {
                "path": one.path,
                "facts": {name: mask(said) for name, said in one.facts},
                "signers": [
                    {
                        "role": signer.role,
                        "title": signer.title_en,
                        "title_vi": signer.title_vi,
                        "signature": signer.signature,
                        "name": mask(signer.name) if signer.name else None,
                        "tax_code": signer.tax_code,
                    }
                    for signer in one.signers
                ],
            }
            for one in form.documents[:_MOST_FORM_DOCUMENTS]
        ],
    }


def _commitment(oid: str) -> dict[str, str | None]:
    """A commitment type; one that the standard does not name is shown as its OID."""
    name = commitment_name(oid)
    if name is None:
        return {"oid": oid, "type": None, "text": oid, "text_vi": oid}
    code = f"commitment_{name}"
    return {"oid": oid, "type": name, "text": text(code, "en"), "text_vi": text(code, "vi")}


def _timestamp(verdict: TimestampVerdict, room: int) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "field": verdict.field,
        "kind": verdict.kind,
        "indication": str(verdict.indication),
        "sub_indication": _word(verdict.sub_indication),
        "time": _time(verdict.gen_time),
        "tsa": mask(verdict.tsa) if verdict.tsa else None,
        "digest_algorithm": verdict.digest_algorithm,
        "scope": _scope(verdict.scope, room) if verdict.scope else None,
        "chain": [_chain_entry(entry) for entry in verdict.chain],
        "messages": _messages(verdict.findings, room),
    }


def _scope(scope: Scope, room: int) -> dict[str, Any]:
    changes = scope.changes_after
    if len(changes) > room:  # the worst ones, in the order of the file
        worst = sorted(changes, key=lambda c: (c.permitted is False, _GRADES[c.grade]), reverse=True)[:room]
        changes = tuple(sorted(worst, key=lambda c: c.revision))
    return {
        "type": scope.type,
        "revision": scope.revision,
        "of": scope.of,
        "byte_ranges": [list(r) for r in scope.byte_ranges],
        "changes_after": [_change(c) for c in changes],
        "changes_omitted": len(scope.changes_after) - len(changes),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "revision": change.revision,
        "grade": str(change.grade),
        "permitted": change.permitted,
        "objects": list(change.objects[:50]),
        "pages": list(change.pages[:50]),
        "fields": list(change.fields[:50]),
        "reasons": list(change.reasons[:20]),
    }


def _chain_entry(entry: ChainEntry) -> dict[str, Any]:
    summary = _summary(entry.certificate)
    return {
        "subject": summary["subject"],
        "serial": summary["serial"],
        "sha256": summary["sha256"],
        "not_after": summary["not_after"],
        "status": str(entry.status),
        "source": entry.source,
        "origin": entry.origin,
        "produced_at": _time(entry.produced_at),
        "next_update": _time(entry.next_update),
        "revoked_at": _time(entry.revoked_at),
        "reason": entry.reason,
        "trust_anchor": entry.trust_anchor,
        "evidence_sha256": entry.evidence.partition(":")[2] if entry.evidence else None,
        "known": {"since": _time(entry.known_since), "by": entry.known_by} if entry.known_since else None,
        "evidence_known": {"since": _time(entry.evidence_since), "by": entry.evidence_by}
        if entry.evidence_since
        else None,
    }


def _messages(findings: Iterable[Finding], room: int) -> list[dict[str, Any]]:
    listed = list(findings)
    if not listed:
        return []
    if len(listed) > room:
        kept = sorted(listed, key=lambda f: _WEIGHTS[f.level])[:room]
        listed = [*kept, Finding.of("messages_omitted", count=len(listed) - room)]
    made = []
    for f in listed:
        one = {
            "level": _LEVELS[f.level],
            "code": f.code,
            "block": f.block or None,
            "subject": f.subject or None,
            "text": text(f.code, "en", shown := _shown(f.data)),
            "text_vi": text(f.code, "vi", shown),
        }
        if f.level is not Level.INFO:
            # By its code; what is a note by its nature and weighs more here is still to be taken note of.
            what = step(f.code) or "step_seen"
            one |= {"next_step": text(what, "en"), "next_step_vi": text(what, "vi")}
        made.append(one)
    return made


def _make_inert(value: Any) -> None:
    """Make every character that is not to be seen visible or a space, in all texts of `value`.

    Names, reasons and fields come from hostile documents: what controls a terminal or the direction of writing must
    not leave with the report.
    """
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(entry, str):
            if not entry.isprintable():
                value[key] = "".join(map(_visible, entry))  # no key is added: the walk goes on
        elif isinstance(entry, dict | list):
            _make_inert(entry)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Zl", "Zp", "Zs") or character in "\t\n\r":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if category[0] == "C" else character


def _shown(data: Mapping[str, object]) -> dict[str, object]:
    return {key: _time(value) if isinstance(value, datetime) else value for key, value in data.items()}


def _word(sub: object) -> str | None:
    return str(sub) if sub else None


def _time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    written = moment.isoformat() if moment.tzinfo is UTC else moment.astimezone(UTC).isoformat()
    return written.removesuffix("+00:00") + "Z"
