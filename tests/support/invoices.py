"""E-invoices in the shapes that Vietnamese systems write, signed by xmlsec1."""

from __future__ import annotations

import base64
import hashlib
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


def with_tax_authority(pki: test_pki.Pki, directory: Path, *, covers_code: bool = True) -> bytes:
    """A signed invoice with the authority's code, and the authority's signature over both."""
    data = invoice(pki, directory, "tt24").decode()
    template = xmlsec.template(
        reference("#data", p=""), *([reference("#code", p="")] if covers_code else []), c14n=C14N, p="", name="sig-cqt"
    )
    data = data.replace("</DLHDon>", '</DLHDon><MCCQT Id="code">00A1B2</MCCQT>')
    data = data.replace("</DSCKS>", f"<CQT>{template}</CQT></DSCKS>")
    key, certificate = pem_pair(pki, "agency", directory)
    options = [*xmlsec.ids_of("DLHDon", "MCCQT", f"{DS}:Signature"), "--node-id", "sig-cqt"]
    return xmlsec.sign(data, key, certificate, directory, *options)


def viettel(pki: test_pki.Pki, label: str = "public-business") -> bytes:
    """An invoice whose reference to the Object inside the signature has the enveloped transform, which .NET and the JDK
    take for one that does nothing there; xmlsec1 does not, so every octet is put together here."""
    moment = "2026-11-24T08:00:00"
    content = f'<DLHDon Id="data"><NDHDon><NBan><MST>{TAX_CODE}</MST></NBan></NDHDon></DLHDon>'
    held = f'<SignatureProperties Id="p"><SignatureProperty Target="#s"><SigningTime>{moment}</SigningTime>'
    held += "</SignatureProperty></SignatureProperties>"
    canonical = f'<Object xmlns="{DS}" Id="time">{held}</Object>'

    def one(uri: str, octets: str) -> str:
        value = base64.b64encode(hashlib.sha256(octets.encode()).digest()).decode()
        transform = f'<Transforms><Transform Algorithm="{ENVELOPED}"></Transform></Transforms>'
        method = f'<DigestMethod Algorithm="{xmlsec.SHA256}"></DigestMethod><DigestValue>{value}</DigestValue>'
        return f'<Reference URI="{uri}">{transform}{method}</Reference>'

    inside = (
        f'<CanonicalizationMethod Algorithm="{C14N}"></CanonicalizationMethod>'
        f'<SignatureMethod Algorithm="{xmlsec.RSA_SHA256}"></SignatureMethod>'
        f"{one('#data', content)}{one('#time', canonical)}"
    )
    octets = f'<SignedInfo xmlns="{DS}">{inside}</SignedInfo>'.encode()
    value = base64.b64encode(pki.sign_data(label, octets)).decode()
    certificate = base64.b64encode(pki.cert(label)).decode()
    signature = (
        f'<Signature xmlns="{DS}" Id="s"><SignedInfo>{inside}</SignedInfo><SignatureValue>{value}</SignatureValue>'
        f"<KeyInfo><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo>"
        f'<Object Id="time">{held}</Object></Signature>'
    )
    return f"<HDon>{content}<DSCKS><NBan>{signature}</NBan></DSCKS></HDon>".encode()


__all__ = ["DS", "SHAPES", "TAX_CODE", "invoice", "pem_pair", "viettel", "with_tax_authority"]
