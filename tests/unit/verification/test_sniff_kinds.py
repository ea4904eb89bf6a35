"""The kind of a document is told by its octets, in every encoding that systems hand it over in."""

from __future__ import annotations

import base64

import pytest

from signsvc.errors import DocumentError
from signsvc.verification import sniff

CMS = bytes.fromhex("30820a0006092a864886f70d010702a08209f1") + bytes(400)
BER = bytes.fromhex("308006092a864886f70d010702a080") + bytes(400)
XML = "<?xml version='1.0'?><a>đ</a>"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n", sniff.PDF),
        (b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.7\n", sniff.PDF),
        (XML.encode(), sniff.XML),
        (XML.encode("utf-8-sig"), sniff.XML),
        (XML.encode("utf-16"), sniff.XML),
        (XML.encode("utf-16-be"), sniff.XML),
        (b" \r\n\t<HDon/>", sniff.XML),
        (b"<!-- %PDF-1.7 --><a/>", sniff.XML),
        (b"202\r\n<?xml version='1.0'?><a/>", sniff.XML),
        (b"PK\x03\x04 whatever", sniff.ZIP),
        (b"PK\x03\x04 %PDF-1.7", sniff.ZIP),
        (CMS, sniff.CMS),
        (BER, sniff.CMS),
        (base64.b64encode(CMS), sniff.CMS),
        (b"\n" + base64.encodebytes(CMS), sniff.CMS),
        (b"-----BEGIN PKCS7-----\n" + base64.encodebytes(CMS), sniff.CMS),
        (b"-----BEGIN CMS-----\n" + base64.encodebytes(CMS), sniff.CMS),
    ],
)
def test_kinds(data: bytes, kind: str) -> None:
    assert sniff.media_type(data[:1024], len(data)) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x05\x06" + bytes(18),
        b"\x89PNG\r\n\x1a\n",
        b"plain words",
        b"< not markup",
        b"\xd0\xcf\x11\xe0",
        bytes.fromhex("3082010006032a0304"),
        b"MIIB" + b"A" * 80,
        b"MII" + b"=" * 80,
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(CMS),
        b"\xff\xfe",
        b"\x00",
    ],
)
def test_what_is_none_of_them(data: bytes) -> None:
    with pytest.raises(DocumentError) as caught:
        sniff.media_type(data, len(data))
    assert caught.value.code == "unsupported_format"


def test_nothing_at_all() -> None:
    with pytest.raises(DocumentError) as caught:
        sniff.media_type(b"", 0)
    assert caught.value.code == "empty_document"
