"""Validation by ETSI EN 319 102-1: building blocks and processes over views and evidence, under a dated policy.

Everything here is a function of its arguments: no network, no files but the policies, no clock.

    verdict = validate(view, material=material, evidence=evidence, policy=policies.load("cong-vu"), now=now)
    verdict.indication, verdict.sub_indication
"""

from signsvc.validation.context import embedded_evidence
from signsvc.validation.engine import CertificateVerdict, check_certificate, validate, wanted
from signsvc.validation.policy import Freshness, Policy, Role

__all__ = [
    "CertificateVerdict",
    "Freshness",
    "Policy",
    "Role",
    "check_certificate",
    "embedded_evidence",
    "validate",
    "wanted",
]
