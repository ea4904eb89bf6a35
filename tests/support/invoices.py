"""E-invoices in the shapes that Vietnamese systems write, signed by xmlsec1."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import test_pki
from tests.support import xmlsec
from tests.support.xmlsec import C14N, DS, ENVELOPED, EXCLUSIVE, reference

TAX_CODE = "0109999992"
SHAPES = ("tt24", "ses", "vnpay", "notice")


def pem_pair(pki: test_pki.Pki, label: str, directory: Path) -> tuple[Path, Path]:
    """Key and certificate of `label` as PEM files."""
    key, certificate = directory / f"{label}.key.pem", directory / f"{label}.cert.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(pki.key(label).private_bytes(encoding, form, serialization.NoEncryption()))
    certificate.write_bytes(x509.load_der_x509_certificate(pki.cert(label)).public_bytes(encoding))
    return key, certificate


def invoice(
    pki: test_pki.Pki, directory: Path, shape: str, *, seller: str = "public-business", tax_code: str = TAX_CODE
) -> bytes:
    """One file in the shape of `shape`, signed by `seller`."""
    moment = "2026-11-24T08:00:00"
    empty = ' xmlns=""' if shape == "ses" else ""
    held = (
        f'<Object Id="time"><SignatureProperties{empty}><SignatureProperty Target="#sig"><SigningTime>{moment}'
        "</SigningTime></SignatureProperty></SignatureProperties></Object>"
    )
    transforms = {"tt24": (ENVELOPED,), "ses": (ENVELOPED, C14N), "vnpay": (EXCLUSIVE, C14N), "notice": ()}[shape]
    template = xmlsec.template(
        reference("#data", *transforms, p=""), reference("#time", p=""), c14n=C14N, objects=held, p=""
    )
    if shape == "notice":
        text = (
            f'<TBao><DLTBao Id="data"><MSo>01/TB</MSo><Ten>Thông báo</Ten><MST>{tax_code}</MST></DLTBao><STBao><So>9</So>'
            f"</STBao><DSCKS><CQT>{template}</CQT></DSCKS></TBao>"
        )
    else:
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<HDon><DLHDon Id="data"><TTChung><KHMSHDon>1</KHMSHDon>'
            "<KHHDon>C26TAA</KHHDon><SHDon>17</SHDon><NLap>2026-11-24</NLap></TTChung><NDHDon><NBan>"
            f"<Ten>Công ty TNHH Thử Nghiệm</Ten><MST>{tax_code}</MST></NBan><NMua><Ten>B</Ten></NMua></NDHDon></DLHDon>"
            f"<DSCKS><NBan>{template}</NBan></DSCKS></HDon>"
        )
    key, certificate = pem_pair(pki, seller, directory)
    return xmlsec.sign(text, key, certificate, directory, *xmlsec.ids_of("DLHDon", "DLTBao"))


__all__ = ["DS", "SHAPES", "TAX_CODE", "invoice", "pem_pair"]
