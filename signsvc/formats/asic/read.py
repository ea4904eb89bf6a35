"""An ASiC container as a `DocumentView`: every signature and timestamp, and what each covers of the files."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from signsvc.errors import DocumentError
from signsvc.formats.asic import layout as layouts
from signsvc.formats.asic import with_xades
from signsvc.formats.asic.layout import Kind
from signsvc.formats.asic.with_cades import Reader
from signsvc.formats.zip import ZipLimits, open_container
from signsvc.formats.zip.structure import Buffer
from signsvc.types import DocumentView, Finding, SignatureView

MAX_SIGNATURES = 1_000


def read(data: Buffer, *, name: str | None = None, limits: ZipLimits | None = None) -> DocumentView:  # noqa: ARG001
    """Everything a container says about its signatures (EN 319 162-1); `name` is not needed.

    Never judges and never needs the network.  What is wrong with one signature is a finding of that signature; a
    signature file that cannot be read is a finding of the document.  Raises `DocumentError`: ``container_not_asic``
    for a ZIP file without signatures, and as `zip.open_container`.
    """
    container = open_container(data, limits)
    layout = layouts.of(container)
    reader = Reader(container, layout)
    findings = [*container.findings, *layout.findings]
    signatures = _xades(reader, findings)
    for number, entry in enumerate(layout.cades, 1):
        signatures += reader.signatures(entry, "signature" if number == 1 else f"signature{number}")
        _bounded(signatures)
    timestamps = reader.tokens()
    signatures = [reader.archived(view, timestamps) for view in signatures]
    if layout.kind is Kind.S and len(layout.root_files) != 1:
        findings.append(Finding.of("asic_s_files", count=len(layout.root_files)))
        signatures = [
            replace(view, findings=(*view.findings, Finding.of("asic_s_files", count=len(layout.root_files))))
            for view in signatures
        ]
    if not signatures and timestamps:
        seen = {name for view in layout.tokens for name in reader.bound(view, "").sound}
        findings += with_xades.uncovered([e.name for e in layout.data if e.name not in seen], "")
    return DocumentView(
        media_type=layout.media_type,
        size=len(data),
        sha256=hashlib.sha256(data).digest(),
        signatures=tuple(signatures),
        timestamps=tuple(timestamps),
        findings=(*findings, *reader.findings),
    )


def _xades(reader: Reader, findings: list[Finding]) -> list[SignatureView]:
    found: list[SignatureView] = []
    for number, entry in enumerate(reader.layout.xades, 1):
        try:
            made = with_xades.views(
                reader.container, entry, reader.layout.data, "sig" if number == 1 else f"sig{number}"
            )
        except DocumentError as error:
            if error.code in ("document_too_complex", "container_malformed"):
                raise
            findings.append(Finding.of("asic_signature_file_unreadable", name=entry.name[:200]))
            continue
        if not made:
            findings.append(Finding.of("asic_signature_file_empty", name=entry.name[:200]))
        reader.holds(entry, made)
        found += made
        _bounded(found)
    return found


def _bounded(signatures: list[SignatureView]) -> None:
    if len(signatures) > MAX_SIGNATURES:
        raise DocumentError("document_too_complex", limit="signatures")


__all__ = ["read"]
