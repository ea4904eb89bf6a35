"""Opening a PDF for an incremental update, by our own writer or through pyHanko, and its errors in our words.

Callers pass a document through our own bounded reader first: pyHanko has fewer limits.
"""

from __future__ import annotations

import contextlib
import io
import logging
import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pyhanko.pdf_utils.crypt import AuthStatus, StandardSecurityHandler
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError, PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.general import SigningError

from signsvc.errors import DocumentError, SignsvcError
from signsvc.formats import pdf
from signsvc.formats.pades import write_hex
from signsvc.formats.pades.append_update import NotCoveredError, Update
from signsvc.formats.pades.append_view import OwnWriter

# pyHanko remarks on every liberty of a document; without a handler of its own that would go to standard error.
logging.getLogger("pyhanko").addHandler(logging.NullHandler())

write_hex.install()

# One buffer size for copying and hashing files: larger brings nothing, smaller costs system calls.
CHUNK = 1 << 20

# Larger files are mapped, not read.
_MAP_ABOVE = 1 << 20

# What pyHanko lets out on documents that are not what they claim to be.
_MALFORMED = (
    PdfError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
    StopIteration,
    zlib.error,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A document ready for an incremental update."""

    writer: Any  # OwnWriter, or IncrementalPdfFileWriter, whose methods carry no types
    permissions: int | None  # /P of an encrypted document opened as its user; None: nothing restricts


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """Turn what pyHanko raises on foreign documents into `DocumentError`; nothing of the document is quoted."""
    try:
        yield
    except SignsvcError:
        raise
    except pdf.LimitError as error:
        raise DocumentError("document_too_complex", limit=error.limit) from None
    except pdf.PdfError:
        raise DocumentError("document_unreadable") from None
    except RecursionError:
        raise DocumentError("document_too_complex", limit="nesting") from None
    except SigningError:
        raise DocumentError("signing_not_permitted", reason="structure") from None
    except _MALFORMED:
        raise DocumentError("document_unreadable") from None


def open_writer(stream: BinaryIO, *, own: bool = True) -> Opened:
    """Open the PDF in `stream` (readable, writable, seekable) for an incremental update: by our own writer where that
    covers it and `own` is not false, else through pyHanko.

    Encrypted documents are opened with the empty password, as user or owner.  Metadata stay as they are: a signature
    needs no other date of modification, and nobody's XML is parsed for it.

    Raises `DocumentError`: ``encrypted_document``, ``encryption_unsupported``, ``document_unreadable``,
    ``document_too_complex``.
    """
    if own and (document := _covered(stream)) is not None:
        return Opened(OwnWriter(document), None)
    stream.seek(0)
    with in_our_words():
        reader = _reader(stream)
        writer: Any = IncrementalPdfFileWriter.from_reader(reader)
        writer._update_meta = _keep_metadata
        if reader.security_handler is None:
            return Opened(writer, None)
        if not isinstance(reader.security_handler, StandardSecurityHandler):
            raise DocumentError("encryption_unsupported")
        try:
            result = writer.encrypt(b"")
        except PdfReadError:
            raise DocumentError("encryption_unsupported") from None
        if result.status is AuthStatus.FAILED:
            old = reader.trailer["/Encrypt"]["/R"] == 5  # AES-256 as it was before the standard had it
            raise DocumentError("encryption_unsupported" if old else "encrypted_document")
        if result.status is AuthStatus.OWNER:
            return Opened(writer, None)
        return Opened(writer, int(reader.trailer["/Encrypt"]["/P"]) & 0xFFFFFFFF)


def _covered(stream: BinaryIO) -> pdf.Document | None:
    """The document as our own reader sees it, where our own writer can add to it."""
    size = stream.seek(0, 2)
    stream.seek(0)
    data: pdf.Buffer
    if size <= _MAP_ABOVE or isinstance(stream, io.BytesIO):
        data = stream.read()
    else:
        stream.flush()
        data = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
    try:
        document = pdf.Document(data)
        if document.repair is not None:
            return None
        Update(document)
    except (pdf.PdfError, NotCoveredError):
        return None
    return document


def _keep_metadata() -> None:
    pass


def _reader(stream: BinaryIO) -> PdfFileReader:
    try:
        reader = PdfFileReader(stream, strict=True)
        if not reader.xrefs.hybrid_xrefs_present:
            return reader
    except PdfReadError:
        pass
    # Hybrid cross-references and small liberties of real producers are read only in the lenient mode.
    stream.seek(0)
    return PdfFileReader(stream, strict=False)
