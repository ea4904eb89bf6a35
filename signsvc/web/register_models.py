"""What the register of reports is asked and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class ReportCheckJson(_Strict):
    report_id: Annotated[str, Field(max_length=64)]
    sha256: Sha256 | None = Field(None, description="Of the file in question")


class ReportShareJson(_Strict):
    days: Annotated[int, Field(ge=1, le=365)] = 30


class CheckReason(_Open):
    code: str
    text: str
    text_vi: str


class CheckedReport(_Open):
    id: str
    href: str
    indication: str | None
    validation_time: datetime | None
    document_sha256: str | None


class CheckedDocument(_Open):
    sha256: str
    matches: bool | None = Field(description="null: which file the report is about cannot be told")


class ReportCheckAnswer(_Open):
    accepted: bool = Field(description="Of this service, unchanged, and about the file where one was named")
    state: Literal["unchanged", "sealed", "known", "altered", "unsealed", "deleted", "unknown"]
    form: Literal["json", "html", "xml", "pdf", "jwt"] | None
    sealed: bool
    report: CheckedReport | None
    document: CheckedDocument | None
    reasons: list[CheckReason]


class ReportShare(_Open):
    id: str
    created_at: datetime
    expires_at: datetime


class ReportShareAnswer(ReportShare):
    url: str = Field(description="Shown once")


class ReportShares(_Open):
    shares: list[ReportShare]


class KnownSignature(_Open):
    id: str
    href: str
    level: str
    created_at: datetime


class KnownReport(_Open):
    id: str
    href: str
    indication: str
    created_at: datetime


class FileAnswer(_Open):
    sha256: str
    signed: bool
    verified: bool
    signatures: list[KnownSignature]
    reports: list[KnownReport]


class WebhookJson(_Strict):
    url: Annotated[str, Field(min_length=8, max_length=2000)]
    all: bool = Field(False, description="Of everyone's work; scope admin")


class WebhookAnswer(_Open):
    id: str
    url: str
    all: bool
    created_at: datetime
    rotated_at: datetime | None
    disabled_at: datetime | None = Field(description="Answered 410, or was switched off")
    failing_since: datetime | None


class NewWebhookAnswer(WebhookAnswer):
    secret: str = Field(description="whsec_…, shown once")


class WebhookList(_Open):
    webhooks: list[WebhookAnswer]


class DeliveryAnswer(_Open):
    id: str = Field(description="The webhook-id header, the same for every try")
    type: Literal["verification.finished", "ping"]
    created_at: datetime
    state: Literal["waiting", "done", "failed"]
    attempts: int
    next_try: datetime | None
    status: int | None
    error: str | None


class DeliveryList(_Open):
    deliveries: list[DeliveryAnswer]
