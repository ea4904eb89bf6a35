"""What the entries of a container are: its kind, its data files, its signatures (EN 319 162-1 §4.3, §4.4, annex A)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from signsvc.errors import DocumentError
from signsvc.formats.zip import Container, Entry
from signsvc.formats.zip.limits import STORED
from signsvc.types import Finding

MEDIA_TYPE_S = "application/vnd.etsi.asic-s+zip"
MEDIA_TYPE_E = "application/vnd.etsi.asic-e+zip"
_MIMETYPE = "mimetype"
MANIFEST = "META-INF/manifest.xml"
MAX_SIGNATURE_FILES = 200
MAX_SIGNATURE_OCTETS = 64 << 20  # of all files that hold signatures, tokens and manifests: they are read as a whole

_XADES = re.compile(r"META-INF/[^/]*signatures[^/]*\.xml")
_CADES = re.compile(r"META-INF/[^/]*signature[^/]*\.p7[sm]")
_TOKEN = re.compile(r"META-INF/[^/]*timestamp[^/]*\.tst")
_LISTS = re.compile(r"META-INF/[^/]*ASiC(Archive)?Manifest[^/]*\.xml")
_EVIDENCE_RECORD = re.compile(r"META-INF/[^/]*evidencerecord[^/]*\.(ers|xml)")


class Kind(StrEnum):
    """ASiC-S holds one data file, ASiC-E any number."""

    S = "asic-s"
    E = "asic-e"


@dataclass(slots=True)
class Layout:
    """The entries by what they are for, in the order of the container; folders are left out."""

    kind: Kind
    data: list[Entry] = field(default_factory=list)
    xades: list[Entry] = field(default_factory=list)
    cades: list[Entry] = field(default_factory=list)
    tokens: list[Entry] = field(default_factory=list)
    manifests: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def media_type(self) -> str:
        return MEDIA_TYPE_S if self.kind is Kind.S else MEDIA_TYPE_E

    @property
    def root_files(self) -> list[Entry]:
        return [entry for entry in self.data if "/" not in entry.name]


def of(container: Container) -> Layout:
    """Sort the entries of a container.

    What its mimetype entry is short of is a finding.  Raises `DocumentError` ``container_not_asic`` where neither that
    entry nor a file beside the data says that this is one, ``document_too_complex`` for too many signature files.
    """
    made = Layout(Kind.E)
    said: str | None = None
    for place, entry in enumerate(container.entries):
        if entry.is_folder:
            continue
        if entry.name == _MIMETYPE:
            said = _said(container, entry, place, made.findings)
        elif not entry.name.startswith("META-INF/"):
            made.data.append(entry)
        elif _LISTS.fullmatch(entry.name):
            made.manifests.append(entry)
        elif _XADES.fullmatch(entry.name):
            made.xades.append(entry)
        elif _CADES.fullmatch(entry.name):
            made.cades.append(entry)
        elif _TOKEN.fullmatch(entry.name):
            made.tokens.append(entry)
        elif _EVIDENCE_RECORD.fullmatch(entry.name):
            made.findings.append(Finding.of("asic_evidence_record_not_used", name=entry.name[:200]))
    signed = len(made.xades) + len(made.cades) + len(made.tokens)
    if said is None and not signed:
        raise DocumentError("container_not_asic")
    held = (*made.xades, *made.cades, *made.tokens, *made.manifests)
    if len(held) > MAX_SIGNATURE_FILES or sum(entry.size for entry in held) > MAX_SIGNATURE_OCTETS:
        raise DocumentError("document_too_complex", limit="signatures")
    if container.find(_MIMETYPE) is None:
        made.findings.insert(0, Finding.of("asic_mimetype_missing"))
    if said == MEDIA_TYPE_S or (said != MEDIA_TYPE_E and _looks_simple(container, made)):
        made.kind = Kind.S
    return made


def _said(container: Container, entry: Entry, place: int, findings: list[Finding]) -> str | None:
    """The media type that the mimetype entry names; None where it names neither kind."""
    if entry.size > 200:
        written = b""
    else:
        written = container.read(entry)
    exact = written.decode("ascii", "replace")
    found = exact.strip().removeprefix("mimetype=")
    if found not in (MEDIA_TYPE_S, MEDIA_TYPE_E):
        findings.append(Finding.of("asic_mimetype_unknown"))
        return None
    if exact != found:
        findings.append(Finding.of("asic_mimetype_inexact"))
    if place or entry.start or entry.method != STORED or entry.extra:
        findings.append(Finding.of("asic_mimetype_place"))
    return found


def _looks_simple(container: Container, made: Layout) -> bool:
    """Whether a container without a telling mimetype is an ASiC-S: one file and one signature file of its names."""
    names = {entry.name.removeprefix("META-INF/") for entry in (*made.xades, *made.cades, *made.tokens)}
    simple = {"signatures.xml", "signature.p7s", "timestamp.tst"}
    return len(made.data) == 1 and names <= simple and not made.manifests and container.find(MANIFEST) is None


__all__ = ["MANIFEST", "MEDIA_TYPE_E", "MEDIA_TYPE_S", "Kind", "Layout", "of"]
