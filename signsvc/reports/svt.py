"""The report as a Signature Validation Token (RFC 9321): a signed statement that spares others the validation.

>>> header, payload, value = "eyJ….eyJ….MEU…".split(".")
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

VERSION = "1.0"
HASH = "http://www.w3.org/2001/04/xmlenc#sha256"
_RESULTS = {"TOTAL-PASSED": "PASSED", "TOTAL-FAILED": "FAILED"}
# Claims of ours beside those of the RFC: which report this is, and of which file.
REPORT = "urn:signsvc:report"


def claims(report: Mapping[str, Any], *, issuer: str, now: datetime) -> dict[str, Any]:
    """The claims for `report` (the JSON of `signsvc.reports.build`), issued by `issuer` (a URI) at `now` (aware).

    A signature that cannot be read has no claim of its own: there is nothing that it could be bound to (§3.2.3).
    """
    return {
        "iss": issuer,
        "iat": int(now.timestamp()),
        "jti": f"urn:signsvc:{report['id']}",
        "sig_val_claims": {
            "ver": VERSION,
            "profile": _profile(report["document"]["media_type"]),
            "hash_algo": HASH,
            "sig": [_signature(one, report["policy"]) for one in report["signatures"] if one.get("binding")],
            "ext": {
                REPORT: json.dumps(
                    {
                        "id": report["id"],
                        "sha256": report["document"]["sha256"],
                        "indication": report["indication"],
                        "validation_time": report["validation_time"],
                    },
                    separators=(",", ":"),
                )
            },
        },
    }


def encode(claimed: Mapping[str, Any], header: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """The token: `sign` gives the JWS value over what it is handed (RFC 7515 §5.1); `header` names algorithm and
    key."""
    head = _part(json.dumps({"typ": "JWT", **header}, separators=(",", ":")).encode())
    body = _part(json.dumps(claimed, separators=(",", ":"), ensure_ascii=False).encode())
    signed = f"{head}.{body}"
    return f"{signed}.{_part(sign(signed.encode('ascii')))}"


def header(token: str) -> dict[str, Any]:
    """The header of a token, unchecked; empty where it cannot be read."""
    return _object(token.split(".", 1)[0])


def payload(token: str) -> dict[str, Any]:
    """The claims of a token, unchecked; empty where they cannot be read."""
    return _object(token.split(".")[1]) if token.count(".") == 2 else {}


def about(claimed: Mapping[str, Any]) -> dict[str, Any]:
    """Which report the claims are of: id, sha256, indication, validation_time; empty where that is not told."""
    try:
        found = json.loads(claimed["sig_val_claims"]["ext"][REPORT])
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _object(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _profile(media_type: str) -> str:
    if media_type == "application/pdf":
        return "PDF"
    return "XML" if media_type == "application/xml" or "edxml" in media_type else "CMS"


def _signature(one: Mapping[str, Any], policy: Mapping[str, Any]) -> dict[str, Any]:
    bound = one["binding"]
    reasons = [message["code"] for message in one["messages"] if message["level"] == "error"]
    chain = [_hash(entry["sha256"]) for entry in one["chain"]]
    if not chain and one["certificate"]:
        chain = [_hash(one["certificate"]["sha256"])]
    return {
        "sig_ref": {
            "id": one["field"] or one["id"],
            "sig_hash": _hash(bound["signature_sha256"]),
            "sb_hash": _hash(bound["signed_bytes_sha256"] or bound["data"][0]["sha256"] or ""),
        },
        "sig_data_ref": [
            {"ref": data["ref"], "hash": _hash(data["sha256"])} for data in bound["data"] if data["sha256"]
        ],
        "signer_cert_ref": {"type": "chain_hash", "ref": chain},
        "sig_val": [
            {
                "pol": f"urn:signsvc:policy:{policy['id']}:{policy['version']}:{policy['sha256']}",
                "res": _RESULTS.get(one["indication"], "INDETERMINATE"),
                "msg": "; ".join(filter(None, (one["sub_indication"], *reasons[:10]))) or "OK",
            }
        ],
        "time_val": [_time(stamp) for stamp in one["timestamps"] if stamp["time"]],
    }


def _time(stamp: Mapping[str, Any]) -> dict[str, Any]:
    moment = datetime.fromisoformat(stamp["time"])
    return {
        "time": int(moment.timestamp()),
        "type": f"urn:signsvc:timestamp:{stamp['kind']}",
        "iss": stamp["tsa"] or "",
        "id": stamp["id"],
        "val": [{"pol": "urn:signsvc:timestamp", "res": _RESULTS.get(stamp["indication"], "INDETERMINATE")}],
    }


def _hash(value: str) -> str:
    """Hex as the RFC writes digests: base64."""
    return base64.b64encode(bytes.fromhex(value)).decode("ascii")


def _part(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


__all__ = ["HASH", "REPORT", "about", "claims", "encode", "header", "payload"]
