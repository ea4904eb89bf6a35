"""Status messages: what becomes of a packet, in the form that its sender reads (QCVN 102)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from xml.sax.saxutils import escape

from signsvc.formats.edxml.model import Packet, Party

NAMESPACE = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
# Status codes with their Vietnamese words.
CODES = {
    "01": "Đã đến",
    "02": "Từ chối",
    "03": "Đã tiếp nhận",
    "04": "Phân công",
    "05": "Đang xử lý",
    "06": "Hoàn thành",
    "13": "Yêu cầu lấy lại",
    "15": "Đồng ý cập nhật, lấy lại",
    "16": "Từ chối cập nhật, lấy lại",
}
_VIETNAM = timezone(timedelta(hours=7))
_MAX_REASON = 1_000


def status_message(packet: Packet, code: str, reason: str, *, sender: Party, now: datetime) -> bytes:
    """The message (UTF-8) that tells the sender of `packet` that it has the status `code` at `now` (aware), and why.

    Raises `ValueError` for an unknown code.
    """
    if code not in CODES:
        raise ValueError("unknown status code")
    local = now.astimezone(_VIETNAM)
    said = reason.strip() or CODES[code]
    number = "/".join(part for part in (packet.number, packet.notation) if part)

    def one(name: str, value: str | None) -> str:
        return f"<{name}>{escape(value or '')}</{name}>"

    def party(name: str, value: Party) -> str:
        return f"<{name}>{one('OrganId', value.id)}{one('OrganName', value.name)}</{name}>"

    response = (
        one("OrganId", packet.sender.id)
        + one("Code", number)
        + one("PromulgationDate", packet.promulgation_date)
        + one("DocumentId", packet.document_id)
    )
    header = (
        party("From", sender)
        + party("To", packet.sender)
        + f"<ResponseFor>{response}</ResponseFor>"
        + one("StatusCode", code)
        + one("Description", printable(said)[:_MAX_REASON])
        + one("Timestamp", local.strftime("%Y/%m/%d %H:%M:%S"))
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<edXML xmlns="{NAMESPACE}"><edXMLEnvelope><edXMLHeader>'
        f"<MessageHeader>{header}</MessageHeader></edXMLHeader></edXMLEnvelope></edXML>\n"
    ).encode()


def printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


__all__ = ["CODES", "NAMESPACE", "status_message"]
