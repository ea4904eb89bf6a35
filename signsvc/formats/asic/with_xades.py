"""Signature files of XAdES in a container (EN 319 162-1 §4.3.3.2, §4.4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from signsvc.formats import xades, xmlsig
from signsvc.formats.asic import manifest
from signsvc.formats.asic.files import entry_of, resolver
from signsvc.formats.xades import nodes
from signsvc.formats.zip import Container, Entry
from signsvc.types import Covered, Finding, Scope, SignatureView

ROOT = f"{{{manifest.NAMESPACE}}}XAdESSignatures"
MAX_OCTETS = 64 << 20


def views(container: Container, entry: Entry, data: Sequence[Entry], prefix: str) -> list[SignatureView]:
    """The signatures of one file, each with what it covers of the `data` files.  Raises `DocumentError` for no XML."""
    document = xmlsig.parse(container.read(entry, MAX_OCTETS))
    found = xades.views(document, resolver=resolver(container), prefix=prefix)
    noted: list[Finding] = []
    if document.root.tag != ROOT:
        noted.append(Finding.of("asic_signatures_root"))
    return [
        _covering(container, replace(view, findings=(*view.findings, *noted)), element, data)
        for view, element in zip(found, document.signatures, strict=False)
    ]


def _covering(container: Container, view: SignatureView, element: Any, data: Sequence[Entry]) -> SignatureView:
    """The view with what it covers of the container said."""
    findings: list[Finding] = []
    digests = {reference.get("URI", ""): nodes.digest(reference) for reference in _references(element)}
    sound: set[str] = set()
    for one in view.covered:
        if one.kind != "file" or one.uri is None:
            continue
        held = entry_of(container, one.uri)
        if one.matches and held is not None:
            sound.add(held.name)
        elif len(findings) >= manifest.MAX_NAMED:
            continue  # the signature fails as it is
        elif held is not None and one.matches is False:
            findings.append(Finding.of("asic_file_altered", subject=view.id, name=held.name[:200]))
        elif held is None:
            findings.append(Finding.of("asic_file_missing", subject=view.id, name=one.name[:200]))
            if (digest := digests.get(one.uri)) is not None:
                findings += manifest.renamed(container, *digest, one.name[:200], view.id)
    return with_coverage(view, view.covered, sound, data, findings)


def with_coverage(
    view: SignatureView, covered: Sequence[Covered], sound: set[str], data: Sequence[Entry], findings: list[Finding]
) -> SignatureView:
    """The view with the data files that it does not cover; `sound` are the names of those that it does."""
    touched = sound | {one.name for one in covered}
    left = [entry.name for entry in data if entry.name not in touched]
    findings += uncovered(left, view.id)
    broken = any(f.code in ("asic_file_altered", "asic_file_missing") for f in findings)
    intact = view.signer is not None and view.signer.digest_matches is True
    if data and intact and not broken and not any(entry.name in sound for entry in data):
        findings.append(Finding.of("asic_nothing_covered", subject=view.id))
    full = bool(data) and all(entry.name in sound for entry in data)
    return replace(
        view,
        covered=tuple(covered),
        scope=Scope("FULL" if full else "PARTIAL", None, None),
        findings=(*view.findings, *findings),
    )


def uncovered(names: Sequence[str], subject: str) -> list[Finding]:
    """A finding for each file that is left out, up to a number, then how many more there are."""
    found = [
        Finding.of("asic_file_uncovered", subject=subject, name=name[:200]) for name in names[: manifest.MAX_NAMED]
    ]
    if len(names) > manifest.MAX_NAMED:
        found.append(Finding.of("asic_files_uncovered", subject=subject, count=len(names) - manifest.MAX_NAMED))
    return found


def _references(element: Any) -> list[Any]:
    info = nodes.first(element, "SignedInfo")
    return [] if info is None else list(nodes.named(info, "Reference"))


__all__ = ["MAX_OCTETS", "ROOT", "uncovered", "views", "with_coverage"]
