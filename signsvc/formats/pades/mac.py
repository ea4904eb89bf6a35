"""The integrity code of an encrypted PDF 2.0 file (ISO/TS 32004): who changed the file without its password?

The code is a CMS AuthenticatedData (RFC 5652 §9) over the whole file, in the trailer or beside the last signature.
"""

from __future__ import annotations

from collections.abc import Iterable

from signsvc.algorithms import new_hash
from signsvc.asn1 import der
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.pades.byterange import ByteRange, gap_octets, parse
from signsvc.formats.pdf import Document, LimitError, PdfDict, PdfError, Ref
from signsvc.types import Finding

_REQUIRED = 1 << 12  # of /P: where this bit is clear a file without a code is no whole one
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_AUTHENTICATED_DATA = "1.2.840.113549.1.9.16.1.2"
_INTEGRITY_INFO = "1.0.32004.1.0"
_WRAP_KDF = "1.0.32004.1.1"
_MAC_DATA = "1.0.32004.1.2"
_AES256_WRAP = "2.16.840.1.101.3.4.1.45"
_HMAC_SHA256 = "1.2.840.113549.2.9"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_CHUNK = 1 << 20


class _WrongError(Exception):
    """The code says something else than the file."""


def check(document: Document) -> Finding | None:
    """What the integrity code of the newest revision says; None where the file has none and needs none.

    Nothing else rests on it: whoever knows the password can make a new one.  Raises LimitError.
    """
    crypt = document.crypt
    if crypt is None:
        return None
    written = document.last.trailer.get("AuthCode")
    if written is None:
        missing = crypt.salt is not None and not crypt.permissions & _REQUIRED
        return Finding.of("pdf_mac_missing") if missing else None
    if crypt.salt is None or not isinstance(written, dict) or len(crypt.key) != 32:
        return Finding.of("pdf_mac_unverified")
    try:
        _check(document, written, crypt.key, crypt.salt)
    except LimitError:
        raise
    except (_WrongError, DerError, PdfError, IndexError):
        return Finding.of("pdf_mac_wrong")
    except ValueError:  # an algorithm that is not known here
        return Finding.of("pdf_mac_unverified")
    return Finding.of("pdf_mac_valid")


def _check(document: Document, code: PdfDict, key: bytes, salt: bytes) -> None:
    signature: bytes | None = None
    location = code.get("MACLocation")
    if location == "Standalone":
        covered = _range(document, code)
        token = gap_octets(document.buffer, covered)
    elif location == "AttachedToSig" and isinstance(code.get("SigObjRef"), Ref):
        holder = document.last.dictionary(code["SigObjRef"])
        if holder is None:
            raise _WrongError
        covered = _range(document, holder)
        token, signature = _beside(gap_octets(document.buffer, covered) or b"")
    else:
        raise _WrongError
    if token is None:
        raise _WrongError
    _authenticated(document, covered, token, signature, _derived(key, salt))


def _range(document: Document, holder: PdfDict) -> ByteRange:
    """The range in `holder`, which has to be the whole file."""
    covered = parse(holder.get("ByteRange"), document.size)
    if covered is None or covered.end != document.size:
        raise _WrongError
    return covered


def _content(buf: bytes, kind: str) -> list[Tlv]:
    """The members of what a ContentInfo of `kind` holds."""
    parts = der.children(buf, der.read(buf, 0, tag=der.SEQUENCE), limit=2)
    if der.decode_oid(buf, parts[0]) != kind or parts[1].tag != 0xA0:
        raise _WrongError
    return der.children(buf, der.read(buf, parts[1].content, parts[1].end, tag=der.SEQUENCE), limit=16)


def _beside(buf: bytes) -> tuple[bytes, bytes]:
    """The code in the unsigned attributes of the one signer of a CMS, and that signer's signature value."""
    signers = der.children(buf, _content(buf, _SIGNED_DATA)[-1], limit=2)
    if len(signers) != 1:
        raise _WrongError
    members = der.children(buf, signers[0], limit=8)
    if members[-1].tag != 0xA1 or members[-2].tag != der.OCTET_STRING:
        raise _WrongError
    return _value(buf, _attributes(buf, members[-1]), _MAC_DATA).full(buf), members[-2].value(buf)


