"""A trusted list made into a trust profile: its services become anchors with the periods in which they were trusted.

The profile is a TOML file among the site's own, so that policies can name it and people can read it; it pins every
certificate that the list names.  Issuing services (``CA/QC``) become anchors, timestamp services (``TSA/QTST``)
anchors for timestamps alone, and responders (``Certstatus/OCSP``) certificates that are known without being trusted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from signsvc.errors import RequestError, TrustError
from signsvc.trust import profile as profiles
from signsvc.trust.profile import ANCHOR, INTERMEDIATE, TIMESTAMP, normalize_fingerprint
from signsvc.trust.store import Installed, TrustStore
from signsvc.trust.trusted_list import ListedService, Span, TrustedList, read, united
from signsvc.types import Certificate

# Service types and what becomes of their certificates: kind of the entry, use of an anchor.
TYPES = {
    "CA/QC": (ANCHOR, ""),
    "TSA/QTST": (ANCHOR, TIMESTAMP),
    "Certstatus/OCSP": (INTERMEDIATE, ""),
    "Certstatus/OCSP/QC": (INTERMEDIATE, ""),
}
# Taken where the caller asks for them: services that the list names without calling them qualified.
FURTHER = {"CA/PKC": (ANCHOR, ""), "TSA": (ANCHOR, TIMESTAMP), "TSA/TSS-QC": (ANCHOR, TIMESTAMP)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate of a list as the profile will name it."""

    certificate: Certificate
    kind: str
    use: str
    service: ListedService
    since: datetime | None = None
    sunset: datetime | None = None
    earlier: int = 0  # periods before the last one: not trusted


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    profile: str
    found: TrustedList
    sha256: str
    entries: tuple[Entry, ...]
    installed: tuple[Installed, ...]
    skipped: dict[str, int]  # services by type that were not taken

    def outdated(self, now: datetime) -> bool:
        """Whether the list should have been replaced by now."""
        return self.found.next_update is not None and self.found.next_update < now


def install(
    store: TrustStore,
    data: bytes,
    *,
    confirm: str | None,
    source: str,
    now: datetime,
    profile: str | None = None,
    also: Iterable[str] = (),
) -> Imported:
    """Make the list in `data` a trust profile of `store`, in the place of an older issue of the same list.

    `confirm` is the SHA-256 of the file, compared before anything in it is read: the list's own signature is not
    checked.  `source` is where the file came from, shown to people; `also` names service types of `FURTHER`.  Raises
    `TrustError` (``trust_list_not_confirmed``), `RequestError` where it is no list, names no service or is older than
    the installed one, `ConfigError` where the directory cannot be written.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        confirmed = normalize_fingerprint(confirm or "")
    except ValueError:
        confirmed = ""
    if confirmed != sha256:
        raise TrustError("trust_list_not_confirmed", sha256=sha256)
    found = read(data)
    types = TYPES | {name: FURTHER[name] for name in also if name in FURTHER}
    entries = tuple(entries_of(found, types))
    if not entries:
        raise RequestError(reason="the list names no service that could be trusted")
    name = profile or "tl-" + ("".join(c for c in found.territory.lower() if c.isalnum() and c.isascii()) or "list")
    if not profiles.may_be_id(name):
        raise RequestError(reason="the id of a trust profile is lower-case letters, digits and hyphens")
    _refuse_others(store, name, found.sequence)
    text = _text(name, found, entries, sha256=sha256, source=source, now=now)
    installed = store.replace_listed(text, [entry.certificate for entry in entries], now)
    skipped: dict[str, int] = {}
    for service in found.services:
        if service.type not in types:
            skipped[service.type] = skipped.get(service.type, 0) + 1
    return Imported(name, found, sha256, entries, installed, skipped)


def _refuse_others(store: TrustStore, name: str, sequence: int) -> None:
    if name in profiles.load_all():
        raise RequestError(reason="the built-in trust profiles are not replaced by a list; name another with --profile")
    known = next((p for p in store.profiles() if p.id == name), None)
    if known is None:
        return
    if not known.source:
        raise RequestError(reason="a trust profile of this name was not made from a list; name another with --profile")
    if sequence < int(known.source.get("sequence", 0)):
        raise RequestError(reason="an older issue than the installed one; remove that first")


def entries_of(found: TrustedList, types: dict[str, tuple[str, str]]) -> Iterator[Entry]:
    """The certificates of the services of `types`, each once: what an issuing service says counts before the rest.

    Services that were never relied on are left out.
    """
    services: dict[Certificate, list[ListedService]] = {}
    for service in found.services:
        if service.type in types and service.spans:
            for certificate in service.certificates:
                services.setdefault(certificate, []).append(service)
    order = list(types)
    for certificate, named in services.items():
        first = min(named, key=lambda service: order.index(service.type))
        kind, use = types[first.type]
        spans: tuple[Span, ...] = united(
            span for service in named if types[service.type] == (kind, use) for span in service.spans
        )
        since, sunset = spans[-1]
        if kind == ANCHOR:
            yield Entry(certificate, kind, use, first, since, sunset, len(spans) - 1)
        else:
            yield Entry(certificate, kind, use, first)


def _text(name: str, found: TrustedList, entries: Iterable[Entry], *, sha256: str, source: str, now: datetime) -> str:
    """The profile as TOML."""
    title = f"{found.scheme or found.operator or found.territory} ({found.territory} {found.sequence})"
    lines = [
        "# Made from a trusted list (ETSI TS 119 612) by `signsvc trust import-list`.  The list's signature was not",
        "# checked; its SHA-256 fingerprint was confirmed by the operator.",
        f"id = {_quoted(name)}",
        f'version = "{found.sequence}"',
        f"vi = {_quoted('Danh sách tin cậy: ' + title)}",
        f"en = {_quoted('Trusted list: ' + title)}",
        "",
        "[source]",
        f"list = {_quoted(source)}",
        f'sha256 = "{sha256}"',
        f"sequence = {found.sequence}",
        f"territory = {_quoted(found.territory)}",
        f"operator = {_quoted(found.operator)}",
        f"issued = {found.issued.isoformat()}",
        *([f"next_update = {found.next_update.isoformat()}"] if found.next_update else []),
        f"imported = {now.isoformat(timespec='seconds')}",
        'signature = "not checked"',
    ]
    for number, entry in enumerate(entries, 1):
        service = entry.service
        lines += [
            "",
            "[[certificate]]",
            f'id = "s{number}"',
            f'kind = "{entry.kind}"',
            f'sha256 = "{entry.certificate.sha256.hex()}"',
            f'service = "{service.type}"',
            f"note = {_quoted(f'{service.provider}: {service.name} ({service.status})')}",
        ]
        if entry.use:
            lines.append(f'use = "{entry.use}"')
        for key, moment in (("since", entry.since), ("sunset", entry.sunset)):
            if moment is not None:
                lines.append(f"{key} = {moment.isoformat()}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string; texts of a list hold no characters that control anything."""
    kept = "".join(c for c in text if c.isprintable())
    return json.dumps(kept, ensure_ascii=False)
