"""A bounded reader of PDF files (ISO 32000-2): tokens, cross-references, objects, revisions.

    document = Document(data)                   # PdfError: no PDF; LimitError; EncryptedError
    document.repair                             # why the file would need repair; then there are no revisions
    for revision in document.revisions:         # oldest first; each is the whole file as it stood then
        revision.catalog, revision.pages(), revision.trailer, revision.root
        revision.get(Ref(12, 0)), revision.resolve(value), revision.value(dictionary, "Kids")
        revision.own_numbers(), revision.own_entry(12), revision.entry(12)
    document.history(12)                        # every (revision index, entry) that defines or frees object 12
    document.object_of(12, entry, index)        # the object of one entry; equal entries are the same object
    document.trailing                           # offset of octets after the last revision that are not white space

Values are described in `objects`.  `get` and what builds on it raise PdfError where the file breaks a rule and
LimitError (a PdfError) where it costs too much; nothing else.  Nothing recurses, follows a cycle or guesses.
"""

from signsvc.formats.pdf.crypt import EncryptedError
from signsvc.formats.pdf.document import Document, Physical, Revision
from signsvc.formats.pdf.limits import LimitError, PdfError, PdfLimits
from signsvc.formats.pdf.objects import Buffer, Name, PdfBool, PdfDict, PdfObject, PdfString, Ref
from signsvc.formats.pdf.stream import Stream
from signsvc.formats.pdf.xref import FREE, PACKED, PLAIN, Entry

__all__ = [
    "FREE",
    "PACKED",
    "PLAIN",
    "Buffer",
    "Document",
    "EncryptedError",
    "Entry",
    "LimitError",
    "Name",
    "PdfBool",
    "PdfDict",
    "PdfError",
    "PdfLimits",
    "PdfObject",
    "PdfString",
    "Physical",
    "Ref",
    "Revision",
    "Stream",
]
