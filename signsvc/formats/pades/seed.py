"""What a seed value dictionary asked of whoever signs in its field (ISO 32000-2 §12.7.5.5, tables 234 and 235)."""

from __future__ import annotations

from collections.abc import Iterator

from signsvc.formats.pdf import PdfDict, PdfObject, PdfString, Revision
from signsvc.formats.pdf.objects import PdfBool
from signsvc.types import SignerView

_MAX = 200  # entries of one constraint that are read
# Bits of /Ff: the constraint of that name is required.
_FILTER, _SUB_FILTER, _REASONS, _REVOCATION, _DIGEST, _LOCK = 1, 2, 8, 32, 64, 128
_SUBJECT, _ISSUER = 1, 2  # of /Cert
_DIGESTS = {
    "1.3.14.3.2.26": "SHA1", "2.16.840.1.101.3.4.2.1": "SHA256", "2.16.840.1.101.3.4.2.2": "SHA384",
    "2.16.840.1.101.3.4.2.3": "SHA512", "1.3.36.3.2.1": "RIPEMD160", "2.16.840.1.101.3.4.2.8": "SHA3-256",
    "2.16.840.1.101.3.4.2.9": "SHA3-384", "2.16.840.1.101.3.4.2.10": "SHA3-512",
    "2.16.840.1.101.3.4.2.12": "SHAKE256",
}  # fmt: skip
_REVOCATION_OID = "1.2.840.113583.1.1.8"  # adbe-revocationInfoArchival
_NO_REASON = "."  # a single period: no reason may be given


def violated(
    revision: Revision, written: PdfObject, dictionary: PdfDict, certification: int | None, signer: SignerView | None
) -> tuple[str, ...]:
    """The names of the required constraints of seed value `written` (of the field's /SV) that a signature breaks.

    `dictionary` is the signature's, `certification` its DocMDP level, `signer` its CMS where that could be read; what
    rests on an unreadable CMS is not judged.  A constraint that is no requirement is a wish and never told.
    Raises LimitError; PdfError where the dictionary cannot be read.
    """
    seed = revision.dictionary(written)
    return tuple(dict.fromkeys(_broken(revision, seed, dictionary, certification, signer))) if seed else ()


def _broken(
    revision: Revision, seed: PdfDict, dictionary: PdfDict, certification: int | None, signer: SignerView | None
) -> Iterator[str]:
    flags = _integer(revision, seed, "Ff")

    def required(bit: int, key: str) -> bool:
        return bool(flags & bit) and key in seed

    if required(_FILTER, "Filter") and _name(revision, seed, "Filter") != _name(revision, dictionary, "Filter"):
        yield "Filter"
    named = _name(revision, dictionary, "SubFilter")
    if required(_SUB_FILTER, "SubFilter") and named not in _names(revision, seed, "SubFilter"):
        yield "SubFilter"
    if required(_REASONS, "Reasons") and not _reason_fits(revision, seed, dictionary):
        yield "Reasons"
    modification = revision.dictionary(seed.get("MDP"))
    # always required: 0 asks for an approval signature, 1 to 3 for a certification
    if modification is not None and _integer(revision, modification, "P") != (certification or 0):
        yield "MDP"
    if flags & _LOCK and _name(revision, seed, "LockDocument") == "true" and certification != 1:
        yield "LockDocument"
    if signer is None:
        return
    digest = _DIGESTS.get(signer.digest_oid)
    if required(_DIGEST, "DigestMethod") and digest not in _names(revision, seed, "DigestMethod"):
        yield "DigestMethod"
    revocation = flags & _REVOCATION and revision.value(seed, "AddRevInfo") is PdfBool.TRUE
    if revocation and _REVOCATION_OID not in signer.signed_attributes:
        yield "AddRevInfo"
    stamp = revision.dictionary(seed.get("TimeStamp"))
    stamped = any(found.kind == "signature" for found in signer.timestamps)
    if stamp is not None and _integer(revision, stamp, "Ff") & 1 and not stamped:
        yield "TimeStamp"
    wanted = revision.dictionary(seed.get("Cert"))
    if wanted is not None and not _certificate_fits(revision, wanted, signer):
        yield "Cert"


def _certificate_fits(revision: Revision, wanted: PdfDict, signer: SignerView) -> bool:
    """Whether the signer is one of /Subject and is issued below one of /Issuer, as far as those are required."""
    flags = _integer(revision, wanted, "Ff")
    own = [
        found
        for found in signer.certificates
        if (found.issuer_der, found.serial_number) == (signer.issuer_der, signer.serial_number)
    ]
    if flags & _SUBJECT and "Subject" in wanted:
        subjects = _octets(revision, wanted, "Subject")
        if not any(found.der in subjects for found in own):
            return False
    if flags & _ISSUER and "Issuer" in wanted:
        issuers = _octets(revision, wanted, "Issuer")
        return any(found.der in issuers for found in signer.certificates)
    return True


def _reason_fits(revision: Revision, seed: PdfDict, dictionary: PdfDict) -> bool:
    allowed = [
        text.text()
        for item in revision.array(seed.get("Reasons"))[:_MAX]
        if isinstance(text := revision.resolve(item), PdfString)
    ]
    given = revision.value(dictionary, "Reason")
    if not allowed or allowed == [_NO_REASON]:
        return given is None
    return isinstance(given, PdfString) and given.text() in allowed


def _integer(revision: Revision, dictionary: PdfDict, key: str) -> int:
    value = revision.value(dictionary, key)
    return value if type(value) is int else 0


def _name(revision: Revision, dictionary: PdfDict, key: str) -> str | None:
    value = revision.value(dictionary, key)
    return str(value) if isinstance(value, str) else None


def _names(revision: Revision, dictionary: PdfDict, key: str) -> set[str]:
    """Names or strings of an array: both stand for a method in practice."""
    found = set()
    for item in revision.array(dictionary.get(key))[:_MAX]:
        value = revision.resolve(item)
        if isinstance(value, PdfString):
            found.add(value.text())
        elif isinstance(value, str):
            found.add(str(value))
    return found


def _octets(revision: Revision, dictionary: PdfDict, key: str) -> set[bytes]:
    found = [revision.resolve(item) for item in revision.array(dictionary.get(key))[:_MAX]]
    return {bytes(value) for value in found if isinstance(value, PdfString)}


__all__ = ["violated"]
