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
    state: Any = None  # SHA-256 over the document as far as taken, by `hashlib`, where that is known

    def release(self) -> None:
        """Let go of what was read, and of the file where that is mapped; nothing can be written afterwards."""
        if isinstance(self.writer, OwnWriter):
            let_go(self.writer.document)


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


def let_go(document: pdf.Document) -> None:
    """Release `document` and the file that it was read from where that is mapped."""
    data = document.buffer
    document.release()
    if isinstance(data, mmap.mmap):
        with contextlib.suppress(BufferError):  # a view is still held by a traceback: the garbage collector closes it
            data.close()


def contents(stream: BinaryIO) -> pdf.Buffer:
    """The octets in `stream`, mapped where they are many.  Raises `DocumentError` (``empty_document``)."""
    size = stream.seek(0, 2)
    if not size:
        raise DocumentError("empty_document")
    stream.seek(0)
    if size <= _MAP_ABOVE or isinstance(stream, io.BytesIO):
        return stream.read()
    stream.flush()
    return mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)


def open_writer(
    stream: BinaryIO, *, own: bool = True, document: pdf.Document | None = None, state: Any = None
) -> Opened:
    """Open the PDF in `stream` (readable, writable, seekable) for an incremental update: by our own writer where that
    covers it and `own` is not false, else through pyHanko.

    `document` is what our own reader made of the stream, where it has read it; it belongs to the answer, or is
    released.  `state` is the state of a SHA-256 over the octets of the stream.

    Encrypted documents are opened with the empty password, as user or owner.  Metadata stay as they are: a signature
    needs no other date of modification, and nobody's XML is parsed for it.

    Raises `DocumentError`: ``encrypted_document``, ``encryption_unsupported``, ``document_unreadable``,
    ``document_too_complex``.
    """
    if own and (covered := _covered(stream, document)) is not None:
        return Opened(OwnWriter(covered), None, state)
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


def _covered(stream: BinaryIO, document: pdf.Document | None) -> pdf.Document | None:
    """The document as our own reader sees it, where our own writer can add to it."""
    try:
        document = document or pdf.Document(contents(stream))
        if document.repair is None:
            Update(document)
            return document
    except (DocumentError, pdf.PdfError, NotCoveredError):
        pass
    if document is not None:
        let_go(document)
    return None


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
