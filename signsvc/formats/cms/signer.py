"""One SignerInfo (RFC 5652 §5.3) with its attributes, timestamps and counter-signatures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from signsvc.algorithms import (
    SHAKE256,
    SignatureScheme,
    digest_by_name,
    digest_by_oid,
    digest_name,
    new_hash,
    parameters_fit,
    resolve,
)
from signsvc.asn1 import der
from signsvc.asn1.der import DerError, Tlv
from signsvc.formats.cms import archive, attributes, evidence
from signsvc.formats.cms.attributes import SignedAttributes, algorithm, attribute, label
from signsvc.formats.cms.view import (
    MAX_ATTRIBUTES,
    MAX_COUNTER_DEPTH,
    MAX_SIGNERS,
    AbsentDigestError,
    Digest,
    Reading,
)
from signsvc.types import Finding, SignatureValue, SignerView, TimestampView

if TYPE_CHECKING:
    from collections.abc import Iterable


def _oids(*names: str) -> frozenset[str]:
    return frozenset((SHAKE256.oid, *(found.oid for name in names if (found := digest_by_name(name)))))


# Digests over the content that go with algorithms that take the message itself (RFC 8419 §2.3, RFC 9882 §3.3).
_SUITED = {
    SignatureScheme.ED25519: _oids("sha512") - {SHAKE256.oid},
    SignatureScheme.ED448: _oids(),
    SignatureScheme.ML_DSA_44: _oids("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"),
    SignatureScheme.ML_DSA_65: _oids("sha384", "sha512", "sha3_384", "sha3_512"),
    SignatureScheme.ML_DSA_87: _oids("sha512", "sha3_512"),
}


@dataclass(frozen=True, slots=True)
class Content:
    """What a SignerInfo signs.

    `digest` gives its digest; None: not at hand.  `type_oid` is eContentType, None in counter-signatures.  `octets`
    are set where the content itself stands in the structure.
    """

    digest: Digest | None
    type_oid: str | None
    octets: bytes | None = None
    bound: bool = True  # whether encapsulated content is that of the covered octets
    through: str | None = None  # digest that stands between the content and the covered octets
    digest_algorithms: frozenset[str] | None = None  # SignedData.digestAlgorithms
    archive: archive.Base | None = None


def hash_of(octets: bytes) -> Digest:
    """A `Digest` over these octets; each is computed once."""
    known: dict[str, bytes] = {}

    def digest(oid: str) -> bytes:
        found = known.get(oid)
        if found is None:
            made = new_hash(oid)
            made.update(octets)
            found = known[oid] = bytes(made.digest())
        return found

    return digest


def signer_info(buf: bytes, element: Tlv, reading: Reading, content: Content, depth: int = 0) -> SignerView:
    """Read one SignerInfo.  Raises `DerError` where its outline is not one; the rest becomes findings."""
    findings: list[Finding] = []
    parts = _sequence(buf, element)
    if len(parts) < 5 or parts[0].tag != der.INTEGER:
        raise DerError("malformed SignerInfo")
    version = der.decode_integer(buf, parts[0])
    issuer = serial = key_identifier = None
    if parts[1].tag == der.SEQUENCE:
        identifier = der.children(buf, parts[1], limit=2)
        if len(identifier) != 2 or identifier[0].tag != der.SEQUENCE or identifier[1].tag != der.INTEGER:
            raise DerError("malformed signer identifier")
        issuer = identifier[0].full(buf)
        serial = der.decode_integer(buf, identifier[1])
    elif parts[1].tag == 0x80:
        key_identifier = parts[1].value(buf)
    else:
        raise DerError("malformed signer identifier")
    if version != (1 if issuer is not None else 3):
        findings.append(reading.note("cms_version_odd", version=version))
    if parts[2].tag != der.SEQUENCE:
        raise DerError("malformed digest algorithm")
    digest_oid, digest_parameters = algorithm(buf, parts[2])
    if not parameters_fit(digest_oid, digest_parameters):
        findings.append(reading.note("cms_algorithm_parameters", oid=digest_oid))
    at = 3
    signed_element = None
    if parts[at].tag == 0xA0:
        signed_element = parts[at]
        at += 1
    rest = parts[at:]
    if not 2 <= len(rest) <= 3 or rest[0].tag != der.SEQUENCE or rest[1].tag != der.OCTET_STRING:
        raise DerError("malformed SignerInfo")
    if len(rest) == 3 and rest[2].tag != 0xA1:
        raise DerError("malformed unsigned attributes")
    signature_oid, parameters = algorithm(buf, rest[0])
    if not parameters_fit(signature_oid, parameters):
        findings.append(reading.note("cms_algorithm_parameters", oid=signature_oid))
    value = rest[1].value(buf)
    if not value:
        findings.append(reading.note("cms_signature_empty"))

    signed = None
    message: bytes | None = None
    digest: bytes | None = None
    matches: bool | None = None
    if content.digest is not None:
        try:
            digest = content.digest(digest_oid)
        except AbsentDigestError:
            findings.append(reading.note("cms_digest_absent", oid=digest_oid))
        except ValueError:
            findings.append(reading.note("cms_digest_unknown", oid=digest_oid))
            matches = False
    if signed_element is not None:
        signed = attributes.signed(buf, signed_element, reading)
        message = b"\x31" + buf[signed_element.start + 1 : signed_element.end]
        if reading.lenient and reading.source(signed_element.start, signed_element.end) != signed_element.full(buf):
            findings.append(reading.note("cms_signed_attributes_ber"))
        findings += signed.findings
        findings += _coherent(signed, content, reading)
        if signed.message_digest is not None and digest is not None:
            matches = signed.message_digest == digest and content.bound
        elif digest is not None:
            matches = False
    else:
        findings += _bare(content, reading)
        message = content.octets
        if digest is not None:
            matches = content.bound
    findings += _algorithms(signature_oid, parameters, digest_oid, signed, content, reading)

    stamps: list[TimestampView] = []
    counters: list[SignerView] = []
    unsigned: list[str] = []
    if signed is not None:
        stamps += _timestamps(signed.content_timestamps, "content", reading, content.digest, (), findings)
    if len(rest) == 3:
        fields = b"".join(reading.source(p.start, p.end) for p in parts[: at + 2])
        unsigned = _unsigned(buf, rest[2], reading, content, value, fields, depth, stamps, counters, findings)
    return SignerView(
        value=SignatureValue(
            signature_oid, parameters, digest_oid, value, message, digest if signed_element is None else None
        ),
        # What binds the document is as strong as the digest that stands between (adbe.pkcs7.sha1).
        digest_oid=content.through or digest_oid,
        digest_matches=matches,
        issuer_der=issuer,
        serial_number=serial,
        subject_key_identifier=key_identifier,
        references=tuple(signed.references) if signed else (),
        certificates=tuple(reading.certificates.values()),
        evidence=tuple(reading.evidence.values()),
        claimed_time=signed.signing_time if signed else None,
        content_type_oid=content.type_oid,
        policy_oid=signed.policy_oid if signed else None,
        policy_digest=signed.policy_digest if signed else None,
        commitment_oids=tuple(signed.commitments) if signed else (),
        claimed_roles=tuple(signed.roles) if signed else (),
        claimed_place=tuple(signed.place) if signed else (),
        signed_attributes=tuple(signed.types) if signed else (),
        unsigned_attributes=tuple(unsigned),
        timestamps=tuple(stamps),
        counter_signatures=tuple(counters),
        findings=tuple(findings),
    )


def _sequence(buf: bytes, element: Tlv) -> list[Tlv]:
    if element.tag != der.SEQUENCE:
        raise DerError("SignerInfo is a sequence")
    return der.children(buf, element, limit=8)


def _coherent(signed: SignedAttributes, content: Content, reading: Reading) -> Iterable[Finding]:
    """message-digest and content-type are there and agree with the structure (RFC 5652 §11.1, §11.2)."""
    if signed.message_digest is None:
        yield reading.note("cms_message_digest_missing")
    if content.type_oid is None:
        if signed.content_type is not None:
            yield reading.note("cms_counter_signature_content_type")
    elif signed.content_type is None:
        yield reading.note("cms_content_type_missing")
    elif signed.content_type != content.type_oid:
        yield reading.note("cms_content_type_differs")


def _bare(content: Content, reading: Reading) -> Iterable[Finding]:
    """Without signed attributes the content itself is signed; only plain data may be (RFC 5652 §5.3)."""
    if content.type_oid not in (None, "1.2.840.113549.1.7.1"):
        yield reading.note("cms_signed_attributes_missing")
    else:
        yield reading.note("cms_signed_attributes_absent")


def _algorithms(
    signature_oid: str,
    parameters: bytes | None,
    digest_oid: str,
    signed: SignedAttributes | None,
    content: Content,
    reading: Reading,
) -> Iterable[Finding]:
    """Digest and signature algorithm go together and are the protected ones (RFC 5652 §5.3, RFC 6211 §2)."""
    if content.digest_algorithms is not None and digest_oid not in content.digest_algorithms:
        yield reading.note("cms_digest_algorithm_unlisted")
    try:
        found = resolve(signature_oid, parameters, digest_oid)
    except (DerError, IndexError):
        yield reading.note("cms_signature_algorithm_malformed")
        return
    if found is None:
        yield reading.note("cms_signature_algorithm_unknown", oid=signature_oid)
    elif found.digest is not None:
        known = digest_by_oid(digest_oid)
        if known is None or known.name != found.digest:
            yield reading.note("cms_algorithms_differ", digest=digest_oid, signature=found.name)
    elif signed is not None and digest_oid not in _SUITED.get(found.scheme, ()):
        yield reading.note("cms_digest_unsuited", digest=digest_name(digest_oid), signature=found.name)
    if signed is not None and signed.protection is not None:
        protected_digest, protected_oid, protected_parameters = signed.protection
        same_parameters = (protected_parameters or b"\x05\x00") == (parameters or b"\x05\x00")
        if protected_digest != digest_oid or protected_oid != signature_oid or not same_parameters:
            yield reading.note("cms_algorithm_protection_differs")


def _timestamps(
    values: list[Tlv],
    kind: str,
    reading: Reading,
    digest: Digest | None,
    proves: tuple[str, ...],
    findings: list[Finding],
) -> list[TimestampView]:
    from signsvc.formats.cms.timestamps import read_timestamp

    found: list[TimestampView] = []
    for value in values:
        if reading.timestamps >= reading.most_timestamps:
            findings.append(reading.note("cms_too_many", what="timestamps", limit=reading.most_timestamps))
            break
        reading.timestamps += 1
        token = reading.source(value.start, value.end)
        name = f"{reading.subject}.t{reading.timestamps}"
        found.append(read_timestamp(token, id=name, kind=kind, digest=digest, proves=proves, inside=True))
    return found


def _unsigned(
    buf: bytes,
    element: Tlv,
    reading: Reading,
    content: Content,
    value: bytes,
    fields: bytes,
    depth: int,
    stamps: list[TimestampView],
    counters: list[SignerView],
    findings: list[Finding],
) -> list[str]:
    """Unsigned attributes: anyone may have added them, so what is wrong in one warns and hides nothing else.

    Returns their types as written.
    """
    proves = (f"signature:{reading.subject}",)
    archives: list[tuple[str, Tlv]] = []
    held: dict[bytes, list[str]] = {}  # ids of what stands in an attribute value
    types: list[str] = []
    for item in der.children(buf, element, limit=MAX_ATTRIBUTES):
        oid = "?"
        try:
            oid, values = attribute(buf, item)
            types.append(oid)
            if oid == attributes.SIGNATURE_TIMESTAMP:
                if reading.nested:
                    made = _timestamps(values, "signature", reading, hash_of(value), proves, findings)
                    stamps += made
                    held.update((stamp.token, archive.inside(stamp)) for stamp in made)
            elif oid == attributes.COUNTER_SIGNATURE:
                for one in values:
                    before = len(counters)
                    _counter(buf, [one], reading, value, depth, counters, findings)
                    names = archive.of_counters(reading.subject, counters, before)
                    held[reading.source(one.start, one.end)] = names
            elif oid in (attributes.CERTIFICATE_VALUES, attributes.REVOCATION_VALUES, attributes.REVOCATION_ARCHIVAL):
                for one in values:
                    before = len(reading.evidence)
                    if oid == attributes.CERTIFICATE_VALUES:
                        evidence.certificate_set(buf, one, reading)
                    else:
                        evidence.revocation_values(buf, one, reading)
                    new = [item.id for item in list(reading.evidence.values())[before:]]
                    held[reading.source(one.start, one.end)] = new
            elif oid in archive.KINDS:
                if reading.nested:
                    archives += [(oid, one) for one in values]
            elif oid in attributes.REFERENCES:
                findings.append(reading.note("cms_references_not_used", attribute=label(oid)))
            elif attributes.misplaced(oid):
                findings.append(reading.note("cms_unsigned_attribute_ignored", attribute=label(oid)))
        except (DerError, IndexError):
            reading.malformed = True
            findings.append(reading.note("cms_unsigned_attribute_malformed", attribute=label(oid)))
    first = [name for stamp in stamps if stamp.kind == "content" for name in archive.inside(stamp)]
    read_ones = [
        (oid, stamp) for oid, one in archives for stamp in _timestamps([one], "archive", reading, None, (), findings)
    ]
    if read_ones:
        # A set has no order: which archive timestamp covers which one is said by their indexes alone.
        held.update((stamp.token, archive.inside(stamp)) for _, stamp in read_ones)
        listed = archive.unsigned_listed(archive.attribute_values(buf, element, reading.source), held)
        stamps += [archive.judge(t, oid, content.archive, fields, listed, reading, first) for oid, t in read_ones]
    return types


def _counter(
    buf: bytes,
    values: list[Tlv],
    reading: Reading,
    value: bytes,
    depth: int,
    counters: list[SignerView],
    findings: list[Finding],
) -> None:
    """Counter-signatures sign the value of the signature above them (RFC 5652 §11.4)."""
    if depth >= MAX_COUNTER_DEPTH:
        findings.append(reading.note("cms_too_many", what="counter-signatures in depth", limit=MAX_COUNTER_DEPTH))
        return
    for one in values:
        if reading.signers_left <= 0:
            findings.append(reading.note("cms_too_many", what="counter-signatures", limit=MAX_SIGNERS))
            return
        reading.signers_left -= 1
        above = reading.subject
        reading.subject = f"{above}-counter{len(counters) + 1}"
        try:
            counters.append(signer_info(buf, one, reading, Content(hash_of(value), None, value), depth + 1))
        except (DerError, IndexError):
            reading.malformed = True
            findings.append(replace(reading.note("cms_counter_signature_malformed"), subject=above))
        finally:
            reading.subject = above
