"""Cryptographic constraints: every algorithm judged by its role at the proven time of its object (EN 319 102-1 §5.2.8).

An object that is proven to have existed before the end of its algorithm stays good; one without such a proof leaves
the signature open; one that cannot have been made before the end is known to rest on a broken algorithm.
"""

from __future__ import annotations

from datetime import UTC, datetime

from signsvc.algorithms import EXPERIMENTAL, SignatureAlgorithm, digest_by_oid, digest_name, resolve
from signsvc.asn1 import DerError
from signsvc.types import Certificate, Finding
from signsvc.validation.policy import Policy, Role


class Strength:
    """Judges algorithms under one policy and collects the findings; `sunset` is the earliest end that was met."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.findings: list[Finding] = []
        self.sunset: datetime | None = None

    def digest(
        self, role: Role, oid: str, proven: datetime, *, subject: str = "", not_before: datetime | None = None
    ) -> None:
        """Judge a digest algorithm by OID."""
        self._judge(role, digest_name(oid), None, proven, subject, not_before)

    def lasts(self, oid: str) -> datetime:
        """Until when a certificate reference by this digest is reliable; the ends of time for "always" and "never"."""
        found = digest_by_oid(oid)
        if found is None:
            return datetime.min.replace(tzinfo=UTC)
        return self._policy.reliable_until(Role.REFERENCE, found.name) or datetime.max.replace(tzinfo=UTC)

    def signature(
        self,
        role: Role,
        algorithm: SignatureAlgorithm | None,
        signer: Certificate | None,
        proven: datetime,
        *,
        subject: str = "",
        not_before: datetime | None = None,
    ) -> None:
        """Judge a signature algorithm with the key of `signer`.

        `not_before`: the object cannot be older than that (its certificate began then, the token says so).
        """
        if algorithm is None:
            self.findings.append(Finding.of("signature_algorithm_unknown", subject=subject))
            return
        if algorithm.scheme in EXPERIMENTAL and not self._policy.experimental:
            self.findings.append(
                Finding.of("algorithm_experimental", subject=subject, algorithm=algorithm.name, role=str(role))
            )
            return
        if algorithm.digest is not None:
            self._judge(role, algorithm.digest, None, proven, subject, not_before)
        bits = signer.key_bits if signer is not None else None
        if signer is not None:
            self._judge(role, str(algorithm.scheme), bits, proven, subject, not_before)

    def certificate(self, certificate: Certificate, issuer: Certificate, proven: datetime) -> None:
        """Judge the signature on a certificate."""
        self.signature(
            Role.CERTIFICATE,
            resolved(certificate.signature_oid, certificate.signature_parameters),
            issuer,
            proven,
            subject=certificate.sha256.hex(),
            not_before=certificate.not_before,
        )

    def _judge(
        self, role: Role, name: str, bits: int | None, proven: datetime, subject: str, not_before: datetime | None
    ) -> None:
        end = self._policy.reliable_until(role, name, bits)
        if end is None:
            return
        if proven < end:
            self.sunset = end if self.sunset is None else min(self.sunset, end)
            return
        made_too_late = not_before is not None and not_before >= end
        shown = name if bits is None else f"{name}-{bits}"
        code = "algorithm_not_reliable" if made_too_late else "algorithm_not_reliable_no_proof"
        self.findings.append(
            Finding.of(code, subject=subject, algorithm=shown, role=str(role), until=f"{end:%Y-%m-%d}")
        )


def resolved(oid: str, parameters: bytes | None, digest_oid: str | None = None) -> SignatureAlgorithm | None:
    """Like `algorithms.resolve`, with malformed parameters as an unknown algorithm."""
    try:
        return resolve(oid, parameters, digest_oid)
    except (DerError, IndexError):
        return None
