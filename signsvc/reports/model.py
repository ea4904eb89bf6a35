"""The shape of the report that other systems read, as one versioned model; its JSON Schema is published.

Members are added within a version of the same first number, never renamed or taken away; readers ignore what they do
not know.  The verifier builds reports without this module, which costs more to import than a report to make: the
tests hold every report to it.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from signsvc.reports.build import VERSION

SCHEMA_ID = f"urn:signsvc:schema:report:{VERSION}"

Indication = Literal["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE", "NO-SIGNATURE"]
Sha256 = str


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Check(_Part):
    id: Literal["integrity", "chain", "revocation", "timestamp", "crypto_strength", "changes"]
    result: Literal["passed", "failed", "unknown", "not_applicable"]


class Words(_Part):
    vi: str
    en: str


class ReportMessage(_Part):
    level: Literal["error", "warning", "info"]
    code: str = Field(description="Stable")
    block: str | None = Field(None, description="Building block of EN 319 102-1: FC ISC VCI RFC XCV CV SAV PSV PCV …")
    subject: str | None = Field(None, description="Id of what it speaks of")
    text: str
    text_vi: str
    next_step: str | None = Field(None, description="What a reader can do; errors and warnings have one")
    next_step_vi: str | None = None


class Line(_Part):
    """One of the three lines that readers look at first."""

    state: Literal["good", "open", "bad"]
    code: str
    text: str
    text_vi: str


class Lines(_Part):
    certificate: Line
    integrity: Line
    time: Line


class AsSigned(_Part):
    indication: Indication
    sub_indication: str | None


class Change(_Part):
    revision: int
    grade: Literal["extension", "form-or-signature", "annotation", "unreached", "undefined"]
    permitted: bool | None = Field(description="By what certifies or locks the document; null: nothing restricts")
    objects: list[int]
    pages: list[int]
    fields: list[str]
    reasons: list[str]


class Scope(_Part):
    type: Literal["FULL", "PARTIAL", "REVISION"]
    revision: int | None
    of: int | None
    byte_ranges: list[list[int]] = Field(description="Offset and length in octets")
    changes_after: list[Change]
    changes_omitted: int


class Covered(_Part):
    kind: Literal["document", "element", "object", "file", "signature"]
    name: str
    uri: str | None
    matches: bool | None
    size: int | None
    media_type: str | None
    digest_algorithm: str | None


class KeyFacts(_Part):
    type: str | None
    bits: int | None


class CertificateFacts(_Part):
    subject: str
    issuer: str
    serial: str
    not_before: AwareDatetime
    not_after: AwareDatetime
    sha256: Sha256
    key: KeyFacts
    scope: dict[str, list[str]] = Field(description="key_usage, extended_key_usage, policies")


class Known(_Part):
    """Proof of existence (EN 319 102-1, 5.6.2.3)."""

    since: AwareDatetime
    by: str = Field(description="Id of the timestamp")


class ChainPart(_Part):
    """One certificate of the path, leaf first, and what says that it was not revoked."""

    subject: str
    serial: str
    sha256: Sha256
    not_after: AwareDatetime
    status: Literal["good", "revoked", "on_hold", "unknown", "not_checked"]
    source: Literal["ocsp", "crl"] | None
    origin: str | None = Field(description="Where that came from: cms, dss, cache, network …")
    produced_at: AwareDatetime | None
    next_update: AwareDatetime | None
    revoked_at: AwareDatetime | None
    reason: str | None
    trust_anchor: bool
    evidence_sha256: Sha256 | None = Field(None, description="Of the CRL or OCSP response relied on")
    known: Known | None = Field(None, description="Since when the certificate is known to exist; null: it is at hand")
    evidence_known: Known | None = None


class Commitment(_Part):
    oid: str
    type: str | None
    text: str
    text_vi: str


class BoundData(_Part):
    ref: str = Field(description="Octet ranges of a PDF (offset length …), else the reference as written")
    sha256: Sha256 | None


class Binding(_Part):
    """Which signature this is, to the octet."""

    signature_value: str = Field(description="base64")
    signature_sha256: Sha256
    signed_bytes_sha256: Sha256 | None = Field(description="Of the signed attributes or canonical SignedInfo")
    data: list[BoundData]


class ReportTimestamp(_Part):
    id: str
    field: str | None
    kind: Literal["signature", "document", "content", "archive"]
    indication: Indication
    sub_indication: str | None
    time: AwareDatetime | None
    tsa: str | None
    digest_algorithm: str | None
    scope: Scope | None
    chain: list[ChainPart]
    messages: list[ReportMessage]


class ReportSignature(_Part):
    """One signature: `indication` with what was done to the document afterwards, `as_signed` without."""

    id: str
    field: str | None
    indication: Indication
    sub_indication: str | None
    conclusion: Words
    lines: Lines | None = None
    as_signed: AsSigned
    format: str
    level: str
    scope: Scope
    signed_by: str | None
    organization: str | None
    holder: Literal["agency", "person"] | None = Field(None, description="Whose certificate it is; null: not told")
    certificate: CertificateFacts | None
    claimed_signing_time: AwareDatetime | None
    best_signature_time: AwareDatetime | None
    time_source: Literal["timestamp", "claimed"]
    digest_algorithm: str | None
    signature_algorithm: str | None
    reason: str | None
    location: str | None
    claimed_roles: list[str] = Field(description="What the signer claims to sign as")
    covered: list[Covered] = Field(description="Outside PDF: what is covered")
    covered_omitted: int
    commitments: list[Commitment] = Field(description="What the signer commits to")
    chain: list[ChainPart]
    checks: list[Check]
    timestamps: list[ReportTimestamp]
    messages: list[ReportMessage]
    extend_before: AwareDatetime | None = Field(description="Renew the proofs before this time")
    counter_signatures: list[ReportSignature]
    binding: Binding | None = None


class ReportDocument(_Part):
    name: str | None
    sha256: Sha256
    size: int
    media_type: str
    pdfa: str | None = Field(description="Claimed, such as 3b")
    pages: int | None
    revisions: int | None


class ReportPolicy(_Part):
    id: str
    version: str
    sha256: Sha256
    href: str


class ReportTrust(_Part):
    profiles: list[str]
    anchors: int
    sha256: Sha256 = Field(description="Of all certificates that were trusted or known, and of what ends that trust")


class AcceptanceReason(_Part):
    code: str
    text: str
    text_vi: str


class AcceptanceStatus(_Part):
    code: Literal["01", "02", "03"] = Field(description="edXML: 03 received, 02 refused, 01 arrived")
    reason: str


class Acceptance(_Part):
    rule: str
    version: str | None = None
    sha256: Sha256 | None = None
    decision: Literal["accept", "reject", "review"]
    reasons: list[AcceptanceReason]
    status: AcceptanceStatus | None = None


class Report(_Part):
    """A verification report in the words of ETSI EN 319 102-1."""

    id: str
    report_version: Literal["1.0"] = "1.0"
    validation_time: AwareDatetime
    document: ReportDocument
    policy: ReportPolicy
    trust: ReportTrust | None = None
    indication: Indication
    sub_indication: str | None
    conclusion: Words
    signatures_count: int
    valid_signatures_count: int
    signatures: list[ReportSignature] = Field(description="In the order of the file")
    timestamps: list[ReportTimestamp] = Field(description="Of the document")
    messages: list[ReportMessage] = Field(default_factory=list, description="About the document as a whole")
    warnings: list[ReportMessage] = Field(description="Those of the messages that are not mere information")
    form: dict[str, Any] | None = Field(
        None, description="The known form of an XML document: id, title, documents with facts and signers"
    )
    acceptance: Acceptance | None = None
    supplied_trust_anchors: list[str] = Field(default=[], description="Trusted for this call alone")
    offline: bool = False


class EdxmlReport(_Part):
    """What an edXML packet holds and what its attachments are worth."""

    id: str
    document: dict[str, Any]
    packet: dict[str, Any] = Field(description="from, to, document_id, number, notation, subject, business, hops …")
    indication: Indication = Field(description="The worst of the signed attachments")
    attachments: list[dict[str, Any]] = Field(description="name, size, sha256, zipped, report or problem")
    signature: dict[str, Any] = Field(description="state of the packet's own signature, and its report")
    messages: list[ReportMessage]
    acceptance: Acceptance | None = None


@functools.cache
def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `Report`."""
    found = Report.model_json_schema(ref_template="#/$defs/{model}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **found}


def main() -> None:
    """Write the published schema anew, after members were added."""
    import json
    from pathlib import Path

    path = Path(__file__).parent / "schema" / f"report-{VERSION}.json"
    path.write_text(json.dumps(schema(), ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
