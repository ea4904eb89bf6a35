"""Finding one key among the certificates of many tokens, by identifier, label, serial number or subject."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from signsvc.asn1.der import DerError
from signsvc.errors import CredentialError
from signsvc.keys.config import CredentialConfig
from signsvc.types import Certificate


@dataclass(frozen=True, slots=True)
class TokenCertificate:
    """A certificate object and where it lies."""

    module: str
    token_label: str
    token_serial: str
    slot: int
    key_id: str  # CKA_ID in hex, "" where the object has none
    label: str
    certificate: Certificate

    @property
    def is_ca(self) -> bool:
        """Chain certificates lie beside the signer's; one with broken extensions is not taken for one of them."""
        try:
            return self.certificate.is_ca
        except DerError:
            return False


def slug(text: str) -> str:
    """`text` as part of an identifier that fits an address and a command line."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-") or "token"


def identifier(item: TokenCertificate) -> str:
    """``<token label>:<CKA_ID>``, or the certificate's serial number where there is no CKA_ID."""
    return f"{slug(item.token_label)}:{item.key_id or format(item.certificate.serial_number, 'x')}"


def identified(items: Iterable[TokenCertificate]) -> dict[str, TokenCertificate]:
    """End-entity certificates by identifiers that are unique: where two clash, both get more of their origin."""
    own = [i for i in items if not i.is_ca]
    by_name: dict[str, list[TokenCertificate]] = {}
    for item in own:
        by_name.setdefault(identifier(item), []).append(item)
    found: dict[str, TokenCertificate] = {}
    for name, group in by_name.items():
        for item in group:
            longer = f"{name}:{slug(item.token_serial)}:{item.certificate.sha256.hex()[:8]}"
            found[name if len(group) == 1 else longer] = item
    return found


def serial_numbers(text: str) -> frozenset[int]:
    """What a serial number written by a person may mean: decimal, or hex with or without colons, blanks, ``0x``."""
    folded = re.sub(r"[\s:]", "", text).lower().removeprefix("0x")
    found = set()
    if re.fullmatch(r"[0-9a-f]{1,64}", folded):
        found.add(int(folded, 16))
    if text.strip().isascii() and text.strip().isdecimal() and len(text) < 80:
        found.add(int(text))
    return frozenset(found)


def fits(item: TokenCertificate, wanted: CredentialConfig) -> bool:
    """Whether every selector of `wanted` fits `item`."""
    certificate = item.certificate
    return (
        wanted.module in (None, item.module)
        and wanted.token in (None, item.token_label)
        and (wanted.key_id is None or item.key_id == _hex(wanted.key_id))
        and wanted.label in (None, item.label)
        and (wanted.serial is None or certificate.serial_number in serial_numbers(wanted.serial))
        and (wanted.subject is None or _subject_fits(certificate, wanted.subject))
    )


def mentions(item: TokenCertificate, text: str) -> bool:
    """Whether `text`, typed by a person, means this key: its CKA_ID, label, serial number or subject."""
    return (
        (bool(item.key_id) and item.key_id == _hex(text))
        or item.label == text
        or item.certificate.serial_number in serial_numbers(text)
        or _subject_fits(item.certificate, text)
    )


def one(found: Iterable[TokenCertificate]) -> TokenCertificate:
    """The only certificate of `found`; those of certification authorities count where there is no other.

    Raises `CredentialError` ``credential_not_found`` or ``credential_ambiguous``.
    """
    distinct = {(i.token_label, i.token_serial, i.key_id, i.certificate): i for i in found}.values()
    left = [i for i in distinct if not i.is_ca] or list(distinct)
    if not left:
        raise CredentialError("credential_not_found")
    if len(left) > 1:
        raise CredentialError("credential_ambiguous")
    return left[0]


def _hex(text: str) -> str:
    return re.sub(r"[\s:]", "", text).lower().removeprefix("0x")


def _subject_fits(certificate: Certificate, text: str) -> bool:
    folded = _fold(text)
    return len(folded) >= 3 and folded in _fold(certificate.subject)


def _fold(text: str) -> str:
    import unicodedata

    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
