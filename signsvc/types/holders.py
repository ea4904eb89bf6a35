"""Whose a certificate is: an agency's seal, or a person's (Decree 68/2024 art. 7; Circular 15/2025 App. II)."""

from __future__ import annotations

import functools
import unicodedata

from signsvc.types.certificate import Certificate

AGENCY, PERSON = "agency", "person"
_OF_AGENCIES = ("MST:", "MNS:")  # tax code, budget code
_OF_PERSONS = ("CCCD:", "CMND:", "HC:")


@functools.lru_cache(maxsize=2048)
def holder(certificate: Certificate) -> str | None:
    """``agency`` or ``person``; None where the subject does not tell.

    An agency's carries a tax or budget code or an organization identifier, or its common name is that of its
    organisation or unit; a person's an identity number, or a name that is no unit's.
    """
    codes = [*certificate.subject_values("UID"), *certificate.subject_values("serialNumber")]
    if any(code.upper().startswith(_OF_AGENCIES) for code in codes):
        return AGENCY
    if any(code.upper().startswith(_OF_PERSONS) for code in codes):
        return PERSON
    if certificate.subject_values("organizationIdentifier"):
        return AGENCY
    units = {folded(v) for kind in ("O", "OU") for v in certificate.subject_values(kind)}
    names = [folded(name) for name in certificate.subject_values("CN")]
    if not names or not units:
        return None
    return AGENCY if any(name in units for name in names) else PERSON


def folded(name: str) -> str:
    """A name as names are compared: without differences of case, spaces and composition."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


__all__ = ["AGENCY", "PERSON", "folded", "holder"]
