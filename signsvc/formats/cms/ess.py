"""Which certificate signed: by the signing-certificate references, then by the signer identifier."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from signsvc.algorithms import SignatureCheck, new_hash, resolve, verify_value
from signsvc.asn1 import der
from signsvc.asn1.der import DerError
from signsvc.types import Certificate, CertificateRef, Finding, SignerView, names


def signing_certificate(
    view: SignerView, pool: Iterable[Certificate] = (), *, subject: str = ""
) -> tuple[Certificate | None, tuple[Finding, ...]]:
    """The signing certificate among those in the structure, then those of `pool` (EN 319 102-1 §5.2.3.4).

    A certificate that every reference's digest names is the one; its issuer and serial number in the reference, and
    the signer identifier, are then compared and warn.  Where no certificate has the digest, the one that the signer
    identifier names is returned with a failing finding.  Without references the signer identifier decides, and among
    several certificates that it names the one whose key made the signature.  None: not found, with a finding.
    """
    candidates = list(dict.fromkeys((*view.certificates, *pool)))

    def note(code: str, **data: object) -> Finding:
        return Finding.of(code, subject=subject, level=None, **data)

    named = [c for c in candidates if identifies(view, c)]
    if not view.references:
        if not named:
            return None, (note("cms_signing_certificate_missing"),)
        chosen = named[0]
        if len(named) > 1:
            chosen = next((c for c in named if _signed_by(view, c)), chosen)
            return chosen, (note("cms_reference_absent"), note("cms_signer_ambiguous", count=len(named)))
        return chosen, (note("cms_reference_absent"),)

    referenced = [c for c in candidates if all(matches(ref, c) for ref in view.references)]
    if referenced:
        chosen = next((c for c in referenced if c in named), referenced[0])
        findings = [] if chosen in named else [note("cms_signer_identifier_differs")]
        findings += [
            note("cms_reference_issuer_serial_differs") for ref in view.references if not _issuer_serial(ref, chosen)
        ]
        return chosen, tuple(findings)
    if any(matches(ref, c) for ref in view.references for c in candidates):
        chosen = next(c for c in candidates if any(matches(ref, c) for ref in view.references))
        return chosen, (note("cms_references_contradict"),)
    if named:
        return named[0], (note("cms_reference_digest_differs"),)
    return None, (note("cms_signing_certificate_missing"),)


def matches(reference: CertificateRef, certificate: Certificate) -> bool:
    """Whether the reference's digest is that of the certificate; an unknown digest algorithm matches nothing."""
    if reference.digest_oid == "2.16.840.1.101.3.4.2.1":
        return reference.digest == certificate.sha256
    try:
        made = new_hash(reference.digest_oid)
    except ValueError:
        return False
    made.update(certificate.der)
    return bool(made.digest() == reference.digest)


def identifies(view: SignerView, certificate: Certificate) -> bool:
    """Whether the SignerIdentifier names the certificate (RFC 5652 §5.3)."""
    if view.issuer_der is not None:
        return certificate.serial_number == view.serial_number and names.same(certificate.issuer_der, view.issuer_der)
    if view.subject_key_identifier is None:
        return False
    try:
        identifier = certificate.subject_key_identifier or _key_hash(certificate)
    except DerError:
        identifier = _key_hash(certificate)
    return identifier == view.subject_key_identifier


def _issuer_serial(reference: CertificateRef, certificate: Certificate) -> bool:
    if reference.serial_number is not None and reference.serial_number != certificate.serial_number:
        return False
    return reference.issuer_der is None or names.same(reference.issuer_der, certificate.issuer_der)


def _key_hash(certificate: Certificate) -> bytes | None:
    info = certificate.public_key_info
    try:
        bits = der.children(info, der.read_all(info, tag=der.SEQUENCE))[1].value(info)[1:]
    except (DerError, IndexError):
        return None
    return hashlib.sha1(bits, usedforsecurity=False).digest()


def _signed_by(view: SignerView, certificate: Certificate) -> bool:
    value = view.value
    try:
        algorithm = resolve(value.algorithm_oid, value.parameters, value.digest_oid)
        check = verify_value(certificate, algorithm, value.value, message=value.message, digest=value.digest)
    except (DerError, IndexError):
        return False
    return check is SignatureCheck.VALID
