"""Attacks on XML signatures: wrapping, identities, transforms, keys, references that lead outside, and sheer size."""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.hazmat.primitives import serialization

import test_pki
from signsvc.errors import DocumentError
from tests.attacks.court import FORMAT, HASH, MISSING, OPEN, PASSED, VALUE, Court, check, told
from tests.attacks.xml_forge import Forge, reference, transform
from tests.support.xmlsec import C14N, DS, ENVELOPED, EXCLUSIVE

ITEM = '<item Id="i"><price>100</price></item>'
REAL = ITEM.encode()
EXC = transform(EXCLUSIVE)
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
CONSTRAINTS = f"{OPEN}/SIG_CONSTRAINTS_FAILURE"


@pytest.fixture(scope="module")
def court(pki: test_pki.Pki) -> Court:
    return Court(pki)


@pytest.fixture(scope="module")
def forge(pki: test_pki.Pki) -> Forge:
    return Forge(pki)


def test_what_is_attacked_is_valid(court: Court, forge: Forge) -> None:
    data = f"<order>{ITEM}{forge(reference('#i', REAL, EXC))}</order>".encode()
    check(court(data), PASSED, "xml_signature_covers_part")
    check(court(data.replace(b"100", b"900")), HASH, "xml_reference_altered")


FAKES = {"other Id": ' Id="f"', "no Id": ""}
MOVED = {
    "into an Object of the signature": "<order>{fake}{signature_with_object}</order>",
    "beside, wrapped": "<order>{fake}<x>{real}</x>{signature}</order>",
    "before, wrapped": "<order><x>{real}</x>{fake}{signature}</order>",
    "behind the signature": "<order>{fake}{signature}<x>{real}</x></order>",
    "under the fake": "<order><item{id}><price>900</price>{real}</item>{signature}</order>",
    "with the signature": "<order>{fake}<x>{real}{signature}</x></order>",
    "under the root, the fake deeper": "<order>{real}<body>{fake}</body>{signature}</order>",
    "into another namespace's element": '<order>{fake}<x xmlns="urn:x">{plain}</x>{signature}</order>',
}


@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.parametrize("moved", MOVED)
def test_wrapping(moved: str, fake: str, court: Court, forge: Forge) -> None:
    part = reference("#i", REAL, EXC)
    data = MOVED[moved].format(
        id=FAKES[fake],
        fake=f"<item{FAKES[fake]}><price>900</price></item>",
        real=ITEM,
        plain=ITEM.replace("<item", '<item xmlns=""'),
        signature=forge(part),
        signature_with_object=forge(part, objects=f"<ds:Object>{ITEM}</ds:Object>"),
    )
    outcome, codes = told(court(data.encode()))
    assert outcome != PASSED
    assert codes & {"xml_covered_namesake", "xml_signature_covers_nothing", "xml_reference_altered"}, codes


def test_a_fake_beside_the_signed_one_is_told_from_it(court: Court, forge: Forge) -> None:
    """Lists are signed element by element: which one is covered stands in the report."""
    data = f"<order><item><price>900</price></item>{ITEM}{forge(reference('#i', REAL, EXC))}</order>".encode()
    verdict = court(data)
    check(verdict, PASSED, "xml_signature_covers_part")
    assert [one.name for one in verdict.signatures[0].covered] == ["/order/item[2]"]


@pytest.mark.parametrize("spelling", ["Id", "ID", "id", "xml:id"])
def test_one_name_for_two(spelling: str, court: Court, forge: Forge) -> None:
    fake = f'<other {spelling}="i"/>'
    for first, second in ((fake, ITEM), (ITEM, fake)):
        data = f"<order>{first}{second}{forge(reference('#i', REAL, EXC))}</order>".encode()
        check(court(data), FORMAT, "xml_id_not_unique")
    escaped = fake.replace('"i"', '"&#x69;"')
    check(court(f"<order>{escaped}{ITEM}{forge(reference('#i', REAL, EXC))}</order>".encode()), FORMAT, None)


