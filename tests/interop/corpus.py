"""Everything the suite has that is or was a signed PDF file, legitimate and hostile, for all readers to be asked about."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.samples import path as sample
from tests.attacks import hostile_cms, hostile_revisions
from tests.attacks.hostile_files import CLASSES
from tests.attacks.malformed_documents import EVERY
from tests.attacks.mutations import PDF_CHANGES, mutate
from tests.attacks.pdf_additions import DEFINED
from tests.attacks.pdf_documents import Signed
from tests.attacks.test_attacks_on_documents import HIDDEN, OCTETS
from tests.attacks.test_field_shapes import SHAPES
from tests.attacks.verdicts import _documents
from tests.interop.dss_cases import cases
from tests.pdf_writer import PdfWriter
from tests.support.signed_pdf import maker

assert {hostile_cms, hostile_revisions}  # their classes are in CLASSES now
STYLES = ("table", "stream", "hybrid")
MUTATED = 100
# How qpdf rewrites a file before it is signed.
REWRITTEN = {
    "plain": (),
    "linearized": ("--linearize",),
    "packed": ("--object-streams=generate",),
    "rc4": ("--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=n", "--"),
    "aes128": ("--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=y", "--"),
    "aes256": ("--encrypt", "", "owner", "256", "--"),
    "aes256-linearized": ("--linearize", "--encrypt", "", "owner", "256", "--"),
}


def corpus(
    pki: test_pki.Pki, now: datetime, directory: Path, monkeypatch: pytest.MonkeyPatch, mutated: int = MUTATED
) -> Iterator[tuple[str, bytes]]:
    """Names, whose first part is the family, and files, the costly ones last.

    `pki` gets authorities that nobody else should meet.
    """
    monkeypatch.setattr(Signed, "cms", staticmethod(maker(pki)))
    monkeypatch.setattr(Signed, "room", 24_000)
    good = _documents(pki)
    for name, data in good:
        yield f"good/{name}", data
    yield from _foreign(pki, directory)
    for case in cases(pki, now):
        yield f"case/{case.name}", case.data
    for name, shape in SHAPES.items():
        yield f"shape/{name}", shape.make(pki)
    for style in STYLES:
        for name, (attack, _) in EVERY.items():
            yield f"attack/{style}/{name}", attack(style).data
        for name, (_, objects, options) in DEFINED.items():
            pdf = Signed(style, **options)  # type: ignore[arg-type]
            pdf.update(objects(pdf), style=style)
            yield f"addition/{style}/{name}", pdf.data
    yield from _later(pki)
    honest = PdfWriter()
    honest.sign(pki)
    for name, (edit, *_) in OCTETS.items():
        yield f"octets/{name}", edit(honest.data)
    for name, (make, _) in HIDDEN.items():
        yield f"hidden/{name}", make(pki)
    bases = [data for _, data in good] + [Signed(style).data for style in STYLES]
    for number in range(mutated):
        rng = random.Random(number)
        yield f"mutated/{number}", mutate(rng, rng.choice(bases), bases, PDF_CHANGES)
    for name, hostile in CLASSES.items():
        yield f"hostile/{name}", hostile.make(pki, hostile.sizes[0])


def _later(pki: test_pki.Pki) -> Iterator[tuple[str, bytes]]:
    """What came after a good signature, in two steps or outside any."""
    pdf = PdfWriter()
    pdf.sign(pki)
    yield "later/white space behind the end", pdf.data + b"\n \r\n"
    pdf.store(pki)
    first = int(pdf.data[pdf.data.rindex(b"/OCSPs [") + 8 :].split()[0])
    pdf.update({first: b"<< /Length 2 >>\nstream\n0\x00\nendstream"})
    yield "later/value of the store written again", pdf.data


def _foreign(pki: test_pki.Pki, directory: Path) -> Iterator[tuple[str, bytes]]:
    """Files that stock pyHanko signed: over what qpdf wrote, certified, with a second signature, or not."""
    from pyhanko.sign import fields, signers

    signer = signers.SimpleSigner.load_pkcs12(str(pki.p12("person")), passphrase=test_pki.pki.PASSWORD)
    assert signer is not None
    source = directory / "rewritten.pdf"
    for kind, options in REWRITTEN.items():
        command = ["qpdf", *options, str(sample("van-ban.pdf")), str(source)]
        subprocess.run(command, check=True, capture_output=True)
        once = _signed_by_pyhanko(source.read_bytes(), signer, field_name="First")
        yield f"foreign/{kind}", once
        yield f"foreign/{kind}-twice", _signed_by_pyhanko(once, signer, field_name="Second")
    for p in (fields.MDPPerm.NO_CHANGES, fields.MDPPerm.FILL_FORMS, fields.MDPPerm.ANNOTATE):
        entries: dict[str, Any] = {"field_name": "First", "certify": True, "docmdp_permissions": p}
        yield f"foreign/certified-{p.value}", _signed_by_pyhanko(sample("van-ban.pdf").read_bytes(), signer, **entries)


def _signed_by_pyhanko(data: bytes, signer: Any, **entries: Any) -> bytes:
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers

    writer = IncrementalPdfFileWriter(BytesIO(data), strict=False)
    if writer.prev.encrypted:
        writer.encrypt(b"")
    metadata = signers.PdfSignatureMetadata(subfilter=fields.SigSeedSubFilter.PADES, **entries)
    return bytes(signers.sign_pdf(writer, metadata, signer=signer).getvalue())


__all__ = ["MUTATED", "corpus"]
