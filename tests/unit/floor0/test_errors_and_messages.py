"""Every problem code and every message has all its parts, in both languages."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import string
import tomllib
from pathlib import Path

import pytest

import signsvc
from signsvc import errors, messages
from signsvc.types import Finding, Level, Sub

BLOCKS = {"", "FC", "ISC", "VCI", "RFC", "XCV", "CV", "SAV", "PSV", "PCV", "VTS", "RAC"}
VIETNAMESE = re.compile("[ăâđêôơưàáảãạằắẳẵặầấẩẫậèéẻẽẹềếểễệìíỉĩịòóỏõọồốổỗộờớởỡợùúủũụừứửữựỳýỷỹỵ]", re.IGNORECASE)
PACKAGE = Path(signsvc.__file__).parent
PLACES = string.Formatter()


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in PLACES.parse(text) if name}


@pytest.mark.parametrize("code", sorted(errors.PROBLEMS))
def test_every_problem_has_a_status_and_both_texts(code: str) -> None:
    spec, text = errors.PROBLEMS[code], messages.problems()[code]
    assert 400 <= spec.status < 600
    assert re.fullmatch(r"[a-z][a-z0-9_]+", code)
    assert VIETNAMESE.search(text["vi"])
    assert text["en"].isascii()
    assert places(text["vi"]) == places(text["en"])
    assert spec.csc in {
        "invalid_request", "access_denied", "unauthorized", "invalid_pin", "temporarily_unavailable", "server_error",
    }  # fmt: skip


def test_no_problem_text_without_a_problem() -> None:
    assert set(messages.problems()) == set(errors.PROBLEMS)


@pytest.mark.parametrize("code", sorted(messages.catalogue()))
def test_every_message_is_whole(code: str) -> None:
    message = messages.catalogue()[code]
    assert re.fullmatch(r"[a-z][a-z0-9_]+", code)
    assert message.vi.strip()
    assert message.en.strip()
    assert message.block in BLOCKS
    assert message.sub == "" or message.sub in set(Sub)
    assert message.level in set(Level)
    assert places(message.vi) <= places(message.en) | places(message.vi)
    assert places(message.vi) == places(message.en)


def test_every_code_raised_in_the_package_is_registered() -> None:
    """Codes written as literals at the place where an error is raised."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        imports = (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "signsvc.errors")
        names = {alias.asname or alias.name for found_import in imports for alias in found_import.names}
        for call in ast.walk(tree):
            match call:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]) if name in names:
                    found.add(code)
    assert len(found) > 20
    assert found <= set(errors.PROBLEMS)


def test_every_finding_made_in_the_package_is_catalogued() -> None:
    pattern = re.compile(r"Finding\.of\(\s*\"([a-z0-9_]+)\"")
    found = {code for path in PACKAGE.rglob("*.py") for code in pattern.findall(path.read_text("utf-8"))}
    assert found
    assert found <= set(messages.catalogue())


def test_codes_are_unique_over_all_files() -> None:
    seen: dict[str, str] = {}
    for path in (PACKAGE / "messages").glob("*.toml"):
        if path.name != "problems.toml":
            for code in tomllib.loads(path.read_text("utf-8")):
                assert code not in seen, (code, path.name, seen.get(code))
                seen[code] = path.name


def test_an_error_speaks_both_languages_and_survives_copying() -> None:
    error = errors.CredentialError("certificate_expired", not_after="2025-01-01")
    assert "2025-01-01" in error.text("vi")
    assert "2025-01-01" in error.text("en")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (other.code, other.data, other.status) == (error.code, error.data, 409)


def test_a_missing_place_is_a_question_mark_and_never_an_exception() -> None:
    assert "?" in errors.CredentialError("certificate_expired").text("en")


def test_an_unknown_code_is_a_defect() -> None:
    with pytest.raises(KeyError):
        errors.DocumentError("no_such_code")
    with pytest.raises(KeyError):
        Finding.of("no_such_code")


def _reasons() -> dict[str, str]:
    """Reasons written as plain literals where an error of a caller is raised, with the file that holds them."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("RequestError", "DocumentError"):
                for keyword in node.keywords:
                    if keyword.arg == "reason" and isinstance(keyword.value, ast.Constant):
                        found[str(keyword.value.value)] = path.name
    return found


def test_reasons_of_callers_errors_are_in_vietnamese_too() -> None:
    reasons = _reasons()
    assert len(reasons) > 30
    missing = {r: f for r, f in reasons.items() if not VIETNAMESE.search(messages.reason_text(r, "vi"))}
    assert not missing


@pytest.mark.parametrize(
    ("reason", "vi"),
    [
        ("/at: Input should be a valid datetime or date, input is too short", "/at: cần thời điểm theo RFC 3339, ví dụ 2026-11-23T08:00:00Z"),
        ("root.crt: not DER or PEM (CERTIFICATE)", "root.crt: không phải DER hay PEM (CERTIFICATE)"),
        ("tsa1: timeout; tsa2: http_503", "tsa1: quá thời hạn chờ; tsa2: HTTP 503"),
        ("level: Input should be 'B-T' or 'B-LT'", "level: giá trị phải là 'B-T' or 'B-LT'"),
        ("count: Input should be a valid integer, got a number", "count: cần một số nguyên"),
        ("nothing of this kind", "nothing of this kind"),
    ],
)  # fmt: skip
def test_reasons_in_words(reason: str, vi: str) -> None:
    assert messages.reason_text(reason, "vi") == vi


def test_limits_and_tries_in_words() -> None:
    assert "bộ nhớ" in errors.DocumentError("document_too_complex", limit="memory").text("vi")
    assert "1024 byte" in errors.RequestError("document_too_large", limit=1024).text("vi")
    wrong = errors.TokenError("pin_incorrect", tries_left="last")
    assert "chỉ còn một" in wrong.text("vi")
    assert wrong.data == {"tries_left": "last"}


def test_times_are_vietnams_in_vietnamese() -> None:
    late = errors.CredentialError("certificate_expired", not_after="2025-12-31T20:00:00Z")
    assert "01/01/2026 03:00:00 +07:00" in late.text("vi")
    assert "2025-12-31T20:00:00Z" in late.text("en")
    never = errors.CredentialError("certificate_expired", not_after="9999-12-31T23:59:59Z")
    assert "9999-12-31T23:59:59Z" in never.text("vi")
