"""Profiles and parameters: what is built in, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import test_pki
from signsvc.algorithms import SignatureScheme
from signsvc.errors import ConfigError, CredentialError, RequestError
from signsvc.signing import SignParams, profiles
from signsvc.signing.algorithm import choose
from signsvc.types import Certificate


def test_built_in_profiles() -> None:
    found = profiles.builtin()
    assert list(found) == [f"{family}-b-{end}" for family in ("cong-vu", "pades") for end in ("b", "t", "lt", "lta")]
    assert {p.level for p in found.values()} == set(profiles.LEVELS)
    assert all(p.require_path == (p.policy == "cong-vu") == p.id.startswith("cong-vu") for p in found.values())
    assert all(len(p.sha256) == 64 and p.title_vi and p.title_en for p in found.values())


def test_an_installation_adds_and_replaces_profiles(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('id = "pades-b-b"\nversion = "2"\nlevel = "B-T"\nscheme = "pss"\n')
    assert profiles.load("pades-b-b", [tmp_path]).level == "B-T"
    assert profiles.load("pades-b-b").level == "B-B"


def test_unknown_profiles() -> None:
    with pytest.raises(RequestError) as caught:
        profiles.load("pades-b-z")
    assert caught.value.code == "profile_not_found"


@pytest.mark.parametrize(
    "text",
    [
        "id = ",
        'id = "a"',
        'id = "a"\nversion = "1"\nlevel = "B-X"',
        'id = "a"\nversion = "1"\nlevel = "B-B"\ndigest = "sha1"',
        'id = "a"\nversion = "1"\nlevel = "B-B"\nrequire_path = "no"',
        'id = "a"\nversion = "1"\nlevel = "B-B"\ncolour = "blue"',
        'id = "a"\nversion = 1\nlevel = "B-B"',
    ],
)
def test_wrong_profiles_are_named(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profiles.parse(text.encode(), "own.toml")
    assert "own.toml" in str(caught.value.data["reason"])


@pytest.mark.parametrize(
    ("label", "profile", "scheme"),
    [
        ("person", "pades-b-b", SignatureScheme.RSA_PKCS1),
        ("pss-only", "pades-b-b", SignatureScheme.RSA_PSS),
        ("ec", "pades-b-b", SignatureScheme.ECDSA),
    ],
)
def test_the_algorithm_goes_with_the_key(label: str, profile: str, scheme: SignatureScheme, pki: test_pki.Pki) -> None:
    chosen = choose(profiles.load(profile), Certificate.from_der(pki.cert(label)))
    assert (chosen.scheme, chosen.digest) == (scheme, "sha256")


def test_short_keys_do_not_sign(pki: test_pki.Pki) -> None:
    with pytest.raises(CredentialError) as caught:
        choose(profiles.load("pades-b-b"), Certificate.from_der(pki.cert("rsa1024")))
    assert (caught.value.code, caught.value.data["bits"]) == ("key_not_acceptable", 1024)


def test_parameters() -> None:
    params = SignParams.from_json(
        {
            "reason": "Ban hành",
            "location": None,
            "visible": {"page": -1, "rect": [380, 60, 560, 130], "template": "simple"},
            "metadata": {"doc_number": "12/QĐ-UBND"},
        }
    )
    assert params.reason == "Ban hành"
    assert params.location is None
    assert params.visible is not None
    assert (params.visible.page, params.visible.rect) == (-1, (380.0, 60.0, 560.0, 130.0))


@pytest.mark.parametrize(
    "data",
    [
        {"color": "red"},
        {"reason": 5},
        {"reason": "x" * 501},
        {"reason": "a\x00b"},
        {"field": "a.b"},
        {"field": " "},
        {"certify": 1},
        {"certify": True},
        {"visible": []},
        {"visible": {"page": 0, "rect": [0, 0, 100, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 5, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 1e9, 100]}},
        {"visible": {"page": 1, "rect": [0, 0, float("nan"), 100]}},
        {"visible": {"page": 1, "rect": [0, 0, 100, 100], "template": "../x"}},
        {"metadata": {"a": 1}},
        {"metadata": "a"},
    ],
)
def test_wrong_parameters_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        SignParams.from_json(data)
    assert caught.value.code == "invalid_request"
