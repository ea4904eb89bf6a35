"""Whole verdicts over damaged files: good documents, and what may be said of them once anything was changed."""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

import test_pki
from signsvc.errors import DocumentError
from signsvc.trust import TrustStore
from signsvc.verification import TrustSource, VerifyRequest
from signsvc.verification.engine import examine
from test_pki.pki import now as pki_now
from tests.pdf_writer import PdfWriter

_ANCHOR = "root-g2"
# Whose lists let the signer of the documents below pass without evidence in the file.
AUTHORITIES = ("root-g2", "sub-g2-state", "sub-g2-tsa")
# What pyHanko lets out on files that it cannot read.
_UNREADABLE = (
    PdfError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    OverflowError,
    zlib.error,
)
_SIGNATURE = re.compile(
    rb"\n\d+ 0 obj\n<< /Type /Sig [^<>]*/ByteRange \[[ 0-9]+\] */Contents <[0-9a-f]+>[^<>]*>>\nendobj"
)
_BLANK = b"\0\t\n\f\r "
_CODES = {
    "document_unreadable", "document_too_complex", "encrypted_document", "encryption_unsupported",
    "unsupported_format", "empty_document", "xml_malformed", "container_malformed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Document:
    """A file that passes, a digest of the octets that each of its signatures and timestamps covers, and its pages."""

    name: str
    data: bytes
    covered: frozenset[bytes]
    pages: list[bytes] | None


class Judge:
    """The engine of the service over octets, with the test hierarchy's root."""

    def __init__(self, pki: test_pki.Pki, directory: Path, *, supplied: tuple[str, ...] = ()) -> None:
        anchor = pki.cert(_ANCHOR)
        TrustStore(directory / "trust").install("test", anchor, confirm=(hashlib.sha256(anchor).hexdigest(),))
        self._trust = TrustSource(directory / "trust", ("test",))
        self._path = directory / "damaged.pdf"
        # so that no file has to bring evidence about its signer: what is said of one is said of its octets
        self._crls = tuple(pki.crl(label, pki_now()) for label in supplied)
        self.last = ""  # the latest answer: an indication or a problem code

    def report(self, data: bytes) -> dict[str, Any]:
        """Raises `DocumentError` as the service does; anything else that comes out is a defect."""
        self._path.write_bytes(data)
        return examine(
            self._path,
            VerifyRequest(offline=True, crls=self._crls),
            trust=self._trust,
            fetch=None,
            now=datetime.now(UTC),
            report_id="rep_0",
        )

    def documents(self, pki: test_pki.Pki) -> list[Document]:
        """Good documents of several shapes, each of which passes."""
        return [self.document(name, data) for name, data in _documents(pki)]

    def document(self, name: str, data: bytes) -> Document:
        """A good document, which has to pass."""
        report = self.report(data)
        assert report["indication"] == "TOTAL-PASSED", (name, report)
        covered = frozenset(_digest(data, s["scope"]["byte_ranges"]) for s in _all(report))
        pages = _pages(data)
        assert pages, name
        return Document(name, data, covered, pages)

    def wrong(self, document: Document, data: bytes) -> str | None:
        """What is wrong with the answer for `data`, made of `document` by damage; None where it may be given.

        A signature may pass only over octets that somebody signed, what follows the last covered octet may not go
        unmentioned, and the pages of a document that passes are those that were signed, in the eyes of a foreign
        reader too.  Exceptions other than `DocumentError` come through.
        """
        try:
            report = self.report(data)
        except DocumentError as error:
            self.last = error.code
            return None if error.code in _CODES else f"problem {error.code}"
        self.last = report["indication"]
        if self.last == "NO-SIGNATURE" and _SIGNATURE.search(data):
            return "a file with a signature is called unsigned"
        if report["indication"] != "TOTAL-PASSED":
            return None
        ends = []
        for signature in report["signatures"]:
            ranges = signature["scope"]["byte_ranges"]
            if _digest(data, ranges) not in document.covered:
                return f"{signature['id']} passes over octets that nobody signed"
            ends.append((ranges[-1][0] + ranges[-1][1], signature["scope"]))
        end, scope = max(ends, key=lambda found: found[0])
        if data[end:].strip(_BLANK) and not (scope["type"] == "REVISION" and scope["changes_after"]):
            return "octets after the last signed one go unmentioned"
        if document.pages is not None and _pages(data) not in (None, document.pages):
            return "the pages are not those that were signed"
        return None


def _pages(data: bytes) -> list[bytes] | None:
    """What pyHanko finds drawn on each page of the last revision; None where it cannot read the file."""
    try:
        reader = PdfFileReader(io.BytesIO(data), strict=False)
        if reader.encrypted:
            reader.decrypt(b"")
        kids = reader.root["/Pages"]["/Kids"]
        return [kid.get_object()["/Contents"].data for kid in kids]
    except _UNREADABLE:
        return None


def _all(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [*report["signatures"], *(t for t in report["timestamps"] if t.get("scope"))]


def _digest(data: bytes, ranges: list[list[int]]) -> bytes:
    made = hashlib.sha256()
    for start, length in ranges:
        made.update(data[start : start + length])
    return made.digest()


def _documents(pki: test_pki.Pki) -> list[tuple[str, bytes]]:
    found = []
    for style in ("table", "stream", "hybrid"):
        pdf = PdfWriter(pages=2, style=style)
        pdf.sign(pki, room=18_000, style=style, timestamped=True)
        _store(pdf, pki)
        found.append((f"B-LT {style}", pdf.data))
        pdf.sign(pki, name="Archive", room=10_000, style=style, sub_filter="ETSI.RFC3161", kind=b" /Type /DocTimeStamp")
        found.append((f"B-LTA {style}", pdf.data))
    pdf = PdfWriter()
    pdf.sign(pki, room=18_000, name="First", timestamped=True)
    pdf.sign(pki, room=18_000, name="Second", timestamped=True, style="stream")
    _store(pdf, pki)
    found.append(("two signatures", pdf.data))
    return found


def _store(pdf: PdfWriter, pki: test_pki.Pki) -> None:
    at = pki_now()
    chains = [*pki.chain("person"), *pki.chain("tsa1")]
    authorities = ("root-g2", "sub-g2-state", "sub-g2-tsa")
    values = {
        "Certs": list(dict.fromkeys(chains)),
        "CRLs": [pki.crl(label, at) for label in authorities],
        "OCSPs": [pki.ocsp(label, "good", at) for label in ("person", "tsa1")],
    }
    pdf.store(pki, values=values)
