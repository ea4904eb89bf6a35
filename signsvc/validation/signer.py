"""The building blocks that signatures and timestamps share: signing certificate, cryptography, algorithms
(EN 319 102-1 §5.2.3, §5.2.7, §5.2.8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from signsvc.algorithms import SignatureAlgorithm, SignatureCheck, verify_value
from signsvc.formats.cms import signing_certificate
from signsvc.types import Certificate, Finding, SignerView
from signsvc.types.certificate import KEY_TYPES
from signsvc.validation.algorithms_check import Strength, resolved
from signsvc.validation.context import Context
from signsvc.validation.policy import Role


@dataclass(frozen=True, slots=True)
class SignerResult:
    """Who signed and whether the cryptography holds; `valid` is None where it could not be computed."""

    certificate: Certificate | None
    algorithm: SignatureAlgorithm | None
    valid: bool | None
    findings: tuple[Finding, ...]


def check_signer(context: Context, signer: SignerView, subject: str) -> SignerResult:
    """Identify the signing certificate and verify digest and signature value.  Never raises."""
    findings = list(signer.findings)
    certificate, identified = signing_certificate(signer, context.pool, subject=subject)
    findings += identified
    if signer.digest_matches is False:
        findings.append(Finding.of("digest_mismatch", subject=subject))
    elif signer.digest_matches is None:
        findings.append(Finding.of("signed_data_missing", subject=subject))
    value = signer.value
    algorithm = resolved(value.algorithm_oid, value.parameters, value.digest_oid)
    valid: bool | None = None
    if algorithm is None:
        findings.append(Finding.of("signature_algorithm_unknown", subject=subject))
    elif certificate is not None:
        check = verify_value(certificate, algorithm, value.value, message=value.message, digest=value.digest)
        # A key of another kind than the algorithm's cannot have made the value.
        valid = check is SignatureCheck.VALID
        if check is SignatureCheck.UNSUPPORTED and _loadable(certificate) is False:
            valid = None
            findings.append(Finding.of(_why_not(certificate), subject=subject))
        elif not valid:
            findings.append(Finding.of("signature_value_wrong", subject=subject))
    return SignerResult(certificate, algorithm, valid, tuple(findings))


def check_strength(
    strength: Strength, signer: SignerView, result: SignerResult, role: Role, proven: datetime, subject: str
) -> None:
    """Judge the algorithms of the signature value, of what it covers and of the certificate reference."""
    not_before = result.certificate.not_before if result.certificate else None
    strength.signature(role, result.algorithm, result.certificate, proven, subject=subject, not_before=not_before)
    strength.digest(role, signer.digest_oid, proven, subject=subject, not_before=not_before)
    if signer.references:
        # All of them name the same certificate (else it was not found): the strongest binds it.
        oid = max((reference.digest_oid for reference in signer.references), key=strength.lasts)
        strength.digest(Role.REFERENCE, oid, proven, subject=subject, not_before=not_before)


def _loadable(certificate: Certificate) -> bool:
    try:
        return certificate.public_key is not None
    except ValueError:
        return False


def _why_not(certificate: Certificate) -> str:
    """The finding for a key that cannot be loaded."""
    if certificate.key_type not in KEY_TYPES:
        return "signing_key_unknown"
    return "signing_key_curve_explicit" if certificate.explicit_curve else "signing_key_unsound"
