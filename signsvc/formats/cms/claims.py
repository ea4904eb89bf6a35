"""What a signer claims with a signature: roles, commitments, a time, a place (EN 319 122-1 §5.2.3, §5.2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from signsvc.asn1 import encode, encode_oid

# Commitments by the last word of their names in the standard (RFC 5126 §5.11.1): phê duyệt is `approval`, phát hành
# `origin`, sao y `creation`.
COMMITMENTS = {
    "origin": "1.2.840.113549.1.9.16.6.1",
    "receipt": "1.2.840.113549.1.9.16.6.2",
    "delivery": "1.2.840.113549.1.9.16.6.3",
    "sender": "1.2.840.113549.1.9.16.6.4",
    "approval": "1.2.840.113549.1.9.16.6.5",
    "creation": "1.2.840.113549.1.9.16.6.6",
}
_NAMES = {oid: name for name, oid in COMMITMENTS.items()}

_SEQUENCE, _SET, _UTF8, _UTC_TIME, _GENERALIZED = 0x30, 0x31, 0x0C, 0x17, 0x18
_COMMITMENT_TYPE = "1.2.840.113549.1.9.16.2.16"
_SIGNER_ATTRIBUTES_V2 = "0.4.0.19122.1.1"
_SIGNING_TIME = "1.2.840.113549.1.9.5"
_SIGNER_LOCATION = "1.2.840.113549.1.9.16.2.17"
_MAX_POSTAL = 6
_TITLE = "2.5.4.12"  # position or function in an organisation (X.520 §6.4.3)


def commitment_name(oid: str) -> str | None:
    """The word for a commitment type, None where the standard names none."""
    return _NAMES.get(oid)


def commitment_type(name: str) -> bytes:
    """The attribute commitment-type-indication for one of `COMMITMENTS`, DER.  Raises `ValueError` for another."""
    oid = COMMITMENTS.get(name)
    if oid is None:
        raise ValueError("unknown commitment type")
    return _attribute(_COMMITMENT_TYPE, encode(_SEQUENCE, encode_oid(oid)))


def claimed_roles(roles: Sequence[str]) -> bytes:
    """The attribute signer-attributes-v2 that claims `roles`, in their order, as titles; DER.

    Raises `ValueError` where there is none.
    """
    if not roles:
        raise ValueError("no role to claim")
    titles = (_attribute(_TITLE, encode(_UTF8, role.encode())) for role in roles)
    # the module has explicit tags: [0] around the SEQUENCE OF Attribute
    return _attribute(_SIGNER_ATTRIBUTES_V2, encode(_SEQUENCE, encode(0xA0, encode(_SEQUENCE, *titles))))


def signing_time(moment: datetime) -> bytes:
    """The attribute signing-time, DER: UTCTime through 2049, GeneralizedTime after (RFC 5652 §11.3)."""
    utc = moment.astimezone(UTC)
    short = 1950 <= utc.year <= 2049
    written = utc.strftime("%y%m%d%H%M%SZ" if short else "%Y%m%d%H%M%SZ").encode("ascii")
    return _attribute(_SIGNING_TIME, encode(_UTC_TIME if short else _GENERALIZED, written))


def signer_location(country: str | None = None, locality: str | None = None, postal: Sequence[str] = ()) -> bytes:
    """The attribute signer-location (EN 319 122-1 §5.2.6.2), DER; `postal` are up to six lines of an address.

    Raises `ValueError` where nothing is given, or more lines.
    """
    if not (country or locality or postal) or len(postal) > _MAX_POSTAL:
        raise ValueError("no place, or too long an address")
    parts = [
        encode(0xA0 + number, encode(_UTF8, text.encode())) for number, text in enumerate((country, locality)) if text
    ]
    if postal:
        parts.append(encode(0xA2, encode(_SEQUENCE, *(encode(_UTF8, line.encode()) for line in postal))))
    return _attribute(_SIGNER_LOCATION, encode(_SEQUENCE, *parts))


def _attribute(oid: str, value: bytes) -> bytes:
    return encode(_SEQUENCE, encode_oid(oid), encode(_SET, value))


__all__ = ["COMMITMENTS", "claimed_roles", "commitment_name", "commitment_type", "signer_location", "signing_time"]
