"""Trust profiles: named lists of authorities as TOML files, with fingerprints where they are known.

id = "cong-vu"
version = "2026.1"
vi = "…"
en = "…"
trial = false                      # true: a directory of roots may be installed unconfirmed, in trial mode

[host_map]
"ca.btc" = "ca.gov.vn"

[[certificate]]
id = "root-g2"
kind = "anchor"                    # or "intermediate"
subject = { CN = "…", O = "…" }    # attributes that the certificate must have
sha256 = "…"                       # absent: installable only by a fingerprint that the operator confirms
urls = ["http://…"]
since = 2010-01-01T00:00:00Z                 # anchors: not trusted before
sunset = 2030-01-01T00:00:00Z                # anchors: nothing new is proven from then on
use = "timestamp"                            # anchors: for timestamp authorities alone; absent: for everything
keeps_expired_since = 2015-01-01T00:00:00Z   # from when on the CA keeps expired certificates on its CRL

[[tsa]]
id = "vgca"
url = "http://…"

[source]                           # of a profile made from a trusted list, see `list_import`
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signsvc.errors import ConfigError
from signsvc.types import Certificate

ANCHOR = "anchor"
INTERMEDIATE = "intermediate"
TIMESTAMP = "timestamp"
_KEPT_MOST = 256
_ANY = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """One authority of a profile.  `sha256` is lower-case hex, or None where no fingerprint is known."""

    id: str
    kind: str
    subject: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    basis: str | None = None
    note: str | None = None
    sunset: datetime | None = None
    keeps_expired_since: datetime | None = None
    since: datetime | None = None
    use: str = ""
    service: str | None = None  # what the trusted list calls the service; its certificate is an anchor of any kind

    def matches_subject(self, certificate: Certificate) -> bool:
        """Whether every subject attribute of the entry stands in the certificate's subject."""
        return all(
            _fold(value) in {_fold(found) for found in certificate.subject_values(short)}
            for short, value in self.subject.items()
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """One trust profile as its file says it."""

    id: str
    version: str
    vi: str
    en: str
    trial: bool = False
    hosts: frozenset[str] = frozenset()
    host_map: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[ProfileEntry, ...] = ()
    tsas: tuple[tuple[str, str], ...] = ()  # (id, URL) of the authorities' own timestamp services
    source: Mapping[str, Any] = field(default_factory=dict)  # the trusted list that it was made from

    def pinned(self, sha256: str) -> ProfileEntry | None:
        """The entry whose pin is this fingerprint (lower-case hex)."""
        return next((entry for entry in self.entries if entry.sha256 == sha256), None)

    def named(self, certificate: Certificate) -> ProfileEntry | None:
        """The entry that names this certificate's subject; entries without subject name nobody."""
        return next((e for e in self.entries if e.subject and e.matches_subject(certificate)), None)


def parse(text: str, where: str) -> Profile:
    """A profile from its TOML text.  Raises `ConfigError` that names `where` and the wrong member."""
    try:
        data = tomllib.loads(text)
        entries = tuple(_entry(dict(table)) for table in data.pop("certificate", ()))
        if len({entry.id for entry in entries}) != len(entries):
            raise ValueError("certificate id twice")
        if not may_be_id(data["id"]):
            raise ValueError("id must be lower-case letters, digits and hyphens")
        source = data.get("source", {})
        if not isinstance(source.get("sequence", 0), int) or not _zoned(source.get("next_update", _ANY)):
            raise ValueError("source is not what an import writes")
        return Profile(
            entries=entries,
            tsas=tuple((str(table["id"]), str(table["url"])) for table in data.pop("tsa", ())),
            hosts=frozenset(str(name).lower() for name in data.pop("hosts", ())),
            host_map={str(k).lower(): str(v) for k, v in data.pop("host_map", {}).items()},
            **data,
        )
    except (tomllib.TOMLDecodeError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(reason=f"trust profile {where}: {error}") from None


def may_be_id(text: str) -> bool:
    """Whether a profile may bear this id: it becomes a folder's name, beside two that hold other things."""
    return bool(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", text)) and text not in ("profiles", "crls")


def load_all(directory: Path | None = None) -> Mapping[str, Profile]:
    """The built-in profiles by id, with the files of `directory` added or put in their place."""
    if directory is None or not directory.is_dir():
        return _builtin()
    found = dict(_builtin())
    for path in sorted(directory.glob("*.toml")):
        profile = _site(path)
        found[profile.id] = profile
    return found


_kept: dict[Path, tuple[tuple[int, int, int], Profile]] = {}


def _site(path: Path) -> Profile:
    """A site's file, read again when it has changed."""
    try:
        status = path.stat()
        mark = (status.st_mtime_ns, status.st_size, status.st_ino)
        kept = _kept.get(path)
        if kept is not None and kept[0] == mark:
            return kept[1]
        profile = parse(path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError):
        raise ConfigError(reason=f"trust profile {path.name}: cannot be read") from None
    if len(_kept) >= _KEPT_MOST:
        _kept.clear()
    _kept[path] = (mark, profile)
    return profile


@functools.cache
def _builtin() -> Mapping[str, Profile]:
    found: dict[str, Profile] = {}
    for path in sorted((Path(__file__).parent / "profiles").glob("*.toml")):
        profile = parse(path.read_text("utf-8"), path.name)
        found[profile.id] = profile
    return found


def normalize_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint as people write it (colons, blanks, any case) in lower-case hex.

    Raises `ValueError` where it is not 32 octets of hex.
    """
    folded = "".join(text.replace(":", "").split()).lower()
    if len(folded) != 64 or bytes.fromhex(folded).hex() != folded:
        raise ValueError("not a SHA-256 fingerprint")
    return folded


def _entry(table: dict[str, Any]) -> ProfileEntry:
    if table.get("kind") not in (ANCHOR, INTERMEDIATE):
        raise ValueError("kind must be anchor or intermediate")
    if "sha256" in table:
        table["sha256"] = normalize_fingerprint(table["sha256"])
    if table.get("use", "") not in ("", TIMESTAMP):
        raise ValueError("use must be timestamp")
    for name in ("since", "sunset", "keeps_expired_since"):
        if name in table:
            if not _zoned(table[name]):
                raise ValueError(f"{name} must be a date-time with a zone")
            table[name] = table[name].astimezone(UTC)
    table["urls"] = tuple(table.get("urls", ()))
    return ProfileEntry(**table)


def _zoned(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _fold(value: str) -> str:
    return " ".join(unicodedata.normalize("NFC", value).casefold().split())
