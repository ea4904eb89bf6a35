"""Bodies of requests and answers about signing sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from signsvc.web.models import CertificateSummary, DocumentLink, Identifier, ReportLink


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


_WISHES = "What to say in the signature: the members of SignRequest without profile and credential"


class SessionDocument(_Strict):
    """One document of the closed list: `content`, `sha256` of a stored document, or neither for the next file of the
    form."""

    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="A stored document that the caller owns")
    content: str | None = Field(
        None, description="The document in base64", json_schema_extra={"contentEncoding": "base64"}
    )
    file_name: Annotated[str, Field(max_length=255)] | None = None
    params: dict[str, Any] = Field(default_factory=dict, description=_WISHES)


class SessionRequest(_Strict):
    """A closed list of documents, and what to produce."""

    profile: Identifier = Field(description="Signing profile, see GET /v1/profiles")
    params: dict[str, Any] = Field(default_factory=dict, description=f"For every document. {_WISHES}")
    documents: list[SessionDocument] = Field(default_factory=list, max_length=500)


class SessionCertificate(_Strict):
    """The signer's certificate first, then what is known of its chain (DER in base64)."""

    certificates: Annotated[tuple[Base64Bytes, ...], Field(min_length=1, max_length=11)]


class SessionValue(_Strict):
    """A raw signature value: RSA as it is, ECDSA as DER of (r, s)."""

    id: int = Field(ge=1, description="Number of the document")
    value: Base64Bytes


class SessionValues(_Strict):
    signatures: Annotated[list[SessionValue], Field(max_length=500)] = Field(
        description="Those that are there; more may follow. None: complete what could not be completed before"
    )


class ToBeSigned(_Open):
    attributes: str = Field(description="The DER signed attributes, in base64: what the key signs")
    digest: str = Field(description="Their digest in base64, for keys that sign digests")
    digest_algorithm: str


class SessionItemProblem(_Open):
    code: str
    retryable: bool
    detail: str
    detail_vi: str


class SessionItemAnswer(_Open):
    """One document; `result` where it is completed."""

    id: int
    name: str | None
    sha256: str = Field(description="Of the document before this signature")
    size: int
    state: Literal["waiting", "prepared", "signed", "completing", "completed", "failed", "abandoned"]
    field: str | None
    signing_time: datetime | None
    prepare_again_at: datetime | None = Field(description="From then on the certificate has to be sent again")
    to_be_signed: ToBeSigned | None
    revision: dict[str, Any] | None = Field(description="What is added to the document, to check what is signed")
    problem: SessionItemProblem | None
    signature: dict[str, Any] | None
    document: DocumentLink | None
    report: ReportLink | None
    warnings: list[dict[str, str]]


class SessionAlgorithm(_Open):
    scheme: Literal["rsa-pkcs1v15", "rsa-pss", "ecdsa"]
    digest: str
    salt_length: int | None
    identifier: str = Field(description="DER AlgorithmIdentifier in base64")


class SessionAnswer(_Open):
    id: str
    state: Literal["created", "prepared", "completing", "completed", "failed", "canceled", "expired"]
    created_at: datetime
    expires_at: datetime
    profile: dict[str, Any]
    certificate: CertificateSummary | None
    algorithm: SessionAlgorithm | None
    counts: dict[str, int]
    documents: list[SessionItemAnswer]
