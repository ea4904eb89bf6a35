"""Raising the XAdES signatures of a container; every other entry keeps its octets (EN 319 162-1 §4.3.4, §4.4.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from signsvc.errors import DocumentError, RequestError
from signsvc.formats import xmlsig
from signsvc.formats.asic.files import resolver
from signsvc.formats.asic.with_xades import MAX_OCTETS
from signsvc.formats.asic.write import extendable
from signsvc.formats.xades import extend
from signsvc.formats.xades.extend import Stamp
from signsvc.formats.zip import Container, open_container, rewritten
from signsvc.types import EvidenceItem


def signature_timestamp(data: bytes, stamp: Stamp, *, signature_id: str | None = None, digest: str = "sha256") -> bytes:
    """The container with a timestamp over the signature with this XML Id; None: over each that has none yet.

    Raises as `xades.extend.signature_timestamp` and `zip.open_container`, and `DocumentError`
    ``container_not_extendable`` for a container with other signatures than XAdES.
    """
    return _each(
        data,
        signature_id,
        lambda container, octets: extend.signature_timestamp(
            octets, stamp, signature_id=signature_id, resolver=resolver(container), digest=digest
        ),
    )


def validation_data(data: bytes, evidence: Sequence[EvidenceItem], *, signature_id: str | None = None) -> bytes:
    """The container with certificates, lists and answers of `evidence` that its signatures lack; raises as
    `signature_timestamp`."""
    return _each(
        data,
        signature_id,
        lambda container, octets: extend.validation_data(
            octets, evidence, signature_id=signature_id, resolver=resolver(container)
        ),
    )


def archive_timestamp(data: bytes, stamp: Stamp, *, signature_id: str | None = None, digest: str = "sha256") -> bytes:
    """The container with an archive timestamp over the signature with this XML Id, None: over each; raises as
    `signature_timestamp`."""
    return _each(
        data,
        signature_id,
        lambda container, octets: extend.archive_timestamp(
            octets, stamp, signature_id=signature_id, resolver=resolver(container), digest=digest
        ),
    )


def _each(data: bytes, signature_id: str | None, raised: Callable[[Container, bytes], bytes]) -> bytes:
    """Change the signature files that hold the signature, or all of them."""
    container = open_container(data)
    found = extendable(container)
    if not found.xades:
        raise DocumentError("container_not_extendable")
    replaced: dict[str, bytes] = {}
    seen = 0
    for entry in found.xades:
        octets = container.read(entry, MAX_OCTETS)
        signatures = xmlsig.parse(octets).signatures
        if signature_id is None and not signatures:
            continue
        if signature_id is not None and all(one.get("Id") != signature_id for one in signatures):
            continue
        seen += 1
        made = raised(container, octets)
        if made != octets:
            replaced[entry.name] = made
    if signature_id is not None and seen != 1:
        raise RequestError("xml_element_not_found")
    return rewritten(container, replaced) if replaced else bytes(data)


__all__ = ["Stamp", "archive_timestamp", "signature_timestamp", "validation_data"]
