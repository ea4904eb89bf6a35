"""A keyring from the installation's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signsvc.keys.config import CredentialConfig, ModuleConfig, Pkcs12Config
from signsvc.keys.keyring import Keyring

if TYPE_CHECKING:
    from signsvc.keys.client import PinPrompt
    from signsvc.settings import Settings


def modules(settings: Settings) -> tuple[ModuleConfig, ...]:
    """Modules with their tokens and PIN sources.  The PIN named with a credential goes before its token's."""
    found: list[ModuleConfig] = []
    for credential in settings.credentials:
        if credential.pkcs12 is not None or credential.module is None:
            continue
        if credential.pin is not None or not any(t.module == credential.module for t in settings.tokens):
            found.append(ModuleConfig(str(credential.module), credential.token, credential.pin))
    named = {(m.path, m.token) for m in found if m.pin_source is not None}
    tokens = (ModuleConfig(str(t.module), t.token, t.pin) for t in settings.tokens)
    return (*found, *(t for t in tokens if (t.path, t.token) not in named))


def from_settings(
    settings: Settings, *, shared: bool = False, pin_source: str | None = None, prompt: PinPrompt | None = None
) -> Keyring:
    """The keyring that `settings` describe.

    `shared`: with token processes that all workers of the service use together (in `settings.run_dir`).
    `pin_source` stands in for every configured one (``--pin-source``).  Raises `ConfigError`.
    """
    tokens = modules(settings)
    if pin_source is not None:
        tokens = tuple(ModuleConfig(m.path, m.token, pin_source) for m in tokens)
    credentials: list[CredentialConfig] = []
    files: list[Pkcs12Config] = []
    for item in settings.credentials:
        if item.pkcs12 is not None:
            source = pin_source or item.password or item.pin
            files.append(Pkcs12Config(item.pkcs12, item.id, source, enabled=not item.disabled))
        else:
            credentials.append(
                CredentialConfig(
                    id=item.id,
                    module=str(item.module) if item.module else None,
                    token=item.token,
                    key_id=item.key_id,
                    label=item.label,
                    serial=item.serial,
                    subject=item.subject,
                    certificate=item.certificate,
                    chain=item.chain,
                    enabled=not item.disabled,
                )
            )
    return Keyring(
        tokens,
        credentials,
        files,
        settings.mode,
        runtime_dir=settings.run_dir if shared else None,
        allow_software_keys=settings.allow_software_keys,
        prompt=prompt,
    )
