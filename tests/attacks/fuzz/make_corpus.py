"""Writes the saved inputs of the fuzz targets anew: ``python tests/attacks/fuzz/make_corpus.py [TARGET...]``."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tempfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from cryptography.x509 import load_der_x509_certificate
from pyhanko.pdf_utils.crypt import StandardSecuritySettingsRevision

import test_pki
from signsvc.asn1 import encode, encode_integer
from tests.attacks.malformed_documents import EVERY
from tests.attacks.parsers import CORPUS
from tests.attacks.pdf_additions import DEFINED
from tests.attacks.pdf_documents import Signed
from tests.attacks.pdf_parsers import fragments
from tests.pdf_writer import PdfWriter, make_cms

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def write(kind: str, name: str, data: bytes) -> None:
    if sys.argv[1:] and kind not in sys.argv[1:]:
        return
    (CORPUS / kind).mkdir(parents=True, exist_ok=True)
    (CORPUS / kind / name).write_bytes(data)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        pki = test_pki.load(Path(directory), EPOCH)
        at = EPOCH + timedelta(days=30)
        for label in ("person", "sub-g2-state", "ec", "g1-person", "pss-only", "tsa1"):
            write("certificate", f"{label}.der", pki.cert(label))
        write("cms", "signature.der", make_cms(pki, "person", b"", "ETSI.CAdES.detached", timestamped=True))
        write("cms", "ec.der", make_cms(pki, "ec", b"", "adbe.pkcs7.detached"))
        write("cms", "timestamp.der", pki.timestamp(hashlib.sha256(b"").digest(), at=at))
        write("crl", "state.der", pki.crl("sub-g2-state", at))
        write("crl", "g1.der", pki.crl("sub-g1", at))
        write("ocsp", "good.der", pki.ocsp("person", at=at))
        write("ocsp", "revoked.der", pki.ocsp("revoked", at=at, nonce=b"1234"))
        for style in ("table", "stream", "hybrid"):
            pdf = PdfWriter(pages=2, style=style)
            pdf.sign(pki, room=3000, style=style, sub_filter="adbe.pkcs7.detached", cms=_small(pki))
            pdf.update({4: b"<< /Length 0 >>\nstream\n\nendstream"}, style=style)
            write("pdf", f"{style}.pdf", pdf.data)
        token = pki.timestamp(hashlib.sha256(b"").digest(), at=at)
        write("timestamp", "token.der", token)
        write("timestamp", "odd.der", pki.timestamp(hashlib.sha256(b"x").digest(), at=at, certs=()))
        nonced = pki.timestamp(hashlib.sha256(b"").digest(), at=at, nonce=0x1234)
        write("tsa-response", "granted.der", encode(0x30, encode(0x30, encode_integer(0)), nonced))
        write("tsa-response", "refused.der", bytes.fromhex("3010300e0201023005 0c0362616403020520"))
        write("tsa-response", "token.der", token)
        write("certificate-file", "one.der", pki.cert("person"))
        pem = load_der_x509_certificate(pki.cert("ec")).public_bytes(Encoding.PEM)
        write("certificate-file", "two.pem", b"Bag\n" + pem + b"\n" + pem)
        listed = [load_der_x509_certificate(pki.cert("ec"))]
        write("certificate-file", "bag.p7b", serialize_certificates(listed, Encoding.DER))
        asn1(pki)
        parts_of_pdf(pki)
        bodies()
        nested = zlib.compress(b"[" * 3000)
        bomb = b"<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
        write("pdf", "nested.pdf", PdfWriter(extra={30: bomb % (len(nested), nested)}).data)


def asn1(pki: test_pki.Pki) -> None:
    write("der", "certificate.der", pki.cert("ec"))
    times = encode(0x17, b"260102030405Z") + encode(0x18, b"20260102030405.123+0700") + encode(0x02, b"\xff\x01")
    write("der", "values.der", encode(0x30, times + encode(0x06, b"\x2a\x86\x48\x86\xf7\x0d") + encode(0xA0, b"")))
    write("ber", "definite.der", pki.cert("ec"))
    pieces = b"\x24\x80\x04\x02ab\x24\x06\x04\x04cdef\0\0"
    bits = b"\x23\x80\x03\x02\0a\x03\x02\0b\0\0"
    write("ber", "pieces.ber", b"\x30\x80" + pieces + bits + b"\x02\x84\0\0\0\x01\x05\xa0\x80\x05\0\0\0\0\0")


def parts_of_pdf(pki: test_pki.Pki) -> None:
    for name, (_, objects, options) in DEFINED.items():
        writer = Signed(**options)
        writer.update(objects(writer))
        write("changes", name.replace(" ", "-").replace(",", "") + ".txt", fragments(writer.data))
    for name in ("content_rewritten", "page_cropped", "pages_swapped", "resources_replaced"):
        write("changes", f"{name}.txt", fragments(EVERY[name][0]("table").data))
    pdf = PdfWriter()
    values = {"Certs": [b"\x30\x00", pki.cert("ec")], "CRLs": [b"\x30\x01\x00"], "OCSPs": [b"\x30\x00"]}
    pdf.store(pki, values=values)
    pdf.catalog_extra = pdf.catalog_extra[:-8] + b"<< /VRI << /AA << /Cert [6 0 R] /CRL 8 0 R >> >> /Certs [6 0 R] >>"
    pdf.update({1: pdf.catalog()})
    write("store", "two.txt", fragments(pdf.data))
    rows = b"0 2\n0000000003 65535 f \n0000000017 00000 n \n5 1\n0000000081 00007 n\r\n"
    write("xref-table", "tight.txt", rows + b"trailer\n<< /Size 6 >>\nstartxref\n0\n%%EOF\n")
    write("xref-table", "loose.txt", b"\n0 2\n3 65535 f\n17 0 n\ntrailer << /Root 1 0 R >>")
    chain = b"xref\n" + rows + b"trailer\n<< /Size 6 >>\nstartxref\n0\n%%EOF\n"
    again = b"xref\n1 0\ntrailer\n<< /Prev 0 >>\nstartxref\n%d\n%%%%EOF\n" % len(chain)
    write("xref-table", "chain.txt", chain + again)
    packed = zlib.compress(b"".join(b"\2" + bytes((1, 0, row, 0)) for row in range(4)))
    plain = bytes((1, 0, 16, 0, 2, 0, 1, 3, 0, 0, 0, 0))
    heads = {
        "plain": b"/W [1 2 1] /Index [0 2 9 1] /Size 10 /Length %d" % len(plain),
        "packed": b"/W [1 2 1] /Size 4 /Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 4 >> /Length %d"
        % len(packed),
    }
    for name, data in (("plain", plain), ("packed", packed)):
        section = b"7 0 obj\n<< /Type /XRef %s >>\nstream\n%s\nendstream\nendobj\n" % (heads[name], data)
        write("xref-stream", f"{name}.bin", section + b"startxref\n0\n%%EOF\n")
    inside = b"11 0 12 7 13 15 << /A 1 >> [(x) <41>] /Name "
    write("object-stream", "plain.bin", b"<< /Type /ObjStm /N 3 /First 16 >>\nstream\n" + inside)
    head = b"<< /Type /ObjStm /N 3 /First 16 /Filter [/AHx /Fl] >> stream\r\n"
    write("object-stream", "packed.bin", head + zlib.compress(inside).hex().encode() + b">")
    text = b"Cong hoa xa hoi chu nghia Viet Nam" * 3
    packed = zlib.compress(text)
    for name, filters, data in (
        ("flate", b"/FlateDecode", packed),
        ("hex", b"[/ASCIIHexDecode /Fl]", packed.hex().encode() + b">"),
        ("base85", b"[/ASCII85Decode /FlateDecode]", base64.a85encode(packed) + b"~>"),
        ("run-length", b"/RunLengthDecode", b"\x02abc\xfed\x80"),
        ("lzw", b"/LZWDecode /DecodeParms << /EarlyChange 0 >>", bytes.fromhex("800b6050220c0c8501")),
        ("png", b"/Fl /DecodeParms << /Predictor 15 /Columns 3 /Colors 2 >>",
         zlib.compress(b"".join(bytes([kind]) + b"\1\2\3\4\5\6" for kind in range(5)))),
        ("tiff", b"/Fl /DecodeParms [<< /Predictor 2 /Columns 4 >>]", zlib.compress(bytes(range(40)))),
    ):  # fmt: skip
        write("filters", f"{name}.bin", b"<< /Filter %s >>\nstream\n%s" % (filters, data))
    values = (
        b"<< /A (x) /B [<0102> (\\(y\\)\\n) -1.5 true null] /C#20D 12 0 R >> [1 2 R 3] (a(b)c) % x\n<< /A << >> >> "
    )
    write("objects", "every-kind.txt", values + b"12 % odd\n 0 R /N +.5 --3 4.")
    encrypted()


def encrypted() -> None:
    """Dictionaries of every revision whose user password is empty, as another implementation writes them."""
    from pyhanko.pdf_utils.crypt import StandardSecurityHandler

    owner, user, identifier = "chu", "", b"0123456789abcdef"
    made = {
        "aes-256": StandardSecurityHandler.build_from_pw(owner, user),
        "aes-128": StandardSecurityHandler.build_from_pw_legacy(
            StandardSecuritySettingsRevision.RC4_OR_AES128, identifier, owner, user, keylen_bytes=16, use_aes128=True
        ),
        "rc4-128": StandardSecurityHandler.build_from_pw_legacy(
            StandardSecuritySettingsRevision.RC4_EXTENDED, identifier, owner, user, keylen_bytes=16
        ),
        "rc4-40": StandardSecurityHandler.build_from_pw_legacy(
            StandardSecuritySettingsRevision.RC4_BASIC, identifier, owner, user, keylen_bytes=5
        ),
    }
    for name, handler in made.items():
        out = io.BytesIO()
        handler.as_pdf_object().write_to_stream(out, None)
        write(
            "encryption", f"{name}.txt", out.getvalue() + b"\n<< /A (0123456789abcdef0123456789abcdef) >> " + bytes(48)
        )


def bodies() -> None:
    form = (
        b'--x\r\nContent-Disposition: form-data; name="policy"\r\n\r\nhon-hop\r\n--x\r\nContent-Disposition: form-data;'
        b' name="document"; filename="a.pdf"\r\nContent-Type: application/pdf\r\nContent-Digest: sha-256=:AA==:\r\n\r\n'
        b"%PDF-1.7\r\n--y\r\n--x--\r\n"
    )
    write("multipart", "form.txt", form)
    write("multipart", "unfinished.txt", form[:-12])
    write(
        "json",
        "short.txt",
        b'{"policy": "hon-hop", "n": [1, -2.5e3, true, null, "\\u0111\\n"], "document": "JVBERi0="}',
    )
    write("json", "long.txt", b'{"document": "' + base64.b64encode(b"%PDF-1.7\n" + bytes(9_000)) + b'", "x": "\\/"}')


def _small(pki: test_pki.Pki) -> bytes:
    return pki.timestamp(hashlib.sha256(b"").digest(), certs=())


if __name__ == "__main__":
    main()
