"""ContentInfo and SignedData (RFC 5652 §3, §5.1): the outline, read strictly, or leniently where it is BER."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from signsvc.asn1 import ber, der
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.cms import archive, evidence
from signsvc.formats.cms.attributes import algorithm
from signsvc.formats.cms.signer import Content, hash_of, signer_info
from signsvc.formats.cms.view import MAX_ELEMENTS, MAX_OCTETS, MAX_SIGNERS, SIGNERS_SHARE, CmsView, Digest, Reading
from signsvc.types import Origin, SignerView

SIGNED_DATA = "1.2.840.113549.1.7.2"
_DATA = "1.2.840.113549.1.7.1"
_SHA1 = "1.3.14.3.2.26"
_SHA512 = "2.16.840.1.101.3.4.2.3"


def read(
    contents: bytes,
    *,
    subject: str,
    digest: Digest | None,
    origin: Origin = Origin.CMS,
    nested: bool = True,
    elements: int = ber.MAX_ELEMENTS,
    limit: int = MAX_OCTETS,
    subjects: Callable[[int], str] | None = None,
) -> CmsView:
    """Read a CMS SignedData, which zero octets may follow (the padding of a PDF `/Contents`).

    `digest` gives the digest of the covered octets by digest OID (`ValueError` where it is unknown); None: the content
    stands inside, or is not at hand.  Where content stands inside although `digest` is given, `digest_matches` is true
    only if that content is the covered octets or their SHA-1 digest (`adbe.pkcs7.sha1`).  Never raises for bad input:
    whatever is wrong is a finding about `subject`.  `nested` says whether timestamps inside are read too;
    `elements` bounds what is read leniently, `limit` the octets.  `subjects` names each SignerInfo by its place
    (from 1) where several are expected; without it all are `subject`.
    """
    contents = bytes(contents)
    if len(contents) > limit:
        return CmsView(findings=(Reading(subject, origin, _nothing).note("cms_unreadable", reason="too large"),))

    def attempt(buf: bytes, source: Callable[[int, int], bytes], lenient: bool = False) -> tuple[CmsView, bool]:
        reading = Reading(subject, origin, source, nested=nested, lenient=lenient)
        if subjects is not None:
            reading.most_timestamps *= SIGNERS_SHARE
            reading.archives_left *= SIGNERS_SHARE
        try:
            view = _content_info(buf, reading, digest, subjects)
        except (DerError, IndexError) as error:
            reason = str(error) if isinstance(error, DerError) else "element missing"
            return CmsView(findings=(reading.note("cms_unreadable", reason=reason),)), True
        return view, reading.malformed

    view, malformed = attempt(contents, lambda start, end: contents[start:end])
    if malformed:
        try:
            lenient = ber.to_der(contents, limit=elements)
        except DerError:
            lenient = None
        if lenient is not None and lenient.der != contents[: lenient.end]:
            again, _ = attempt(lenient.der, lenient.original, lenient=True)
            if again.signers or not view.signers:
                noted = Reading(subject, origin, _nothing).note("cms_ber")
                view = replace(again, end=lenient.end if again.end else 0, findings=(*again.findings, noted))
    if view.end and contents.count(0, view.end) != len(contents) - view.end:
        count = len(contents) - view.end
        noted = Reading(subject, origin, _nothing).note("cms_octets_after", count=count)
        view = replace(view, findings=(*view.findings, noted))
    return view


def _nothing(start: int, end: int) -> bytes:  # noqa: ARG001 - no element is read
    return b""


def _content_info(
    buf: bytes, reading: Reading, digest: Digest | None, subjects: Callable[[int], str] | None
) -> CmsView:
    outer = der.read(buf, 0, tag=der.SEQUENCE)
    parts = der.children(buf, outer, limit=2)
    if len(parts) != 2 or parts[1].tag != 0xA0:
        raise DerError("malformed ContentInfo")
    if der.decode_oid(buf, parts[0]) != SIGNED_DATA:
        raise DerError("not SignedData")
    body = der.read(buf, parts[1].content, parts[1].end, tag=der.SEQUENCE)
    if body.end != parts[1].end:
        raise DerError("octets after SignedData")
    fields = der.children(buf, body, limit=8)
    if len(fields) < 4 or fields[0].tag != der.INTEGER or fields[1].tag != der.SET:
        raise DerError("malformed SignedData")
    if fields[2].tag != der.SEQUENCE or fields[-1].tag != der.SET:
        raise DerError("malformed SignedData")
    version = der.decode_integer(buf, fields[0])
    if version not in (1, 3, 4, 5):
        reading.findings.append(reading.note("cms_version_odd", version=version))
    listed = frozenset(_listed(buf, item) for item in der.children(buf, fields[1], limit=100))
    type_element, type_oid, encapsulated = _encapsulated(buf, fields[2], reading)
    certificates, revocations = _optional(fields[3:-1])
    if certificates is not None:
        evidence.certificate_set(buf, certificates, reading)
    if revocations is not None:
        evidence.revocation_set(buf, revocations, reading)

    source = digest
    bound = True
    through: str | None = None
    if encapsulated is not None:
        source = hash_of(encapsulated)
        if digest is not None:
            bound, through = _bound(encapsulated, digest)
            code = "cms_content_encapsulated" if encapsulated else "cms_content_empty"
            reading.findings.append(reading.note(code))
    base = archive.Base(buf, type_element, source, certificates, revocations, reading.source)
    content = Content(source, type_oid, encapsulated, bound, through, listed, base)
    signers = _signers(buf, fields[-1], reading, content, subjects)
    return CmsView(
        signers=tuple(signers),
        content_type_oid=type_oid,
        encapsulated=encapsulated,
        certificates=tuple(reading.certificates.values()),
        evidence=tuple(reading.evidence.values()),
        end=outer.end,
        findings=tuple(reading.findings),
    )


def _listed(buf: bytes, element: Tlv) -> str:
    if element.tag != der.SEQUENCE:
        raise DerError("malformed digest algorithm")
    return algorithm(buf, element)[0]


def _optional(elements: list[Tlv]) -> tuple[Tlv | None, Tlv | None]:
    """certificates [0] and crls [1], each at most once and in this order."""
    certificates = revocations = None
    for element in elements:
        if element.tag == 0xA0 and certificates is None and revocations is None:
            certificates = element
        elif element.tag == 0xA1 and revocations is None:
            revocations = element
        else:
            raise DerError("malformed SignedData")
    return certificates, revocations


def _encapsulated(buf: bytes, element: Tlv, reading: Reading) -> tuple[Tlv, str, bytes | None]:
    """eContentType and the content octets of eContent, where it is there (RFC 5652 §5.2, §5.2.1)."""
    parts = der.children(buf, element, limit=2)
    if not parts:
        raise DerError("malformed EncapsulatedContentInfo")
    type_oid = der.decode_oid(buf, parts[0])
    if len(parts) == 1:
        return parts[0], type_oid, None
    if parts[1].tag != 0xA0:
        raise DerError("malformed EncapsulatedContentInfo")
    inner = der.read(buf, parts[1].content, parts[1].end)
    if inner.end != parts[1].end:
        raise DerError("octets after the content")
    if inner.tag == 0x24:
        raise DerError("content in pieces")
    if inner.tag != der.OCTET_STRING:
        # PKCS#7 v1.5: any type; what is signed is its content octets.
        reading.findings.append(reading.note("cms_content_pkcs7"))
    return parts[0], type_oid, inner.value(buf)


def _bound(encapsulated: bytes, digest: Digest) -> tuple[bool, str | None]:
    """Whether content inside is the covered octets, or their SHA-1 digest as `adbe.pkcs7.sha1` has it: then the
    second value is SHA-1's OID."""
    if not encapsulated:
        return False, None
    try:
        if len(encapsulated) == 20 and digest(_SHA1) == encapsulated:
            return True, _SHA1
        return digest(_SHA512) == hash_of(encapsulated)(_SHA512), None
    except ValueError:
        return False, None


def _signers(
    buf: bytes, element: Tlv, reading: Reading, content: Content, subjects: Callable[[int], str] | None
) -> list[SignerView]:
    found: list[SignerView] = []
    whole = reading.subject
    items = der.children(buf, element, limit=MAX_ELEMENTS)
    if not items:
        reading.findings.append(reading.note("cms_signer_missing"))
    for item in items:
        if len(found) >= MAX_SIGNERS:
            reading.findings.append(reading.note("cms_too_many", what="signers", limit=MAX_SIGNERS))
            break
        try:
            if subjects is not None:
                reading.subject = subjects(len(found) + 1)
            found.append(signer_info(buf, item, reading, content))
        except (DerError, IndexError):
            reading.malformed = True
            reading.findings.append(reading.note("cms_signer_malformed"))
        finally:
            reading.subject = whole
    return found
