"""The rules without which a verdict is wrong, and the tests that hold each: the list that a reviewer starts from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]

RULES = {
    # What stock validators pass and must not.
    "stamped after the certificate expired": "test_timestamp_after_the_certificate_expired",
    "CA revoked before the timestamp": "test_authority_revoked_before_the_timestamp",
    "list of today does not know an expired certificate": "test_list_from_after_the_expiry_does_not_know_the_certificate",
    "list older than the certificate": "test_list_older_than_the_certificate_says_nothing",
    # Checks without which a verdict is wrong.
    "1 data knows the certificate": "test_list_that_keeps_expired_certificates_does test_archive_cutoff test_cert_hash "
    "test_cert_hash_of_another_certificate_is_no_good_answer test_answer_from_after_the_expiry",
    "2 issuer of data valid then, unknown never good": "test_responder_must_be_valid_when_it_answered "
    "test_ocsp_unknown_is_never_good",
    "3 no responder answers for itself": "test_responder_never_answers_for_itself "
    "test_list_whose_issuer_stands_below_what_it_judges",
    "4 stored data of an expired issuer": "test_old_revocation_data_whose_issuer_expired "
    "test_a_store_that_came_after_the_last_timestamp_is_not_proven",
    "5 before and after the certificate": "test_before_the_certificate test_expired_without_a_timestamp_never_passes",
    "6 CA revoked later": "test_authority_revoked_later_needs_proven_revocation_data "
    "test_certificate_that_the_signature_does_not_name",
    "7 on hold": "test_suspended test_on_hold_only_after_the_proven_time test_suspended_again",
    "8 content timestamps": "test_made_after_revocation test_made_after_expiry",
    "9 timestamps": "test_order_allows_for_accuracy test_authority_that_orders_its_tokens_is_held_to_it "
    "test_timestamp_demanded_and_delay test_name_in_the_token test_one_bad_token_never_spoils_a_good_one "
    "test_shared_purpose test_bad_tokens_prove_nothing",
    "10 imprint": "test_sha1_imprint_counts_only_while_it_was_reliable",
    "11 sunset": "test_anchor_sunset test_anchor_that_signs_itself_ends_with_its_sunset test_thirty_years",
    "12 no revocation needed": "test_certificates_without_revocation test_authorities_always_need_a_status",
    "13 signed attributes": "test_cms test_mutated_signatures_never_pass_changed",
    "14 signing-certificate reference": "test_reference_to_another_certificate test_missing_signing_certificate",
    "15 archive timestamp index": "test_archive_timestamp_whose_index_lists_what_is_gone "
    "test_archive_timestamp_and_later_certificates",
    "16 signature policies": "test_signature_policies test_a_signed_file_reaches",
    "18 algorithms by role and date": "test_g1_leaf_by_roles_and_dates test_sha1_signature_before_and_after_its_end "
    "test_signature_algorithm_of_the_token test_thirty_years_of_the_first_generation",
    # Decisions.
    "two results": "test_garbage_of_a_third_party_leaves_what_was_signed "
    "test_the_worst_of_several_signatures_is_the_document_s",
    "no timestamp": "test_no_timestamp_is_told test_expired_without_a_timestamp_never_passes",
    "revoked before the proven time": "test_revoked_without_proof_has_its_own_finding test_revoked_before_the_proven_time",
    "valid then, revoked today": "test_revoked_after_signing",
    "levels": "test_demanded_level_needs_valid_timestamps",
    "number and date": "test_stamped_by_the_agency test_what_is_no_number_and_date",
    "extend_before": "test_extend_before test_extend_before_an_algorithm_ends test_thirty_years",
    "judged in the past": "test_a_judgement_about_the_past_says_what_it_takes_for_granted",
    "leaf alone": "test_leaf_alone_in_the_file",
    "local time as UTC": "test_local_time_written_as_utc",
    "agency and authority are named": "test_the_report_names_agency_and_authority",
    "what a timestamp does not prove": "test_what_stands_inside_a_document_timestamp_is_not_proven_by_it "
    "test_a_timestamp_before_the_signature_proves_nothing_for_it",
}


@pytest.fixture(scope="module")
def names() -> set[str]:
    paths = (path for path in TESTS.rglob("test_*.py") if path.name != Path(__file__).name)
    return {name for path in paths for name in re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)}


def test_every_rule_is_held_by_tests(names: set[str]) -> None:
    assert {rule: set(tests.split()) - names for rule, tests in RULES.items() if set(tests.split()) - names} == {}


def test_every_number_stands_in_the_list() -> None:
    # The seventeenth speaks of container files (ASiC).
    numbers = {int(rule.split()[0]) for rule in RULES if rule[0].isdigit()}
    assert numbers == {*range(1, 19)} - {17}
