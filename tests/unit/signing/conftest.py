"""Documents and keys for the writers' tests."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.algorithms import SignatureAlgorithm, SignatureScheme
from signsvc.formats.cms.write import CmsPlan
from signsvc.types import Certificate


@pytest.fixture(autouse=True)
def words_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for every page would take longer than all else here."""
    monkeypatch.setattr("signsvc.signing.appearance.words._limited", True)


@pytest.fixture
def make_pdf() -> Callable[..., bytes]:
    """A one-page document; keyword arguments are further entries of the page and of the catalog."""

    def make(
        *, rotate: int = 0, crop: tuple[int, ...] | None = None, pages: int = 1, stream_xrefs: bool = False
    ) -> bytes:
        from pyhanko.pdf_utils import generic
        from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

        writer = PdfFileWriter(stream_xrefs=stream_xrefs)
        for _ in range(pages):
            contents = writer.add_object(generic.StreamObject(stream_data=b"0.9 g 0 0 595 842 re f"))
            page = PageObject(contents=contents, media_box=(0, 0, 595, 842))
            if rotate:
                page["/Rotate"] = generic.NumberObject(rotate)
            if crop:
                page["/CropBox"] = generic.ArrayObject(map(generic.NumberObject, crop))
            writer.insert_page(page)
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue()

    return make


@pytest.fixture
def plan_for(pki: test_pki.Pki) -> Callable[..., tuple[CmsPlan, Callable[[bytes], bytes]]]:
    """(plan, sign) for a label of the hierarchy, RSA PKCS#1 v1.5 or PSS or ECDSA."""

    def make(
        label: str = "person", digest: str = "sha256", pss: bool = False
    ) -> tuple[CmsPlan, Callable[[bytes], bytes]]:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        key: Any = pki.key(label)
        made: Any = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}[digest]()
        chain = [Certificate.from_der(one) for one in pki.chain(label)]
        if chain[0].key_type == "ec":
            algorithm = SignatureAlgorithm(SignatureScheme.ECDSA, digest)
            return CmsPlan(chain[0], algorithm, tuple(chain[1:-1])), lambda d: key.sign(d, ec.ECDSA(Prehashed(made)))
        if pss:
            algorithm = SignatureAlgorithm(SignatureScheme.RSA_PSS, digest, made.digest_size, digest)
            filled: Any = padding.PSS(padding.MGF1(made), made.digest_size)
        else:
            algorithm, filled = SignatureAlgorithm(SignatureScheme.RSA_PKCS1, digest), padding.PKCS1v15()
        return CmsPlan(chain[0], algorithm, tuple(chain[1:-1])), lambda d: key.sign(d, filled, Prehashed(made))

    return make


@pytest.fixture
def pdfsig() -> Callable[[Path], str]:
    """What poppler says about the signatures of a file (without judging certificates)."""

    def run(path: Path) -> str:
        return subprocess.run(
            ["pdfsig", "-nocert", str(path)], capture_output=True, text=True, timeout=60, check=False
        ).stdout

    return run
