"""What a reader can do about each error and warning: by its code, else by what it leads to."""

from __future__ import annotations

import functools

from signsvc.messages import Message, catalogue

_ODD, _UNREAD, _MALFORMED, _CHANGES = "step_odd", "step_unread", "step_malformed", "step_changes"
_BY_CODE = {
    "pdfa_missing": "step_pdfa",
    "level_not_raised": "step_level",
    "level_too_low": "step_level",
    "edxml_is_a_packet": "step_edxml",
    "timestamp_absent": "step_stamp",
    "timestamp_demanded": "step_stamp",
    "timestamp_not_valid": "step_stamp_bad",
    "timestamp_delayed": "step_stamp_bad",
    "timestamp_reference_missing": "step_stamp_bad",
    "tsa_name_differs": "step_seen",
    "tsa_certificate_purpose": "step_stamp_bad",
    "tsa_certificate_purpose_shared": "step_stamp_bad",
    "claimed_time_after_proof": "step_clock",
    "claimed_time_in_future": "step_clock",
    "claimed_time_outside_certificate": "step_clock",
    "form_not_covered": "step_cover",
    "form_signature_elsewhere": "step_cover",
    "xml_demanded_not_covered": "step_cover",
    "xml_demanded_missing": "step_cover",
    "xml_signature_covers_part": "step_cover",
    "xml_comments_not_covered": "step_cover",
    "asic_file_uncovered": "step_cover",
    "asic_files_uncovered": "step_cover",
    "form_signer_missing": "step_identity",
    "signer_tax_code_differs": "step_identity",
    "signer_tax_code_unknown": "step_identity",
    "xml_key_without_certificate": "step_certificate_missing",
    "cms_references_contradict": "step_signature_value",
    "cms_signer_ambiguous": "step_signature_value",
    "xml_signature_hmac": "step_malformed",
    "xml_signature_method_unknown": "step_weak",
    "xml_digest_unknown": "step_weak",
    "cms_digest_unknown": "step_weak",
    "signing_key_unknown": "step_weak",
    "timestamp_imprint_unknown": "step_stamp_bad",
    "timestamp_imprint_mismatch": "step_stamp_bad",
    "timestamp_imprint_malformed": "step_stamp_bad",
    "timestamp_order_wrong": "step_stamp_bad",
    "timestamp_type_sig": "step_stamp_bad",
    "certificate_purpose_unusual": "step_purpose",
    "certificate_not_for_signing": "step_purpose",
    "certificate_without_proof": "step_weak_no_proof",
    "certificate_on_hold": "step_hold",
    "ca_revoked": "step_revoked",
    "ca_expired": "step_expired",
    "revocation_no_longer_known": "step_revocation_old",
    "trusted_list_outdated": "step_lists",
    "key_suspected_since": "step_key_suspected",
    "annotation_covers_content": "step_covers_content",
    "annotation_covers_page": "step_covers_content",
    "changed_unreached": _CHANGES,
    "changed_annotation": _CHANGES,
    "changed_undefined": _CHANGES,
    "changed_not_permitted": _CHANGES,
    "changes_not_compared": _CHANGES,
    "page_content_changed": _CHANGES,
    "number_and_date_stamped": _CHANGES,
    "signature_removed": _CHANGES,
    "signature_overlaps": _CHANGES,
    "signature_seed_value_violated": _CHANGES,
    "extensions_removed": _CHANGES,
    "originals_unused": "step_seen",
    "validation_time_given": "step_seen",
    "edxml_mended": "step_seen",
    "asic_file_renamed": "step_seen",
    "pdf_mac_wrong": "step_altered",
    "archive_timestamp_needs_content": "step_content",
    "signature_read_differently": _MALFORMED,
    "signature_torn": "step_altered",
    "asic_manifest_missing": _MALFORMED,
    "xml_id_not_found": _MALFORMED,
    "xml_reference_external": "step_content",
}
_BY_SUB = {
    "HASH_FAILURE": "step_altered",
    "SIG_CRYPTO_FAILURE": "step_signature_value",
    "SIGNED_DATA_NOT_FOUND": "step_content",
    "CRYPTO_CONSTRAINTS_FAILURE": "step_weak",
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": "step_weak_no_proof",
    "FORMAT_FAILURE": _MALFORMED,
    "GENERIC": _MALFORMED,
    "NO_SIGNING_CERTIFICATE_FOUND": "step_certificate_missing",
    "NO_POE": "step_weak_no_proof",
    "SIGNATURE_POLICY_NOT_AVAILABLE": "step_policy",
    "POLICY_PROCESSING_ERROR": "step_policy",
    "CERTIFICATE_CHAIN_GENERAL_FAILURE": "step_ca",
    "CHAIN_CONSTRAINTS_FAILURE": "step_purpose",
    "EXPIRED": "step_signed_too_late",
    "NOT_YET_VALID": "step_not_yet",
    "NO_CERTIFICATE_CHAIN_FOUND": "step_chain",
    "NO_CERTIFICATE_CHAIN_FOUND_NO_POE": "step_sunset",
    "OUT_OF_BOUNDS_NOT_REVOKED": "step_expired",
    "OUT_OF_BOUNDS_NO_POE": "step_expired",
    "REVOCATION_OUT_OF_BOUNDS_NO_POE": "step_revocation_old",
    "REVOKED": "step_revoked_after",
    "REVOKED_CA_NO_POE": "step_revoked",
    "REVOKED_NO_POE": "step_revoked",
    "TRY_LATER": "step_later",
    "TIMESTAMP_ORDER_FAILURE": "step_stamp_bad",
}
# Warnings that lead nowhere: something was odd, or was not read.
_BY_BLOCK = {"VTS": "step_stamp_bad", "XCV": "step_seen", "RFC": "step_seen", "ISC": _ODD}
_NOT_READ = (
    "unreadable",
    "too_many",
    "unverified",
    "ignored",
    "missing",
    "unusable",
    "not_found",
    "unknown",
    "malformed",
)


@functools.cache
def step(code: str) -> str:
    """The code of the text that says what to do about an error or warning; empty for what needs nothing done."""
    found = catalogue().get(code)
    if found is None or (found.level == "info" and code not in _BY_CODE):
        return ""
    return _step(found)


def _step(message: Message) -> str:
    if found := _BY_CODE.get(message.code):
        return found
    if message.code.startswith("edxml_"):
        return "step_edxml"
    if message.block == "VTS":
        return "step_stamp_bad"
    if found := _BY_SUB.get(message.sub):
        return found
    if found := _BY_BLOCK.get(message.block):
        return found
    return _UNREAD if message.code.endswith(_NOT_READ) else _ODD


__all__ = ["step"]
