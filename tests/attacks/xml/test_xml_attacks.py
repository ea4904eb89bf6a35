"""Every known attack on XML signatures, through the readers and the rules: none passes, and each is told by name."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from signsvc.errors import DocumentError
from signsvc.types import Indication, Original
from tests.attacks.xml.crafted import DS, PART, Crafted, reference, seen
from tests.support.xmlsec import C14N, ENVELOPED, EXCLUSIVE
from tests.unit.formats.xades.xades_bench import XadesBench

ROOT = f"<root>{PART}{{}}</root>"
GOOD = PART.encode()
WHOLE = f"<root>{PART}</root>".encode()
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
BASE64 = f"{DS}base64"
PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
XADES = "http://uri.etsi.org/01903/v1.3.2#"


@pytest.fixture(scope="module")
def crafted(xades_bench: XadesBench) -> Crafted:
    return Crafted.of(xades_bench)


def _refused(crafted: Crafted, data: str | bytes, code: str, **options: object) -> None:
    _, verdict = crafted.judge(data, **options)  # type: ignore[arg-type]
    assert verdict.signatures
    assert all(one.indication is not Indication.TOTAL_PASSED for one in verdict.signatures), seen(verdict)
    assert code in seen(verdict), seen(verdict)


def _passed(crafted: Crafted, data: str | bytes, scope: str, **options: object) -> set[str]:
    view, verdict = crafted.judge(data, **options)  # type: ignore[arg-type]
    assert [one.indication for one in verdict.signatures] == [Indication.TOTAL_PASSED], seen(verdict)
    assert view.signatures[0].scope.type == scope
    return seen(verdict)


def test_what_is_made_by_hand_passes_unchanged(crafted: Crafted) -> None:
    part = crafted.signature(reference("#p", GOOD, EXCLUSIVE), around=ROOT)
    assert "xml_signature_covers_part" in _passed(crafted, part, "PARTIAL")
    _passed(crafted, crafted.signature(reference("", WHOLE, ENVELOPED, EXCLUSIVE), around=ROOT), "FULL")


# Wrapping: the signed element goes elsewhere, another one takes its place

_HIDES = {
    "object": "<root>{evil}{before}<ds:Object>{good}</ds:Object>{after}</root>",
    "object-deep": "<root>{evil}{before}<ds:Object><x><y>{good}</y></x></ds:Object>{after}</root>",
    "wrapper": "<root>{evil}<wrapper>{good}</wrapper>{before}{after}</root>",
    "wrapper-first": "<root><wrapper>{good}</wrapper>{evil}{before}{after}</root>",
    "around": "<new>{evil}<root>{good}{before}{after}</root></new>",
    "inside-evil": "<root>{evil_open}bad{good}</part>{before}{after}</root>",
    "evil-in-object": "<root><w>{good}</w>{before}<ds:Object>{evil}</ds:Object>{after}</root>",
    "evil-holds-signature": "<root>{evil_open}{before}<ds:Object>{good}</ds:Object>{after}</part></root>",
}
_NAMES = ("", ' Id="p"', ' Id="q"', ' ID="p"', ' id="p"', ' xml:id="p"')


@pytest.mark.parametrize("hide", _HIDES)
def test_wrapping_never_passes(crafted: Crafted, hide: str) -> None:
    made = crafted.signature(reference("#p", GOOD, EXCLUSIVE), around=ROOT)
    start, end = made.index("<ds:Signature "), made.index("</ds:Signature>")
    for name in _NAMES:
        evil_open = f"<part{name}>"
        data = _HIDES[hide].format(
            evil=f"{evil_open}bad</part>",
            evil_open=evil_open,
            good=PART,
            before=made[start:end],
            after="</ds:Signature>",
        )
        code = "xml_id_not_unique" if "p" in name[4:] and name != ' Id="q"' else "xml_covered_namesake"
        _refused(crafted, data, code)


def test_an_unsigned_sibling_is_no_part_of_what_passes(crafted: Crafted) -> None:
    made = crafted.signature(reference("#p", GOOD, EXCLUSIVE), around=ROOT)
    data = made.replace(PART, f'<part Id="q">bad</part>{PART}')
    assert "xml_signature_covers_part" in _passed(crafted, data, "PARTIAL")
    _refused(crafted, data, "xml_demanded_not_covered", must_cover=("/root/part",))


def test_ids_in_two_spellings_of_a_uri_are_ambiguous(crafted: Crafted) -> None:
    good = '<part Id="p%61">good</part>'
    made = crafted.signature(reference("#p%61", good.encode(), EXCLUSIVE), around=f"<root>{good}{{}}</root>")
    _passed(crafted, made, "PARTIAL")
    _refused(crafted, made.replace(good, f'{good}<part Id="pa">bad</part>'), "xml_id_not_unique")


@pytest.mark.parametrize("uri", ["#xpointer(//part)", "#element(/1/1)", "#", "#xpointer(id('p')/..)"])
def test_pointers_are_refused(crafted: Crafted, uri: str) -> None:
    _refused(crafted, crafted.signature(reference(uri, GOOD, EXCLUSIVE), around=ROOT), "xml_reference_pointer")


def test_what_is_changed_is_told(crafted: Crafted) -> None:
    made = crafted.signature(reference("", WHOLE, ENVELOPED, EXCLUSIVE), around=ROOT)
    for old, new in (("good", "bad"), ("<root>", '<root a="1">'), ("</root>", "<x/></root>"), ("good", "g<x/>ood")):
        _refused(crafted, made.replace(old, new, 1), "xml_reference_altered")


# Transforms

_SHEET = '<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"><x:template match="/">good</x:template></x:stylesheet>'
_NOT_ALLOWED = {
    "xslt": f'<ds:Transform Algorithm="{XSLT}">{_SHEET}</ds:Transform>',
    "xpath": f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>ancestor-or-self::part</ds:XPath></ds:Transform>',
    "xpath-false": f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>not(self::evil)</ds:XPath></ds:Transform>',
    "xpath-two": f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath>'
    "<ds:XPath>false()</ds:XPath></ds:Transform>",
    "xpath-comment": f'<ds:Transform Algorithm="{XPATH}"><ds:XPath>not(ancestor-or-self::<!-- -->ds:Signature)'
    "</ds:XPath></ds:Transform>",
    "filter2": f'<ds:Transform Algorithm="{FILTER2}"><f:XPath xmlns:f="{FILTER2}" Filter="intersect">//part</f:XPath>'
    "</ds:Transform>",
    "unknown": '<ds:Transform Algorithm="urn:nothing"/>',
    "empty": '<ds:Transform Algorithm=""/>',
    "none": "<ds:Transform/>",
    "decrypt": '<ds:Transform Algorithm="http://www.w3.org/2002/07/decrypt#XML"/>',
}


@pytest.mark.parametrize("name", _NOT_ALLOWED)
def test_transforms_of_no_known_meaning_are_refused(crafted: Crafted, name: str) -> None:
    for octets in (GOOD, b"good", WHOLE, b""):
        made = crafted.signature(reference("", octets, _NOT_ALLOWED[name], EXCLUSIVE), around=ROOT)
        _refused(crafted, made, "xml_transform_not_allowed")


def test_transforms_in_another_order_are_refused(crafted: Crafted) -> None:
    made = crafted.signature(reference("", WHOLE, EXCLUSIVE, ENVELOPED), around=ROOT)
    _refused(crafted, made, "xml_transforms_reordered")
    made = crafted.signature(reference("", b"good", ENVELOPED, BASE64), around=ROOT)
    _refused(crafted, made, "xml_transforms_reordered")


def test_markup_between_the_letters_of_base64_is_refused(crafted: Crafted) -> None:
    part = '<part Id="p">Z29vZA==</part>'
    made = crafted.signature(reference("#p", b"good", BASE64), around=f"<root>{part}{{}}</root>")
    _passed(crafted, made, "PARTIAL")
    for evil in ("Z29v<bad/>ZA==", "Z29v<!-- x -->ZA==", "<bad>Z29vZA==</bad>", "Z29v<?bad?>ZA=="):
        _refused(crafted, made.replace("Z29vZA==", evil, 1), "xml_value_malformed")


# Keys and values

_HMAC = "http://www.w3.org/2000/09/xmldsig#hmac-sha1"
_METHODS = {
    "hmac": f'<ds:SignatureMethod Algorithm="{_HMAC}"/>',
    "hmac-length": f'<ds:SignatureMethod Algorithm="{_HMAC}"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>',
    "hmac-256": '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>',
    "length-of-rsa": '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">'
    "<ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
}


@pytest.mark.parametrize("name", _METHODS)
def test_keys_that_are_shared_prove_nothing(crafted: Crafted, name: str) -> None:
    made = crafted.signature(reference("#p", GOOD, EXCLUSIVE), around=ROOT, method=_METHODS[name])
    _refused(crafted, made, "xml_signature_hmac")


def test_methods_of_no_known_meaning_are_refused(crafted: Crafted) -> None:
    for uri in ("", "urn:none", "http://www.w3.org/2000/09/xmldsig#dsa-sha1"):
        made = crafted.signature(
            reference("#p", GOOD, EXCLUSIVE), around=ROOT, method=f'<ds:SignatureMethod Algorithm="{uri}"/>'
        )
        _, verdict = crafted.judge(made)
        assert verdict.signatures[0].indication is not Indication.TOTAL_PASSED
    made = crafted.signature(reference("#p", GOOD, EXCLUSIVE, digest="urn:none"), around=ROOT)
    _refused(crafted, made, "xml_digest_unknown")
    text = crafted.signature(reference("#p", GOOD, EXCLUSIVE), around=ROOT)
    _refused(crafted, text.replace(EXCLUSIVE, "urn:none", 1), "xml_canonicalization_unknown")


def test_a_key_without_certificate_is_nobodys(crafted: Crafted) -> None:
    value = "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
    for info in (value, '<ds:RetrievalMethod URI="#k"/>', "<ds:KeyName>person</ds:KeyName>"):
        made = crafted.signature(reference("#p", GOOD, EXCLUSIVE), around=ROOT, key_info=info)
        _, verdict = crafted.judge(made)
        assert str(verdict.signatures[0].sub_indication) == "NO_SIGNING_CERTIFICATE_FOUND"


def test_a_value_cut_short_is_no_value(crafted: Crafted) -> None:
    made = crafted.signature(reference("#p", GOOD, EXCLUSIVE), around=ROOT)
    start = made.index("<ds:SignatureValue>") + len("<ds:SignatureValue>")
    end = made.index("</ds:SignatureValue>")
    for value in ("", "AAAA", made[start : start + 40], made[start : end - 4], made[start:end] + "AAAA"):
        _, verdict = crafted.judge(made[:start] + value + made[end:])
        assert verdict.signatures[0].indication is not Indication.TOTAL_PASSED, value
    _refused(crafted, made[: start + 8] + "<!-- x -->" + made[start + 8 :], "xml_value_malformed")


# What is outside the document


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "http://127.0.0.1:9/x", "//host/x", "/etc/passwd", "\\\\host\\x"]
)
def test_nothing_is_fetched(crafted: Crafted, uri: str) -> None:
    octets = Path("/etc/passwd").read_bytes() if "passwd" in uri else GOOD
    _refused(crafted, crafted.signature(reference(uri, octets), around="<root>{}</root>"), "xml_reference_external")


def test_files_are_taken_by_their_names(crafted: Crafted) -> None:
    made = crafted.signature(reference("a.txt", b"one"), around="<root>{}</root>")
    one, other = Original("a.txt", b"one"), Original("b.txt", b"two")
    _passed(crafted, made, "FULL", originals=(one, other))
    _refused(crafted, made, "xml_reference_altered", originals=(Original("a.txt", b"bad"), other))
    _refused(crafted, made, "xml_content_missing", originals=(Original("c.txt", b"bad"), other))


def test_a_file_beside_unsigned_content_is_not_all(crafted: Crafted) -> None:
    """Content that no reference covers makes what passes a part, wherever it hides."""
    originals = (Original("a.txt", b"one"),)
    made = crafted.signature(reference("a.txt", b"one"), around="<root>{}</root>")
    for old, new in (
        ("<root>", "<root>evil"),
        ("<root>", '<root price="1">'),
        ("</root>", "evil</root>"),
        ("</root>", "<evil/></root>"),
        ("</ds:Signature>", "<ds:Object>evil</ds:Object></ds:Signature>"),
        ("</ds:Signature>", "<ds:Object><evil/></ds:Object></ds:Signature>"),
    ):
        _passed(crafted, made.replace(old, new, 1), "PARTIAL", originals=originals)


def test_an_object_beside_a_signed_one_is_not_covered(crafted: Crafted) -> None:
    held = f'<ds:Object xmlns:ds="{DS}" Id="o">good</ds:Object>'
    made = crafted.signature(reference("#o", held.encode(), EXCLUSIVE), objects='<ds:Object Id="o">good</ds:Object>')
    _passed(crafted, made, "FULL")
    evil = made.replace("</ds:Signature>", '<ds:Object Id="e">evil</ds:Object></ds:Signature>')
    _passed(crafted, evil, "PARTIAL")


# Properties


def _qualified(target: str = "#sig", name: str = "sp", extra: str = "") -> str:
    said = f'<x:SignedProperties Id="{name}"><x:SignedSignatureProperties><x:SigningTime>2001-01-01T00:00:00Z</x:SigningTime>'
    said += f"</x:SignedSignatureProperties></x:SignedProperties>{extra}"
    return f'<x:QualifyingProperties xmlns:x="{XADES}" Target="{target}">{said}</x:QualifyingProperties>'


def _said(name: str = "sp") -> bytes:
    text = _qualified(name=name)
    return (
        text[text.index("<x:SignedProperties") : text.index("</x:Qualifying")]
        .replace("<x:SignedProperties", f'<x:SignedProperties xmlns:x="{XADES}"', 1)
        .encode()
    )


def test_properties_that_are_somebody_elses_say_nothing(crafted: Crafted) -> None:
    part = reference("#p", GOOD, EXCLUSIVE)
    signed = reference("#sp", _said(), EXCLUSIVE, kind=PROPERTIES)
    proper = crafted.signature(part, signed, around=ROOT, objects=f"<ds:Object>{_qualified()}</ds:Object>")
    view, _ = crafted.judge(proper)
    assert view.signatures[0].claimed_time is not None
    places = (
        (f"<root>{PART}<ds:Object xmlns:ds='{DS}'>{_qualified()}</ds:Object>{{}}</root>", ""),
        (f"<root>{PART}{_qualified()}{{}}</root>", f"<ds:Object>{_qualified(name='other')}</ds:Object>"),
        (ROOT, f"<ds:Object><w>{_qualified()}</w></ds:Object>"),
    )
    for around, objects in places:
        _refused(
            crafted,
            crafted.signature(part, signed, around=around, objects=objects),
            "xades_signed_properties_misplaced",
        )
    twice = f"<ds:Object>{_qualified()}</ds:Object><ds:Object>{_qualified(name='other')}</ds:Object>"
    _refused(
        crafted, crafted.signature(part, signed, around=ROOT, objects=twice), "xades_qualifying_properties_repeated"
    )
    unsigned = crafted.signature(part, around=ROOT, objects=f"<ds:Object>{_qualified()}</ds:Object>")
    view, verdict = crafted.judge(unsigned)
    assert view.signatures[0].claimed_time is None
    assert "xades_properties_unsigned" in seen(verdict)


def test_a_time_in_an_object_that_is_left_out_is_not_claimed(crafted: Crafted) -> None:
    """The enveloped transform takes the whole signature out: what stands in its Objects is anybody's."""
    objects = (
        '<ds:Object><ds:SignatureProperties><ds:SignatureProperty Target="#sig"><SigningTime>2001-01-01T00:00:00Z'
        "</SigningTime></ds:SignatureProperty></ds:SignatureProperties></ds:Object>"
    )
    made = crafted.signature(reference("", WHOLE, ENVELOPED, EXCLUSIVE), around=ROOT, objects=objects)
    _passed(crafted, made, "FULL")
    view, _ = crafted.judge(made)
    assert view.signatures[0].claimed_time is None
    _refused(crafted, made, "xml_demanded_not_covered", must_cover=("/root/Signature/Object",))


