"""Which evidence speaks of whom: so that a signature gets what is about its own signer and authorities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from signsvc.asn1 import DerError
from signsvc.trust.crl import Crl
from signsvc.trust.ocsp import OcspResponse
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, names


def about(known: Iterable[Certificate], items: Sequence[EvidenceItem]) -> frozenset[str]:
    """Ids of the items that speak of `known`: certificates above them, of responders, and their revocation values."""
    certificates: list[tuple[str, Certificate]] = []
    lists: list[tuple[str, Crl]] = []
    answers: list[tuple[str, OcspResponse]] = []
    for item in items:
        try:
            if item.kind is EvidenceKind.CERTIFICATE:
                certificates.append((item.id, Certificate.from_der(item.der)))
            elif item.kind is EvidenceKind.CRL:
                lists.append((item.id, Crl.of(item)))
            else:
                answers.append((item.id, OcspResponse.parse(item.der)))
        except DerError:
            continue
    found: set[str] = set()
    members = dict.fromkeys(known)
    waiting = list(members)
    while waiting:
        one = waiting.pop()
        reached: list[Certificate] = []
        for identifier, certificate in certificates:
            if names.same(certificate.subject_der, one.issuer_der) or certificate == one:
                found.add(identifier)
                reached.append(certificate)
        for identifier, crl in lists:
            if names.same(crl.issuer_der, one.issuer_der):
                found.add(identifier)
        for identifier, answer in answers:
            if any(single.serial_number == one.serial_number for single in answer.singles):
                found.add(identifier)
                reached += answer.certificates
                reached += _responders(answer, certificates, found)
        for certificate in reached:
            if certificate not in members:
                members[certificate] = None
                waiting.append(certificate)
    return frozenset(found)


def _responders(
    answer: OcspResponse, certificates: Iterable[tuple[str, Certificate]], found: set[str]
) -> list[Certificate]:
    """Certificates of the evidence that have the name of an answer's responder."""
    reached = []
    for identifier, certificate in certificates:
        if answer.responder_name is not None and names.same(certificate.subject_der, answer.responder_name):
            found.add(identifier)
            reached.append(certificate)
    return reached


__all__ = ["about"]
