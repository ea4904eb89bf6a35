"""Writing PAdES signatures, validation data and document timestamps as incremental updates.

Our own writer (`append_write`) places the bytes where it covers the document, pyHanko where it does not (encryption,
hidden cross-references, files that begin with something else); the CMS is ours (`formats.cms.write`), keys and
timestamps come in as callables.  Every function works in place on a file that the caller owns.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, BinaryIO

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers import constants
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp
from pyhanko.sign.signers.pdf_cms import Signer
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata, PdfSigner
from pyhanko.sign.validation.dss import DocumentSecurityStore

from signsvc.algorithms import SignatureScheme
from signsvc.formats.cms.write import CmsPlan, room_for, signed_attributes, signed_data, to_be_signed
from signsvc.formats.pades import write_mac
from signsvc.formats.pades.append_view import OwnWriter
from signsvc.formats.pades.append_write import append_extension, append_signature
from signsvc.formats.pades.drawing import Appearance
from signsvc.formats.pades.fill import FieldText, chosen, fill_stock
from signsvc.formats.pades.level import CADES
from signsvc.formats.pades.pages import geometry_of_stock, place
from signsvc.formats.pades.stamp import AppearanceStyle
from signsvc.formats.pades.write_access import get
from signsvc.formats.pades.write_gate import FormFields, check_may_sign, read_fields
from signsvc.formats.pades.write_open import CHUNK, Opened, in_our_words, open_writer
from signsvc.formats.pades.write_seed import check_seed
from signsvc.types import EvidenceItem, EvidenceKind

Sign = Callable[[bytes], bytes]  # `to_be_signed` of the signed attributes -> signature value
Timestamp = Callable[[bytes, str], bytes]  # digest and its hashlib name -> verified TimeStampToken, DER


class RoomTooSmallError(Exception):
    """A timestamp token came out larger than the room kept for it; `needed` is its size in octets."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