# Documents

_DOCTYPES = {
    "external": '<!DOCTYPE r SYSTEM "file:///etc/passwd">',
    "entity": '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
    "laughs": "<!DOCTYPE r ["
    + "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(10))
    + '<!ENTITY l0 "ha">]>',
    "defaults": '<!DOCTYPE r [<!ATTLIST part Id CDATA "p">]>',
    "parameter": '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1:9/">%p;]>',
}


@pytest.mark.parametrize("name", _DOCTYPES)
def test_document_types_are_refused(crafted: Crafted, name: str) -> None:
    for start, codec in itertools.product(("", '<?xml version="1.0"?>\n', "<!-- x --><?y?>"), ("utf-8", "utf-16")):
        made = (start + _DOCTYPES[name] + crafted.signature(reference("#p", GOOD, C14N), around=ROOT)).encode(codec)
        with pytest.raises(DocumentError) as raised:
            crafted.judge(made)
        assert raised.value.code == "xml_doctype"


def test_a_comment_in_a_text_does_not_cut_it(crafted: Crafted) -> None:
    """Comments are not signed: what is read out of a document must not change by them."""
    part = '<part Id="p">admin@x.vn.evil.com</part>'
    made = crafted.signature(reference("#p", part.encode(), EXCLUSIVE), around=f"<root>{part}{{}}</root>")
    split = made.replace("x.vn.evil", "x.vn<!-- -->.evil")
    _passed(crafted, split, "PARTIAL")
    signed = reference("#sp", _said(), EXCLUSIVE, kind=PROPERTIES)
    proper = crafted.signature(signed, around=ROOT, objects=f"<ds:Object>{_qualified()}</ds:Object>")
    view, _ = crafted.judge(proper)
    after, _ = crafted.judge(proper.replace("2001-01-01T", "2001-01-01<!-- -->T"))
    assert view.signatures[0].claimed_time == after.signatures[0].claimed_time is not None
