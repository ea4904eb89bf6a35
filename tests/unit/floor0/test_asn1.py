"""The DER outline reader refuses what X.690 refuses, and never reads outside its element."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signsvc.asn1 import (
    DerError,
    children,
    decode_integer,
    decode_oid,
    decode_time,
    der,
    encode,
    encode_integer,
    encode_oid,
    read,
    read_all,
)


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "30",
        "3003020101ff",
        "308003020101",
        "3081030201 01",
        "30820003020101",
        "1f2001ff",
        "3005020101",
        "30850000000001ff",
    ],
)
def test_what_is_not_der_is_refused(octets: str) -> None:
    with pytest.raises(DerError):
        _outline(bytes.fromhex(octets))


def _outline(buf: bytes) -> None:
    children(buf, read_all(buf))


@given(st.integers(-(2**200), 2**200))
def test_integers_round_trip(value: int) -> None:
    encoded = encode_integer(value)
    assert decode_integer(encoded, read_all(encoded)) == value


@pytest.mark.parametrize("content", ["", "0001", "ff80", "007f"])
def test_integers_must_be_minimal(content: str) -> None:
    encoded = encode(0x02, bytes.fromhex(content))
    with pytest.raises(DerError):
        decode_integer(encoded, read_all(encoded))


@pytest.mark.parametrize(
    "dotted", ["1.2.840.113549.1.1.11", "2.16.840.1.101.3.4.2.1", "0.4.0.1733.2.5", "2.999.1", "1.3"]
)
def test_object_identifiers_round_trip(dotted: str) -> None:
    encoded = encode_oid(dotted)
    assert decode_oid(encoded, read_all(encoded)) == dotted


@given(st.binary(max_size=70))
def test_any_object_identifier_octets_give_text_or_an_error(content: bytes) -> None:
    encoded = encode(0x06, content)
    try:
        assert encode_oid(decode_oid(encoded, read_all(encoded))) == encoded
    except DerError:
        pass


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (der.UTC_TIME, "491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (der.UTC_TIME, "500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (der.UTC_TIME, "2601010700+0700", datetime(2026, 1, 1, tzinfo=UTC)),
        (der.GENERALIZED_TIME, "20260101000000.5Z", datetime(2026, 1, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        (der.GENERALIZED_TIME, "20260101070000+0700", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_times(tag: int, text: str, expected: datetime) -> None:
    encoded = encode(tag, text.encode())
    assert decode_time(encoded, read_all(encoded)) == expected


@pytest.mark.parametrize(
    "text", ["", "20260101", "20261301000000Z", "20260101000000", "20260101000000+9900", "2026010100000０Z"]
)
def test_times_that_are_none(text: str) -> None:
    encoded = encode(der.GENERALIZED_TIME, text.encode())
    with pytest.raises(DerError):
        decode_time(encoded, read_all(encoded))


@given(st.binary(max_size=200))
def test_reading_stays_inside(octets: bytes) -> None:
    try:
        element = read(octets, 0)
    except DerError:
        return
    assert 2 <= element.content <= element.end <= len(octets)


_HEADERS = st.sampled_from(
    [b"\x30", b"\x04\x00", b"\x04\x81", b"\x04\x82", b"\x30\x81\x80", b"\x04\x82\x01\x00", b"\x1f"]
)


@given(st.lists(_HEADERS | st.binary(max_size=4), max_size=12), st.sampled_from([0, 1, 127, 128, 255, 256, 300]))
def test_children_are_what_one_reads_after_another(pieces: list[bytes], tail: int) -> None:
    """The quick way through the lengths and the plain one agree, on what is there and on what is refused."""
    content = b"".join(pieces) + bytes(tail)
    for buf in (content, encode(0x04, content[:tail]) + content, encode(0x30, bytes(tail))):
        parent = der.Tlv(0x30, 0, 0, len(buf))
        plain: list[der.Tlv] = []
        one_by_one: list[der.Tlv] | None = plain
        pos = 0
        try:
            while pos < len(buf):
                element = read(buf, pos, len(buf))
                plain.append(element)
                pos = element.end
        except DerError:
            one_by_one = None
        try:
            found: list[der.Tlv] | None = children(buf, parent)
        except DerError:
            found = None
        assert found == one_by_one
