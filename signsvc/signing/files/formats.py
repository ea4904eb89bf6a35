"""The formats beside PDF, each with what differs between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from signsvc.errors import DocumentError, RequestError
from signsvc.types import EvidenceItem, Original

if TYPE_CHECKING:
    from signsvc.formats.cms.write import CmsPlan
    from signsvc.signing.model import SignParams
    from signsvc.signing.profiles import Profile

Stamp = Callable[[bytes, str], bytes]
# What only PDF signatures have.
# What XML signatures without XAdES do not say either.
_CLAIMS = ("location", "role", "capacity", "commitment")
PDF_ONLY = ("reason", "name", "contact", "field", "certify", "visible", "number", "date")


class Prepared(Protocol):
    """A file that waits for its value; `octets` are what is signed."""

    @property
    def octets(self) -> bytes: ...
    @property
    def signature_id(self) -> str: ...
    def to_json(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to sign: `media_type` and `ending` of the file that it makes.  `detached`: that file is not the document
    but stands beside it, and the document's name is needed where `named`; one signature may be over `several` files."""

    format: str
    packaging: str
    media_type: str
    ending: str | None  # None: the document's own
    detached: bool = False
    named: bool = False
    several: bool = False


_KINDS = {
    (kind.format, kind.packaging): kind
    for kind in (
        Kind("pades", "enveloped", "application/pdf", None),
        Kind("xades", "enveloped", "application/xml", None),
        Kind("xmldsig", "enveloped", "application/xml", None),
        Kind("edxml", "enveloped", "application/xml", None),
        Kind("xades", "enveloping", "application/xml", ".xades.xml"),
        Kind("xades", "detached", "application/xml", ".xades.xml", detached=True, named=True),
        Kind("cades", "detached", "application/pkcs7-signature", ".p7s", detached=True),
        Kind("cades", "enveloping", "application/pkcs7-mime", ".p7m"),
        Kind("asic-s-xades", "container", "application/vnd.etsi.asic-s+zip", ".asics", named=True),
        Kind("asic-e-xades", "container", "application/vnd.etsi.asic-e+zip", ".asice", named=True, several=True),
    )
}
PACKAGINGS = tuple(sorted({packaging for _, packaging in _KINDS}))
DEFAULTS = {
    "pades": "enveloped",
    "xades": "enveloped",
    "xmldsig": "enveloped",
    "edxml": "enveloped",
    "cades": "detached",
    "asic-s-xades": "container",
    "asic-e-xades": "container",
}


_OCTETS = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
# By the ending of a name, as the signer says it; workers may not read the system's table, and machines do not differ.
_MEDIA_TYPES = {
    "pdf": "application/pdf",
    "xml": "text/xml",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "odt": f"{_OPEN}.text",
    "ods": f"{_OPEN}.spreadsheet",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "zip": "application/zip",
}


def has(name: str, packaging: str | None) -> bool:
    """Whether a format has a packaging (None: its usual one)."""
    return name in DEFAULTS and (name, packaging or DEFAULTS[name]) in _KINDS


def kind_of(profile: Profile) -> Kind:
    """How a profile signs.  Raises `RequestError` (``invalid_request``) for a packaging that its format has not."""
    found = _KINDS.get((profile.format, profile.packaging or DEFAULTS[profile.format]))
    if found is None:
        raise RequestError("invalid_request", reason=f"packaging {profile.packaging} with {profile.format}")
    return found


def kind_of_file(head: bytes, size: int) -> Kind:
    """The kind of a signed file, for raising its level.  Raises `DocumentError` like `sniff.media_type`."""
    from signsvc.verification import sniff

    media_type = sniff.media_type(head, size)
    if media_type == sniff.PDF:
        return _KINDS["pades", "enveloped"]
    if media_type == sniff.XML:
        return _KINDS["xades", "enveloped"]
    if media_type == sniff.CMS:
        return _KINDS["cades", "detached"]
    return _KINDS["asic-e-xades", "container"]


def check(profile: Profile, params: SignParams) -> None:
    """Refuse what the format has no place for.  Raises `RequestError` (``invalid_request``)."""
    names = [name for name in PDF_ONLY if getattr(params, name) is not None]
    if profile.format == "xmldsig":
        names += [name for name in _CLAIMS if getattr(params, name)]
    if names and not (names == ["visible"] and profile.shown != "asked"):
        raise RequestError("invalid_request", reason=f"{names[0]}: not with {profile.format}")
    if kind_of(profile).named and not params.file_name:
        raise RequestError("parameter_missing", name="file_name")


