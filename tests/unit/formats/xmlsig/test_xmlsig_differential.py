"""What xmlsec1 signs is read here with the same answer, over shapes of documents, canonicalisations and packagings."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import test_pki
from signsvc.algorithms import SignatureCheck, resolve, verify_value
from signsvc.formats import xmlsig
from tests.support.xmlsec import C14N, C14N11, ENVELOPED, EXCLUSIVE, ids_of, reference, sign, template

SHAPES = {
    "plain": "<a><part Id='p'><b>x &amp; y</b><c d='1' a='2'/>text</part>{}</a>",
    "default": "<a xmlns='urn:x'><part Id='p'><b><c/></b></part>{}</a>",
    "undeclared": "<a xmlns='urn:x' xmlns:q='urn:q'><part xmlns='' Id='p'><b q:z='1' b='2'/></part>{}</a>",
    "prefixes": "<r:a xmlns:r='urn:r' xmlns:s='urn:s' xmlns:z='urn:z'><part Id='p' r:k='v'><s:b xmlns:s='urn:other'/></part>{}</r:a>",
    "language": "<a xml:lang='vi' xml:space='preserve'> <part Id='p' b='1'> <b xml:lang='en'/> \r\n\t</part> {}</a>",
    "around": "<?xml-stylesheet href='x'?><!-- c --><a><part Id='p'><!-- inside --><b/><?pi data?></part>{}</a><?end?>",
    "vietnamese": "<a><part Id='p' ten='Ủy ban &quot;nhân dân&quot;&#10;x'>Số 12/QĐ-UBND</part>{}</a>",
}
PLACES = {
    "document": ("", (ENVELOPED,)),
    "element": ("#p", ()),
    "object": ("#o", ()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_xmlsec_signs_is_read_alike(shape: str, pki: test_pki.Pki, tmp_path: Path) -> None:
    key, certificate = key_and_certificate(pki, tmp_path)
    seen = 0
    for (place, (uri, transforms)), c14n, prefix in itertools.product(
        PLACES.items(), (C14N, C14N11, EXCLUSIVE), ("ds:", "")
    ):
        held = f"<{prefix}Object Id='o'><x xmlns=''>1</x></{prefix}Object>" if place == "object" else ""
        made = template(reference(uri, *transforms, c14n, p=prefix), c14n=c14n, objects=held, p=prefix)
        data = sign(SHAPES[shape].format(made), key, certificate, tmp_path, *ids_of("part"))
        document = xmlsig.parse(data)
        read = xmlsig.read_signature(document, document.signatures[0], subject="s")
        case = f"{shape} {place} {c14n} {prefix}"
        assert read.digest_matches is True, (case, read.findings)
        assert read.value is not None
        algorithm = resolve(read.value.algorithm_oid, read.value.parameters)
        assert (
            verify_value(read.certificates[0], algorithm, read.value.value, message=read.value.message)
            is SignatureCheck.VALID
        ), case
        assert read.full == (place == "document")
        changed = xmlsig.parse(data.replace(b"Id='p'", b"Id='p' evil='1'").replace(b'Id="p"', b'Id="p" evil="1"'))
        after = xmlsig.read_signature(changed, changed.signatures[0], subject="s")
        assert (after.digest_matches is True) == (place == "object"), case
        seen += 1
    assert seen == 18


def key_and_certificate(pki: test_pki.Pki, directory: Path) -> tuple[Path, Path]:
    key, certificate = directory / "key.pem", directory / "cert.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(pki.key("person").private_bytes(encoding, form, serialization.NoEncryption()))
    certificate.write_bytes(x509.load_der_x509_certificate(pki.cert("person")).public_bytes(encoding))
    return key, certificate
