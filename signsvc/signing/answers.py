"""What is answered and kept about a finished signature, by whichever door it was asked for."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from signsvc.signing.profiles import LEVELS, Profile

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from signsvc.store import Store
    from signsvc.types import Finding

PDF = "application/pdf"


def fingerprint(caller: str, kind: str, content: str, params: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a request: who asks for what on which content.  One idempotency key goes with one of them."""
    text = json.dumps([caller, kind, content, dict(params)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def about(kind: str, content: str, caller: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the log says of work that was interrupted."""
    found = {"kind": kind, "document": content, "caller": caller}
    return found | {member: params[member] for member in ("profile", "credential", "level") if member in params}


def answer(kind: str, result: Any) -> dict[str, Any]:
    """The answer about `result`, a `SignResult`; `kind` is sign or extend.  Its document is added by `document`."""
    from signsvc.reports.build import certificate_summary

    report = result.report
    certificate = result.certificate
    stamp = {"time": time(result.best_signature_time), "tsa": result.tsa} if getattr(result, "tsa", None) else None
    return {
        "id": f"{'sig' if kind == 'sign' else 'ext'}_{secrets.token_hex(16)}",
        "state": "succeeded",
        "document": None,
        "signature": {
            "level": f"{form_of(result)}-{result.level}" if result.level.startswith("B-") else result.level,
            "field": getattr(result, "field", None),
            "signed_at": time(getattr(result, "signed_at", None)),
            "best_signature_time": time(getattr(result, "best_signature_time", None)),
            "certificate": certificate_summary(certificate) if certificate is not None else None,
            "timestamp": stamp,
        },
        "warnings": [_warning(finding) for finding in getattr(result, "warnings", ())],
        "report": None
        if report is None
        else {"href": f"/v1/reports/{report['id']}", "indication": report["indication"]},
    }


def form_of(result: Any) -> str:
    """PAdES, XAdES or CAdES."""
    return str(getattr(result, "format", "PAdES"))


def document(sha256: str, size: int, href: str | None, media_type: str = PDF) -> dict[str, Any]:
    """The member `document` of an answer."""
    return {"href": href, "sha256": sha256, "size": size, "media_type": media_type}


def later(profile: Profile, raise_to: str | None, level: str) -> dict[str, Any] | None:
    """The level that a job has to raise a signature of this `level` to, and the policy for it; None: no other."""
    wanted = raise_to or profile.raise_to
    if wanted is None or level not in LEVELS or LEVELS.index(wanted) <= LEVELS.index(level):
        return None
    return {"level": wanted, "policy": profile.policy}


def keep(
    store: Store,
    connection: Connection,
    answer: Mapping[str, Any],
    *,
    now: datetime,
    owner: str | None,
    later: Mapping[str, Any] | None,
    within: timedelta,
) -> None:
    """Keep what is answered, in one transaction with the job that raises the level `within` that time."""
    job = None
    if later is not None:
        item = {"signature": answer["id"], "document": answer["document"]["sha256"], **later}
        job = store.jobs.insert(connection, "raise", [item], now=now, owner=owner, give_up_at=now + within, priority=1)
    store.signatures.insert(connection, answer, now=now, owner=owner, job_id=job)


def time(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None


def _warning(finding: Finding) -> dict[str, str]:
    from signsvc.messages import text

    return {
        "code": finding.code,
        "text": text(finding.code, "en", finding.data),
        "text_vi": text(finding.code, "vi", finding.data),
    }
