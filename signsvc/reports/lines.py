"""The three lines that Vietnamese readers look at first: certificate, integrity, time.

They say in the words in use what the verdict rests on, and never look better than it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signsvc.messages import text

GOOD, OPEN, BAD = "good", "open", "bad"
# Code of a finding -> what the first line says, the first that occurs.
_CERTIFICATE = (
    ("signature_made_after_revocation", BAD, "revoked"),
    ("certificate_revoked", BAD, "revoked"),
    ("ca_revoked", BAD, "ca_revoked"),
    ("certificate_on_hold", OPEN, "hold"),
    ("signature_made_after_expiry", BAD, "expired"),
    ("certificate_expired", OPEN, "expired"),
    ("signed_after_expiry", OPEN, "expired"),
    ("certificate_expired_not_revoked", OPEN, "expired"),
    ("certificate_not_yet_valid", BAD, "not_yet"),
    ("certificate_not_for_signing", BAD, "purpose"),
    ("no_certificate_chain", OPEN, "untrusted"),
    ("trust_anchor_not_yet", OPEN, "untrusted"),
    ("trust_anchor_for_timestamps", OPEN, "untrusted"),
    ("trust_anchor_sunset", OPEN, "untrusted"),
    ("revocation_unknown", OPEN, "unchecked"),
    ("revocation_no_longer_known", OPEN, "unchecked"),
    ("revocation_issuer_expired", OPEN, "unchecked"),
)
_BLOCKS = {"XCV": "certificate", "RFC": "certificate", "ISC": "certificate", "VTS": "time"}


def lines(one: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The lines of a signature of the report: ``certificate``, ``integrity``, ``time``, each with its state (good,
    open, bad), code and texts.  A signature that is not TOTAL-PASSED has at least one that is not good."""
    results = {check["id"]: check["result"] for check in one["checks"]}
    errors = [message for message in one["messages"] if message["level"] == "error"]
    found = {
        "certificate": _certificate(one, results, {message["code"] for message in errors}),
        "integrity": _integrity(one, results),
        "time": _time(one),
    }
    if one["indication"] != "TOTAL-PASSED" and all(state == GOOD for state, _ in found.values()):
        found |= _blamed(errors[0]["block"] if errors else None)
    return {name: _line(state, f"line_{name}_{word}") for name, (state, word) in found.items()}


def _line(state: str, code: str) -> dict[str, str]:
    return {"state": state, "code": code, "text": text(code, "en"), "text_vi": text(code, "vi")}


def _blamed(block: str | None) -> dict[str, tuple[str, str]]:
    name = _BLOCKS.get(str(block), "integrity")
    return {name: (OPEN, "path" if name == "certificate" else "open")}


def _certificate(one: Mapping[str, Any], results: Mapping[str, str], codes: set[str]) -> tuple[str, str]:
    if one["certificate"] is None:
        return BAD if one["indication"] == "TOTAL-FAILED" else OPEN, "missing"
    for code, state, word in _CERTIFICATE:
        if code in codes:
            # Only what fails the signature is said to be wrong for good.
            return (OPEN if state == BAD and one["indication"] == "INDETERMINATE" else state), word
    chain, revocation = results.get("chain"), results.get("revocation")
    if chain == "passed":
        if revocation in ("passed", "not_applicable"):
            return GOOD, "good"
        return OPEN, "unchecked"
    if chain == "failed":
        return (BAD if one["indication"] == "TOTAL-FAILED" else OPEN), "path"
    return OPEN, "open"


def _integrity(one: Mapping[str, Any], results: Mapping[str, str]) -> tuple[str, str]:
    found = results.get("integrity")
    if found == "failed":
        return BAD, "bad"
    if found != "passed":
        return OPEN, "open"
    if results.get("changes") in ("failed", "unknown"):
        return (BAD if results["changes"] == "failed" else OPEN), "changed_later"
    if results.get("crypto_strength") == "failed":
        return OPEN, "weak"
    grades = {change["grade"] for change in one["scope"]["changes_after"]}
    if grades:
        return GOOD, "proofs" if grades == {"extension"} else "extended"
    return GOOD, "part" if one["scope"]["type"] == "PARTIAL" else "good"


def _time(one: Mapping[str, Any]) -> tuple[str, str]:
    if one["time_source"] == "timestamp":
        return GOOD, "good"
    fates = {stamp["indication"] for stamp in one["timestamps"] if stamp["kind"] != "content"}
    if not fates:
        return OPEN, "none"
    return (BAD, "bad") if fates == {"TOTAL-FAILED"} else (OPEN, "open")


__all__ = ["BAD", "GOOD", "OPEN", "lines"]
