"""Packets are read leniently, and never farther than their limits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from signsvc.errors import DocumentError
from signsvc.formats import edxml
from signsvc.formats.edxml import Party
from signsvc.formats.edxml.read import safe_name
from tests.support.packets import NAMESPACE, packet, zipped

DS = "http://www.w3.org/2000/09/xmldsig#"


def test_what_a_packet_says() -> None:
    found = edxml.read(packet(("a.pdf", b"%PDF-1.7 one"), ("b.pdf", zipped(b"%PDF-1.7 two"))))
    assert (found.sender, found.recipients) == (Party("H41", "UBND tỉnh"), (Party(None, None),))
    assert (found.number, found.notation, found.promulgation_date) == ("12", "QĐ-UBND", "2026/11/24")
    assert (found.subject, found.business, found.document_id) == ("V/v <thử nghiệm>", "0", "H41,2026/11/24,12/QĐ-UBND")
    assert found.hops == ("000.00.00.G22 2026/11/24 08:00:00",)
    assert [(a.name, a.data, a.zipped) for a in found.attachments] == [
        ("a.pdf", b"%PDF-1.7 one", False),
        ("b.pdf", b"%PDF-1.7 two", True),
    ]
    assert (found.signature.state, found.findings) == ("absent", ())


def test_malformed_packets_are_mended_and_say_so() -> None:
    for data in (packet(("a.pdf", b"x"), before="1212"), packet(("a.pdf", b"x"), link=True)):
        found = edxml.read(data)
        assert [a.data for a in found.attachments] == [b"x"]
        assert [f.code for f in found.findings] == ["edxml_mended"]
    assert edxml.read(b"\xef\xbb\xbf" + packet()).findings == ()


def test_containers_are_left_whole() -> None:
    asic = b"PK\x03\x04" + bytes(26) + b"mimetypeapplication/vnd.etsi.asic-e+zip"
    office = zipped(b"x", "word/document.xml")
    found = edxml.read(packet(("a.asice", asic), ("b.docx", office), ("c.zip", zipped(b"x"))))
    assert [a.data for a in found.attachments] == [asic, office, zipped(b"x")]
    assert not any(a.zipped for a in found.attachments)


@pytest.mark.parametrize(
    ("signature", "state"),
    [
        ("", "absent"),
        (f"<edXML:DigitalSignature xmlns:edXML='{NAMESPACE}'/>", "placeholder"),
        ("<Signature><SignedInfo/><SignatureValue>QUJD</SignatureValue></Signature>", "non-standard"),
        (f"<Signature xmlns='{DS}'><SignedInfo/><SignatureValue>QUJD</SignatureValue></Signature>", "placeholder"),
        (f"<Signature xmlns='{DS}'><SignedInfo/><SignatureValue>{'A' * 100}</SignatureValue></Signature>", "present"),
        (f"<Signature xmlns='{DS}'><SignedInfo/><SignatureValue>!</SignatureValue></Signature>", "placeholder"),
    ],
)
def test_the_form_of_the_signature(signature: str, state: str) -> None:
    assert edxml.read(packet(signature=signature)).signature.state == state


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\x.pdf", "/abs", "a\x00b", "", " . ", "CON:|?*"])
def test_names_lead_nowhere(name: str) -> None:
    made = safe_name(name, 7)
    assert made
    assert not set(made) & set('/\\:|?*\x00<>"')
    assert made not in (".", "..")


def test_what_cannot_be_read_hides_nothing_else() -> None:
    data = packet(("a.pdf", b"x"), ("b.pdf", b"PK\x03\x04 torn"), ("c.pdf", b""), ("d.pdf", b"y"))
    data = data.replace(b">eA==<", b">!!!<", 1)
    found = edxml.read(data)
    assert [(a.data, a.problem is None) for a in found.attachments] == [
        (None, False),
        (None, False),
        (None, False),
        (b"y", True),
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<a/>", "not_edxml"),
        (b"<edXML xmlns='urn:other'/>", "not_edxml"),
        (b"<!DOCTYPE a><edXML/>", "xml_doctype"),
        (b"<edXML", "xml_malformed"),
        (packet(*[("a.pdf", b"x")] * 101), "document_too_complex"),
    ],
)
def test_what_is_no_packet(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as caught:
        edxml.read(data)
    assert caught.value.code == code


def test_large_texts_are_read() -> None:
    data = bytes(12_000_000)
    (found,) = edxml.read(packet(("a.bin", data))).attachments
    assert found.data == data


def test_status_messages_answer_the_packet() -> None:
    found = edxml.read(packet())
    made = edxml.status_message(
        found, "02", "Chữ ký <hỏng>\x00", sender=Party("G22", "Bộ & X"), now=datetime(2026, 11, 24, 1, tzinfo=UTC)
    )
    root = etree.fromstring(made)
    text = {etree.QName(e).localname: e.text for e in root.iter() if len(e) == 0}
    assert text["StatusCode"] == "02"
    assert text["Description"] == "Chữ ký <hỏng>"
    assert text["Timestamp"] == "2026/11/24 08:00:00"
    assert text["DocumentId"] == "H41,2026/11/24,12/QĐ-UBND"
    assert edxml.read(made).status_code == "02"
    with pytest.raises(ValueError, match="status"):
        edxml.status_message(found, "99", "", sender=Party("G22", None), now=datetime.now(UTC))
