"""Bodies of requests and answers: the source of validation and of the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


Identifier = Annotated[str, Field(min_length=1, max_length=128)]
Text = Annotated[str, Field(max_length=500)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the first and the last hours of the calendar
        raise ValueError("a time that the calendar does not have in UTC") from None


UtcTime = Annotated[AwareDatetime, AfterValidator(_in_utc)]
SuppliedDer = Annotated[tuple[Base64Bytes, ...], Field(max_length=64)]


Offset = Annotated[tuple[float, float], Field(description="Right and up, in millimetres")]


class VisibleAnchor(_Strict):
    """A place by words of the page; with `to`, between them and the next such words below."""

    text: Text
    to: Text | None = None
    position: Literal["below", "above", "left", "right", "over", "between"] | None = None
    occurrence: int | None = Field(None, description="From 1, or -1 for the last, which is the default")
    offset: Offset | None = None


class VisibleBeside(_Strict):
    """A place by the field of a signature; `seal` covers the left third of it."""

    field: Text
    position: Literal["below", "above", "left", "right", "over", "seal"] | None = None
    offset: Offset | None = None


class Visible(_Strict):
    """A visible signature: by one of rect, anchor, beside and field, else at its template's own place."""

    page: int | None = Field(None, description="From 1, -1 is the last")
    rect: tuple[float, float, float, float] | None = Field(
        None, description="Left, bottom, right, top in points from the lower left corner of the page as shown"
    )
    anchor: VisibleAnchor | Text | None = None
    beside: VisibleBeside | Text | None = None
    field: Text | None = Field(None, description="An existing empty signature field")
    template: str | None = None
    image: Text | None = Field(None, description="A picture of the installation; or send one as form file image")
    size: tuple[float, float] | None = Field(None, description="Width and height in millimetres")
    time_format: Literal["iso", "vgca"] | None = None


class SignRequest(_Strict):
    """What to sign with, and what to say."""

    profile: Identifier = Field(description="Signing profile, see GET /v1/profiles")
    credential: Identifier = Field(description="Signing key, see GET /v1/credentials")
    reason: Text | None = None
    location: Text | None = None
    name: Text | None = None
    contact: Text | None = None
    field: Text | None = Field(None, description="An empty signature field, or the name of a new one")
    certify: Literal[2, 3] | None = Field(None, description="DocMDP level of a certification signature")
    visible: Visible | None = None
    capacity: Annotated[tuple[Text, ...], Field(max_length=3)] = Field(
        (), description="On whose behalf or with what right: lines that begin with TM., KT., TL., TUQ. or Q."
    )
    role: Text | None = Field(None, description="The signer's position, claimed in the signature")
    commitment: Literal["approval", "origin", "creation", "sender", "receipt", "delivery"] | None = Field(
        None, description="What the signature means; goes without reason"
    )
    metadata: dict[str, Text] = Field(default_factory=dict)
    number: Text | None = Field(None, description="The document's number: for its text field so, or for the stamp")
    date: Text | None = Field(
        None, description="The document's date (YYYY-MM-DD, or as it is to be read): for its text field ngay"
    )
    raise_to: Literal["B-T", "B-LT", "B-LTA"] | None = Field(
        None, description="Answer now, and raise the level later, see GET /v1/signatures/{id}"
    )
    base_sha256: Sha256 | None = Field(None, description="SHA-256 in hex of the document that is meant")


# Documents of one batch.
MAX_BATCH = 1000
_WISHES = "What to say in the signature: the members of SignRequest without profile and credential"


class ExtendRequest(_Strict):
    level: Literal["B-T", "B-LT", "B-LTA"]
    base_sha256: Sha256 | None = Field(None, description="SHA-256 in hex of the document that is meant")


class OriginalDigest(_Strict):
    """The digest of a file that a detached signature is over."""

    algorithm: str = Field(max_length=20, description="Such as sha-256")
    digest: Base64Bytes = Field(description="In base64", json_schema_extra={"contentEncoding": "base64"})
    name: Annotated[str, Field(max_length=200)] | None = None


class OriginalContent(_Strict):
    """A file that a detached signature is over."""

    name: Annotated[str, Field(max_length=200)]
    content: Base64Bytes = Field(description="In base64", json_schema_extra={"contentEncoding": "base64"})


class VerifyParams(_Strict):
    """Certificates and CRLs are DER, here in base64; as multipart files they may be PEM too."""

    policy: Identifier | None = Field(None, description="Validation policy, see GET /v1/policies")
    at: UtcTime | None = Field(None, description="Validation time other than now, RFC 3339")
    offline: bool = Field(False, description="Obtain nothing from the network")
    accept: Identifier | None = Field(None, description="Acceptance rule: the report then also says accept or reject")
    issuer: Identifier | None = Field(
        None, description="Identifier of the agency that issued the document, for rules that compare it"
    )
    trust_anchors: SuppliedDer = ()
    certificates: SuppliedDer = ()
    crls: SuppliedDer = ()
    originals: tuple[OriginalContent, ...] = Field(
        (), max_length=64, description="Small files that detached signatures are over; large ones come as form files"
    )
    digests: tuple[OriginalDigest, ...] = Field((), max_length=1_000, description="Digests of detached content")
    must_cover: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        (), max_length=64, description="Elements of an XML document that every signature has to cover, such as /a/b"
    )


