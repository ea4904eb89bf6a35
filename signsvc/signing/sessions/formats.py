"""The formats that can be signed in two steps, and what has to be known between the steps.

A format is a module with two functions, `prepare` and `complete`, which run in a signing worker; everything that the
second has to know of the first is a `Prepared`.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from signsvc.signing.files.formats import kind_of
from signsvc.signing.profiles import Profile

if TYPE_CHECKING:
    from pathlib import Path

    from signsvc.signing.model import SignResult
    from signsvc.signing.service import SigningService


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that waits for its signature value.

    `attributes` is what is signed (DER), `place` says where the value goes in the format's own words, `embedded` are
    the certificates that go with the signer's (DER), `revisions` counts those of the file before, `params` are the
    caller's wishes with the profile's own, and `warnings` what was noted (`signing.wire` has the forms of both).
    """

    attributes: bytes
    signed_at: datetime
    field: str | None
    embedded: tuple[bytes, ...]
    revisions: int
    base_size: int
    place: Mapping[str, Any]
    params: Mapping[str, Any]
    warnings: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": base64.b64encode(self.attributes).decode("ascii"),
            "signed_at": self.signed_at.isoformat(),
            "field": self.field,
            "embedded": [base64.b64encode(der).decode("ascii") for der in self.embedded],
            "revisions": self.revisions,
            "base_size": self.base_size,
            "place": dict(self.place),
            "params": dict(self.params),
            "warnings": [dict(one) for one in self.warnings],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prepared:
        """Raises `KeyError`, `TypeError`, `ValueError` where it is none."""
        if not isinstance(data["place"], Mapping) or not isinstance(data["params"], Mapping):
            raise TypeError
        if not isinstance(data["field"], str | None):
            raise TypeError
        return cls(
            attributes=base64.b64decode(data["attributes"], validate=True),
            signed_at=datetime.fromisoformat(data["signed_at"]),
            field=data["field"],
            embedded=tuple(base64.b64decode(text, validate=True) for text in data["embedded"]),
            revisions=int(data["revisions"]),
            base_size=int(data["base_size"]),
            place=data["place"],
            params=data["params"],
            warnings=tuple(data["warnings"]),
        )


class _Format(NamedTuple):
    module: str
    media_type: str


_PADES, _FILES = "signsvc.signing.sessions.pades", "signsvc.signing.sessions.files"


def media_type(profile: Profile) -> str:
    """What the signed documents of a profile are.  Raises `RequestError` (invalid_request) for a packaging that its
    format has not."""
    return _of(profile).media_type


def prepare(service: SigningService, source: Path, target: Path, *, profile: Profile, **options: Any) -> Prepared:
    """Write to `target` the document at `source` with everything of a signature but its value; see the format's
    module."""
    found: Prepared = importlib.import_module(_of(profile).module).prepare(
        service, source, target, profile=profile, **options
    )
    return found


def complete(service: SigningService, source: Path, target: Path, *, profile: Profile, **options: Any) -> SignResult:
    """Write to `target` the prepared document at `source` with its value, completed and checked; see the format's
    module."""
    found: SignResult = importlib.import_module(_of(profile).module).complete(
        service, source, target, profile=profile, **options
    )
    return found


def _of(profile: Profile) -> _Format:
    kind = kind_of(profile)
    return _Format(_PADES if kind.format == "pades" else _FILES, kind.media_type)
