"""Jobs and results of signing workers as JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from signsvc.signing.material import Token
from signsvc.signing.model import SignParams, SignResult, TrustInput
from signsvc.signing.visible import Visible
from signsvc.types import Certificate, Finding, Level


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def certificates_to_json(found: Iterable[Certificate]) -> list[str]:
    return [b64(c.der) for c in found]


def certificates_from_json(texts: Iterable[str]) -> tuple[Certificate, ...]:
    """Raises `DerError`, `ValueError`."""
    return tuple(Certificate.from_der(base64.b64decode(text)) for text in texts)


def params_to_json(params: SignParams) -> dict[str, Any]:
    return {**asdict(params), "visible": params.visible.to_json() if params.visible else None}


def params_from_json(data: Mapping[str, Any]) -> SignParams:
    values = dict(data)
    if values["visible"] is not None:
        values["visible"] = Visible.from_json(values["visible"])
    values["capacity"] = tuple(values["capacity"])
    return SignParams(**values)


def trust_to_json(trust: TrustInput) -> dict[str, Any]:
    return {
        "trust_anchors": [b64(v) for v in trust.trust_anchors],
        "certificates": [b64(v) for v in trust.certificates],
        "crls": [b64(v) for v in trust.crls],
        "offline": trust.offline,
    }


def trust_from_json(data: Mapping[str, Any]) -> TrustInput:
    def values(key: str) -> tuple[bytes, ...]:
        return tuple(base64.b64decode(v) for v in data[key])

    return TrustInput(values("trust_anchors"), values("certificates"), values("crls"), data["offline"])


def token_to_json(token: Token) -> dict[str, Any]:
    """All but the token's octets."""
    return {
        "gen_time": _time(token.gen_time),
        "tsa": token.tsa,
        "certificate": b64(token.certificate.der),
        "certificates": certificates_to_json(token.certificates),
    }


def result_to_json(result: SignResult) -> dict[str, Any]:
    return {
        "level": result.level,
        "field": result.field,
        "signed_at": _time(result.signed_at),
        "sha256": result.sha256,
        "size": result.size,
        "chain": certificates_to_json(result.chain),
        "best_signature_time": _time(result.best_signature_time),
        "tsa": result.tsa,
        "warnings": [finding_to_json(f) for f in result.warnings],
        "report": result.report,
        "format": result.format,
        "media_type": result.media_type,
    }


def result_from_json(data: Mapping[str, Any], certificate: Certificate | None) -> SignResult:
    """Raises `KeyError`, `TypeError`, `ValueError`, `DerError` where it is none."""
    report = data["report"]
    if not isinstance(report, dict | None):
        raise TypeError
    return SignResult(
        level=str(data["level"]),
        field=data["field"],
        signed_at=moment(data["signed_at"]),
        sha256=str(data["sha256"]),
        size=int(data["size"]),
        certificate=certificate,
        chain=certificates_from_json(data["chain"]),
        best_signature_time=moment(data["best_signature_time"]),
        tsa=data["tsa"],
        warnings=tuple(finding_from_json(f) for f in data["warnings"]),
        report=report,
        format=str(data["format"]),
        media_type=str(data["media_type"]),
    )


def finding_to_json(finding: Finding) -> dict[str, Any]:
    data = {k: {"time": _time(v)} if isinstance(v, datetime) else _plain(v) for k, v in finding.data.items()}
    return {"code": finding.code, "level": finding.level.value, "subject": finding.subject, "data": data}


def finding_from_json(data: Mapping[str, Any]) -> Finding:
    """Raises `KeyError`, `TypeError`, `ValueError` where it is none."""
    facts = {k: moment(v["time"]) if isinstance(v, dict) else v for k, v in data["data"].items()}
    return Finding.of(data["code"], subject=data["subject"], level=Level(data["level"]), **facts)


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _time(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat() if value is not None else None


def moment(text: str | None) -> datetime | None:
    """The time in `text`.  Raises `ValueError`, `TypeError`."""
    return datetime.fromisoformat(text) if text is not None else None
