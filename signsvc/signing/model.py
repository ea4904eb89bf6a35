"""What is asked of a signing and what comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as member
from datetime import datetime
from typing import Any

from signsvc.errors import RequestError
from signsvc.formats.cms.claims import COMMITMENTS
from signsvc.signing.visible import Visible
from signsvc.signing.visible import parse as parse_visible
from signsvc.types import Certificate, Finding

# Longer texts are no metadata; PDF viewers cut them anyway.
MAX_TEXT = 500
TEMPLATES = (
    "simple",
    "ky-phe-duyet",
    "dong-dau",
    "phu-luc",
    "sao-y",
    "sao-luc",
    "trich-sao",
    "ban-sao",
    "so-ngay",
    "cong-van-den",
)
# TM. ỦY BAN NHÂN DÂN / KT. CHỦ TỊCH is two; no office has more.
MAX_CAPACITY = 3
_CAPACITY = re.compile(r"(?:TM|KT|TL|TUQ|Q)\. ?[^\W\d_][^\x00-\x1f]*")
_TEXTS = ("reason", "location", "name", "contact", "field", "role")
_MEMBERS = frozenset((*_TEXTS, "certify", "visible", "metadata", "capacity", "commitment", "number", "date"))


@dataclass(frozen=True, slots=True)
class SignParams:
    """What a caller may say about one signature; all of it is optional.

    `capacity` and `role` are what the signer signs as: the lines on whose behalf or with what right (``TM. …``,
    ``KT. …``, ``TL. …``, ``TUQ. …``, ``Q. …``: Decree 30/2020 App. I) and the position; they are claimed in the
    signature, and so is `commitment`, one of `formats.cms.claims.COMMITMENTS`, which goes without `reason`
    (EN 319 142-1 §6.3).

    `number` and `date` (ISO 8601, or as it is to be read) of the document go into its text fields ``so`` and ``ngay``.

    `field` is an existing empty signature field or the name for a new one.  `certify` makes a certification signature
    with that DocMDP level: 2 (forms and signatures) or 3 (annotations too); level 1 would forbid the agency's
    signature that has to follow.  `flat` is no caller's: a visible signature without transparency, for PDF/A-1; nor is
    `file_name`, the name of the document where it came as a file.
    """

    reason: str | None = None
    location: str | None = None
    name: str | None = None
    contact: str | None = None
    field: str | None = None
    certify: int | None = None
    visible: Visible | None = None
    metadata: Mapping[str, str] = member(default_factory=dict)
    capacity: tuple[str, ...] = ()
    role: str | None = None
    commitment: str | None = None
    flat: bool = False
    number: str | None = None
    date: str | None = None
    file_name: str | None = None

    @property
    def claimed_roles(self) -> tuple[str, ...]:
        """What the signer signs as, line by line."""
        return (*self.capacity, *((self.role,) if self.role else ()))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SignParams:
        """From the members of a request, unknown ones refused.  Raises `RequestError` (``invalid_request``)."""
        unknown = sorted(set(data) - _MEMBERS)
        if unknown:
            raise _invalid(f"unknown parameter {unknown[0][:40]}")
        texts: dict[str, Any] = {key: _text(data, key) for key in _TEXTS}
        if texts["field"] is not None and ("." in texts["field"] or not texts["field"].strip()):
            raise _invalid("field: a name without dots")
        certify = data.get("certify")
        if certify is not None and (isinstance(certify, bool) or certify not in (2, 3)):
            raise _invalid("certify: 2 or 3")
        metadata = data.get("metadata") or {}
        if not isinstance(metadata, Mapping) or not all(
            isinstance(k, str) and isinstance(v, str) and len(v) <= MAX_TEXT for k, v in metadata.items()
        ):
            raise _invalid("metadata: names with texts")
        number = _text(data, "number")
        commitment = data.get("commitment")
        if commitment is not None and (not isinstance(commitment, str) or commitment not in COMMITMENTS):
            raise _invalid(f"commitment: one of {', '.join(COMMITMENTS)}")
        if commitment is not None and texts["reason"] is not None:
            raise _invalid("commitment and reason: one of them")
        visible, stands_in = None, None
        if data.get("visible") is not None:
            visible, stands_in = parse_visible(data["visible"], TEMPLATES)
        if stands_in is not None:
            if texts["field"] not in (None, stands_in):
                raise _invalid("field and visible.field: one of them")
            texts["field"] = stands_in
        return cls(
            **texts,
            certify=certify,
            visible=visible,
            metadata={**({"doc_number": number} if number else {}), **metadata},
            number=number,
            date=_text(data, "date"),
            capacity=capacity(data.get("capacity")),
            commitment=commitment,
        )


@dataclass(frozen=True, slots=True)
class TrustInput:
    """Trust and evidence that a caller adds for one call (DER octets); `offline` obtains nothing but timestamps."""

    trust_anchors: tuple[bytes, ...] = ()
    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    offline: bool = False


@dataclass(frozen=True, slots=True)
class SignResult:
    """A file that was written and checked.

    `level` is what the file has, as our own verifier names it (B-B: as written and checked).  `report` is the
    verifier's report; at B-B, where only some files go through it, mostly None.
    """

    level: str
    field: str | None
    signed_at: datetime | None
    sha256: str
    size: int
    certificate: Certificate | None = None
    chain: tuple[Certificate, ...] = ()
    best_signature_time: datetime | None = None
    tsa: str | None = None
    warnings: tuple[Finding, ...] = ()
    report: dict[str, Any] | None = None
    format: str = "PAdES"
    media_type: str = "application/pdf"


def _invalid(reason: str) -> RequestError:
    return RequestError("invalid_request", reason=reason)


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT or any(ord(c) < 32 and c not in "\t\n" for c in value):
        raise _invalid(f"{key}: a text of at most {MAX_TEXT} characters")
    return value


def capacity(value: Any) -> tuple[str, ...]:
    """The lines of `SignParams.capacity`, given as a list or as one text.  Raises `RequestError`."""
    lines = tuple(value) if isinstance(value, list | tuple) else () if value is None else (value,)
    if len(lines) > MAX_CAPACITY or not all(
        isinstance(line, str) and len(line) <= MAX_TEXT and _CAPACITY.fullmatch(line) for line in lines
    ):
        raise _invalid(f"capacity: at most {MAX_CAPACITY} lines that begin with TM., KT., TL., TUQ. or Q.")
    return lines
