"""What the seed value of an existing field asks of a new signature, judged before any key is touched (ISO 32000-2
§12.7.5.5, tables 234 and 235).  `seed` judges finished signatures by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from signsvc.errors import DocumentError
from signsvc.formats.pades.write_access import array, dictionary, get, resolved
from signsvc.types.certificate import KEY_USAGE_BITS

if TYPE_CHECKING:
    from signsvc.formats.cms.write import CmsPlan
    from signsvc.formats.pades.write import SignatureSpec
    from signsvc.types import Certificate

# Bits of /Ff: the constraint of that name is required; one that is not is a wish.
_FILTER, _SUB_FILTER, _REASONS, _REVOCATION, _DIGEST, _LOCK = 1, 2, 8, 32, 64, 128
_SUBJECT, _ISSUER, _POLICY, _NAME, _USAGE = 1, 2, 4, 8, 32  # of /Cert
_HANDLER = "/Adobe.PPKLite"
_MAX = 200  # entries of one constraint that are read


def check_seed(entry: Any, plan: CmsPlan, spec: SignatureSpec) -> None:
    """Make sure that a signature of this plan and spec is what the field `entry` (None: a new field) asks for.

    Raises `DocumentError` (``signing_not_permitted``) with reason ``seed-filter``, ``seed-format``, ``seed-digest``,
    ``seed-reason``, ``seed-certification``, ``seed-revocation``, ``seed-certificate`` or ``seed-timestamp``.
    """
    seed = dictionary(get(entry, "/SV"))
    if seed is None:
        return
    flags = _flags(seed)

    def required(bit: int, key: str) -> bool:
        return bool(flags & bit) and key in seed

    if required(_FILTER, "/Filter") and str(get(seed, "/Filter")) != _HANDLER:
        _refuse("filter")
    if required(_SUB_FILTER, "/SubFilter") and spec.subfilter not in _texts(seed, "/SubFilter"):
        _refuse("format")
    if required(_DIGEST, "/DigestMethod") and plan.digest_name.upper() not in _texts(seed, "/DigestMethod"):
        _refuse("digest")
    if required(_REASONS, "/Reasons"):
        allowed = _texts(seed, "/Reasons")
        # a single period, or none at all: no reason may be given
        fits = spec.reason is None if allowed in (set(), {"."}) else spec.reason in allowed
        if not fits:
            _refuse("reason")
    modification = dictionary(get(seed, "/MDP"))
    if modification is not None and get(modification, "/P", 0) != (spec.certify or 0):
        _refuse("certification")
    if flags & _LOCK and str(get(seed, "/LockDocument")) in ("/true", "true"):
        _refuse("certification")
    if flags & _REVOCATION and bool(get(seed, "/AddRevInfo")):
        # values among the signed attributes, which PAdES keeps in the document's store instead
        _refuse("revocation")
    stamp = dictionary(get(seed, "/TimeStamp"))
    if spec.stamped is False and stamp is not None and _flags(stamp) & 1:
        _refuse("timestamp")
    wanted = dictionary(get(seed, "/Cert"))
    if wanted is not None and not _certificate_fits(wanted, plan):
        _refuse("certificate")


def _certificate_fits(wanted: Any, plan: CmsPlan) -> bool:
    """Whether the signer's certificate is what /Cert requires (table 235); /URL is advice."""
    flags, own = _flags(wanted), plan.certificate
    if flags & _SUBJECT and "/Subject" in wanted and own.der not in _values(wanted, "/Subject"):
        return False
    if flags & _ISSUER and "/Issuer" in wanted:
        issuers = _values(wanted, "/Issuer")
        if not any(certificate.der in issuers for certificate in plan.chain):
            return False
    if flags & _POLICY and "/OID" in wanted and not _texts(wanted, "/OID") & set(own.policies):
        return False
    names = [dictionary(entry) for entry in array(get(wanted, "/SubjectDN"))[:_MAX]]
    if flags & _NAME and "/SubjectDN" in wanted and not any(_named(own, name) for name in names if name is not None):
        return False
    return not (flags & _USAGE and "/KeyUsage" in wanted) or any(
        _usable(own, text) for text in _texts(wanted, "/KeyUsage")
    )


def _named(own: Certificate, name: Any) -> bool:
    return all(str(get(name, key)) in own.subject_values(str(key).removeprefix("/")) for key in name)


def _usable(own: Certificate, text: str) -> bool:
    """Whether the key usage has the bits that are 1 in `text` and lacks those that are 0."""
    held = own.key_usage or frozenset()
    return all(
        said not in "01" or (said == "1") == (bit in held) for said, bit in zip(text, KEY_USAGE_BITS, strict=False)
    )


def _flags(holder: Any) -> int:
    written = get(holder, "/Ff")
    return int(written) if isinstance(written, int) else 0


def _values(holder: Any, key: str) -> set[bytes]:
    """The octets of an array of strings."""
    found = set()
    for item in array(get(holder, key))[:_MAX]:
        value = resolved(item)
        value = getattr(value, "original_bytes", value)
        found.add(value.encode("latin-1", "replace") if isinstance(value, str) else bytes(value))
    return found


def _texts(seed: Any, key: str) -> set[str]:
    """Names or strings of an array: both stand for a method in practice."""
    return {str(resolved(item)).removeprefix("/") for item in array(get(seed, key))[:_MAX]}


def _refuse(what: str) -> None:
    raise DocumentError("signing_not_permitted", reason=f"seed-{what}")


__all__ = ["check_seed"]
