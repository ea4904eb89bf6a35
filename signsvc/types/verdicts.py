"""Verdicts: the words of ETSI EN 319 102-1, and the per-check results that reports show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from signsvc.types.certificate import Certificate
from signsvc.types.findings import Finding
from signsvc.types.views import Covered, Scope


class Indication(StrEnum):
    TOTAL_PASSED = "TOTAL-PASSED"
    TOTAL_FAILED = "TOTAL-FAILED"
    INDETERMINATE = "INDETERMINATE"
    NO_SIGNATURE = "NO-SIGNATURE"


class Sub(StrEnum):
    """Sub-indications (EN 319 102-1 table 6)."""

    FORMAT_FAILURE = "FORMAT_FAILURE"
    HASH_FAILURE = "HASH_FAILURE"
    SIG_CRYPTO_FAILURE = "SIG_CRYPTO_FAILURE"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    SIG_CONSTRAINTS_FAILURE = "SIG_CONSTRAINTS_FAILURE"
    CHAIN_CONSTRAINTS_FAILURE = "CHAIN_CONSTRAINTS_FAILURE"
    CERTIFICATE_CHAIN_GENERAL_FAILURE = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    CRYPTO_CONSTRAINTS_FAILURE = "CRYPTO_CONSTRAINTS_FAILURE"
    POLICY_PROCESSING_ERROR = "POLICY_PROCESSING_ERROR"
    SIGNATURE_POLICY_NOT_AVAILABLE = "SIGNATURE_POLICY_NOT_AVAILABLE"
    TIMESTAMP_ORDER_FAILURE = "TIMESTAMP_ORDER_FAILURE"
    NO_SIGNING_CERTIFICATE_FOUND = "NO_SIGNING_CERTIFICATE_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND = "NO_CERTIFICATE_CHAIN_FOUND"
    NO_CERTIFICATE_CHAIN_FOUND_NO_POE = "NO_CERTIFICATE_CHAIN_FOUND_NO_POE"
    REVOKED_NO_POE = "REVOKED_NO_POE"
    REVOKED_CA_NO_POE = "REVOKED_CA_NO_POE"
    OUT_OF_BOUNDS_NO_POE = "OUT_OF_BOUNDS_NO_POE"
    OUT_OF_BOUNDS_NOT_REVOKED = "OUT_OF_BOUNDS_NOT_REVOKED"
    REVOCATION_OUT_OF_BOUNDS_NO_POE = "REVOCATION_OUT_OF_BOUNDS_NO_POE"
    CRYPTO_CONSTRAINTS_FAILURE_NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    NO_POE = "NO_POE"
    TRY_LATER = "TRY_LATER"
    SIGNED_DATA_NOT_FOUND = "SIGNED_DATA_NOT_FOUND"
    CUSTOM = "CUSTOM"
    GENERIC = "GENERIC"


@dataclass(frozen=True, slots=True)
class Check:
    """One of the fixed checks of a report: integrity, chain, revocation, timestamp, crypto_strength, changes."""

    id: str
    result: str  # passed | failed | unknown | not_applicable


class CertificateStatus(StrEnum):
    GOOD = "good"
    REVOKED = "revoked"
    ON_HOLD = "on_hold"
    UNKNOWN = "unknown"
    NOT_CHECKED = "not_checked"  # a trust anchor, or one that needs no revocation data


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One certificate of the path used, leaf first; `evidence` is the id of the revocation value that was relied on.
    Both are known to exist since the times given, by the timestamp named; None: they are at hand when validated."""

    certificate: Certificate
    status: CertificateStatus
    source: str | None = None  # ocsp | crl
    origin: str | None = None  # where the revocation value came from: dss, cache, network ...
    produced_at: datetime | None = None
    next_update: datetime | None = None
    revoked_at: datetime | None = None
    reason: str | None = None
    trust_anchor: bool = False
    evidence: str | None = None  # crl|ocsp:<sha256 hex>
    known_since: datetime | None = None
    known_by: str | None = None
    evidence_since: datetime | None = None
    evidence_by: str | None = None


@dataclass(frozen=True, slots=True)
class TimestampVerdict:
    id: str
    kind: str
    indication: Indication
    sub_indication: Sub | None
    gen_time: datetime | None
    chain: tuple[ChainEntry, ...] = ()
    findings: tuple[Finding, ...] = ()
    field: str | None = None
    scope: Scope | None = None
    digest_algorithm: str | None = None  # of the imprint, e.g. "sha256"
    tsa: str | None = None


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """Both results of one signature: over its own revision, and with what happened to the document afterwards."""

    id: str
    indication: Indication
    sub_indication: Sub | None
    as_signed_indication: Indication
    as_signed_sub_indication: Sub | None
    format: str
    level: str
    scope: Scope
    field: str | None = None
    certificate: Certificate | None = None
    claimed_time: datetime | None = None
    best_signature_time: datetime | None = None
    time_source: str = "claimed"  # timestamp | claimed
    digest_algorithm: str | None = None
    signature_algorithm: str | None = None
    chain: tuple[ChainEntry, ...] = ()
    checks: tuple[Check, ...] = ()
    timestamps: tuple[TimestampVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()
    extend_before: datetime | None = None
    reason: str | None = None
    location: str | None = None
    claimed_roles: tuple[str, ...] = ()
    commitment_oids: tuple[str, ...] = ()
    counter_signatures: tuple[SignatureVerdict, ...] = ()
    covered: tuple[Covered, ...] = ()  # outside PDF


@dataclass(frozen=True, slots=True)
class DocumentVerdict:
    indication: Indication
    sub_indication: Sub | None
    signatures: tuple[SignatureVerdict, ...]
    timestamps: tuple[TimestampVerdict, ...]
    findings: tuple[Finding, ...]
    validation_time: datetime
    policy_id: str
    policy_version: str
    policy_sha256: str
