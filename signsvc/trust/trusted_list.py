"""Trusted lists (ETSI TS 119 612, formats 5 and 6) read into the services that they name.

The reader is strict about what it takes: only elements at their own place count, so that certificates in extensions,
in pointers to other lists or in the signature are never taken for services.  Expat reads; a document type declaration
or an entity ends the reading before anything of it is used.  The signature of the list is not checked here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from signsvc.asn1 import DerError
from signsvc.errors import RequestError
from signsvc.types import Certificate

MAX_FILE = 16 * 1024 * 1024
MAX_ELEMENTS = 400_000
MAX_DEPTH = 64
MAX_CERTIFICATES = 5_000
_MAX_TEXT = 256 * 1024
FORMATS = ("5", "6")
# The second name stands in drafts and in some lists of format 6.
NAMESPACES = ("http://uri.etsi.org/02231/v2#", "http://uri.etsi.org/19612/v2.4.1#")
_TYPE = re.compile(r"https?://uri\.etsi\.org/TrstSvc/Svctype/([A-Za-z0-9/_-]{1,80})")
_STATUS = re.compile(r"https?://uri\.etsi\.org/TrstSvc/(?:[A-Za-z0-9#_-]+/)*Svcstatus/([A-Za-z]{1,60})")
# Under these a service is relied on; those of before July 2016 stand in histories.
ACTIVE = frozenset(
    (
        "granted",
        "recognisedatnationallevel",
        "setbynationallaw",
        "undersupervision",
        "supervisionincessation",
        "accredited",
    )
)

Span = tuple[datetime, datetime | None]  # from, to (None: still)


@dataclass(frozen=True, slots=True)
class ListedService:
    """One service: its type and status by their short names (``CA/QC``, ``granted``), and when it was relied on."""

    provider: str
    name: str
    type: str
    status: str
    certificates: tuple[Certificate, ...]
    spans: tuple[Span, ...]  # in order; neighbours that touch are one


@dataclass(frozen=True, slots=True)
class TrustedList:
    """What a list says of itself, and its services in their order."""

    format: str
    sequence: int
    territory: str
    operator: str
    scheme: str
    issued: datetime
    next_update: datetime | None
    services: tuple[ListedService, ...]
    unreadable: int = 0  # certificates that could not be read


def read(data: bytes) -> TrustedList:
    """The list in an XML file's octets.  Raises `RequestError` (``invalid_request``) where it is none."""
    if len(data) > MAX_FILE:
        raise RequestError(reason="the list is too large")
    reader = _Reader()
    reader.run(data)
    return _Builder(reader.found).build()


class _MalformedError(Exception):
    """What a list may not hold."""


_Path = tuple[str, ...]
_ROOT = "TrustServiceStatusList"
_PROVIDER: _Path = ("TrustServiceProviderList", "TrustServiceProvider")
_SERVICE: _Path = (*_PROVIDER, "TSPServices", "TSPService")
_NOW: _Path = (*_SERVICE, "ServiceInformation")
_BEFORE: _Path = (*_SERVICE, "ServiceHistory", "ServiceHistoryInstance")
_SCHEME = "SchemeInformation"
_INSTANCE: Mapping[_Path, str] = {
    ("ServiceTypeIdentifier",): "type",
    ("ServiceName", "Name"): "name",
    ("ServiceDigitalIdentity", "DigitalId", "X509Certificate"): "certificate",
    ("ServiceStatus",): "status",
    ("StatusStartingTime",): "since",
}
_WANTED: Mapping[_Path, str] = {
    (_SCHEME, "TSLVersionIdentifier"): "format",
    (_SCHEME, "TSLSequenceNumber"): "sequence",
    (_SCHEME, "SchemeTerritory"): "territory",
    (_SCHEME, "SchemeOperatorName", "Name"): "operator",
    (_SCHEME, "SchemeName", "Name"): "scheme",
    (_SCHEME, "ListIssueDateTime"): "issued",
    (_SCHEME, "NextUpdate", "dateTime"): "next_update",
    (*_PROVIDER, "TSPInformation", "TSPName", "Name"): "provider",
    **{(*_NOW, *path): f"now.{name}" for path, name in _INSTANCE.items()},
    **{(*_BEFORE, *path): f"before.{name}" for path, name in _INSTANCE.items()},
}
_OPENING: Mapping[_Path, str] = {
    (_SCHEME,): "scheme",
    _PROVIDER: "provider",
    _SERVICE: "service",
    _NOW: "now",
    _BEFORE: "before",
}
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"