@pytest.mark.parametrize(
    ("transforms", "outcome", "finding"),
    [
        ((transform(XSLT, "<x></x>"),), FORMAT, "xml_transform_not_allowed"),
        ((transform(XPATH, "<ds:XPath>false()</ds:XPath>"),), FORMAT, "xml_transform_not_allowed"),
        ((transform(XPATH, "<ds:XPath>not(ancestor-or-self::ds:Signature)or(1)</ds:XPath>"),), FORMAT, None),
        ((transform("urn:unknown"),), FORMAT, "xml_transform_not_allowed"),
        ((transform("http://www.w3.org/TR/xml-exc-c14n#"),), FORMAT, "xml_transform_not_allowed"),
        ((EXC, transform(ENVELOPED)), FORMAT, "xml_transforms_reordered"),
        ((EXC,) * 6, FORMAT, "xml_too_many_transforms"),
        ((transform(f"{DS}base64"),), FORMAT, "xml_value_malformed"),
    ],
)
def test_transforms(transforms: tuple[str, ...], outcome: str, finding: str, court: Court, forge: Forge) -> None:
    data = f"<order>{ITEM}{forge(reference('#i', REAL, *transforms))}</order>".encode()
    check(court(data), outcome, finding)


def test_transforms_that_hide_content_are_signed_in_vain(court: Court, forge: Forge) -> None:
    """Even where the digest is that of what the transform leaves."""
    hidden = transform(XPATH, "<ds:XPath>not(self::price)</ds:XPath>")
    data = f"<order>{ITEM}{forge(reference('#i', b'<item Id=i></item>', hidden, EXC))}</order>".encode()
    check(court(data), FORMAT, "xml_transform_not_allowed")


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "http://kyso.example.vn/a.xml",
        "//host/a",
        "\\\\host\\a",
        "ftp://x/y",
        "../../etc/passwd",
        "a.xml",
    ],
)
def test_references_that_lead_outside(uri: str, court: Court, forge: Forge) -> None:
    octets = b""
    data = f"<order>{ITEM}{forge(reference(uri, octets))}</order>".encode()
    outcome, codes = told(court(data))
    assert outcome == MISSING
    assert codes & {"xml_reference_external", "xml_content_missing"}


@pytest.mark.parametrize("uri", ["#xpointer(//item)", "#element(/1/1)", "#", "#nothing"])
def test_pointers(uri: str, court: Court, forge: Forge) -> None:
    outcome, codes = told(court(f"<order>{ITEM}{forge(reference(uri, REAL, EXC))}</order>".encode()))
    assert outcome != PASSED
    assert codes & {"xml_reference_pointer", "xml_id_not_found"}


def test_keys(court: Court, forge: Forge, pki: test_pki.Pki) -> None:
    part = reference("#i", REAL, EXC)

    def order(signature: str) -> bytes:
        return f"<order>{ITEM}{signature}</order>".encode()

    hmac = forge(part, method=f"{DS}hmac-sha1", inside_method="<ds:HMACOutputLength>1</ds:HMACOutputLength>")
    outcome, codes = told(court(order(hmac)))
    assert (outcome, "xml_signature_hmac" in codes) == (CONSTRAINTS, True)
    numbers = pki.key("person").public_key().public_numbers()  # type: ignore[union-attr]
    modulus = base64.b64encode(numbers.n.to_bytes(256, "big")).decode()  # type: ignore[union-attr]
    bare = f"<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
    outcome, codes = told(court(order(forge(part, key_info=bare))))
    assert (outcome, "xml_key_without_certificate" in codes) == (f"{OPEN}/NO_SIGNING_CERTIFICATE_FOUND", True)
    for cut in (1, 255, 256):
        assert told(court(order(forge(part, cut=cut))))[0] == VALUE
    other = base64.b64encode(pki.cert("agency")).decode()
    stolen = f"<ds:X509Data><ds:X509Certificate>{other}</ds:X509Certificate></ds:X509Data>"
    assert told(court(order(forge(part, key_info=stolen))))[0] == VALUE
    key = pki.key("person").public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    assert told(court(order(forge(part, key_info=f"<ds:X509Data><ds:X509Certificate>{base64.b64encode(key).decode()}</ds:X509Certificate></ds:X509Data>"))))[0] != PASSED  # fmt: skip
    assert told(court(order(forge(part, method=f"{DS}dsa-sha1"))))[0] != PASSED


