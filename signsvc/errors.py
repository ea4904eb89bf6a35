"""One error tree.  Every error has a stable code, an HTTP status, a retryable flag and vi/en text.

An error is for a caller's mistake or the world's failure; a bad signature is never an error but a verdict.  Errors
carry short facts of our own making in `data` (a limit, a name from configuration, tries left), never octets of a
document, a PIN, or the text of a foreign exception.

    >>> raise DocumentError("empty_document")
    Traceback (most recent call last):
    signsvc.errors.DocumentError: empty_document: The document is empty.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from signsvc.messages import catalogue, filled, problems, text


class ProblemSpec(NamedTuple):
    """What a problem code means to a caller."""

    status: int
    retryable: bool = False
    csc: str = "server_error"


class SignsvcError(Exception):
    """Base of all errors.  `code` must be registered in `PROBLEMS`; `data` holds facts that may be shown."""

    default: ClassVar[str] = "internal_error"

    def __init__(self, code: str | None = None, /, **data: object) -> None:
        self.code = code or self.default
        self.data = data
        spec = PROBLEMS[self.code]
        self.status = spec.status
        self.retryable = spec.retryable
        super().__init__(self.code)

    def text(self, lang: str = "en") -> str:
        """One sentence for people in `lang` (``vi`` or ``en``)."""
        entry = problems().get(self.code, {})
        template = str(entry.get(lang, self.code))
        return filled(template, _worded(self.data, lang), lang) if "{" in template else template

    def __str__(self) -> str:
        return f"{self.code}: {self.text('en')}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.code, self.data))


def _rebuild(kind: type[SignsvcError], code: str, data: dict[str, object]) -> SignsvcError:
    return kind(code, **data)


def _worded(data: dict[str, object], lang: str) -> dict[str, object]:
    """`data` with short words of ours (limits, tries left) replaced by what people read."""
    found = dict(data)
    for key, prefix in (("limit", "limit"), ("tries_left", "tries"), ("holder", "holder")):
        label = f"{prefix}_{data.get(key)}".replace(" ", "_")
        if label in catalogue():
            found[key] = text(label, lang)
    return found


class InternalError(SignsvcError):
    """A defect of ours."""


class ConfigError(SignsvcError):
    """The configuration is wrong or incomplete; found before work begins."""

    default = "configuration_invalid"


class RequestError(SignsvcError):
    """The caller's request is wrong."""

    default = "invalid_request"


class DocumentError(SignsvcError):
    """The document cannot be processed."""

    default = "document_unreadable"


class CredentialError(SignsvcError):
    """The key or its certificate may not or cannot sign."""

    default = "credential_not_found"


class TokenError(SignsvcError):
    """The PKCS#11 token failed, is missing or refuses."""

    default = "token_not_present"


class TrustError(SignsvcError):
    """Trust material is missing, unpinned or does not match."""

    default = "trust_profile_not_found"


class UpstreamError(SignsvcError):
    """A TSA, OCSP or CRL service failed."""

    default = "revocation_unavailable"


class SessionError(SignsvcError):
    """A signing session is over or in the wrong state."""

    default = "session_expired"


class BusyError(SignsvcError):
    """All places are taken for the moment."""

    default = "busy"


class StorageError(SignsvcError):
    """Nothing more can be stored."""

    default = "storage_full"


