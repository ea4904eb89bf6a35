"""Views: what every signed format hands to the validation engine.

A view states what the bytes say and what could be computed from them alone.  It holds no judgement: whether a digest
algorithm is good enough, a certificate trusted or a change allowed is decided in `signsvc.validation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from signsvc.types.certificate import Certificate
from signsvc.types.evidence import EvidenceItem
from signsvc.types.findings import Finding
from signsvc.types.forms import Form


class Grade(StrEnum):
    """What a later revision did, worst last."""

    EXTENSION = "extension"  # DSS, document timestamps: validation material only
    FORM_OR_SIGNATURE = "form-or-signature"  # form filling, further signatures
    ANNOTATION = "annotation"
    UNREACHED = "unreached"  # touches nothing that a page, field or the catalog uses
    UNDEFINED = "undefined"  # reaches what is shown or signed


@dataclass(frozen=True, slots=True)
class Change:
    """What revision `revision` (1-based) changed against the one before it."""

    revision: int
    grade: Grade
    objects: tuple[int, ...] = ()
    pages: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # finding codes that explain the grade
    permitted: bool | None = None  # against DocMDP, FieldMDP and locks in force; None: nothing restricts
    details: tuple[tuple[str, str, int | str], ...] = ()  # what the text of a reason names: reason, place, value
    # Where nothing but added stamps and text boxes is not permitted: of each the page (from 1), and how far down that
    # page it reaches as a share of its height; None where that is not known.
    stamps: tuple[tuple[int | None, float | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Covered:
    """One thing that a signature covers in a document that is not a PDF.

    `kind` is ``document`` (all of it but the signatures), ``element``, ``object`` (inside the signature), ``file`` (of
    a container, or detached) or ``signature`` (another signature's value).  `name` is the file's name, or where the
    element stands: ``/TDiep/DLieu/HDon/DLHDon``, local names from the root.  `size` counts the octets digested.
    """

    kind: str
    name: str
    matches: bool | None  # None: the octets are not at hand
    digest_oid: str | None = None
    size: int | None = None
    uri: str | None = None  # of the reference, as written
    media_type: str | None = None
    digest: bytes | None = None  # as signed, under `digest_oid`


@dataclass(frozen=True, slots=True)
class Scope:
    """What octets a signature covers.

    FULL: the whole file; in XML and containers all content but the signatures.  REVISION: the whole of an earlier
    revision.  PARTIAL: less than that, or unknown; `SignatureView.covered` then says what, outside PDF.
    """

    type: str
    revision: int | None
    of: int | None
    byte_ranges: tuple[tuple[int, int], ...] = ()  # (offset, length) in octets
    changes_after: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateRef:
    """One signing-certificate reference (ESSCertID, ESSCertIDv2, XAdES CertID)."""

    digest_oid: str
    digest: bytes
    issuer_der: bytes | None = None  # DER Name
    serial_number: int | None = None


@dataclass(frozen=True, slots=True)
class SignatureValue:
    """A signature value and the octets it was made over.

    `message` is what was signed (the DER SET OF signed attributes, canonical SignedInfo).  Where there are no signed
    attributes only `digest` of the content is known.
    """

    algorithm_oid: str  # signature or key algorithm as written
    parameters: bytes | None  # DER of the parameters (PSS)
    digest_oid: str  # digest algorithm that goes with it
    value: bytes
    message: bytes | None = None
    digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class SignerView:
    """One SignerInfo: of a signature, of a timestamp token, of a counter-signature."""

    value: SignatureValue
    digest_oid: str
    digest_matches: bool | None  # message-digest attribute against the covered octets; None: content not at hand
    issuer_der: bytes | None = None  # SignerIdentifier
    serial_number: int | None = None
    subject_key_identifier: bytes | None = None
    references: tuple[CertificateRef, ...] = ()
    certificates: tuple[Certificate, ...] = ()  # in the order found
    evidence: tuple[EvidenceItem, ...] = ()  # revocation values and certificates inside this structure
    claimed_time: datetime | None = None  # signing-time attribute, UTC
    content_type_oid: str | None = None
    policy_oid: str | None = None  # signature-policy-identifier (EPES)
    policy_digest: tuple[str, bytes] | None = None
    commitment_oids: tuple[str, ...] = ()
    claimed_roles: tuple[str, ...] = ()
    claimed_place: tuple[str, ...] = ()  # signer-location: country, locality, postal address, as far as given
    signed_attributes: tuple[str, ...] = ()  # OIDs as written; empty: the content is signed directly
    unsigned_attributes: tuple[str, ...] = ()  # OIDs as written
    timestamps: tuple[TimestampView, ...] = ()  # kinds signature, content, archive
    counter_signatures: tuple[SignerView, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class TimestampView:
    """One RFC 3161 token and exactly which objects it proves.

    `proves` lists ids: ``signature:<id>`` (a signature value), ``certificate|crl|ocsp:<sha256>``,
    ``revision:<n>`` (all octets of that revision), ``timestamp:<id>``.
    """

    id: str
    kind: str  # signature | document | content | archive
    token: bytes  # DER ContentInfo
    signer: SignerView | None  # None where the token cannot be read
    gen_time: datetime | None = None
    accuracy: float | None = None  # seconds
    ordering: bool = False
    serial_number: int | None = None
    policy_oid: str | None = None
    nonce: int | None = None
    tsa_name_der: bytes | None = None  # GeneralName
    imprint_oid: str | None = None
    imprint: bytes | None = None
    imprint_matches: bool | None = None
    proves: tuple[str, ...] = ()
    field: str | None = None
    scope: Scope | None = None  # document timestamps
    evidence: tuple[EvidenceItem, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class SignatureView:
    """One top-level signature of a document."""

    id: str
    format: str  # PAdES | PKCS7 | XAdES | CAdES | XMLDSig ...
    level: str  # what is there: B-B B-T B-LT B-LTA, T LT LTA, BES EPES, PKCS7-*, PDF-NOT-ETSI
    signer: SignerView | None  # None where the structure cannot be read; findings say why
    scope: Scope
    field: str | None = None  # PDF field name or XML Id
    other_fields: tuple[str, ...] = ()  # further fields that hold the same dictionary
    claimed_time: datetime | None = None
    name: str | None = None
    reason: str | None = None
    location: str | None = None
    contact: str | None = None
    sub_filter: str | None = None
    certification: int | None = None  # DocMDP P of a certification signature
    lock: str | None = None
    page: int | None = None
    rect: tuple[float, float, float, float] | None = None
    evidence: tuple[EvidenceItem, ...] = ()  # document-level evidence usable for it (DSS)
    covered: tuple[Covered, ...] = ()  # outside PDF, in the order of the references
    tax_code: str | None = None  # that the signer has to have, as the form of the document says
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document as read: its signatures, its own timestamps, its evidence and what is odd about it."""

    media_type: str
    size: int
    sha256: bytes
    signatures: tuple[SignatureView, ...] = ()  # in file order
    timestamps: tuple[TimestampView, ...] = ()  # document timestamps, in file order
    evidence: tuple[EvidenceItem, ...] = ()
    findings: tuple[Finding, ...] = ()
    revisions: int | None = None
    pages: int | None = None
    pdf_version: str | None = None
    pdfa: str | None = None  # claimed conformance such as "3b"
    empty_fields: tuple[str, ...] = field(default=())
    form: Form | None = None  # the known form of an XML document
