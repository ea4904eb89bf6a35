"""What the seed value of an existing field asks of a new signature, judged before any key is touched (ISO 32000-2
§12.7.5.5, tables 234 and 235).  `seed` judges finished signatures by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from signsvc.errors import DocumentError
from signsvc.formats.pades.write_access import array, dictionary, get, resolved

if TYPE_CHECKING:
    from signsvc.formats.cms.write import CmsPlan
    from signsvc.formats.pades.write import SignatureSpec

# Bits of /Ff: the constraint of that name is required; one that is not is a wish.
_FILTER, _SUB_FILTER, _REASONS, _REVOCATION, _DIGEST, _LOCK = 1, 2, 8, 32, 64, 128
_HANDLER, _FORMAT = "/Adobe.PPKLite", "ETSI.CAdES.detached"
_MAX = 200  # entries of one constraint that are read


def check_seed(entry: Any, plan: CmsPlan, spec: SignatureSpec) -> None:
    """Make sure that a signature of this plan and spec is what the field `entry` (None: a new field) asks for.

    Timestamps are not judged here: whether one follows is not part of the plan.  Raises `DocumentError`
    (``signing_not_permitted``) with reason ``seed-filter``, ``seed-format``, ``seed-digest``, ``seed-reason``,
    ``seed-certification`` or ``seed-revocation``.
    """
    seed = dictionary(get(entry, "/SV"))
    if seed is None:
        return
    written = get(seed, "/Ff")
    flags = int(written) if isinstance(written, int) else 0

    def required(bit: int, key: str) -> bool:
        return bool(flags & bit) and key in seed

    if required(_FILTER, "/Filter") and str(get(seed, "/Filter")) != _HANDLER:
        _refuse("filter")
    if required(_SUB_FILTER, "/SubFilter") and _FORMAT not in _texts(seed, "/SubFilter"):
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


def _texts(seed: Any, key: str) -> set[str]:
    """Names or strings of an array: both stand for a method in practice."""
    return {str(resolved(item)).removeprefix("/") for item in array(get(seed, key))[:_MAX]}


def _refuse(what: str) -> None:
    raise DocumentError("signing_not_permitted", reason=f"seed-{what}")


__all__ = ["check_seed"]
