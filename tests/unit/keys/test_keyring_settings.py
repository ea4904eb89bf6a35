"""From settings to modules, tokens and credentials."""

from __future__ import annotations

from pathlib import Path

from signsvc.keys import ModuleConfig
from signsvc.keys.configured import from_settings, modules
from signsvc.settings import CredentialSettings, Settings, TokenSettings

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


def settings(tmp_path: Path, **given: object) -> Settings:
    return Settings(mode="trial", data_dir=tmp_path, **given)  # type: ignore[arg-type]


def test_a_credentials_pin_goes_before_its_tokens(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        tokens=(TokenSettings(module=MODULE, pin="file:/a"), TokenSettings(module=MODULE, token="t", pin="file:/b")),
        credentials=(CredentialSettings(id="x", module=MODULE, token="t", label="l", pin="file:/c"),),
    )
    assert set(modules(found)) == {
        ModuleConfig(str(MODULE), None, "file:/a"),
        ModuleConfig(str(MODULE), "t", "file:/c"),
    }


def test_a_credential_alone_brings_its_module(tmp_path: Path) -> None:
    found = settings(tmp_path, credentials=(CredentialSettings(id="x", module=MODULE, label="l"),))
    assert modules(found) == (ModuleConfig(str(MODULE)),)


def test_disabled_and_missing_show_in_the_list(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        credentials=(
            CredentialSettings(id="off", module=MODULE, label="l", disabled=True),
            CredentialSettings(id="file", pkcs12=tmp_path / "none.p12"),
        ),
    )
    with from_settings(found, shared=True) as keyring:
        states = {i.id: i.status for i in keyring.list()}
        assert states == {"off": "credential_disabled", "file": "configuration_invalid"}
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
