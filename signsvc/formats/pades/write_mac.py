"""Renewing the integrity code of an encrypted PDF 2.0 file beside a signature (ISO/TS 32004 §6)."""

from __future__ import annotations

from typing import Any, BinaryIO

from asn1crypto import cms as asn1_cms
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.crypt.pdfmac import PdfMacTokenHandler
from pyhanko.sign.signers.pdf_signer import add_mac_to_external_cms

from signsvc.errors import DocumentError
from signsvc.formats import pdf

# Octets kept for the code beside the signature.
MAC_ROOM = 1024


class _Keys:
    """What the code of a file is made with, as `add_mac_to_external_cms` asks a writer for it."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._key = key
        self._salt = salt

    def _init_mac_handler(self, md_algorithm: str) -> Any:
        return PdfMacTokenHandler.from_key_mat(self._key, self._salt, md_algorithm)


def place(writer: Any, holder: Any) -> None:
    """Say in the trailer of pyHanko's `writer` that the code stands beside the signature in `holder` (a reference)."""
    entries: Any = {
        generic.NameObject("/MACLocation"): generic.NameObject("/AttachedToSig"),
        generic.NameObject("/SigObjRef"): holder,
    }
    code = generic.DictionaryObject(entries)  # type: ignore[no-untyped-call]
    writer.set_custom_trailer_entry(generic.NameObject("/AuthCode"), code)


def with_mac(contents: bytes, stream: BinaryIO, digest_name: str, document_digest: bytes) -> bytes:
    """The CMS `contents` with the code of the file in `stream`, whose octets but those of the signature have the digest
    `document_digest`.

    The file may wait for its signature: what it holds as its code is not looked at.  Raises `DocumentError`
    (``document_unreadable``) where it has no key for a code.
    """
    stream.seek(0)
    crypt = pdf.Document(stream.read()).crypt
    if crypt is None or crypt.salt is None:
        raise DocumentError("document_unreadable")
    info = asn1_cms.ContentInfo.load(contents)
    keys: Any = _Keys(crypt.key, crypt.salt)
    add_mac_to_external_cms(
        keys, md_algorithm=digest_name, signed_data=info["content"], document_digest=document_digest
    )
    return bytes(info.dump(force=True))


__all__ = ["MAC_ROOM", "place", "with_mac"]
