"""ASiCManifest files, which stand between a CAdES signature or timestamp and the files (EN 319 162-1 annex A.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signsvc.formats import xmlsig
from signsvc.formats.asic.files import entry_of
from signsvc.formats.xades import nodes
from signsvc.formats.zip import Container, Entry
from signsvc.types import Covered, Finding

NAMESPACE = "http://uri.etsi.org/02918/v1.2.1#"
MAX_LISTED = 5_000
MAX_NAMED = 20  # files named one by one in findings of one signature; the first is enough to fail
MAX_OCTETS = 16 << 20


@dataclass(frozen=True, slots=True)
class Listed:
    """One DataObjectReference."""

    uri: str
    digest_oid: str
    digest: bytes
    media_type: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One ASiCManifest: the entry it stands in, the signature or token over it, the files under it."""

    entry: Entry
    signature: str  # URI
    listed: tuple[Listed, ...]


def read(container: Container, entry: Entry) -> Manifest | None:
    """The manifest in an entry; None where it is malformed.  Raises `DocumentError` where it is no XML."""
    root = xmlsig.parse(container.read(entry, MAX_OCTETS)).root
    signature = _first(root, "SigReference")
    if root.tag != f"{{{NAMESPACE}}}ASiCManifest" or signature is None:
        return None
    listed: list[Listed] = []
    for holder in root:
        if holder.tag == f"{{{NAMESPACE}}}DataObjectReference":
            digest = nodes.digest(holder)
            if digest is None or not holder.get("URI") or len(listed) >= MAX_LISTED:
                return None
            listed.append(Listed(holder.get("URI"), *digest, (holder.get("MimeType") or "")[:100] or None))
    return Manifest(entry, signature.get("URI", ""), tuple(listed)) if listed else None


def _first(root: Any, name: str) -> Any:
    return next((child for child in root if child.tag == f"{{{NAMESPACE}}}{name}"), None)


def check(container: Container, manifest: Manifest, subject: str) -> tuple[list[Covered], list[Finding], set[str]]:
    """Hold the files to the digests listed: what is covered, what is wrong, and the names of entries that match."""
    covered: list[Covered] = []
    findings: list[Finding] = []
    sound: set[str] = set()
    for one in manifest.listed:
        entry = entry_of(container, one.uri)
        name = (entry.name if entry is not None else one.uri)[:200]
        matches: bool | None = None
        if entry is None:
            if len(findings) < MAX_NAMED:
                findings.append(Finding.of("asic_file_missing", subject=subject, name=name))
                findings += renamed(container, one.digest_oid, one.digest, name, subject)
        else:
            try:
                matches = container.digest(entry, one.digest_oid) == one.digest
            except ValueError:
                matches = False
            if matches:
                sound.add(entry.name)
            elif len(findings) < MAX_NAMED:
                findings.append(Finding.of("asic_file_altered", subject=subject, name=name))
        size = entry.size if entry is not None else None
        covered.append(Covered("file", name, matches, one.digest_oid, size, one.uri[:500], one.media_type, one.digest))
    return covered, findings, sound


def renamed(container: Container, oid: str, digest: bytes, was: str, subject: str) -> list[Finding]:
    """That a file which is missing stands in the container under another name."""
    for entry in container.entries:
        if entry.is_folder or entry.name.startswith("META-INF/") or not entry.size:
            continue
        try:
            if container.digest(entry, oid) == digest:
                return [Finding.of("asic_file_renamed", subject=subject, was=was, name=entry.name[:200])]
        except ValueError:
            break
    return []


__all__ = ["Listed", "Manifest", "check", "read", "renamed"]
