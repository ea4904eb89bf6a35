"""A keyring from the installation's settings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from signsvc.errors import ConfigError, CredentialError
from signsvc.keys.config import CSC_VERSION, CredentialConfig, KeyFileConfig, ModuleConfig, Pkcs12Config
from signsvc.keys.keyring import Keyring

if TYPE_CHECKING:
    from signsvc.keys.client import PinPrompt
    from signsvc.keys.csc_client import CscClient
    from signsvc.keys.one_try import OneTry
    from signsvc.keys.signer import Signer
    from signsvc.net import HttpClient
    from signsvc.settings import CredentialSettings, CscSettings, Settings

# Plain HTTP would carry PINs and access tokens: only to this machine itself.
_OWN = ("127.0.0.1", "::1", "localhost")


def modules(settings: Settings) -> tuple[ModuleConfig, ...]:
    """Modules with their tokens and PIN sources.  The PIN named with a credential goes before its token's."""
    found: list[ModuleConfig] = []
    for credential in settings.credentials:
        if credential.pkcs12 is not None or credential.csc is not None or credential.module is None:
            continue
        if credential.pin is not None or not any(t.module == credential.module for t in settings.tokens):
            found.append(ModuleConfig(str(credential.module), credential.token, credential.pin))
    named = {(m.path, m.token) for m in found if m.pin_source is not None}
    tokens = (ModuleConfig(str(t.module), t.token, t.pin) for t in settings.tokens)
    return (*found, *(t for t in tokens if (t.path, t.token) not in named))


def from_settings(
    settings: Settings,
    *,
    shared: bool = False,
    pin_source: str | None = None,
    prompt: PinPrompt | None = None,
    http: Callable[[str, str | None], HttpClient] | None = None,
) -> Keyring:
    """The keyring that `settings` describe.

    `shared`: with token processes that all workers of the service use together (in `settings.run_dir`).
    `pin_source` stands in for every configured one (``--pin-source``); `http` gives the way to a remote service,
    by its URL and that of its token endpoint.  Raises `ConfigError`.
    """
    tokens = modules(settings)
    if pin_source is not None:
        tokens = tuple(ModuleConfig(m.path, m.token, pin_source) for m in tokens)
    credentials: list[CredentialConfig] = []
    files: list[Pkcs12Config | KeyFileConfig] = []
    remotes: dict[str, Callable[[], Signer]] = {}
    for item in settings.credentials:
        if item.csc is not None:
            remotes[item.id] = _Remote(item, pin_source, http, settings.run_dir if shared else None)
        elif item.pkcs12 is not None:
            source = pin_source or item.password or item.pin
            files.append(Pkcs12Config(item.pkcs12, item.id, source, enabled=not item.disabled))
        elif item.key is not None:
            if item.certificate is None:
                raise ConfigError(reason=f"credential {item.id}: key needs certificate, the file of its certificate")
            source = pin_source or item.password or item.pin
            files.append(
                KeyFileConfig(item.key, item.certificate, item.id, item.chain, source, enabled=not item.disabled)
            )
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
        remotes=remotes,
    )


class _Remote:
    """Makes the signer of a key that a remote service keeps, again and again: what it is signed in with stays."""

    def __init__(
        self,
        item: CredentialSettings,
        pin_source: str | None,
        http: Callable[[str, str | None], HttpClient] | None,
        private: Path | None,
    ) -> None:
        self._item = item
        self._pin_source = pin_source or item.pin
        self._http = http
        self._private = private
        self._lock = threading.Lock()
        self._made: tuple[CscClient, OneTry] | None = None

    def __call__(self) -> Signer:
        """Raises what `CscSigner` does, and `ConfigError`."""
        from signsvc.keys.csc_signer import CscConfig, CscSigner

        item = self._item
        if item.csc is None or self._http is None:
            raise ConfigError(reason=f"credential {item.id} is remote and nothing may be called here")
        if item.disabled:
            raise CredentialError("credential_disabled")
        with self._lock:
            if self._made is None:
                self._made = self._client(item.csc, self._http)
        client, tries = self._made
        config = CscConfig(item.id, item.csc.credential, self._pin_source)
        return CscSigner(client, config, tries=tries, timeout=item.csc.timeout_seconds)

    def _client(self, found: CscSettings, http: Callable[[str, str | None], HttpClient]) -> tuple[CscClient, OneTry]:
        from signsvc.keys.csc_client import CscClient, CscService
        from signsvc.keys.one_try import OneTry

        if (mistake := remote_mistake(found)) is not None:
            raise ConfigError(reason=f"credential {self._item.id}: {mistake}")
        service = CscService(
            url=found.url,
            access_token=found.access_token,
            username=found.username,
            password=found.password,
            token_url=found.token_url,
            client_id=found.client_id,
            client_secret=found.client_secret,
            timeout=found.timeout_seconds,
        )
        if self._private is not None:
            self._private.mkdir(parents=True, exist_ok=True, mode=0o700)
        client = CscClient(service, http(found.url, found.token_url), self._private)
        return client, OneTry((client.url, found.credential), self._private)


def remote_mistake(found: CscSettings) -> str | None:
    """What is wrong with how a remote service is named, in English; None where nothing is."""
    for url in (found.url, found.token_url or found.url):
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _OWN):
            return "a remote signing service is called by https"
    if not CSC_VERSION.search(found.url):
        return "the URL of a remote signing service ends with /csc/v1 or /csc/v2"
    ways = [found.access_token, found.username, found.client_id]
    if sum(way is not None for way in ways) > 1:
        return "one way of signing in: access_token, username or client_id"
    if found.username is not None and found.password is None:
        return "username needs password"
    if found.client_id is not None and (found.client_secret is None or found.token_url is None):
        return "client_id needs client_secret and token_url"
    return None
