"""Files made to mislead or to cost: changed octets, more properties than anybody needs, signatures in signatures."""

from __future__ import annotations

import os
import re
import time

import pytest

from signsvc.errors import DocumentError, RequestError
from signsvc.formats import xmlsig
from signsvc.formats.xades import elements, extend, insert, read
from signsvc.formats.xades.names import XADES, XADES141
from signsvc.formats.xades.write import complete, prepare_counter
from signsvc.types import SignerView
from tests.unit.formats.xades.xades_bench import INVOICE, XadesBench, outcome, passed

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
PLAIN = b'<?xml version="1.0"?><a xmlns="urn:a"><b x="1">mot hai ba</b><?pi here?></a>'


def _signer(data: bytes) -> SignerView:
    (signature,) = read(data).signatures
    assert signature.signer is not None
    return signature.signer


def _signed_parts(data: bytes) -> list[tuple[int, int]]:
    """Octets that a signature covers: the document around it, SignedInfo, SignedProperties."""
    begin, end = data.index(b"<ds:Signature "), data.index(b"</ds:Signature>") + len(b"</ds:Signature>")
    info = data.index(b"<ds:SignedInfo"), data.index(b"</ds:SignedInfo>")
    said = data.index(b"<xades:SignedProperties"), data.index(b"</xades:SignedProperties>")
    return [(len(b'<?xml version="1.0"?>'), begin), info, said, (end, len(data))]


def test_no_changed_octet_is_taken_for_signed(xades_bench: XadesBench) -> None:
    made = xades_bench.sign(PLAIN)
    passed(xades_bench.judge(made), "B-B")
    step = 1 if FULL else 7
    evidence = xades_bench.status("person", at=xades_bench.now)
    tried = 0
    for start, end in _signed_parts(made):
        for at in range(start, end, step):
            changed = made[:at] + bytes((made[at] ^ 1,)) + made[at + 1 :]
            try:
                verdict = xades_bench.judge(changed, evidence=evidence)
            except DocumentError:
                continue
            assert all(one[0] != "TOTAL-PASSED" for one in outcome(verdict)), changed[at - 20 : at + 20]
            tried += 1
    assert tried > 100


def test_no_change_is_hidden_from_an_archive_timestamp(xades_bench: XadesBench) -> None:
    """Whatever is changed before it, in letters and digits, shows in the last timestamp, or the file is no XML."""
    made = xades_bench.raised(xades_bench.sign(PLAIN), "B-LTA")
    # Not the tags around the properties: they are no part of what is stamped (EN 319 132-1 §5.5.2.2).
    parts = [
        (made.index(b"<ds:SignedInfo"), made.index(b"<ds:Object><xades:Q")),
        (made.index(b"<xades:SignedProperties"), made.index(b"<xades:UnsignedProperties")),
        (made.index(b"<xades:SignatureTimeStamp"), made.index(b"<xades141:ArchiveTimeStamp")),
    ]
    # Declarations of prefixes that are declared around it too say nothing.
    said = {at for found in re.finditer(rb'xmlns:\w+="[^"]*"', made) for at in range(*found.span())}
    places = [at for one in parts for at in range(*one) if made[at : at + 1].isalnum() and at not in said]
    for at in places[:: 1 if FULL else 61]:
        other = b"a" if made[at : at + 1] != b"a" else b"b"
        changed = made[:at] + other + made[at + 1 :]
        try:
            signer = _signer(changed)
        except (DocumentError, AssertionError):
            continue
        last = signer.timestamps[-1] if signer.timestamps else None
        assert last is None or last.kind != "archive" or last.imprint_matches is not True, changed[at - 20 : at + 20]


