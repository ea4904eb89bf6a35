"""Policies as files: what the built-in ones say, what a wrong one is told, how two compare."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

from signsvc.algorithms import TS_119_312
from signsvc.errors import ConfigError, RequestError
from signsvc.messages import catalogue
from signsvc.validation import Role, policies
from signsvc.validation.policies.describe import describe, differences
from signsvc.validation.policy import Policy
from signsvc.validation.policy_file import parse


def _file(name: str) -> bytes:
    return (resources.files("signsvc.validation.policies") / f"{name}.toml").read_bytes()


@pytest.mark.parametrize("name", ["cong-vu", "cong-cong", "hon-hop", "luu-tru"])
def test_built_in(name: str) -> None:
    policy = policies.load(name)
    assert policy.id == name
    assert policy.sha256 == hashlib.sha256(_file(name)).hexdigest()
    assert policy.key_usage == {"digital_signature", "non_repudiation"}
    assert policy.clock_tolerance == 300
    assert policy.title_vi
    assert policy.title_en
    assert policies.builtin()[name] == policy
    assert catalogue()["changed_undefined"].level == "fail"
    assert "changed_undefined" not in policy.levels


def test_dates_are_those_of_the_standard() -> None:
    for role in Role:
        for row in TS_119_312:
            found = policies.load("cong-cong").reliable_until(role, row.algorithm, row.min_bits)
            assert found == row.not_after, (role, row)


def test_sha1_of_the_first_generation() -> None:
    end = datetime(2021, 1, 1, tzinfo=UTC)
    for name in ("cong-vu", "luu-tru"):
        assert {policies.load(name).reliable_until(role, "sha1") for role in Role} == {end}
    assert policies.load("cong-vu").reliable_until(Role.SIGNATURE, "md5") == datetime(2004, 8, 1, tzinfo=UTC)


def test_unknown_algorithm_was_never_good() -> None:
    assert policies.load("hon-hop").reliable_until(Role.TOKEN, "sha0") == datetime(1970, 1, 1, tzinfo=UTC)
    assert policies.load("hon-hop").reliable_until(Role.TOKEN, "ecdsa", 100) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", ["none", "", "../hon-hop", "a" * 100, "hon-hop.toml", "hon/hop"])
def test_no_such_policy(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        policies.load(name)
    assert caught.value.code == "policy_not_found"


def test_a_site_has_its_own(tmp_path: Path) -> None:
    own = _file("hon-hop").replace(b'version = "1.0"', b'version = "7"')
    (tmp_path / "hon-hop.toml").write_bytes(own)
    assert policies.load("hon-hop", (tmp_path,)).version == "7"
    assert policies.load("cong-vu", (tmp_path,)).version == "1.0"
    assert policies.load_all((tmp_path,))["hon-hop"].version == "7"
    (tmp_path / "other.toml").write_bytes(own)
    with pytest.raises(ConfigError, match="the id is hon-hop"):
        policies.load("other", (tmp_path,))


def _with(text: str) -> bytes:
    """hon-hop with a line put before its first table."""
    return _file("hon-hop").replace(b"[freshness]", text.encode() + b"\n[freshness]", 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff", "not a TOML file"),
        (b"id = ", "not a TOML file"),
        (_with('[levels]\nno_such = "warn"'), "no such finding"),
        (_with('[levels]\ntimestamp_absent = "loud"'), "must be one of fail, warn, info, ignore"),
        (_with('[levels]\ndigest_mismatch = "warn"'), "may not be weakened"),
        (_with('[levels]\ncertificate_not_yet_valid = "ignore"'), "may not be weakened"),
        (_with("surprise = 1"), "surprise"),
        (_with("[known_since]\nabcd = 2020-01-01"), "32 octets"),
        (_with(f"[known_since]\n{'ab' * 32} = 2020-01-01T00:00:00"), "zone"),
        (_with(f'[sunsets]\n{"ab" * 32} = "2020"'), "not a date"),
        (_file("hon-hop").replace(b'"recommended"', b'"maybe"'), "timestamp"),
        (_with('required_level = "B-X"'), "required_level"),
        (_file("hon-hop").replace(b'at = "signing"', b'at = "later"'), "freshness.at"),
        (_file("hon-hop") + b"\n[algorithms.nothing]\nsha1 = {}\n", "no such role"),
        (_file("hon-hop").replace(b"sha256 = {}", b"sha256 = { to = 2020-01-01 }"), "bits and until"),
        (re.sub(rb"\[algorithms\.all\].*", b"[algorithms]\n", _file("hon-hop"), flags=re.DOTALL), "has no rows"),
    ],
)
def test_wrong_policies_are_told_why(data: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(data, "site.toml")
    assert said in str(caught.value)
    assert "site.toml" in str(caught.value)


def test_levels_may_be_raised() -> None:
    policy = parse(_with('[levels]\ntimestamp_absent = "fail"\nchanged_annotation = "fail"'))
    assert policy.levels == {"timestamp_absent": "fail", "changed_annotation": "fail"}


def test_describe_is_json_and_differences_name_keys() -> None:
    import json

    one, other = policies.load("cong-vu"), policies.load("hon-hop")
    assert json.loads(json.dumps(describe(one)))["sha256"] == one.sha256
    keys = {d.key: (d.left, d.right) for d in differences(one, other)}
    assert keys["trust_profiles"] == ("cong-vu", "cong-vu, cong-cong")
    assert keys["algorithms.certificate.sha1≥0"] == ("2021-01-01T00:00:00Z", "2012-08-01T00:00:00Z")
    assert differences(one, one) == ()


def test_findings_of_the_engine_are_all_catalogued_and_used() -> None:
    """Every code that the engine and its reports name has texts, and every text of their file is used."""
    import tomllib

    roots = [Path(str(resources.files(room))) for room in ("signsvc.validation", "signsvc.reports")]
    source = "".join(path.read_text("utf-8") for root in roots for path in root.glob("*.py"))
    table = tomllib.loads((resources.files("signsvc.messages") / "validation.toml").read_text("utf-8"))
    named = set(re.findall(r'"([a-z0-9_]+)"', source))
    assert set(table) <= named
    for code in re.findall(r'Finding\.of\(\s*"([a-z0-9_]+)"', source):
        assert code in catalogue()


def test_policies_are_immutable() -> None:
    policy: Policy = policies.load("hon-hop")
    with pytest.raises(AttributeError):
        policy.version = "2"  # type: ignore[misc]


def test_experimental_algorithms_are_a_word_of_the_policy() -> None:
    plain = policies.load("hon-hop")
    assert plain.experimental is False
    assert describe(plain)["experimental"] is False
    # In front of the tables: TOML takes what stands behind a table's header into it.
    data = _file("hon-hop").replace(b'timestamp = "recommended"', b'timestamp = "recommended"\nexperimental = true')
    site = parse(data)
    assert site.experimental is True
    for role in Role:
        assert site.reliable_until(role, "ml-dsa-65") is None
        assert plain.reliable_until(role, "ml-dsa-65") == datetime(1970, 1, 1, tzinfo=UTC)
    assert [d.key for d in differences(plain, site)] == ["experimental"]
    with pytest.raises(ConfigError):
        parse(data.replace(b"experimental = true", b'experimental = "yes"'))
