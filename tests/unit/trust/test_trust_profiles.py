"""The built-in profiles say what the authorities publish, and nothing more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from signsvc.errors import ConfigError
from signsvc.trust.profile import load_all, normalize_fingerprint, parse

# The fingerprints that are known; every other entry must go without.
PINS = {
    "cong-vu": {
        "root-g1": "F7BC89054CEC7F12730D7B8CD3EB7955B163835087E5EB873EDFB584763B3F90",
        "subca-g1": "75E969C07BA35C29C72BBC1BFB880F20F3891A619B00B77EB02CA6160736A1FE",
        "root-g2": "F04BA4B459A7C9A1B971AD9B1CB833E695A80C79AEA63B174B66A70EDFE2FDB8",
        "subca-g2-state": "D8CAB7A4AEF92E6BB2509D7C61CEE7B44F3731B2D21074963530277B366FAE4B",
        "subca-g2-party": "E4B402E3CB4CACC0A20D21FA49BCE76BEB4EB47BA7FFB7A8F71C554DBE561A81",
    },
    "cong-cong": {"national-root-2014": "BAC8BF609AB420A8EE1780D74F4DE5C7F7184959D2A7375B0A75E4C29F0908E7"},
    "test": {},
}
MINIMAL = 'id = "x"\nversion = "1"\nvi = "a"\nen = "b"\n'


def test_pins_are_exactly_the_known_ones() -> None:
    found = {
        profile.id: {entry.id: entry.sha256.upper() for entry in profile.entries if entry.sha256}
        for profile in load_all().values()
    }
    assert found == PINS


def test_roots_are_anchors_and_the_rest_is_not() -> None:
    kinds = {entry.id: entry.kind for profile in load_all().values() for entry in profile.entries}
    assert {name for name, kind in kinds.items() if kind == "anchor"} == {
        name for name in kinds if name.startswith(("root-", "national-root-"))
    }


def test_the_four_roots_of_2025_and_the_ministries_are_named_without_pins() -> None:
    unpinned = [e.id for p in load_all().values() for e in p.entries if e.sha256 is None]
    assert sum(name.startswith("national-root-2025-") for name in unpinned) == 4
    assert {"subca-g2-software", "subca-g1-btc"} <= set(unpinned)


def test_internal_names_are_mapped() -> None:
    host_map = load_all()["cong-vu"].host_map
    assert host_map["ca.btc"] == "ca.gov.vn"
    assert host_map["ocsp.ca.ptc"] == "ocsp.ca.gov.vn"


def test_only_the_test_profile_is_for_trials() -> None:
    assert [profile.id for profile in load_all().values() if profile.trial] == ["test"]


def test_a_site_changes_a_profile_by_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "noi-bo.toml").write_text(
        MINIMAL.replace('"x"', '"noi-bo"')
        + '[[certificate]]\nid = "r"\nkind = "anchor"\nsunset = 2030-01-01T07:00:00+07:00\n'
        + "keeps_expired_since = 2015-01-01T00:00:00Z\n",
        "utf-8",
    )
    profiles = load_all(tmp_path)
    assert {"cong-vu", "noi-bo"} <= set(profiles)
    entry = profiles["noi-bo"].entries[0]
    assert entry.sunset == datetime(2030, 1, 1, tzinfo=UTC)
    assert entry.keeps_expired_since == datetime(2015, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        'id = "x"',
        MINIMAL + 'surprise = "y"',
        MINIMAL + '[[certificate]]\nid = "a"\nkind = "leaf"',
        MINIMAL + '[[certificate]]\nid = "a"\nkind = "anchor"\nsha256 = "12"',
        MINIMAL + '[[certificate]]\nid = "a"\nkind = "anchor"\nsunset = 2030-01-01T00:00:00',
        MINIMAL + '[[certificate]]\nid = "a"\nkind = "anchor"\ncolour = "red"',
        MINIMAL + '[[certificate]]\nid = "a"\nkind = "anchor"\n' * 2,
        MINIMAL.replace('"x"', '"../x"'),
        MINIMAL.replace('"x"', '"profiles"'),
        MINIMAL.replace('"x"', '"/etc"'),
    ],
)
def test_wrong_files_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"configuration_invalid.*site\.toml"):
        parse(text, "site.toml")


def test_fingerprints_as_people_write_them() -> None:
    plain = "ab" * 32
    colons = ":".join(["AB"] * 32)
    assert normalize_fingerprint(colons) == normalize_fingerprint(f" {plain} \n") == plain
    for wrong in ("", "ab", plain + "ab", "zz" * 32):
        with pytest.raises(ValueError, match=r"SHA-256|hexadecimal"):
            normalize_fingerprint(wrong)
