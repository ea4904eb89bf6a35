"""edXML packets (QCVN 102:2016/BTTTT and its amendment): read leniently, verified strictly; status messages.

`read` gives a `Packet` with its attachments; `status_message` the answer that the sending system expects; `write` makes
packets and signs them.
"""

from signsvc.formats.edxml.model import Attachment, Packet, PacketSignature, Party
from signsvc.formats.edxml.read import MEDIA_TYPE, is_packet, read
from signsvc.formats.edxml.status import CODES, status_message

__all__ = [
    "CODES",
    "MEDIA_TYPE",
    "Attachment",
    "Packet",
    "PacketSignature",
    "Party",
    "is_packet",
    "read",
    "status_message",
]
