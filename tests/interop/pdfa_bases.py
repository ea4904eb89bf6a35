"""Small files that are PDF/A: metadata, an output intent, a page of plain colour without fonts."""

from __future__ import annotations

import re
import zlib

from tests.pdf_writer import PdfWriter

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<pdfaid:part>{part}</pdfaid:part><pdfaid:conformance>{conformance}</pdfaid:conformance>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def _stream(entries: bytes, data: bytes) -> bytes:
    return b"<< " + entries + b" /Length %d >>\nstream\n%s\nendstream" % (len(data), data)


def pdfa(claim: str) -> bytes:
    """A one-page file that claims and is PDF/A of this part and conformance, such as ``2b``."""
    from PIL import ImageCms

    part, conformance = claim[0], claim[1].upper()
    octets = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    octets[8:12] = b"\x02\x10\0\0"  # PDF/A-1 knows ICC profiles up to version 2
    profile = zlib.compress(octets)
    structure = b" /MarkInfo << /Marked true >> /Lang (vi-VN) /StructTreeRoot 13 0 R" if conformance == "A" else b""
    catalog = b" /Metadata 10 0 R /OutputIntents [11 0 R]" + structure
    content = b"0.9 0.9 1 rg 72 700 200 50 re f"
    if conformance == "A":
        content = b"/Artifact BMC " + content + b" EMC"
    extra = {
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>",
        4: _stream(b"", content),
        5: b"<< >>",
        10: _stream(b"/Type /Metadata /Subtype /XML", _XMP.format(part=part, conformance=conformance).encode()),
        11: b"<< /Type /OutputIntent /S /GTS_PDFA1 /OutputConditionIdentifier (sRGB) /Info (sRGB)"
        b" /DestOutputProfile 12 0 R >>",
        12: _stream(b"/N 3 /Filter /FlateDecode", profile),
    }
    if conformance == "A":
        extra[13] = b"<< /Type /StructTreeRoot >>"
    data = PdfWriter(extra=extra, catalog=catalog).data
    # the trailer of a PDF/A has an identifier
    return re.sub(rb"trailer\n?<<", b"trailer\n<< /ID [<" + b"ab" * 16 + b"> <" + b"ab" * 16 + b">]", data, count=1)
