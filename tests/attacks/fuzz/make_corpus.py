"""Writes the saved inputs of the fuzz targets anew: ``python tests/attacks/fuzz/make_corpus.py``."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import test_pki
from tests.attacks.parsers import CORPUS
from tests.pdf_writer import PdfWriter, make_cms

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def write(kind: str, name: str, data: bytes) -> None:
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
        nested = zlib.compress(b"[" * 3000)
        bomb = b"<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream"
        write("pdf", "nested.pdf", PdfWriter(extra={30: bomb % (len(nested), nested)}).data)


def _small(pki: test_pki.Pki) -> bytes:
    return pki.timestamp(hashlib.sha256(b"").digest(), certs=())


if __name__ == "__main__":
    main()
