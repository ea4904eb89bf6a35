"""One octet after the other is changed in signed files of every shape: what is valid still says the same.

What a file says is told by the XML library of Python (expat), not by the readers under test.
"""

from __future__ import annotations

import io
import os
import xml.etree.ElementTree as ET

import pytest

from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.errors import DocumentError
from signsvc.formats import xmlsig
from signsvc.types import Original
from tests.attacks.xml.crafted import DS, Crafted, reference
from tests.support.xmlsec import C14N, C14N11, ENVELOPED, EXCLUSIVE
from tests.unit.formats.xades.xades_bench import XadesBench

_STEP = 1 if os.environ.get("SIGNSVC_TEST_FULL") == "1" else 10
_XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    "<ds:XPath>not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>"
)
_PART = '<part xmlns="urn:a" Id="p" b="1">Số <b c="2">12</b>&lt;</part>'
_AROUND = f"<?xml version='1.0'?>\n<!-- c --><?pi x?><root>{_PART}{{}}</root>"
_WHOLE = f"<?pi x?>\n<root>{_PART}</root>".encode()
_HELD = '<ds:Object Id="o">good <x a="1">y</x></ds:Object>'
_OBJECT = _HELD.replace("<ds:Object", f'<ds:Object xmlns:ds="{DS}"', 1).encode()
_FILE = Original("a.txt", b"one")
# References, what stands around the signature, Objects in it, and the path of what is covered.
SHAPES = {
    "document": ((reference("", _WHOLE, ENVELOPED, EXCLUSIVE),), _AROUND, "", None),
    "document-xpath": ((reference("", _WHOLE, _XPATH, C14N),), _AROUND, "", None),
    "element": ((reference("#p", _PART.encode(), C14N11),), _AROUND, "", "Id='p'"),
    "element-implicit": ((reference("#p", _PART.encode()),), _AROUND, "", "Id='p'"),
    "object": ((reference("#o", _OBJECT, EXCLUSIVE),), "{}", _HELD, "Id='o'"),
    "file": ((reference("a.txt", b"one"),), "<root>{}</root>", "", ""),
}


@pytest.fixture(scope="module")
def crafted(xades_bench: XadesBench) -> Crafted:
    return Crafted.of(xades_bench)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_valid_says_what_was_signed(crafted: Crafted, shape: str) -> None:
    references, around, objects, covered = SHAPES[shape]
    made = crafted.signature(*references, around=around, objects=objects).encode()
    assert _valid(made)
    said = _says(made, covered)
    valid = refused = 0
    for number, at in enumerate(range(0, len(made), _STEP)):
        for bit in (1 << number % 8, 0x20, 0x80):
            changed = made[:at] + bytes((made[at] ^ bit,)) + made[at + 1 :]
            if not _valid(changed):
                refused += 1
                continue
            valid += 1
            assert _says(changed, covered) == said, (at, bit, changed[max(0, at - 30) : at + 30])
    assert refused > 3 * valid or shape in ("file", "object")
    assert refused > 200


@pytest.mark.parametrize("shape", SHAPES)
def test_no_covered_octet_is_left_out_or_added(crafted: Crafted, shape: str) -> None:
    references, around, objects, covered = SHAPES[shape]
    made = crafted.signature(*references, around=around, objects=objects).encode()
    said = _says(made, covered)
    for at in range(0, len(made), _STEP):
        for changed in (made[:at] + made[at + 1 :], made[:at] + b" " + made[at:], made[:at] + b"<e/>" + made[at:]):
            if _valid(changed):
                assert _says(changed, covered) == said, (at, changed[max(0, at - 30) : at + 30])


def _valid(data: bytes) -> bool:
    try:
        document = xmlsig.parse(data)
    except DocumentError:
        return False
    if len(document.signatures) != 1:
        return False
    read = xmlsig.read_signature(document, document.signatures[0], originals=(_FILE,), subject="s")
    if read.value is None or not read.certificates or read.digest_matches is not True:
        return False
    algorithm = resolve(read.value.algorithm_oid, read.value.parameters)
    check = verify_value(read.certificates[0], algorithm, read.value.value, message=read.value.message)
    return check is SignatureCheck.VALID


def _says(data: bytes, covered: str | None) -> tuple[str, str]:
    """SignedInfo, and what is covered: the document without signatures (None), an element, or nothing of it."""
    root = ET.fromstring(data)
    info = ET.tostring(next(root.iter(f"{{{DS}}}SignedInfo")), "unicode")
    if covered is None:
        text = io.StringIO()
        ET.canonicalize(data, out=text, exclude_tags=[f"{{{DS}}}Signature"])
        return _plain(info), text.getvalue()
    if not covered:
        return _plain(info), ""
    (element,) = root.findall(f".//*[@{covered}]")
    element.tail = None
    return _plain(info), ET.canonicalize(ET.tostring(element, "unicode"))


def _plain(written: str) -> str:
    return ET.canonicalize(written)
