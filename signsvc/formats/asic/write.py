"""Making ASiC containers with XAdES signatures, and adding signatures to them, in two steps (EN 319 162-1 §4.3, §4.4).

A container starts with its mimetype entry, then come the files in the order given; the same files give the same octets
around the signature.  Entries that stand in a container keep their octets when a signature is added.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from signsvc.errors import DocumentError, RequestError
from signsvc.formats.asic import layout as layouts
from signsvc.formats.asic.files import EntryFile
from signsvc.formats.asic.layout import MANIFEST, MEDIA_TYPE_E, MEDIA_TYPE_S, Kind
from signsvc.formats.asic.manifest import NAMESPACE
from signsvc.formats.asic.with_xades import MAX_OCTETS
from signsvc.formats.xades import write as xades
from signsvc.formats.xades.elements import ProductionPlace
from signsvc.formats.xades.write import Packaging, XmlPlan, XmlSpec
from signsvc.formats.zip import Container, Entry, File, build, open_container, rewritten
from signsvc.types import Original

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_EMPTY = _DECLARATION + f'<asic:XAdESSignatures xmlns:asic="{NAMESPACE}"></asic:XAdESSignatures>'.encode()
_OPEN_DOCUMENT = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class AsicSpec:
    """What kind of container, and what the signer says of the files.

    `media_types` are those of the files, in their order; `digest` is hashlib's name of the references' digest (None:
    that of the signature algorithm).
    """

    kind: Kind = Kind.E
    media_types: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    commitments: tuple[str, ...] = ()
    place: ProductionPlace | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A container that waits for its signature value.  `octets` (canonical SignedInfo) are what is signed.

    `base` is the container as it stands, `entry` the name of the signature file that is written or replaced in it.
    """

    inner: xades.Prepared
    base: bytes
    entry: str

    @property
    def octets(self) -> bytes:
        return self.inner.octets

    @property
    def signature_id(self) -> str:
        return self.inner.signature_id

    @property
    def file(self) -> bytes:
        """The container with a signature whose value is empty."""
        return _placed(self.base, self.entry, self.inner.file)

    def to_json(self) -> dict[str, Any]:
        """Everything as values of JSON, for a session that is kept."""
        return {"inner": self.inner.to_json(), "base": base64.b64encode(self.base).decode(), "entry": self.entry}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Prepared:
        """What `to_json` gave."""
        return cls(xades.Prepared.from_json(kept["inner"]), base64.b64decode(kept["base"]), kept["entry"])


def prepare(files: Sequence[Original], plan: XmlPlan, spec: AsicSpec | None = None) -> Prepared:
    """A new container of `files` with one signature over all of them, ready but for its value.

    Raises `RequestError` (``invalid_request``) where files have no content, there are none, or more than one for an
    ASiC-S; `DocumentError` for names that are not safe, are the same, or belong to the container, and for too much;
    `ValueError` for an algorithm without XML identifier.
    """
    spec = spec or AsicSpec()
    if not files or len(spec.media_types) > len(files) or any(file.data is None for file in files):
        raise RequestError("invalid_request", reason="packaging")
    if spec.kind is Kind.S and (len(files) != 1 or "/" in files[0].name):
        raise RequestError("invalid_request", reason="packaging")
    for file in files:
        if file.name.partition("/")[0].casefold() in ("meta-inf", "mimetype") or file.name.endswith("/"):
            raise DocumentError("container_name_unsafe")
    types = [*spec.media_types, *([""] * (len(files) - len(spec.media_types)))]
    media_type = MEDIA_TYPE_S if spec.kind is Kind.S else MEDIA_TYPE_E
    held = [File("mimetype", media_type.encode(), stored=True), *(File(f.name, f.data or b"") for f in files)]
    if spec.kind is Kind.E:
        held.append(File(MANIFEST, _manifest(media_type, [f.name for f in files], types)))
    base = build(held)
    open_container(base)  # whatever we would not open again is not made
    entry = "META-INF/signatures.xml" if spec.kind is Kind.S else "META-INF/signatures001.xml"
    return Prepared(_signature(_EMPTY, files, types, plan, spec), base, entry)


