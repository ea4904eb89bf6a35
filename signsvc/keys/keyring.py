"""All keys of an installation under names: tokens through their processes, remote services, files."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from signsvc.errors import ConfigError, CredentialError, SignsvcError, TokenError
from signsvc.keys import key_file, pkcs12, selection
from signsvc.keys.client import PinPrompt, TokenClient
from signsvc.keys.config import CredentialConfig, KeyFileConfig, ModuleConfig, Pkcs12Config
from signsvc.keys.launch import Launcher, LaunchOptions, PrivateProcess, TokenServer
from signsvc.keys.pins import PinSource, Secret
from signsvc.keys.selection import TokenCertificate
from signsvc.keys.signer import CredentialInfo, Signer, describe, order_chain
from signsvc.keys.token_signer import TokenSigner, certificate_file, info, read_certificates
from signsvc.types import Certificate

# A signer found is used again this long (seconds) before its token is read afresh.
SIGNER_TTL = 60.0


class Keyring:
    """Every key by name.  Thread-safe; usable after a fork of this process.

    With `runtime_dir` the token processes are shared by all keyrings of this user that name the same directory
    (the workers of a service); without, they are this keyring's own.  Where `credentials` are configured only these
    can be used; otherwise every certificate on the tokens can, under ``<token label>:<CKA_ID>`` or whatever names it
    alone.  `prompt` asks a person for a PIN (``prompt`` sources only).  `remotes` make the signers of keys that other
    services keep.
    """

    def __init__(
        self,
        modules: Sequence[ModuleConfig] = (),
        credentials: Sequence[CredentialConfig] = (),
        files: Sequence[Pkcs12Config | KeyFileConfig] = (),
        mode: str = "trial",
        *,
        runtime_dir: Path | None = None,
        allow_software_keys: bool = False,
        prompt: PinPrompt | None = None,
        remotes: Mapping[str, Callable[[], Signer]] | None = None,
    ) -> None:
        paths = list(dict.fromkeys(os.path.abspath(m.path) for m in modules))  # noqa: PTH100 - links stay
        self._credentials = {c.id: c for c in credentials}
        self._files = {f.name: f for f in files}
        self._mode = mode
        self._allow_software_keys = allow_software_keys
        self._signers: dict[str, tuple[float, Signer]] = {}
        self._lock = threading.Lock()
        self._remotes = dict(remotes or {})
        names = [c.id for c in credentials] + [f.name for f in files] + list(self._remotes)
        if len(set(names)) != len(names):
            raise ConfigError(reason="two credentials have one id")
        self._clients = {path: _client(path, modules, runtime_dir, prompt) for path in paths}

    # listing ---------------------------------------------------------------------------------------------------
    def list(self) -> tuple[CredentialInfo, ...]:
        """Every credential with its state.  Never asks for a PIN; a module that fails hides no other."""
        found: list[CredentialInfo] = []
        items, _ = self._items()
        if self._credentials:
            found += [self._configured_info(c, items) for c in self._credentials.values()]
        else:
            found += [info(name, item) for name, item in selection.identified(items).items()]
        return (*found, *self.elsewhere())

    def elsewhere(self) -> tuple[CredentialInfo, ...]:
        """The credentials that are on no token, with their states: of files and of remote services."""
        found: list[CredentialInfo] = []
        kinds = {name: "pkcs12" if isinstance(f, Pkcs12Config) else "file" for name, f in self._files.items()}
        for name, kind in (*kinds.items(), *((name, "csc") for name in self._remotes)):
            try:
                signer = self.get(name)
            except SignsvcError as error:
                found.append(describe(None, name=name, kind=kind, status=error.code))
            else:
                found.append(describe(signer.certificate, name=name, kind=kind))
        return tuple(found)

    def tokens(self) -> Sequence[dict[str, Any]]:
        """Modules with their slots, tokens and certificates (`CredentialInfo`), as they are now.

        A module that cannot be used carries ``problem``: the error.
        """
        found: list[dict[str, Any]] = []
        for path, client in self._clients.items():
            entry: dict[str, Any] = {"module": path, "slots": []}
            try:
                entry |= client.info()
                items = read_certificates(path, client, None)
            except SignsvcError as error:
                entry["problem"] = error
                items = []
            for slot in entry["slots"]:
                mine = [i for i in items if i.slot == slot["slot"]]
                names = {id(item): name for name, item in selection.identified(mine).items()}
                slot["certificates"] = [info(names.get(id(i), ""), i) for i in mine]
            found.append(entry)
        return found

    # use -------------------------------------------------------------------------------------------------------
    def get(self, name: str) -> Signer:
        """The signer of that id.

        Raises `CredentialError` ``credential_not_found``, ``credential_ambiguous``, ``credential_disabled``;
        `TokenError` ``token_not_present`` and the like; `ConfigError` for files.
        """
        with self._lock:
            kept = self._signers.get(name)
        if kept is not None and time.monotonic() < kept[0] and not getattr(kept[1], "failed", False):
            return kept[1]
        signer = self._find(name)
        with self._lock:
            self._signers[name] = (time.monotonic() + SIGNER_TTL, signer)
        return signer

    def login(self, module: str, token: str | None, pin: Secret | None = None) -> None:
        """Log in to a token now, so that a wrong or missing PIN shows before work begins."""
        client = self._clients.get(os.path.abspath(module))  # noqa: PTH100
        if client is None:
            raise TokenError("token_not_present")
        client.login(token, None, pin)

    def processes(self) -> Mapping[str, int]:
        """Process ids by module path; starts what is not running."""
        return {path: client.ping() for path, client in self._clients.items()}

    def close(self) -> None:
        """End what is this keyring's own."""
        for client in self._clients.values():
            client.close()
        with self._lock:
            self._signers.clear()

    def __enter__(self) -> Keyring:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # inner parts -----------------------------------------------------------------------------------------------
    def _find(self, name: str) -> Signer:
        file = self._files.get(name)
        if isinstance(file, Pkcs12Config):
            return pkcs12.load(file, mode=self._mode, allow_software_keys=self._allow_software_keys)
        if file is not None:
            return key_file.load(file, mode=self._mode, allow_software_keys=self._allow_software_keys)
        if name in self._remotes:
            return self._remotes[name]()
        config = self._credentials.get(name)
        if config is not None:
            return self._configured(config)
        if self._credentials or self._remotes:
            raise CredentialError("credential_not_found")
        items, problems = self._items()
        if not items:
            raise _absent(problems)
        exact = selection.identified(items).get(name)
        if exact is None:
            exact = selection.one(i for i in items if selection.mentions(i, name))
        return self._signer(exact, items)

    def _configured(self, config: CredentialConfig) -> TokenSigner:
        if not config.enabled:
            raise CredentialError("credential_disabled")
        items, problems = self._items(config.module, config.token)
        if not items and config.certificate is None:
            raise _absent(problems)
        item = self._choose(config, items)
        extra = tuple(certificate_file(path) for path in config.chain)
        return self._signer(item, items, extra)

    def _choose(self, config: CredentialConfig, items: Sequence[TokenCertificate]) -> TokenCertificate:
        wanted = config if config.module is None else _absolute(config)
        if config.certificate is None:
            return selection.one(i for i in items if selection.fits(i, wanted))
        # The token holds no certificate object: the key is found by CKA_ID, label or modulus when it signs.
        paths = [wanted.module] if wanted.module else list(self._clients)
        if len(paths) != 1 or paths[0] not in self._clients:
            raise ConfigError(reason=f"credential {config.id} needs the module of its key")
        certificate = certificate_file(config.certificate)
        return TokenCertificate(
            paths[0], config.token or "", "", -1, (config.key_id or "").lower(), config.label or "", certificate
        )

    def _signer(
        self, item: TokenCertificate, items: Sequence[TokenCertificate], extra: tuple[Certificate, ...] = ()
    ) -> TokenSigner:
        beside = tuple(i.certificate for i in items if i.is_ca and i.module == item.module)
        return TokenSigner(self._clients[item.module], item, order_chain(item.certificate, (*extra, *beside)))

    def _items(
        self, module: str | None = None, token: str | None = None
    ) -> tuple[Sequence[TokenCertificate], Sequence[SignsvcError]]:
        found: list[TokenCertificate] = []
        problems: list[SignsvcError] = []
        only = os.path.abspath(module) if module else None  # noqa: PTH100
        for path, client in self._clients.items():
            if only in (None, path):
                try:
                    found += read_certificates(path, client, token)
                except SignsvcError as error:
                    problems.append(error)
        return found, problems

    def _configured_info(self, config: CredentialConfig, items: Sequence[TokenCertificate]) -> CredentialInfo:
        if not config.enabled:
            return describe(None, name=config.id, kind="pkcs11", status="credential_disabled", token_label=config.token)
        try:
            return info(config.id, self._choose(config, items))
        except SignsvcError as error:
            code = error.code
            present = {i.token_label for i in items}
            if code == "credential_not_found" and (not present or config.token not in (None, *present)):
                code = "token_not_present"
            return describe(None, name=config.id, kind="pkcs11", status=code, token_label=config.token)


def _client(
    path: str, modules: Sequence[ModuleConfig], runtime_dir: Path | None, prompt: PinPrompt | None
) -> TokenClient:
    own = [m for m in modules if os.path.abspath(m.path) == path]  # noqa: PTH100
    pins = {m.token: PinSource.parse(m.pin_source) for m in own if m.pin_source is not None}
    options = LaunchOptions(
        module=path,
        timeout=max(m.timeout for m in own),
        login_timeout=max(m.login_timeout for m in own),
        descriptors=tuple(sorted({int(s.value) for s in pins.values() if s.kind == "fd"})),
    )
    launcher: Launcher = PrivateProcess(options) if runtime_dir is None else TokenServer(options, runtime_dir)
    return TokenClient(launcher, pins, prompt)


def _absent(problems: Sequence[SignsvcError]) -> SignsvcError:
    return problems[0] if problems else TokenError("token_not_present")


def _absolute(config: CredentialConfig) -> CredentialConfig:
    from dataclasses import replace

    return replace(config, module=os.path.abspath(config.module or ""))  # noqa: PTH100