@dataclass(frozen=True, slots=True)
class SignatureSpec:
    """What a new signature dictionary and its field say.

    `field`: an existing empty field or the name of a new one; None makes a new one with a free name.  `rect` makes a
    new field visible: (left, bottom, right, top) in points on `page` (from 1; -1 is the last) as it is shown.
    `subfilter` is that of PAdES, or ``adbe.pkcs7.detached`` for readers that know no other; `stamped` tells whether a
    timestamp goes into the signature, where that is known.
    `appearance` is what a visible field shows; `texts` are for text fields that are filled in the same update.
    `certify` is the DocMDP level (2 or 3) of a certification signature.
    """

    time: datetime
    field: str | None = None
    reason: str | None = None
    location: str | None = None
    name: str | None = None
    contact: str | None = None
    certify: int | None = None
    page: int = 1
    rect: tuple[float, float, float, float] | None = None
    appearance: Appearance | None = None
    texts: tuple[FieldText, ...] = ()
    subfilter: str = CADES
    stamped: bool | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that waits for its CMS: the field, the octets `start:end` of ``<zeros>``, the digest over the others, the
    room kept for the CMS, and whether the CMS needs a code of its own there (ISO/TS 32004)."""

    field: str
    start: int
    end: int
    size: int  # of the file, with this revision
    document_digest: bytes
    room: int
    digest_name: str = "sha256"
    mac_needed: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """One signature or document timestamp in the file: its field and the octets `start:end` of ``<hex>``."""

    field: str
    start: int
    end: int
    size: int  # of the file, with this revision
    contents: bytes  # the CMS, DER
    value: bytes = b""  # the signature value inside
    timestamps: tuple[bytes, ...] = ()


# asn1crypto completes classes and values on first access and is not safe between threads while it does: values are
# completed one at a time, and certificates and responses, which are kept, are not shared between threads.
_asn1_lock = threading.Lock()


def _certificate(der: bytes) -> asn1_x509.Certificate:
    return _parsed(der, threading.get_ident())


@functools.lru_cache(maxsize=256)
def _parsed(der: bytes, thread: int) -> asn1_x509.Certificate:  # noqa: ARG001
    return _completed(asn1_x509.Certificate.load(der))


def _response(der: bytes) -> asn1_ocsp.OCSPResponse:
    return _parsed_response(der, threading.get_ident())


# Those about authorities and timestamp authorities come again with every signature.
@functools.lru_cache(maxsize=64)
def _parsed_response(der: bytes, thread: int) -> asn1_ocsp.OCSPResponse:  # noqa: ARG001
    return _completed(asn1_ocsp.OCSPResponse.load(der))


def _completed(value: Any) -> Any:
    with _asn1_lock, contextlib.suppress(ValueError, TypeError):  # an odd extension does not matter here
        value.native  # noqa: B018
    return value


def sign_revision(
    stream: BinaryIO,
    plan: CmsPlan,
    spec: SignatureSpec,
    sign: Sign,
    *,
    timestamp: Timestamp | None = None,
    timestamp_room: int = 0,
    opened: Opened | None = None,
) -> Written:
    """Append one signature (B-B, or B-T with `timestamp`) to the PDF in `stream`, in place.

    `sign` is called once, after everything that can refuse has been checked.  `opened` is the stream when it has been
    opened already.  On any error the stream holds a torn file: callers work on a copy.

    Raises `DocumentError` (see `open_writer`, `check_may_sign`), what `sign` and `timestamp` raise, and
    `RoomTooSmallError`.
    """
    opened = opened or open_writer(stream)
    room = room_for(plan) + (timestamp_room if timestamp else 0)
    prepared = prepare_revision(stream, plan, spec, room=room, opened=opened)
    attributes = signed_attributes(plan, prepared.document_digest)
    value = sign(to_be_signed(plan, attributes))
    tokens = (timestamp(_digest(plan.digest_name, value), plan.digest_name),) if timestamp else ()
    contents = signed_data(plan, attributes, value, tokens)
    if len(contents) > room:
        raise RoomTooSmallError(sum(map(len, tokens)))
    written = complete_revision(stream, prepared, contents)
    return replace(written, value=value, timestamps=tokens)


def prepare_revision(
    stream: BinaryIO, plan: CmsPlan, spec: SignatureSpec, *, room: int, opened: Opened | None = None
) -> Prepared:
    """Append everything of one signature but its CMS, for which `room` octets are kept, to the PDF in `stream`, in
    place: ByteRange set, zeros in /Contents.

    Raises `DocumentError` (see `open_writer`, `check_may_sign`).
    """
    opened = opened or open_writer(stream)
    fields, spec = _permitted(opened, spec)
    name = spec.field or _free_name(fields.names, "Signature")
    with in_our_words():
        check_seed(fields.empty.get(name), plan, spec)
    if isinstance(opened.writer, OwnWriter):
        signer = plan.certificate.common_name
        own = append_signature(
            stream,
            opened.writer.document,
            spec,
            name,
            signer,
            room,
            plan.digest_name,
            existing=name in fields.empty,
            state=opened.state,
        )
        if own is not None:
            return Prepared(name, own.start, own.end, own.size, own.digest, room, plan.digest_name)
        opened = open_writer(stream, own=False)
        fields, spec = _permitted(opened, spec)
    writer = opened.writer
    mac = bool(writer.security_handler is not None and writer.security_handler.pdf_mac_enabled)
    with in_our_words():
        for one in spec.texts:
            fill_stock(writer, fields.texts[one.name], one)
        new_field, rotate, unit = _field(writer, spec, name, fields.empty.get(name))
        stock = PdfSigner(
            _metadata(plan, spec, name),
            Signer(
                signing_cert=_certificate(plan.certificate.der),
                prefer_pss=plan.algorithm.scheme is SignatureScheme.RSA_PSS,
            ),
            stamp_style=AppearanceStyle(appearance=spec.appearance, rotate=rotate, unit=unit)
            if spec.appearance
            else None,
            new_field_spec=new_field,
        )
        session = stock.init_signing_session(writer)
        session.system_time = spec.time
        document = session.prepare_tbs_document(None, bytes_reserved=2 * (room + (write_mac.MAC_ROOM if mac else 0)))
        made, _ = document.digest_tbs_document(in_place=True, chunk_size=CHUNK)
    size = stream.seek(0, 2)
    start, end = made.reserved_region_start, made.reserved_region_end
    return Prepared(name, start, end, size, made.document_digest, room, plan.digest_name, mac_needed=mac)


def complete_revision(stream: BinaryIO, prepared: Prepared, contents: bytes) -> Written:
    """Put the CMS `contents` where `prepare_revision` kept room for it, in this process or another.

    Raises `RoomTooSmallError` where it does not fit, and `DocumentError` like `open_writer`.
    """
    if len(contents) > prepared.room:
        raise RoomTooSmallError(len(contents))
    if prepared.mac_needed:
        with in_our_words():
            contents = write_mac.with_mac(contents, stream, prepared.digest_name, prepared.document_digest)
    encoded = contents.hex().encode("ascii")
    if len(encoded) > prepared.end - prepared.start - 2:
        raise RoomTooSmallError(len(contents))
    stream.seek(prepared.start + 1)
    stream.write(encoded)
    return Written(prepared.field, prepared.start, prepared.end, prepared.size, contents)


def extend_revision(
    stream: BinaryIO,
    evidence: Iterable[EvidenceItem] = (),
    *,
    timestamp: Timestamp | None = None,
    digest_name: str = "sha256",
    timestamp_room: int = 0,
    again: bool = False,
) -> Written | None:
    """Append a revision with `evidence` in the document security store and, with `timestamp`, a document timestamp
    over it (EN 319 142-1 §5.4.2, §5.4.3), in place.

    What the store holds already is not written again; with `again` the store itself is, so that it stands after a
    signature whose evidence was there before.  Answers the timestamp written, None where there is none.
    Raises like `sign_revision`.
    """
    items = tuple(evidence)
    opened = open_writer(stream)
    if isinstance(opened.writer, OwnWriter):
        with in_our_words():
            name = _free_name(read_fields(opened.writer.root).names, "Timestamp")
        room = timestamp_room if timestamp else None
        own = append_extension(stream, opened.writer.document, items, name, room, digest_name, again=again)
        if own is not None:
            if timestamp is None:
                return None
            prepared = Prepared(name, own.start, own.end, own.size, own.digest, timestamp_room, digest_name)
            token = timestamp(own.digest, digest_name)
            return replace(complete_revision(stream, prepared, token), timestamps=(token,))
        opened = open_writer(stream, own=False)
    writer = opened.writer
    with in_our_words():
        fields = read_fields(writer.root)
        _declare_pades(writer)
        changed = _supply(writer, items)
        if timestamp is None:
            if changed:
                writer.write_in_place()
            return None
        name = _free_name(fields.names, "Timestamp")
        mac = bool(writer.security_handler is not None and writer.security_handler.pdf_mac_enabled)
        kept = timestamp_room + (write_mac.MAC_ROOM if mac else 0)
        placeholder = DocumentTimestamp(2 * kept)  # type: ignore[no-untyped-call]
        steps = PdfCMSEmbedder(new_field_spec=SigFieldSpec(name)).write_cms(field_name=name, writer=writer)
        next(steps)
        holder = steps.send(SigObjSetup(sig_placeholder=placeholder))
        if mac:
            write_mac.place(writer, holder)
        made, _ = steps.send(SigIOSetup(md_algorithm=digest_name, in_place=True, chunk_size=CHUNK))
    token = timestamp(made.document_digest, digest_name)
    if len(token) > timestamp_room:
        raise RoomTooSmallError(len(token))
    with in_our_words():
        contents = write_mac.with_mac(token, stream, digest_name, made.document_digest) if mac else token
    steps.send(contents)
    size = stream.seek(0, 2)
    return Written(name, made.reserved_region_start, made.reserved_region_end, size, contents, b"", (token,))


def _metadata(plan: CmsPlan, spec: SignatureSpec, name: str) -> PdfSignatureMetadata:
    return PdfSignatureMetadata(
        field_name=name,
        md_algorithm=plan.digest_name,
        reason=spec.reason,
        location=spec.location,
        name=spec.name or plan.certificate.common_name,
        contact_info=spec.contact,
        subfilter=SigSeedSubFilter(f"/{spec.subfilter}"),
        certify=spec.certify is not None,
        docmdp_permissions=MDPPerm(spec.certify or MDPPerm.FILL_FORMS.value),
    )


def _permitted(opened: Opened, spec: SignatureSpec) -> tuple[FormFields, SignatureSpec]:
    """The form of a document that permits what `spec` says, and `spec` with the texts that have a field."""
    names = [one.name for one in spec.texts]
    fields = check_may_sign(opened, spec.field, certify=spec.certify is not None, texts=names)
    return fields, replace(spec, texts=chosen(spec.texts, fields.texts, fields.filled)) if names else spec


def _field(writer: Any, spec: SignatureSpec, name: str, existing: Any) -> tuple[SigFieldSpec | None, int, float]:
    """What makes a new field (None where one exists), rotation and unit of the page it stands on: the appearance in an
    existing field is made for its real size."""
    if existing is not None:
        geometry = geometry_of_stock(get(existing, "/P"))
        return None, geometry.rotate, geometry.unit
    if spec.rect is None:
        return SigFieldSpec(name), 0, 1.0
    found = place(writer, spec.page, spec.rect)
    return SigFieldSpec(name, on_page=found.page, box=found.rect), found.rotate, 1.0


def _declare_pades(writer: Any) -> None:
    """PDF 1.7 with the ESIC extension, or 2.0 (EN 319 142-1 §5.4.2); a higher version stays."""
    writer.ensure_output_version((1, 7))
    if writer.output_version < (2, 0):
        writer.register_extension(constants.ESIC_EXTENSION_1)


def _supply(writer: Any, evidence: Iterable[EvidenceItem]) -> bool:
    items = list(evidence)
    if not items:
        return False
    store = DocumentSecurityStore.supply_dss_in_writer(
        writer,
        None,
        certs=[_certificate(item.der) for item in items if item.kind is EvidenceKind.CERTIFICATE],
        ocsps=[_response(item.der) for item in items if item.kind is EvidenceKind.OCSP],
        crls=[asn1_crl.CertificateList.load(item.der) for item in items if item.kind is EvidenceKind.CRL],
    )
    return bool(store.modified)


def _free_name(taken: set[str], stem: str) -> str:
    return next(name for number in itertools.count(1) if (name := f"{stem}{number}") not in taken)


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.new(name, data).digest()
