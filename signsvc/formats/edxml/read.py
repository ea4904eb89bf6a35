"""Reading packets as systems write them: by local names, with junk before the prolog, undeclared prefixes, attachments
that are zipped whatever their type says."""

from __future__ import annotations

import base64
import binascii
import mmap
import re
from collections.abc import Iterator
from typing import Any

from signsvc.errors import DocumentError
from signsvc.formats import xmlsig
from signsvc.formats import zip as zips
from signsvc.formats.edxml.model import Attachment, Packet, PacketSignature, Party
from signsvc.formats.xmlsig.names import DS
from signsvc.types import Finding

MEDIA_TYPE = "application/edxml+xml"
MAX_ATTACHMENTS = 100
MAX_OCTETS = 256 * 1024 * 1024  # of all attachments together
_MAX_TEXT, _MAX_HOPS = 500, 200
_BEFORE_PROLOG = 64
_ASIC = b"mimetypeapplication/vnd.etsi.asic-"
_ROOT = re.compile(rb"<(?!\?|!)[^\s/>]+")
_LEAST_VALUE = 64  # octets: no key that signs documents makes a shorter value
_SPACES = ("mic.gov.vn", "e-doc.vn")


def read(data: bytes | mmap.mmap) -> Packet:
    """The packet in `data`.  Raises `DocumentError`: what `xmlsig.parse` raises, ``not_edxml`` for other XML,
    ``document_too_complex`` for too many attachments or octets."""
    octets, changed = mended(bytes(data))
    root = xmlsig.parse(octets).root
    if _local(root) not in ("edXML", "edXMLEnvelope"):
        raise DocumentError("not_edxml")
    header = _first(root, "edXMLHeader")
    message = _first(header, "MessageHeader") if header is not None else None
    if message is None:
        raise DocumentError("not_edxml")
    trace = _first(header, "TraceHeaderList")
    code = _child(message, "Code")
    promulgation = _child(message, "PromulgationInfo")
    return Packet(
        sender=_party(_child(message, "From")),
        recipients=tuple(_party(one) for one in _children(message, "To"))[:_MAX_HOPS],
        document_id=_text(message, "DocumentId"),
        number=_text(code, "CodeNumber"),
        notation=_text(code, "CodeNotation"),
        promulgation_date=_text(promulgation, "PromulgationDate"),
        subject=_text(message, "Subject"),
        business=_text(_first(trace, "Bussiness"), "BussinessDocType") if trace is not None else None,
        hops=tuple(_hops(trace)),
        attachments=tuple(_attachments(root)),
        signature=_signature(header),
        status_code=_text(message, "StatusCode"),
        findings=(Finding.of("edxml_mended"),) if changed else (),
    )


def is_packet(root: Any) -> bool:
    """Whether a document element is that of a packet, in a namespace that packets have."""
    return _local(root) in ("edXML", "edXMLEnvelope") and any(one in _space(root) for one in _SPACES)


def mended(data: bytes) -> tuple[bytes, bool]:
    """(The octets without junk before the prolog, and with the prefix that some systems forget to declare; whether
    that changed them.)"""
    at = data.find(b"<?xml", 0, _BEFORE_PROLOG)
    changed = at > 0 and data[:at].strip(b"\xef\xbb\xbf \t\r\n") != b""
    if at > 0:
        data = data[at:]
    if b"xlink:" in data and b"xmlns:xlink" not in data:
        found = _ROOT.search(data)
        if found is not None:
            data = data[: found.end()] + b' xmlns:xlink="http://www.w3.org/1999/xlink"' + data[found.end() :]
            changed = True
    return data, changed


def _signature(header: Any) -> PacketSignature:
    found = [one for one in header if _local(one) in ("Signature", "DigitalSignature")]
    # A placeholder may stand beside a signature.
    for element in sorted(found, key=lambda one: (_space(one) != DS, len(one) == 0)):
        if len(element) == 0:
            return PacketSignature("placeholder")
        if _space(element) != DS:
            return PacketSignature("non-standard")
        value = "".join((_first(element, "SignatureValue").text or "").split()) if _has(element) else ""
        try:
            made = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            made = b""
        whole = any(one.get("URI") == "" for one in element.iter(f"{{{DS}}}Reference"))
        return PacketSignature("present" if len(made) >= _LEAST_VALUE else "placeholder", whole)
    return PacketSignature("absent")


def _has(element: Any) -> bool:
    return _first(element, "SignatureValue") is not None


def _attachments(root: Any) -> Iterator[Attachment]:
    left = MAX_OCTETS
    for count, element in enumerate(_named(root, "Attachment"), 1):
        if count > MAX_ATTACHMENTS:
            raise DocumentError("document_too_complex", limit="attachments")
        made = _attachment(element, count, left)
        left -= len(made.data or b"")
        yield made


def _attachment(element: Any, count: int, left: int) -> Attachment:
    name = safe_name(_text(element, "AttachmentName"), count)
    kind, identifier = _text(element, "ContentType"), _text(element, "ContentId")
    holder = _child(element, "ContentTransferEncoded")
    encoded = "".join((holder.text or "").split()) if holder is not None else ""
    if len(encoded) // 4 * 3 > left:
        raise DocumentError("document_too_complex", limit="attachments")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return Attachment(identifier, name, kind, problem="base64")
    if not data:
        return Attachment(identifier, name, kind, problem="empty")
    if not data.startswith(b"PK\x03\x04") or data[30:66].startswith(_ASIC):
        return Attachment(identifier, name, kind, data)
    try:
        container = zips.open_container(data)
        if len(container.entries) != 1 or name.lower().endswith((".zip", ".docx", ".xlsx", ".pptx", ".odt", ".ods")):
            return Attachment(identifier, name, kind, data)
        return Attachment(identifier, name, kind, container.read(container.entries[0], left), zipped=True)
    except DocumentError as error:
        return Attachment(identifier, name, kind, problem=error.code)


def safe_name(written: str | None, count: int) -> str:
    """A file name that leads nowhere: the last step of what was written, without control characters."""
    name = re.split(r"[/\\]", written or "")[-1]
    name = "".join(c for c in name if c.isprintable() and c not in '<>:"|?*').strip(" .")[:150]
    return name or f"attachment-{count}"


def _hops(trace: Any) -> Iterator[str]:
    for element in list(_named(trace, "TraceHeader"))[:_MAX_HOPS] if trace is not None else ():
        identifier, moment = _text(element, "OrganId"), _text(element, "Timestamp")
        yield " ".join(part for part in (identifier if identifier != "null" else None, moment) if part)


def _party(element: Any) -> Party:
    identifier = _text(element, "OrganId")
    return Party(identifier if identifier != "null" else None, _text(element, "OrganName"))


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _space(element: Any) -> str:
    return element.tag[1:].partition("}")[0] if isinstance(element.tag, str) and element.tag[:1] == "{" else ""


def _named(parent: Any, name: str) -> Iterator[Any]:
    return iter(parent.iter(f"{{*}}{name}"))


def _first(parent: Any, name: str) -> Any:
    return next(_named(parent, name), None)


def _children(parent: Any, name: str) -> Iterator[Any]:
    return iter(parent.iterchildren(f"{{*}}{name}"))


def _child(parent: Any, name: str) -> Any:
    return next(_children(parent, name), None) if parent is not None else None


def _text(parent: Any, name: str) -> str | None:
    found = _child(parent, name)
    return (" ".join((found.text or "").split())[:_MAX_TEXT] or None) if found is not None else None


__all__ = ["MAX_ATTACHMENTS", "MAX_OCTETS", "MEDIA_TYPE", "is_packet", "mended", "read", "safe_name"]
