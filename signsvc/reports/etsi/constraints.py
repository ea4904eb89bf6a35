"""What was asked of a signature, and how each answer came out (TS 119 102-2, 4.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signsvc.reports.etsi.base import OWN, URN, XADES, Page

_RESULTS = {"passed": "passed", "failed": "failed", "unknown": "indeterminate"}


def constraints(page: Page, parent: Any, one: Mapping[str, Any] | None, *, policy: bool = True) -> None:
    """The policy, the fixed checks, and every constraint that something was found of."""
    wanted = page.report.get("policy") if policy else None
    checks = list((one or {}).get("checks") or ())
    found = (one or page.report).get("messages") or ()
    if not wanted and not checks and not found:
        return
    made = page.add(parent, "ValidationConstraintsEvaluationReport")
    if wanted:
        _policy(page, made, wanted)
    for check in checks:
        _constraint(page, made, f"{OWN}check:{check['id']}", _RESULTS.get(check["result"]), None, ())
    told: dict[str, list[Mapping[str, Any]]] = {}
    for message in found:
        told.setdefault(message["code"], []).append(message)
    for code, messages in told.items():
        levels = {message["level"] for message in messages}
        word = "passed" if "error" not in levels else "failed"
        if word == "failed" and (one or page.report)["indication"] == "INDETERMINATE":
            word = "indeterminate"
        texts = tuple(message["text"] for message in messages)
        _constraint(page, made, f"{OWN}constraint:{code}", word, messages[0].get("block"), texts)


def _policy(page: Page, parent: Any, wanted: Mapping[str, Any]) -> None:
    made = page.add(parent, "SignatureValidationPolicy")
    identifier = page.add(page.add(made, "SignaturePolicyIdentifier"), "SignaturePolicyId", space=XADES)
    name = f"{OWN}policy:{wanted['id']}:{wanted['version']}"
    page.add(page.add(identifier, "SigPolicyId", space=XADES), "Identifier", name, XADES)
    page.digest(identifier, wanted["sha256"], "SigPolicyHash", XADES)
    page.add(made, "PolicyName", str(wanted["id"]))


def _constraint(
    page: Page, parent: Any, identifier: str, word: str | None, block: str | None, texts: tuple[str, ...]
) -> None:
    made = page.add(parent, "ValidationConstraint")
    page.add(made, "ValidationConstraintIdentifier", identifier)
    if block:
        page.typed(made, "ValidationConstraintParameter", f"{OWN}building-block", block)
    state = "disabled" if word is None else "applied"
    page.add(page.add(made, "ConstraintStatus"), "Status", f"{URN}constraintStatus:{state}")
    if word is not None:
        page.add(page.add(made, "ValidationStatus"), "MainIndication", f"{URN}mainindication:{word}")
    if texts:
        page.add(made, "Indications", "\n".join(texts))


__all__ = ["constraints"]