def _attributes(buf: bytes, holder: Tlv) -> list[list[Tlv]]:
    return [der.children(buf, item, limit=2) for item in der.children(buf, holder, limit=64)]


def _value(buf: bytes, attributes: Iterable[list[Tlv]], oid: str) -> Tlv:
    """The one value of the one attribute `oid`."""
    found = [parts[1] for parts in attributes if der.decode_oid(buf, parts[0]) == oid]
    values = [value for holder in found for value in der.children(buf, holder, limit=2)]
    if len(found) != 1 or len(values) != 1:
        raise _WrongError
    return values[0]


def _algorithm(buf: bytes, element: Tlv) -> str:
    return der.decode_oid(buf, der.children(buf, element, limit=4)[0])


def _authenticated(
    document: Document, covered: ByteRange, buf: bytes, signature: bytes | None, wrapping: bytes
) -> None:
    """RFC 5652 §9.2 and ISO/TS 32004 §5.  Raises _WrongError, DerError; ValueError for unknown algorithms."""
    import hmac

    members = _content(buf, _AUTHENTICATED_DATA)
    tags = [member.tag for member in members]
    # version, recipients, MAC algorithm, digest algorithm, content, attributes, code; nothing unauthenticated
    if tags != [der.INTEGER, der.SET, der.SEQUENCE, 0xA1, der.SEQUENCE, 0xA2, der.OCTET_STRING]:
        raise _WrongError
    if _algorithm(buf, members[2]) != _HMAC_SHA256:
        raise ValueError("unknown MAC algorithm")
    digest_oid = _algorithm(buf, members[3])
    recipients = der.children(buf, members[1], limit=2)
    if len(recipients) != 1:
        raise _WrongError
    secret = _unwrapped(buf, recipients[0], wrapping)
    attributes = b"\x31" + members[5].full(buf)[1:]
    if not hmac.compare_digest(hmac.digest(secret, attributes, "sha256"), members[6].value(buf)):
        raise _WrongError
    kind, holder = der.children(buf, members[4], limit=2)
    info = der.read(buf, holder.content, holder.end, tag=der.OCTET_STRING)
    listed = _attributes(buf, members[5])
    stated = _value(buf, listed, _CONTENT_TYPE)
    digested = _value(buf, listed, _MESSAGE_DIGEST)
    if {der.decode_oid(buf, kind), der.decode_oid(buf, stated)} != {_INTEGRITY_INFO}:
        raise _WrongError
    if digested.value(buf) != _hash(digest_oid, info.value(buf)):
        raise _WrongError
    body = der.read(buf, info.content, info.end, tag=der.SEQUENCE)
    _, data, *rest = der.children(buf, body, limit=3)
    state = new_hash(digest_oid)
    with memoryview(document.buffer) as view:
        for start, end in ((0, covered.before), (covered.after, covered.end)):
            for at in range(start, end, _CHUNK):
                state.update(view[at : min(at + _CHUNK, end)])
    if data.value(buf) != state.digest():
        raise _WrongError
    wanted = [] if signature is None else [_hash(digest_oid, signature)]
    if [element.value(buf) for element in rest if element.tag == 0x80] != wanted or len(rest) != len(wanted):
        raise _WrongError


def _unwrapped(buf: bytes, recipient: Tlv, wrapping: bytes) -> bytes:
    """The key of the code, which a PasswordRecipientInfo holds wrapped (RFC 3394)."""
    from cryptography.hazmat.primitives import keywrap

    members = der.children(buf, recipient, limit=4)
    if recipient.tag != 0xA3 or [m.tag for m in members] != [der.INTEGER, 0xA0, der.SEQUENCE, der.OCTET_STRING]:
        raise _WrongError
    if _algorithm(buf, members[1]) != _WRAP_KDF or _algorithm(buf, members[2]) != _AES256_WRAP:
        raise ValueError("unknown key wrapping")
    try:
        return keywrap.aes_key_unwrap(wrapping, members[3].value(buf))
    except (keywrap.InvalidUnwrap, ValueError):
        raise _WrongError from None


def _derived(key: bytes, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(hashes.SHA256(), 32, salt, b"PDFMAC").derive(key)


def _hash(oid: str, octets: bytes) -> bytes:
    state = new_hash(oid)
    state.update(octets)
    return state.digest()  # type: ignore[no-any-return]


__all__ = ["check"]