def test_a_signature_over_itself_alone(court: Court, forge: Forge) -> None:
    held = f'<ds:Object xmlns:ds="{DS}" Id="o">nothing</ds:Object>'
    signature = forge(reference("#o", held.encode(), EXC), objects='<ds:Object Id="o">nothing</ds:Object>')
    check(court(f"<order>{ITEM}{signature}</order>".encode()), FORMAT, "xml_signature_covers_nothing")
    check(court(signature.encode()), PASSED, None)  # enveloping: there is nothing else


def test_comments_are_told(court: Court, forge: Forge) -> None:
    data = f"<order>{ITEM}{forge(reference('#i', REAL, EXC))}</order>".encode().replace(b"100", b"10<!-- -->0", 1)
    check(court(data), PASSED, "xml_comments_not_covered")


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE order SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE order [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE order [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x">%p;]>',
        '<!DOCTYPE order [<!ATTLIST item Id ID "i">]>',
        "<!-- before --><!DOCTYPE order>",
    ],
)
def test_document_types(declared: str, court: Court, forge: Forge) -> None:
    data = f"{declared}<order>{ITEM}{forge(reference('#i', REAL, EXC))}</order>".encode()
    with pytest.raises(DocumentError) as caught:
        court(data)
    assert caught.value.code == "xml_doctype"


def big(forge: Forge) -> dict[str, bytes]:
    part = reference("#i", REAL, EXC)
    names = b" ".join(b'a%d=">"' % n for n in range(40_000))
    spaces = b" ".join(b'xmlns:n%d="urn:%d"' % (n, n) for n in range(40_000))
    signed = f"<order>{ITEM}{forge(part)}</order>".encode()
    return {
        "references": f"<order>{ITEM}{forge(*[part] * 10_000)}</order>".encode(),
        "many references": f"<order>{ITEM}{forge(*[part] * 4_000)}</order>".encode(),
        "transforms": f"<order>{ITEM}{forge(reference('#i', REAL, *[EXC] * 10_000))}</order>".encode(),
        "attributes": b"<order " + names + b">" + signed + b"</order>",
        "namespaces": b"<order " + spaces + b">" + signed + b"</order>",
        "depth": b"<a>" * 10_000 + signed + b"</a>" * 10_000,
        "deep": b"<a>" * 2_000 + signed + b"</a>" * 2_000,
        "signatures": b"<order>" + forge(part).encode() * 2_000 + b"</order>",
        "namesakes": b"<x>" + b"<y><item/></y>" * 100_000 + signed + b"</x>",
        "whole, many times": f"<order>{ITEM * 1000}{forge(*[reference('', b'', transform(C14N))] * 400)}</order>".encode(),
    }


@pytest.mark.parametrize("case", [
    "attributes", "deep", "depth", "many references", "namesakes", "namespaces", "references", "signatures", "transforms",
    "whole, many times",
])  # fmt: skip
def test_sheer_size_ends_in_time(case: str, court: Court, forge: Forge) -> None:
    data = big(forge)[case]
    began = time.process_time()
    try:
        outcome = told(court(data))[0]
    except DocumentError as error:
        outcome = error.code
    assert time.process_time() - began < 5  # some hundred times what it takes
    if case not in ("many references", "deep"):
        assert outcome != PASSED
