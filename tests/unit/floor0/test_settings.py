"""Settings from TOML, environment and secrets; the few that `verify` reads are the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from signsvc.errors import ConfigError
from signsvc.paths import basics
from signsvc.settings import Settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("SIGNSVC_CONFIG", "SIGNSVC_DATA_DIR", "SIGNSVC_POLICY", "SIGNSVC_TRUST_PROFILES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SIGNSVC_SECRETS_DIR", str(tmp_path / "secrets"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


def write(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(text, "utf-8")
    monkeypatch.setenv("SIGNSVC_CONFIG", str(path))


def test_defaults_are_for_production() -> None:
    settings = Settings.load()
    assert settings.mode == "production"
    assert settings.server.bind == "127.0.0.1:8080"
    assert settings.auth.required is True


def test_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.toml", 'policy = "cong-vu"\n[server]\nbind = "127.0.0.1:1"\nworkers = 3\n', monkeypatch)
    monkeypatch.setenv("SIGNSVC_SERVER__BIND", "127.0.0.1:2")
    settings = Settings.load()
    assert (settings.policy, settings.server.bind, settings.server.workers) == ("cong-vu", "127.0.0.1:2", 3)


def test_a_secret_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "signsvc_policy").write_text("luu-tru")
    assert Settings.load().policy == "luu-tru"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("mode = 'fun'", "mode"),
        ("[server]\nworkers = 'many-secret'", "server.workers"),
        ("unknown_member = 'many-secret'", "unknown_member"),
        ("[[tokens]]\nmodule = '/x'\npin = '12345678'", "pin"),
        ("[[credentials]]\nid = '../x'", "credentials"),
        ("= broken", "a.toml"),
    ],
)
def test_a_wrong_member_is_named_and_its_value_is_not(
    text: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.toml", text, monkeypatch)
    with pytest.raises(ConfigError) as caught:
        Settings.load()
    assert named in str(caught.value)
    assert "many-secret" not in str(caught.value)
    assert "12345678" not in str(caught.value)


def test_a_missing_file_that_was_named_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGNSVC_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError):
        Settings.load()
    with pytest.raises(ConfigError):
        basics()


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("", {}),
        ('data_dir = "/srv/signsvc"\npolicy = "cong-vu"\ntrust_profiles = ["test"]', {}),
        (
            'policy = "cong-vu"\ntrust_profiles = ["a"]',
            {"SIGNSVC_POLICY": "luu-tru", "SIGNSVC_TRUST_PROFILES": '["b"]'},
        ),
        ('data_dir = "/srv/signsvc"', {"SIGNSVC_DATA_DIR": "/elsewhere"}),
    ],
)
def test_basics_are_the_settings(
    text: str, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.toml", text, monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings, few = Settings.load(), basics()
    assert (few.data_dir, few.policy, few.trust_profiles) == (
        settings.data_dir,
        settings.policy,
        settings.trust_profiles,
    )
    assert few.trust_dir == settings.trust_dir
