"""Seed values: what a field requires of its signature, and what it only wishes."""

from __future__ import annotations

import pytest

import test_pki
from signsvc.formats import pades
from signsvc.types import SignatureView
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import ROOM, maker


def signed(pki: test_pki.Pki, seed: bytes, extra: bytes = b"") -> SignatureView:
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM, cms=maker(pki), field_extra=b" /SV << /Type /SV %s >>" % seed, extra=extra)
    return pades.read(pdf.data).signatures[0]


def broken(view: SignatureView) -> str | None:
    codes = [found.code for found in view.findings]
    assert "signature_seed_value" in codes
    return next((str(f.data["names"]) for f in view.findings if f.code == "signature_seed_value_violated"), None)


CERTIFIED = b" /Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /V /1.2 /P %d >> >>]"
CASES: list[tuple[bytes, bytes, str | None]] = [
    (b"/Ff 1 /Filter /Adobe.PPKLite", b"", None),
    (b"/Ff 1 /Filter /Entrust.PPKEF", b"", "Filter"),
    (b"/Ff 2 /SubFilter [/adbe.pkcs7.detached /ETSI.CAdES.detached]", b"", None),
    (b"/Ff 2 /SubFilter [/adbe.pkcs7.detached]", b"", "SubFilter"),
    (b"/Ff 0 /SubFilter [/adbe.pkcs7.detached]", b"", None),  # a wish
    (b"/Ff 64 /DigestMethod [(SHA512)]", b"", "DigestMethod"),
    (b"/Ff 64 /DigestMethod [(SHA512) (SHA256)]", b"", None),
    (b"/Ff 8 /Reasons [(Phe duyet)]", b" /Reason (Phe duyet)", None),
    (b"/Ff 8 /Reasons [(Phe duyet)]", b" /Reason (Khac)", "Reasons"),
    (b"/Ff 8 /Reasons [(Phe duyet)]", b"", "Reasons"),
    (b"/Ff 8 /Reasons [(.)]", b" /Reason (Khac)", "Reasons"),
    (b"/Ff 8 /Reasons [(.)]", b"", None),
    (b"/MDP << /P 0 >>", b"", None),
    (b"/MDP << /P 2 >>", b"", "MDP"),
    (b"/MDP << /P 2 >>", CERTIFIED % 2, None),
    (b"/MDP << /P 2 >>", CERTIFIED % 3, "MDP"),
    (b"/Ff 128 /LockDocument /true", b"", "LockDocument"),
    (b"/Ff 128 /LockDocument /true", CERTIFIED % 1, None),
    (b"/Ff 128 /LockDocument /auto", b"", None),
    (b"/Ff 32 /AddRevInfo true", b"", "AddRevInfo"),
    (b"/Ff 32 /AddRevInfo false", b"", None),
    (b"/TimeStamp << /URL (http://x) /Ff 1 >>", b"", "TimeStamp"),
    (b"/TimeStamp << /URL (http://x) /Ff 0 >>", b"", None),
    (b"/Ff 66 /SubFilter [/x] /DigestMethod [/SHA384]", b"", "SubFilter, DigestMethod"),
    (b"/Ff (x) /SubFilter 7 /Cert [1] /MDP 3", b"", None),
]


@pytest.mark.parametrize(("seed", "extra", "names"), CASES)
def test_required_conditions(seed: bytes, extra: bytes, names: str | None, pki: test_pki.Pki) -> None:
    assert broken(signed(pki, seed, extra)) == names


@pytest.mark.parametrize(
    ("key", "label", "names"),
    [
        (b"/Ff 1 /Subject", "person", None),
        (b"/Ff 1 /Subject", "agency", "Cert"),
        (b"/Ff 2 /Issuer", "sub-g2-state", None),
        (b"/Ff 2 /Issuer", "sub-g2-tsa", "Cert"),
        (b"/Ff 0 /Subject", "agency", None),
    ],
)
def test_required_certificates(key: bytes, label: str, names: str | None, pki: test_pki.Pki) -> None:
    value = pki.cert(label).hex().encode()
    assert broken(signed(pki, b"/Cert << %s [<%s>] >>" % (key, value))) == names


def test_no_seed_value_no_finding(pki: test_pki.Pki) -> None:
    pdf = PdfWriter()
    pdf.sign(pki, room=ROOM, cms=maker(pki))
    assert not any("seed" in found.code for found in pades.read(pdf.data).signatures[0].findings)