class _Reader:
    """Expat over the whole file; what is wanted is kept in order: (opened, path) and (text, name, language)."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []
        self._path: list[str] = []
        self._name: str | None = None
        self._language = ""
        self._text: list[str] = []
        self._length = 0
        self._elements = 0
        self._namespace = ""

    def run(self, data: bytes) -> None:
        from xml.parsers import expat

        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._refused
        parser.EntityDeclHandler = self._refused
        parser.ExternalEntityRefHandler = self._external
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        if data[:2] in (b"\xfe\xff", b"\xff\xfe"):
            raise RequestError(reason="a trusted list is UTF-8")
        try:
            parser.Parse(data, True)
        except _MalformedError as error:
            raise RequestError(reason=str(error)) from None
        except expat.ExpatError as error:
            raise RequestError(reason=f"line {error.lineno}: not well-formed XML") from None

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise _MalformedError("a trusted list is UTF-8")

    def _refused(self, *_: object) -> None:
        raise _MalformedError("a trusted list has no document type and no entities")

    def _external(self, *_: str | None) -> int:
        raise _MalformedError("a trusted list has no document type and no entities")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._path) >= MAX_DEPTH:
            raise _MalformedError("the list is too large")
        namespace, _, name = tag.rpartition(" ")
        if not self._path:
            if name != _ROOT or namespace not in NAMESPACES:
                raise _MalformedError("not a trusted list")
            self._namespace = namespace
        self._path.append(name if namespace == self._namespace else "")
        here = tuple(self._path[1:])
        if (opened := _OPENING.get(here)) is not None:
            self.found.append(("", opened, ""))
        self._name = _WANTED.get(here)
        self._language = attributes.get(_LANGUAGE, "")[:16].lower()
        self._text, self._length = [], 0

    def _end(self, _tag: str) -> None:
        if self._name is not None:
            self.found.append((self._name, "".join(self._text).strip(), self._language))
            self._name = None
        self._path.pop()

    def _characters(self, text: str) -> None:
        if self._name is not None:
            self._length += len(text)
            if self._length > _MAX_TEXT:
                raise _MalformedError("the list is too large")
            self._text.append(text)


@dataclass(slots=True)
class _Instance:
    """A service as it is, or as it was for a time."""

    once: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    certificates: list[str] = field(default_factory=list)


class _Builder:
    """From what was read, in its order, to the list."""

    def __init__(self, found: list[tuple[str, str, str]]) -> None:
        self._found = found
        self._once: dict[str, str] = {}
        self._names: dict[str, dict[str, str]] = {}
        self._unreadable = 0
        self._certificates: dict[str, Certificate | None] = {}

    def build(self) -> TrustedList:
        try:
            services = tuple(self._services())
            if "format" not in self._once or self._once["format"] not in FORMATS:
                raise _MalformedError("the format of the list is not known")
            if not re.fullmatch(r"\d{1,9}", self._once.get("sequence", "")):
                raise _MalformedError("the list has no number")
            after = self._once.get("next_update")
            return TrustedList(
                format=self._once["format"],
                sequence=int(self._once["sequence"]),
                territory=shown(self._once.get("territory", ""), 16),
                operator=_best(self._names.get("operator", {})),
                scheme=_best(self._names.get("scheme", {})),
                issued=_time(self._once.get("issued", "")),
                next_update=_time(after) if after else None,
                services=services,
                unreadable=self._unreadable,
            )
        except _MalformedError as error:
            raise RequestError(reason=str(error)) from None

    def _services(self) -> Iterator[ListedService]:
        provider: dict[str, str] = {}
        instances: list[_Instance] = []
        schemes = 0
        for name, value, language in self._found:
            part, _, member = name.partition(".")
            if not name:  # an element begins: what it is stands in `value`
                schemes += value == "scheme"
                if value in ("provider", "service"):
                    yield from self._service(provider, instances)
                    instances = []
                if value == "provider":
                    provider = {}
                elif value in ("now", "before"):
                    instances.append(_Instance())
                    if (value == "now") is not (len(instances) == 1):
                        raise _MalformedError("a service that is described twice or not at all")
            elif name == "provider":
                provider.setdefault(language, value)
            elif member == "name":
                instances[-1].names.setdefault(language, value)
            elif member == "certificate":
                instances[-1].certificates.append(value)
            elif member:
                _set(instances[-1].once, member, value)
            elif name in ("operator", "scheme"):
                self._names.setdefault(part, {}).setdefault(language, value)
            else:
                _set(self._once, name, value)
        if schemes != 1:
            raise _MalformedError("not a trusted list")
        yield from self._service(provider, instances)

    def _service(self, provider: dict[str, str], instances: list[_Instance]) -> Iterator[ListedService]:
        if not instances:
            return
        now = instances[0]
        kind = _TYPE.fullmatch(now.once.get("type", ""))
        if kind is None:
            return
        certificates = dict.fromkeys(
            certificate
            for instance in instances
            for text in instance.certificates
            if (certificate := self._certificate(text)) is not None
        )
        # A history names the service's type of its time: only times under the same type count.
        history = [(_time(i.once.get("since", "")), i) for i in instances if i.once.get("type") == now.once["type"]]
        status = _STATUS.fullmatch(now.once.get("status", ""))
        yield ListedService(
            provider=_best(provider),
            name=_best(now.names),
            type=kind[1],
            status=status[1] if status else "",
            certificates=tuple(certificates),
            spans=_spans(history),
        )

    def _certificate(self, text: str) -> Certificate | None:
        if text not in self._certificates:
            if len(self._certificates) >= MAX_CERTIFICATES:
                raise _MalformedError("the list is too large")
            try:
                found = Certificate.from_der(base64.b64decode("".join(text.split()), validate=True))
            except (DerError, IndexError, ValueError, binascii.Error):
                found = None
                self._unreadable += 1
            self._certificates[text] = found
        return self._certificates[text]


def _spans(history: list[tuple[datetime, _Instance]]) -> tuple[Span, ...]:
    """When the service had a status that is relied on; each status lasts until the next one begins."""
    found: list[Span] = []
    ordered = history[::-1]  # the present one last among equals
    ordered.sort(key=lambda entry: entry[0])
    for place, (since, instance) in enumerate(ordered):
        until = ordered[place + 1][0] if place + 1 < len(ordered) else None
        status = _STATUS.fullmatch(instance.once.get("status", ""))
        if status is None or status[1].lower() not in ACTIVE or since == until:
            continue
        if found and found[-1][1] == since:
            found[-1] = (found[-1][0], until)
        else:
            found.append((since, until))
    return tuple(found)


def united(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans of several services over one another, in order, those that touch as one."""
    found: list[Span] = []
    for since, until in sorted(spans, key=lambda span: span[0]):
        last = found[-1] if found else None
        if last is not None and (last[1] is None or since <= last[1]):
            ends = None if last[1] is None or until is None else max(last[1], until)
            found[-1] = (last[0], ends)
        else:
            found.append((since, until))
    return tuple(found)


def _set(values: dict[str, Any], name: str, value: str) -> None:
    if name in values:
        raise _MalformedError("an element that may stand once stands twice")
    values[name] = value


def _best(names: Mapping[str, str]) -> str:
    """The Vietnamese name, else the English one, else any."""
    for language in ("vi", "en"):
        if language in names:
            return shown(names[language])
    return shown(next(iter(names.values()), ""))


def shown(text: str, longest: int = 200) -> str:
    """Text of a list for people: one line, nothing that controls a terminal."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:longest]


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(text)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _MalformedError("a time of the list cannot be read") from None