def prepare_further(data: bytes, plan: XmlPlan, spec: AsicSpec | None = None) -> Prepared:
    """A further signature over all data files of the container in `data`; its kind stays.

    `spec.media_types` are those of the data files in the order of the container; where there are none, those of its
    manifest.  Raises `DocumentError` as `read` does, and ``container_not_extendable`` where other signatures than
    XAdES stand there or the one file of an ASiC-S does not.
    """
    spec = spec or AsicSpec()
    container = open_container(data)
    found = extendable(container)
    if not found.data or (found.kind is Kind.S and (len(found.data) != 1 or len(found.xades) > 1)):
        raise DocumentError("container_not_extendable")
    if len(spec.media_types) > len(found.data):
        raise RequestError("invalid_request", reason="packaging")
    known = _media_types(container)
    types = [*spec.media_types, *(known.get(entry.name, "") for entry in found.data[len(spec.media_types) :])]
    files = [EntryFile(container, entry) for entry in found.data]
    existing: Entry | None = found.xades[0] if found.kind is Kind.S and found.xades else None
    inside = _EMPTY if existing is None else container.read(existing, MAX_OCTETS)
    name = existing.name if existing is not None else _free(container, found.kind)
    return Prepared(_signature(inside, files, types, plan, spec), bytes(data), name)


def complete(prepared: Prepared, value: bytes) -> bytes:
    """The signed container.  `value` is what the key gives; raises as `xades.write.complete`."""
    return _placed(prepared.base, prepared.entry, xades.complete(prepared.inner, value))


def extendable(container: Container) -> layouts.Layout:
    """The entries of a container whose signatures are XAdES alone.  Raises `DocumentError`
    ``container_not_extendable`` for others."""
    found = layouts.of(container)
    if found.cades or found.tokens:
        raise DocumentError("container_not_extendable")
    return found


def _signature(
    document: bytes, files: Sequence[Original], types: Sequence[str], plan: XmlPlan, spec: AsicSpec
) -> xades.Prepared:
    inner = XmlSpec(
        packaging=Packaging.DETACHED,
        files=tuple(files),
        media_types=tuple(one or _OCTETS for one in types),
        roles=spec.roles,
        commitments=spec.commitments,
        place=spec.place,
        digest=spec.digest,
    )
    return xades.prepare(document, plan, inner)


def _placed(base: bytes, name: str, octets: bytes) -> bytes:
    container = open_container(base)
    if container.find(name) is not None:
        return rewritten(container, {name: octets})
    return rewritten(container, {}, [File(name, octets)])


def _free(container: Container, kind: Kind) -> str:
    """A name for one more signature file."""
    if kind is Kind.S:
        return "META-INF/signatures.xml"
    taken = {entry.name.casefold() for entry in container.entries}
    number = 1
    while f"meta-inf/signatures{number:03d}.xml" in taken:
        number += 1
    return f"META-INF/signatures{number:03d}.xml"


def _manifest(media_type: str, names: Sequence[str], types: Sequence[str]) -> bytes:
    """META-INF/manifest.xml as OpenDocument has it (part 3 §3)."""
    rows = [("/", media_type), *((name, kind or _OCTETS) for name, kind in zip(names, types, strict=True))]
    entries = "".join(
        f"<manifest:file-entry manifest:full-path={quoteattr(name)} manifest:media-type={quoteattr(kind)}/>"
        for name, kind in rows
    )
    head = f'<manifest:manifest xmlns:manifest="{_OPEN_DOCUMENT}" manifest:version="1.2">'
    return _DECLARATION + f"{head}{entries}</manifest:manifest>".encode()


def _media_types(container: Container) -> dict[str, str]:
    """Media types by name as the manifest of the container says; none where it cannot be read."""
    from signsvc.formats import xmlsig

    entry = container.find(MANIFEST)
    if entry is None:
        return {}
    try:
        root = xmlsig.parse(container.read(entry, MAX_OCTETS)).root
    except DocumentError:
        return {}
    space = f"{{{_OPEN_DOCUMENT}}}"
    return {
        one.get(f"{space}full-path", ""): one.get(f"{space}media-type", "")[:100]
        for one in root.iter(f"{space}file-entry")
    }


__all__ = ["AsicSpec", "Kind", "Prepared", "complete", "prepare", "prepare_further"]