# Code -> what it means.  Texts stand in messages/problems.toml; a test proves that both lists agree.
PROBLEMS: dict[str, ProblemSpec] = {
    "digest_mismatch": ProblemSpec(400, csc="invalid_request"),
    "idempotency_key_missing": ProblemSpec(400, csc="invalid_request"),
    "unauthorized": ProblemSpec(401, csc="unauthorized"),
    "forbidden": ProblemSpec(403, csc="access_denied"),
    "pin_incorrect": ProblemSpec(403, csc="invalid_pin"),
    "not_found": ProblemSpec(404, csc="invalid_request"),
    "method_not_allowed": ProblemSpec(405, csc="invalid_request"),
    "not_acceptable": ProblemSpec(406, csc="invalid_request"),
    "revision_not_found": ProblemSpec(404, csc="invalid_request"),
    "profile_not_found": ProblemSpec(404, csc="invalid_request"),
    "policy_not_found": ProblemSpec(404, csc="invalid_request"),
    "credential_not_found": ProblemSpec(404, csc="invalid_request"),
    "trust_profile_not_found": ProblemSpec(404, csc="invalid_request"),
    "report_deleted": ProblemSpec(410, csc="invalid_request"),
    "request_timeout": ProblemSpec(408, retryable=True, csc="temporarily_unavailable"),
    "credential_disabled": ProblemSpec(409),
    "credential_ambiguous": ProblemSpec(409),
    "certificate_expired": ProblemSpec(409),
    "certificate_not_yet_valid": ProblemSpec(409),
    "certificate_revoked": ProblemSpec(409),
    "certificate_suspended": ProblemSpec(409),
    "certificate_not_for_signing": ProblemSpec(409),
    "certificate_path_unknown": ProblemSpec(409),
    "certificate_status_unknown": ProblemSpec(409, retryable=True),
    "certificate_not_pinned": ProblemSpec(409),
    "certificate_not_installed": ProblemSpec(404, csc="invalid_request"),
    "certificate_not_installable": ProblemSpec(409),
    "trust_list_not_confirmed": ProblemSpec(409),
    "signing_not_permitted": ProblemSpec(409),
    "fields_not_permitted": ProblemSpec(409),
    "user_canceled": ProblemSpec(409),
    "idempotency_in_progress": ProblemSpec(409, retryable=True),
    "image_missing": ProblemSpec(422, csc="invalid_request"),
    "image_not_found": ProblemSpec(422, csc="invalid_request"),
    "image_unusable": ProblemSpec(422, csc="invalid_request"),
    "anchor_not_found": ProblemSpec(422, csc="invalid_request"),
    "signature_field_not_found": ProblemSpec(422, csc="invalid_request"),
    "appearance_place_missing": ProblemSpec(422, csc="invalid_request"),
    "appearance_incomplete": ProblemSpec(422, csc="invalid_request"),
    "appearance_no_room": ProblemSpec(422, csc="invalid_request"),
    "session_expired": ProblemSpec(410),
    "session_canceled": ProblemSpec(410),
    "session_conflict": ProblemSpec(409),
    "signing_time_stale": ProblemSpec(409),
    "base_in_signing": ProblemSpec(409, retryable=True),
    "base_changed": ProblemSpec(409),
    "attributes_mismatch": ProblemSpec(409),
    "document_too_large": ProblemSpec(413, csc="invalid_request"),
    "unsupported_format": ProblemSpec(415, csc="invalid_request"),
    "wrong_content_type": ProblemSpec(415, csc="invalid_request"),
    "invalid_request": ProblemSpec(422, csc="invalid_request"),
    "xml_element_not_found": ProblemSpec(422, csc="invalid_request"),
    "xml_path_not_found": ProblemSpec(422, csc="invalid_request"),
    "xml_id_missing": ProblemSpec(422, csc="invalid_request"),
    "signature_not_extendable": ProblemSpec(409),
    "empty_document": ProblemSpec(422, csc="invalid_request"),
    "document_unreadable": ProblemSpec(422, csc="invalid_request"),
    "container_malformed": ProblemSpec(422, csc="invalid_request"),
    "container_ambiguous": ProblemSpec(422, csc="invalid_request"),
    "container_encrypted": ProblemSpec(422, csc="invalid_request"),
    "container_method": ProblemSpec(422, csc="invalid_request"),
    "container_name_unsafe": ProblemSpec(422, csc="invalid_request"),
    "container_not_asic": ProblemSpec(422, csc="invalid_request"),
    "container_not_extendable": ProblemSpec(409, csc="invalid_request"),
    "encrypted_document": ProblemSpec(422, csc="invalid_request"),
    "not_edxml": ProblemSpec(422, csc="invalid_request"),
    "xml_malformed": ProblemSpec(422, csc="invalid_request"),
    "xml_doctype": ProblemSpec(422, csc="invalid_request"),
    "xml_encoding": ProblemSpec(422, csc="invalid_request"),
    "encryption_unsupported": ProblemSpec(422, csc="invalid_request"),
    "document_too_complex": ProblemSpec(422, csc="invalid_request"),
    "signature_mismatch": ProblemSpec(422, csc="invalid_request"),
    "idempotency_key_reused": ProblemSpec(422, csc="invalid_request"),
    "pin_locked": ProblemSpec(423),
    "pin_required": ProblemSpec(428),
    "rate_limited": ProblemSpec(429, retryable=True, csc="temporarily_unavailable"),
    "internal_error": ProblemSpec(500),
    "self_check_failed": ProblemSpec(500),
    "configuration_invalid": ProblemSpec(500),
    "remote_key_needs_person": ProblemSpec(409),
    "remote_key_refused": ProblemSpec(502),
    "remote_key_unavailable": ProblemSpec(502, retryable=True),
    "tsa_unavailable": ProblemSpec(502, retryable=True),
    "tsa_invalid_token": ProblemSpec(502, retryable=True),
    "revocation_unavailable": ProblemSpec(502, retryable=True),
    "outbound_refused": ProblemSpec(502),
    "outbound_failed": ProblemSpec(502, retryable=True),
    "token_not_present": ProblemSpec(503, retryable=True, csc="temporarily_unavailable"),
    "token_removed": ProblemSpec(503, retryable=True, csc="temporarily_unavailable"),
    "token_timeout": ProblemSpec(503, retryable=True, csc="temporarily_unavailable"),
    "token_error": ProblemSpec(503, retryable=True, csc="temporarily_unavailable"),
    "busy": ProblemSpec(503, retryable=True, csc="temporarily_unavailable"),
    "worker_lost": ProblemSpec(503, retryable=True, csc="temporarily_unavailable"),
    "storage_full": ProblemSpec(507, retryable=True),
    "evidence_damaged": ProblemSpec(500),
    "key_not_acceptable": ProblemSpec(409),
    "key_experimental": ProblemSpec(409),
    "credential_not_allowed": ProblemSpec(409),
    "certificate_wrong_holder": ProblemSpec(409),
    "certificate_wrong_organization": ProblemSpec(409),
    "certificate_wrong_policy": ProblemSpec(409),
    "certificate_wrong_issuer": ProblemSpec(409),
    "pdfa_required": ProblemSpec(409),
    "pdfa_transparency": ProblemSpec(409),
    "parameter_fixed": ProblemSpec(422, csc="invalid_request"),
    "parameter_missing": ProblemSpec(422, csc="invalid_request"),
    "original_missing": ProblemSpec(422, csc="invalid_request"),
    "original_differs": ProblemSpec(422, csc="invalid_request"),
    "archive_timestamp_too_old": ProblemSpec(409, csc="invalid_request"),
}

__all__ = [
    "PROBLEMS",
    "BusyError",
    "ConfigError",
    "CredentialError",
    "DocumentError",
    "InternalError",
    "ProblemSpec",
    "RequestError",
    "SessionError",
    "SignsvcError",
    "StorageError",
    "TokenError",
    "TrustError",
    "UpstreamError",
]