def test_properties_without_end_cost_their_reading_alone(xades_bench: XadesBench) -> None:
    made = xades_bench.raised(xades_bench.sign(), "B-LT")
    (target,) = insert.chosen(xmlsig.parse(made))
    token = xades_bench.pki.timestamp(bytes(32), at=xades_bench.day(10))
    archives = (
        elements.timestamp("ArchiveTimeStamp", "t", token) + f'<x:ArchiveTimeStamp xmlns:x="{XADES141}"/>' * 30_000
    )
    held = f'<x:SignatureTimeStamp xmlns:x="{XADES}"/><x:Any xmlns:x="urn:x"/>' * 10_000
    large = insert.added(made, [insert.Addition(target, archives + held)])
    began = time.process_time()
    signer = _signer(large)
    assert time.process_time() - began < 3
    assert len(signer.unsigned_attributes) == 500
    assert signer.digest_matches is True


def test_counter_signatures_in_depth_are_bounded(xades_bench: XadesBench) -> None:
    made = xades_bench.sign(PLAIN)
    name = read(made).signatures[0].field
    for _ in range(6):
        prepared = prepare_counter(made, xades_bench.plan("ec"), name or "")
        made = complete(prepared, xades_bench.pki.sign_data("ec", prepared.octets))
        name = prepared.signature_id
    depth, signer = 0, _signer(made)
    while signer.counter_signatures:
        (signer,) = signer.counter_signatures
        depth += 1
        assert signer.digest_matches is True
    assert depth == 3
    assert "xades_too_many" in {f.code for f in signer.findings}
    passed(xades_bench.judge(made), "B-B")


def test_a_signature_under_another_is_left_alone(xades_bench: XadesBench) -> None:
    """One that leaves out itself alone covers those before it: what is added to them would break it."""
    both = xades_bench.sign(xades_bench.sign(), "ec", alone=True)
    passed(xades_bench.judge(both), "B-B", "B-B")
    first, second = (signature.field for signature in read(both).signatures)
    stamp = xades_bench.stamp(xades_bench.day(10))
    for chosen in (first, None):
        with pytest.raises(DocumentError) as caught:
            extend.signature_timestamp(both, stamp, signature_id=chosen)
        assert caught.value.data == {"reason": "covered-by-another"}
    passed(xades_bench.judge(extend.signature_timestamp(both, stamp, signature_id=second)), "B-B", "B-T")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<a>", "xml_malformed"),
        (b"<a></a><b></b>", "xml_malformed"),
        (b"<!DOCTYPE a><a/>", "xml_doctype"),
        (b"\xff\xfe<\x00", "xml_malformed"),
        (b"no XML", "xml_malformed"),
    ],
)
def test_what_is_no_xml_is_refused(xades_bench: XadesBench, data: bytes, code: str) -> None:
    stamp = xades_bench.stamp(xades_bench.day(10))
    for act in (read, xades_bench.sign, lambda octets: extend.signature_timestamp(octets, stamp)):
        with pytest.raises(DocumentError) as caught:
            act(data)
        assert caught.value.code == code


def test_a_relative_namespace_has_no_canonical_form(xades_bench: XadesBench) -> None:
    with pytest.raises(DocumentError) as caught:
        xades_bench.sign(b'<a xmlns="relative"/>')
    assert caught.value.code == "xml_malformed"
    made = xades_bench.sign(PLAIN).replace(b'xmlns="urn:a"', b'xmlns="urna"')
    assert outcome(xades_bench.judge(made))[0][0] != "TOTAL-PASSED"


def test_what_cannot_be_raised_is_said(xades_bench: XadesBench) -> None:
    stamp = xades_bench.stamp(xades_bench.day(10))
    with pytest.raises(DocumentError) as caught:
        extend.archive_timestamp(INVOICE, stamp)
    assert (caught.value.code, caught.value.data) == ("signature_not_extendable", {"reason": "not-xades"})
    with pytest.raises(RequestError) as wrong:
        extend.signature_timestamp(xades_bench.sign(), stamp, signature_id="none")
    assert wrong.value.code == "xml_element_not_found"
