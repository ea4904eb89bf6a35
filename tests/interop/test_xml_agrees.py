"""Canonical forms and transforms as the JDK (`javax.xml.crypto`) and xmlsec1 have them, over a generated matrix.

Every file is signed here; both have to find the same octets under every reference, and so the same answer, for the file
as it is and for the file with something changed.  Where they do not, the reason stands in `EXPLAINED`.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import xmlsig
from signsvc.formats.xmlsig import references, structure
from tests.interop.conftest import JAVA
from tests.support.xmlsec import C14N, C14N11, DS, ENVELOPED, EXCLUSIVE, ids_of, reference, template, verifies

FULL = os.environ.get("SIGNSVC_TEST_FULL") == "1"
_EVERY = 5 if FULL else 53  # without a divisor in common with the sides of the matrix
_XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"
_FILTER2 = "http://www.w3.org/2002/06/xmldsig-filter2"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_PSS = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
_ROWS = "".join(f'<s:row n="{n}" s:k="v"><cell xmlns="urn:c{n % 3}">{n} &lt; 9</cell></s:row>' for n in range(200))

SHAPES = {
    "plain": "<a><part Id='p'><b>x &amp; y</b><c d='1' a='2'/>text</part>{}</a>",
    "default": "<a xmlns='urn:x'><part Id='p'><b><c/></b></part>{}</a>",
    "undeclared": "<a xmlns='urn:x' xmlns:q='urn:q'><part xmlns='' Id='p'><b q:z='1' b='2'/></part>{}</a>",
    "prefixes": "<r:a xmlns:r='urn:r' xmlns:s='urn:s' xmlns:z='urn:z'><part Id='p' r:k='v'><s:b xmlns:s='urn:other'/></part>{}</r:a>",
    "language": "<a xml:lang='vi' xml:space='preserve'> <part Id='p' b='1'> <b xml:lang='en'/> \r\n\t</part> {}</a>",
    "around": "<?xml-stylesheet href='x'?><!-- c --><a><part Id='p'><!-- inside --><b/><?pi data?></part>{}</a><?end?><!--e-->",
    "vietnamese": "<a><part Id='p' ten='Ủy ban &quot;nhân dân&quot;&#10;x&#9;&#13;'>Số&#13; 12/QĐ-UBND <![CDATA[<&>]]></part>{}</a>",
    "deeper": "<a xmlns:r='urn:r' xml:lang='vi'><r:b xmlns='urn:b' xml:space='default'><c xmlns=''><part Id='p'><r:d/></part></c>{}</r:b></a>",
    "large": f"<a xmlns:s='urn:s' xmlns:z='urn:z' xmlns='urn:d' xml:lang='vi'><part Id='p' z:k='&lt;&gt;' b='2' a='&quot;'><!-- c -->{_ROWS}</part>"
    "{}</a>",
}  # fmt: skip
METHODS = [*(base for base in (C14N, C14N11, EXCLUSIVE)), f"{C14N}#WithComments", f"{C14N11}#WithComments", f"{EXCLUSIVE}WithComments"]  # fmt: skip
PLACES = {
    "document": ("", (ENVELOPED,)),
    "xpath": ("", (_XPATH,)),
    "filter2": ("", (_FILTER2,)),
    "pointer": ("#xpointer(/)", (ENVELOPED,)),
    "element": ("#p", ()),
    "implicit": ("#p", None),
    "element-enveloped": ("#p", (ENVELOPED,)),
    "element-pointer": ("#xpointer(id('p'))", ()),
    "object": ("#o", ()),
    "twice": ("#p", (EXCLUSIVE,)),
    "prefix-list": ("#p", ("list",)),
}
ALGORITHMS = {
    "rsa-sha256": (f"{_MORE}rsa-sha256", "person", "sha256", False),
    "rsa-sha512": (f"{_MORE}rsa-sha512", "person", "sha512", False),
    "ecdsa-sha256": (f"{_MORE}ecdsa-sha256", "ec", "sha256", False),
    "rsa-pss": (_PSS, "person", "sha256", True),
}
# What other programs answer otherwise, and why.
EXPLAINED = {
    "xmlsec1, RSASSA-PSS": "version 1.2 does not have it, 1.3 does",
    "JDK, XPath, C14N 1.0": "it writes xml: attributes of a parent in the node-set on its children once more, where C14N "
    "1.0 (2.4) takes over those of ancestors outside it; xmlsec1, and the document with the signature cut out, have ours",
    "JDK, SignedInfo": "it leaves out comments in SignedInfo whatever the method says; xmlsec1 keeps them as it says",
}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    data: bytes
    label: str
    algorithm: str


def test_the_jdk_and_xmlsec1_agree(pki: test_pki.Pki, tmp_path: Path) -> None:
    cases = list(_cases(pki))
    held = tmp_path / "files"
    held.mkdir()
    for case in cases:
        (held / f"{case.name}.xml").write_bytes(case.data)
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", str(JAVA / "XmlHarness.java"), str(held)],
        capture_output=True, check=True, timeout=300, text=True,
    )  # fmt: skip
    jdk = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    different: list[str] = []
    for case in cases:
        ours = _ours(case)
        assert ours == (not case.name.endswith("changed")), case.name
        if (said := jdk[f"{case.name}.xml"]) != f"true\t{str(ours).lower()}" and not _explained_of_jdk(case.name):
            different.append(f"JDK {case.name}: {ours}, {said}")
        other = _xmlsec1(pki, case, tmp_path)
        if other != ours and case.algorithm != "rsa-pss":
            different.append(f"xmlsec1 {case.name}: {ours}, {other}")
    assert not different, "\n".join(different)
    assert len(cases) > 170


@pytest.mark.parametrize("method", METHODS)
def test_comments_in_signed_info_are_as_the_method_says(pki: test_pki.Pki, tmp_path: Path, method: str) -> None:
    """The third row of the table: xmlsec1 alone is asked."""
    made = template(reference("#p", EXCLUSIVE), c14n=method)
    made = made.replace("<ds:SignedInfo>", "<ds:SignedInfo><!-- one -->")
    text = _signed(pki, SHAPES["plain"].replace("{}", made), "person", "sha256", False, "ds:")
    case = Case("comments", text.encode(), "person", "rsa-sha256")
    assert _ours(case)
    assert _xmlsec1(pki, case, tmp_path)
    other = Case("other", text.replace("<!-- one -->", "<!-- two -->").encode(), "person", "rsa-sha256")
    assert _xmlsec1(pki, other, tmp_path) == ("WithComments" not in method)


def _explained_of_jdk(name: str) -> bool:
    """Whether it is the second row of the table."""
    _, shape, place, method, *_ = name.split("-")
    return shape in ("language", "deeper") and place in ("xpath", "filter2") and METHODS[int(method)].startswith(C14N)


def _cases(pki: test_pki.Pki) -> Iterator[Case]:
    every = list(itertools.product(SHAPES, PLACES, METHODS, ("ds:", ""), ALGORITHMS))
    for number, (shape, place, method, prefix, algorithm) in enumerate(every[::_EVERY]):
        uri, label, digest, pss = ALGORITHMS[algorithm]
        held = f"<{prefix}Object Id='o'><x xmlns=''>1</x><!-- c --></{prefix}Object>" if place == "object" else ""
        made = template(_reference(place, method, prefix), c14n=method, method=uri, objects=held, p=prefix)
        if METHODS.index(method) < 3:  # the third row of the table
            made = made.replace(f"<{prefix}SignedInfo>", f"<{prefix}SignedInfo><!-- left out -->\n")
        text = _signed(pki, SHAPES[shape].replace("{}", made), label, digest, pss, prefix)
        name = f"{number:04}-{shape}-{place}-{METHODS.index(method)}-{prefix[:-1]}-{algorithm}"
        yield Case(name, text.encode(), label, algorithm)
        before = "<x xmlns=''>" if place == "object" else "Id='p'"
        after = "<x xmlns='' evil='1'>" if place == "object" else "Id='p' evil='1'"
        yield Case(f"{name}-changed", text.replace(before, after, 1).encode(), label, algorithm)


def _reference(place: str, method: str, prefix: str) -> str:
    uri, transforms = PLACES[place]
    if transforms is None:
        return reference(uri, p=prefix)
    made = reference(uri, *transforms, method, p=prefix)
    xpath = f'<{prefix}XPath xmlns:ds="{DS}">not(ancestor-or-self::ds:Signature)</{prefix}XPath>'
    filter2 = f'<XPath xmlns="{_FILTER2}" xmlns:ds="{DS}" Filter="subtract">/descendant::ds:Signature</XPath>'
    listed = f'<InclusiveNamespaces xmlns="{EXCLUSIVE}" PrefixList="s z r"/>'
    for algorithm, inside in ((_XPATH, xpath), (_FILTER2, filter2), ("list", listed)):
        now = EXCLUSIVE if algorithm == "list" else algorithm
        made = made.replace(
            f'<{prefix}Transform Algorithm="{algorithm}"/>',
            f'<{prefix}Transform Algorithm="{now}">{inside}</{prefix}Transform>',
        )
    return made


def _signed(pki: test_pki.Pki, text: str, label: str, digest: str, pss: bool, prefix: str) -> str:
    """The template with its digests and its value, as the readers here compute them."""
    certificate = base64.b64encode(pki.cert(label)).decode()
    text = text.replace(f"<{prefix}X509Data/>", f"<{prefix}X509Data><{prefix}X509Certificate>{certificate}</{prefix}X509Certificate></{prefix}X509Data>")  # fmt: skip
    document = xmlsig.parse(text.encode())
    (signature,) = document.signatures
    parts = structure.parts(signature, references=10)
    for part in parts.references:
        place = references.locate(document, signature, part, (), None)
        octets = references.transformed(document, signature, part, place, document.limits, final=C14N)
        value = base64.b64encode(hashlib.sha256(octets or b"").digest()).decode()
        text = text.replace(f"<{prefix}DigestValue/>", f"<{prefix}DigestValue>{value}</{prefix}DigestValue>", 1)
    document = xmlsig.parse(text.encode())
    info = document.signatures[0][0]
    made = pki.sign_data(label, xmlsig.canonicalize(document, info, parts.method.uri), digest, pss)
    if label == "ec":
        made = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(made))
    written = base64.b64encode(made).decode()
    return text.replace(f"<{prefix}SignatureValue/>", f"<{prefix}SignatureValue>{written}</{prefix}SignatureValue>")


def _ours(case: Case) -> bool:
    document = xmlsig.parse(case.data)
    read = xmlsig.read_signature(document, document.signatures[0], subject="s")
    assert read.value is not None, case.name
    algorithm = resolve(read.value.algorithm_oid, read.value.parameters)
    value = verify_value(read.certificates[0], algorithm, read.value.value, message=read.value.message)
    assert value is SignatureCheck.VALID, case.name
    return read.digest_matches is True


def _xmlsec1(pki: test_pki.Pki, case: Case, directory: Path) -> bool:
    certificate = directory / f"{case.label}.pem"
    if not certificate.exists():
        certificate.write_bytes(x509.load_der_x509_certificate(pki.cert(case.label)).public_bytes(Encoding.PEM))
    names = [f"{space}part" for space in ("", "urn:x:", "urn:b:", "urn:d:")]
    return verifies(case.data, certificate, directory, *ids_of(*names))


@pytest.mark.parametrize("prefixes", ["#default", "#default s"])
def test_the_default_namespace_in_a_prefix_list_is_refused(pki: test_pki.Pki, prefixes: str) -> None:
    """libxml2 has no way to name it: what is not done right is not done."""
    text = SHAPES["default"].replace("{}", template(reference("#p", EXCLUSIVE)))
    listed = f'<InclusiveNamespaces xmlns="{EXCLUSIVE}" PrefixList="{prefixes}"/>'
    text = text.replace(
        f'<ds:Transform Algorithm="{EXCLUSIVE}"/>',
        f'<ds:Transform Algorithm="{EXCLUSIVE}">{listed}</ds:Transform>',
    )
    document = xmlsig.parse(text.encode())
    (signature,) = document.signatures
    (part,) = structure.parts(signature, references=10).references
    place = references.locate(document, signature, part, (), None)
    with pytest.raises(references.ReferenceError_, match="xml_canonicalization_unknown"):
        references.transformed(document, signature, part, place, document.limits, final=C14N)