def prepare(
    data: bytes,
    kind: Kind,
    plan: CmsPlan,
    profile: Profile,
    params: SignParams,
    now: datetime,
    more: Sequence[Original] = (),
) -> Prepared:
    """The signature over the document `data`, ready but for its value; in a new container over the files of `more` as
    well.  Raises what the format's writer raises, `RequestError` (``invalid_request``) where `more` has no place."""
    if more and not kind.several:
        raise RequestError("invalid_request", reason=f"several documents: not with {profile.format}")
    original = Original(params.file_name or "document", data)
    if kind.format == "cades":
        from signsvc.formats.cades import write as cades
        from signsvc.formats.cms.claims import signer_location

        if params.location:
            plan = replace(plan, attributes=(*plan.attributes, signer_location(locality=params.location)))
        return cades.prepare(
            original, plan, cades.CadesSpec(signing_time=now, detached=kind.detached, media_type=_type(original.name))
        )
    if kind.format == "xmldsig":
        from signsvc.formats.xades import plain
        from signsvc.formats.xades.write import XmlPlan

        exclusive = profile.canonical == "exclusive"
        wanted = plain.PlainSpec(profile.place, profile.references, profile.covers, exclusive)
        return plain.prepare(data, XmlPlan(plan.certificate, plan.algorithm, now, plan.chain), wanted)
    spec, xml_plan = _xml(kind, plan, params, now)
    if kind.format == "edxml":
        from signsvc.formats.edxml import write as packets

        return packets.prepare(data, xml_plan, spec)
    if kind.format == "xades":
        from signsvc.formats.xades import write as xades

        if kind.packaging == "enveloped":
            return xades.prepare(data, xml_plan, replace(spec, references=profile.references))
        files = replace(spec, files=(original,), media_types=(_type(original.name) or _OCTETS,))
        return xades.prepare(None, xml_plan, files)
    from signsvc.formats.asic import layout
    from signsvc.formats.asic import write as asic

    form = layout.Kind.S if kind.format.startswith("asic-s") else layout.Kind.E
    container = asic.AsicSpec(form, (), spec.roles, spec.commitments, spec.place)
    if not more and is_container(data):
        return asic.prepare_further(data, xml_plan, container)
    held = (original, *more)
    types = tuple(_type(file.name) or _OCTETS for file in held)
    return asic.prepare(held, xml_plan, replace(container, media_types=types))


def is_container(data: bytes) -> bool:
    """Whether the octets begin as those of an ASiC do, and not of any other ZIP (EN 319 162-1 §A.1)."""
    return data[:4] == b"PK\x03\x04" and data[30:66].startswith(b"mimetypeapplication/vnd.etsi.asic-")


def complete(kind: Kind, prepared: Any, value: bytes) -> bytes:
    """The file with the value in its place."""
    made: bytes = _module(kind, "write").complete(prepared, value)
    return made


def restored(kind: Kind, kept: Any) -> Prepared:
    """What `Prepared.to_json` gave."""
    found: Prepared = _module(kind, "write").Prepared.from_json(kept)
    return found


def signature_timestamp(
    kind: Kind, data: bytes, stamp: Stamp, name: str | None, originals: Sequence[Original]
) -> bytes:
    """A timestamp over the signature called `name`, or over each that has none."""
    made: bytes = _module(kind, "extend").signature_timestamp(
        data, stamp, signature_id=name, **_beside(kind, originals)
    )
    return made


def validation_data(
    kind: Kind, data: bytes, evidence: Sequence[EvidenceItem], name: str | None, originals: Sequence[Original]
) -> bytes:
    """Certificates, lists and answers that the signatures lack."""
    extra = {} if kind.format == "cades" else _beside(kind, originals)
    made: bytes = _module(kind, "extend").validation_data(data, evidence, signature_id=name, **extra)
    return made


def archive_timestamp(kind: Kind, data: bytes, stamp: Stamp, name: str | None, originals: Sequence[Original]) -> bytes:
    """An archive timestamp over the signature called `name`, or over each."""
    made: bytes = _module(kind, "extend").archive_timestamp(data, stamp, signature_id=name, **_beside(kind, originals))
    return made


def _beside(kind: Kind, originals: Sequence[Original]) -> dict[str, Any]:
    return {} if kind.format.startswith("asic") else {"originals": tuple(originals)}


def _module(kind: Kind, name: str) -> Any:
    import importlib

    folder = "xades" if kind.format in ("xmldsig", "edxml") else kind.format.partition("-")[0]
    return importlib.import_module(f"signsvc.formats.{folder}.{name}")


def _xml(kind: Kind, plan: CmsPlan, params: SignParams, now: datetime) -> tuple[Any, Any]:
    from signsvc.formats.cms.claims import COMMITMENTS
    from signsvc.formats.xades.elements import ProductionPlace
    from signsvc.formats.xades.write import Packaging, XmlPlan, XmlSpec

    packaging = Packaging.DETACHED if kind.packaging == "container" else Packaging(kind.packaging)
    spec = XmlSpec(
        packaging=packaging,
        roles=params.claimed_roles,
        commitments=(COMMITMENTS[params.commitment],) if params.commitment else (),
        place=ProductionPlace(city=params.location) if params.location else None,
    )
    return spec, XmlPlan(plan.certificate, plan.algorithm, now, plan.chain)


def _type(name: str) -> str | None:
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower())


def media_type_of(name: str) -> str:
    """The media type of a file by its name."""
    return _type(name) or _OCTETS


def refuse_kind(kind: Kind, head: bytes, size: int) -> None:
    """Refuse what the format cannot sign.  Raises `DocumentError`: ``empty_document``, ``unsupported_format``."""
    if size == 0:
        raise DocumentError("empty_document")
    if kind.format in ("xades", "xmldsig", "edxml") and kind.packaging == "enveloped":
        from signsvc.verification import sniff

        if sniff.media_type(head, size) != sniff.XML:
            raise DocumentError("unsupported_format")


__all__ = [
    "DEFAULTS", "PACKAGINGS", "PDF_ONLY", "Kind", "Prepared", "archive_timestamp", "check", "complete", "has",
    "is_container", "kind_of", "kind_of_file", "media_type_of", "prepare", "refuse_kind", "restored",
    "signature_timestamp", "validation_data",
]  # fmt: skip
