"""Every error and warning says what to do about it."""

from __future__ import annotations

import re

import pytest

from signsvc.messages import catalogue, text
from signsvc.reports import next_steps

CODES = sorted(code for code, one in catalogue().items() if one.level in ("fail", "warn"))


@pytest.mark.parametrize("code", CODES)
def test_there_is_one(code: str) -> None:
    found = next_steps.step(code)
    assert found in catalogue(), code
    assert found.startswith("step_")
    assert len(text(found, "vi")) > 20


def test_all_are_used_and_none_serves_for_most() -> None:
    used = [next_steps.step(code) for code in CODES]
    assert {code for code in catalogue() if code.startswith("step_")} == set(used)
    assert max(map(used.count, set(used))) < len(CODES) / 3
    assert set(next_steps._BY_CODE) <= set(catalogue())


def test_information_needs_nothing() -> None:
    assert next_steps.step("signature_made_after_revocation") == "step_revoked_after"
    assert next_steps.step("conclusion_total_passed") == ""
    assert next_steps.step("no_such_code") == ""


def test_the_commands_that_are_named_exist() -> None:
    from click.testing import CliRunner

    from signsvc.cli.root import cli

    texts = [text(code, lang) for code in catalogue() if code.startswith("step_") for lang in ("vi", "en")]
    named = {found for said in texts for found in re.findall(r"\(signsvc ([a-z -]+?)(?: --[^)]*)?\)", said)}
    assert {"trust install", "trust import-crl", "trust refresh", "extend"} <= named
    for words in named:
        done = CliRunner().invoke(cli, [*words.split(), "--help"])
        assert done.exit_code == 0, words
