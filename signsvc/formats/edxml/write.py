"""Writing packets, and signing them so that the signature outlives the way: over header, body and attachments by their
Ids, not over the trace headers that every hub adds (QCVN 102; EN 319 132-1 §6.3)."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from xml.sax.saxutils import escape

from signsvc.errors import DocumentError, RequestError
from signsvc.formats import xmlsig
from signsvc.formats.edxml.model import Party
from signsvc.formats.edxml.read import MAX_ATTACHMENTS, mended, safe_name
from signsvc.formats.edxml.status import NAMESPACE, printable
from signsvc.formats.xades import write as xades
from signsvc.formats.xades.places import at, located
from signsvc.formats.xades.source import Source
from signsvc.formats.xades.write import Prepared, XmlPlan, XmlSpec

_ENVELOPES = ("/edXML/edXMLEnvelope", "/edXMLEnvelope")
_NAME = re.compile(rb"[^\s/>]+")
_SPELLINGS = ("Id", "ID", "id")
_MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class NewDocument:
    """What a packet of one document says.  `files` are (name, media type, octets); the first is the document itself.

    `document_type` is the code of QCVN 102 (18: công văn); `place` is where it was promulgated.
    """

    sender: Party
    recipients: tuple[Party, ...]
    number: str
    notation: str
    promulgated: date
    subject: str
    files: tuple[tuple[str, str, bytes], ...]
    document_type: str = "18"
    place: str = ""


def document(new: NewDocument) -> bytes:
    """The packet (UTF-8), with an Id on all that is to be signed.  Raises `RequestError` (``invalid_request``) without
    a recipient, a document, or with more than a packet holds."""
    if not new.recipients or not 1 <= len(new.files) <= MAX_ATTACHMENTS:
        raise RequestError("invalid_request", reason="a packet has recipients, and 1 to 100 documents")
    day = f"{new.promulgated:%Y/%m/%d}"
    code = f"{new.number}/{new.notation}"
    header = (
        _party("From", new.sender)
        + "".join(_party("To", one) for one in new.recipients)
        + _inside("Code", _one("CodeNumber", new.number) + _one("CodeNotation", new.notation))
        + _inside("PromulgationInfo", _one("Place", new.place) + _one("PromulgationDate", day))
        + _inside("DocumentType", _one("Type", new.document_type))
        + _one("Subject", new.subject)
        + _one("DocumentId", f"{new.sender.id},{day},{code}")
    )
    trace = _inside("Bussiness", _one("BussinessDocType", "0") + _one("Paper", "0"))
    listed, held = "", ""
    for number, (name, media_type, data) in enumerate(new.files, 1):
        about = _one("ContentType", media_type) + _one("Description", "")
        named = _one("AttachmentName", safe_name(name, number))
        listed += _inside("Reference", _one("ContentId", f"cid:{number}") + about + named)
        encoded = base64.b64encode(data).decode("ascii")
        content = f"<ContentTransferEncoded>{encoded}</ContentTransferEncoded>"
        held += _inside("Attachment", _one("ContentId", f"cid:{number}") + about + content + named)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<edXML xmlns="{NAMESPACE}"><edXMLEnvelope><edXMLHeader>'
        f'<MessageHeader Id="MessageHeader">{header}</MessageHeader><TraceHeaderList>{trace}</TraceHeaderList>'
        f'</edXMLHeader><edXMLBody Id="edXMLBody"><edXMLManifest version="1.0">{listed}</edXMLManifest></edXMLBody>'
        f'</edXMLEnvelope><AttachmentEncoded Id="AttachmentEncoded">{held}</AttachmentEncoded></edXML>\n'
    ).encode()


def due(data: bytes) -> tuple[str, ...]:
    """The paths of what a packet's own signature has to be over: message header, body and attachments, as far as they
    are there.  Raises like `ready`."""
    octets, _ = mended(data)
    root = xmlsig.parse(octets).root
    found = [path for envelope in _ENVELOPES for path in _paths(envelope) if at([root], path)]
    return tuple(dict.fromkeys(found))


def _paths(envelope: str) -> tuple[str, ...]:
    return (f"{envelope}/edXMLHeader/MessageHeader", f"{envelope}/edXMLBody", "/edXML/AttachmentEncoded")


def ready(data: bytes) -> tuple[bytes, tuple[str, ...], str]:
    """(the packet, the Ids of what is to be signed, the path of its header): message header, body and attachments get
    an Id where they have none, everything else keeps its octets.

    Raises `DocumentError`: what `xmlsig.parse` raises, ``not_edxml``.
    """
    octets, _ = mended(data)
    parsed = xmlsig.parse(octets)
    root = parsed.root
    envelope = next((path for path in _ENVELOPES if len(at([root], path)) == 1), None)
    if envelope is None:
        raise DocumentError("not_edxml")
    paths = _paths(envelope)
    elements = [one for path in paths for one in at([root], path)]
    if len(at([root], paths[0])) != 1:
        raise DocumentError("not_edxml")
    source = Source.of(octets)
    identifiers: list[str] = []
    added: list[tuple[int, bytes]] = []
    for element in elements:
        name = next((element.get(spelling) for spelling in _SPELLINGS if element.get(spelling)), None)
        if name is None:
            name = _free(parsed, element, identifiers)
            added.append((_after_name(source, root, element), f' Id="{name}"'.encode()))
        identifiers.append(name)
    pieces: list[bytes] = []
    begun = 0
    for place, text in sorted(added):
        pieces += (source.octets[begun:place], text)
        begun = place
    return source.written(*pieces, source.octets[begun:]), tuple(identifiers), f"{envelope}/edXMLHeader"


def prepare(data: bytes, plan: XmlPlan, spec: XmlSpec) -> Prepared:
    """A signature in the header of the packet `data`, ready but for its value.  Raises like `ready` and
    `xades.write.prepare`."""
    packet, identifiers, header = ready(data)
    return xades.prepare(packet, plan, replace(spec, references=identifiers, within=header))


def _free(document: xmlsig.Document, element: Any, taken: Sequence[str]) -> str:
    wanted = str(element.tag).rpartition("}")[2]
    number = 1
    name = wanted
    while document.named(name) or name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _after_name(source: Source, root: Any, element: Any) -> int:
    """Where, in the octets, the name in the start tag of `element` ends."""
    number = next(n for n, one in enumerate(root.iter("*")) if one is element)
    start = located(source.octets, number).start + 1
    found = _NAME.match(source.octets, start)
    if found is None:
        raise DocumentError("xml_malformed")
    return found.end()


def _one(name: str, value: str | None) -> str:
    return f"<{name}>{escape(printable(value or '')[:_MAX_TEXT])}</{name}>"


def _inside(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


def _party(name: str, value: Party) -> str:
    return _inside(name, _one("OrganId", value.id) + _one("OrganName", value.name))


__all__ = ["NewDocument", "document", "due", "prepare", "ready"]