class RevisionParams(_Strict):
    signature: Text | None = Field(
        None, description="Id or number of a signature in its report, or its field name; the first one by default"
    )


class JsonDocument(_Strict):
    content: str = Field(description="The document in base64", json_schema_extra={"contentEncoding": "base64"})
    name: str | None = None


class SignJson(SignRequest):
    document: JsonDocument


class VerifyJson(VerifyParams):
    document: JsonDocument


class VerifyHashesJson(VerifyParams):
    document: JsonDocument


class RevisionJson(RevisionParams):
    document: JsonDocument


class ExtendJson(ExtendRequest):
    document: JsonDocument


class ProblemDetail(_Open):
    pointer: str
    code: str
    message: str


class Localized(_Open):
    lang: Literal["vi", "en"]
    message: str


class Problem(_Open):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable, see /docs/problems")
    retryable: bool
    localized: Localized
    errors: list[ProblemDetail] = Field(default_factory=list)


class CertificateSummary(_Open):
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    sha256: str


class DocumentLink(_Open):
    href: str | None
    sha256: str
    size: int
    media_type: str


class ReportLink(_Open):
    href: str
    indication: str


class SignatureSummary(_Open):
    level: str
    signed_at: datetime | None = None
    best_signature_time: datetime | None = None
    certificate: CertificateSummary | None = None


class SignAnswer(_Open):
    id: str
    state: Literal["succeeded", "raising"] = Field(description="raising: a job raises the level later")
    document: DocumentLink
    signature: SignatureSummary
    warnings: list[dict[str, str]] = Field(default_factory=list)
    report: ReportLink | None = None


class LastError(_Open):
    code: str
    retryable: bool
    text: str
    text_vi: str


class Raising(_Open):
    job: str
    level: str
    attempts: int
    next_try: datetime | None
    give_up_at: datetime | None
    last_error: LastError | None


class SignatureVersion(_Open):
    level: str
    document: DocumentLink


class SignatureAnswer(_Open):
    """A signature as it stands now; `versions` has the document as it was signed, and as it was raised."""

    id: str
    state: Literal["succeeded", "raising", "raise_failed", "raise_canceled"]
    created_at: datetime
    document: DocumentLink
    signature: SignatureSummary
    versions: list[SignatureVersion]
    raising: Raising | None = None
    report: ReportLink | None = None


class JobAnswer(_Open):
    id: str
    kind: str
    state: Literal["queued", "running", "succeeded", "failed", "canceled"]
    created_at: datetime
    updated_at: datetime
    counts: dict[str, int] = Field(description="total, and items by state")
    items: str


class JobItem(_Open):
    """`stopped`: not tried, because another item met what would meet this one as well (its `last_error`)."""

    position: int
    name: str | None
    document: str | None = Field(description="SHA-256 of what was handed in")
    state: Literal["waiting", "running", "succeeded", "failed", "canceled", "stopped"]
    attempts: int
    next_try: datetime | None
    updated_at: datetime
    result: dict[str, Any] | None
    last_error: LastError | None


class JobItems(_Open):
    items: list[JobItem]
    next: int | None = Field(description="`cursor` of the next call; null at the end")


class BatchDocument(_Strict):
    """One document of a batch: `content`, `sha256` of a stored document, or neither for the next file of the form."""

    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="A stored document that the caller owns")
    content: str | None = Field(
        None, description="The document in base64", json_schema_extra={"contentEncoding": "base64"}
    )
    file_name: Annotated[str, Field(max_length=255)] | None = None
    params: dict[str, Any] = Field(default_factory=dict, description=_WISHES)
    idempotency_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:~+/=-]{1,255}$")] | None = Field(
        None, description="As the header of POST /v1/sign: this document is signed once under it"
    )


class BatchRequest(_Strict):
    """A closed list of documents to sign with one key of the service."""

    profile: Identifier = Field(description="Signing profile, see GET /v1/profiles")
    credential: Identifier = Field(description="Signing key, see GET /v1/credentials")
    params: dict[str, Any] = Field(default_factory=dict, description=f"For every document. {_WISHES}")
    documents: list[BatchDocument] = Field(default_factory=list, max_length=MAX_BATCH)


class Health(_Open):
    status: Literal["ok", "failing"]


class Readiness(_Open):
    status: Literal["ok", "failing"]
    checks: dict[str, str]


class Version(_Open):
    name: str
    version: str
    api: str
