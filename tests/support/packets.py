"""edXML packets as document systems write them."""

from __future__ import annotations

import base64
import io
import zipfile

NAMESPACE = "http://www.mic.gov.vn/TBT/QCVN_102_2016"


def zipped(data: bytes, name: str = "0b7c.pdf") -> bytes:
    """A ZIP with one entry, as the SDK sends attachments."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return made.getvalue()


def packet(
    *attachments: tuple[str, bytes],
    signature: str = "",
    trace: str = "<TraceHeader><OrganId>000.00.00.G22</OrganId><Timestamp>2026/11/24 08:00:00</Timestamp></TraceHeader>",
    before: str = "",
    link: bool = False,
) -> bytes:
    """A packet with (name, octets) attachments; prefixes are mixed as systems mix them."""
    listed = "".join(
        f"<edXML:Attachment xmlns:edXML='{NAMESPACE}'><ContentId>cid:{n}</ContentId><ContentType>application/pdf"
        f"</ContentType><edXML:ContentTransferEncoded>{base64.b64encode(data).decode()}</edXML:ContentTransferEncoded>"
        f"<AttachmentName>{name}</AttachmentName></edXML:Attachment>"
        for n, (name, data) in enumerate(attachments)
    )
    manifest = '<Reference xlink:href="cid:0"/>' if link else ""
    return (
        f"{before}<?xml version='1.0' encoding='UTF-8'?>\n<edXML xmlns='{NAMESPACE}'>"
        f"<edXML:edXMLEnvelope xmlns:edXML='{NAMESPACE}'><edXML:edXMLHeader><edXML:MessageHeader>"
        "<edXML:From><edXML:OrganId>H41</edXML:OrganId><edXML:OrganName>UBND tỉnh</edXML:OrganName></edXML:From>"
        "<edXML:To><edXML:OrganId>null</edXML:OrganId></edXML:To>"
        "<Code><CodeNumber>12</CodeNumber><CodeNotation>QĐ-UBND</CodeNotation></Code>"
        "<PromulgationInfo><PromulgationDate>2026/11/24</PromulgationDate></PromulgationInfo>"
        "<Subject>V/v &lt;thử nghiệm&gt;</Subject><DocumentId>H41,2026/11/24,12/QĐ-UBND</DocumentId>"
        f"</edXML:MessageHeader><TraceHeaderList>{trace}<Bussiness><BussinessDocType>0</BussinessDocType></Bussiness>"
        f"</TraceHeaderList>{signature}</edXML:edXMLHeader><edXMLBody><edXMLManifest>{manifest}</edXMLManifest>"
        f"</edXMLBody></edXML:edXMLEnvelope><AttachmentEncoded>{listed}</AttachmentEncoded></edXML>"
    ).encode()
