"""The house wired together from its settings: every part made on first use, shared by command line and web.

A `Services` belongs to one process: make it after a fork.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from signsvc.settings import Settings, TsaSettings

if TYPE_CHECKING:
    from signsvc.issuing.seal import Sealer
    from signsvc.keys import Keyring
    from signsvc.keys.pins import Secret
    from signsvc.net import HttpClient, NetRules
    from signsvc.signing import SigningService
    from signsvc.signing.appearance import Fonts
    from signsvc.signing.appearance.images import Images
    from signsvc.signing.pool import SigningPool
    from signsvc.signing.sessions.service import SigningSessions
    from signsvc.store import Store
    from signsvc.trust import EvidenceClient, TrustMaterial, TrustStore, TsaClient, TsaConfig
    from signsvc.types import Certificate
    from signsvc.verification import Reach, TrustSource, Verifier


if TYPE_CHECKING:
    part = cached_property
else:

    class part(cached_property):  # noqa: N801 - used like the decorator it is
        """Made once even when several threads ask first: the library's own property has no lock since 3.12."""

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            with instance._lock:
                return super().__get__(instance, owner)


class Services:
    """The parts of an installation.

    `shared_tokens`: the token processes are shared with the other workers of the service.  `pin_source` and `prompt`
    replace the configured PIN sources (command line).  `fork` starts verification workers by fork, which only a
    process with a single thread may do; `workers` overrides how many there are.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        shared_tokens: bool = False,
        pin_source: str | None = None,
        prompt: Callable[[str], Secret] | None = None,
        fork: bool = False,
        workers: int | None = None,
        offline: bool = False,
    ) -> None:
        self.settings = settings
        self._shared_tokens = shared_tokens
        self._pin_source = pin_source
        self._prompt = prompt
        self._fork = fork
        self._workers = workers
        self._offline = offline or settings.net.offline
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    @classmethod
    def load(cls, **options: bool) -> Self:
        """From the settings in force.  Raises `ConfigError`."""
        return cls(Settings.load(), **options)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what was started: workers, token processes, database connections."""
        self._stopping.set()
        for name in ("signing", "verifier", "keyring", "store"):
            part = self.__dict__.pop(name, None)
            if part is not None and hasattr(part, "close"):
                part.close()

    def warm(self) -> None:
        """Start a worker of each kind that will be needed, and look after kept evidence."""
        self.verifier.warm(1)
        if self._shared_tokens and not self._offline:
            threading.Thread(
                target=self.evidence.keep_fresh, args=(self._stopping,), daemon=True, name="signsvc-refresh"
            ).start()
        if self.settings.credentials and (warm := getattr(self.signing, "warm", None)) is not None:
            warm(1)

    @property
    def trust_source(self) -> TrustSource:
        from signsvc.verification import TrustSource

        return TrustSource(
            self.settings.trust_dir,
            self.settings.trust_profiles,
            (self.settings.data_dir / "policies",),
            (self.settings.index_dir,),
        )

    def _reach(self, *, write: bool) -> Reach | None:
        """In the service workers see documents in the spool and what is trusted; on the command line documents may
        be anywhere."""
        if not self._shared_tokens:
            return None
        from signsvc.verification import Reach

        source, spool = self.trust_source, self.settings.spool_dir
        for directory in (
            spool,
            source.directory,
            *source.policy_directories,
            *source.indexes,
        ):  # what is not there when a worker starts stays out of reach
            open_to_all = directory in (source.directory, *source.policy_directories)
            directory.mkdir(parents=True, exist_ok=True, mode=0o755 if open_to_all else 0o700)
        readable = (source.directory, *source.policy_directories, *source.indexes)
        if write:
            readable = (*readable, *(self.fonts.regular, self.fonts.italic))
        return Reach(readable, (spool,)) if write else Reach((*readable, spool))

    @part
    def trust(self) -> TrustStore:
        from signsvc.trust import TrustStore

        return TrustStore(self.settings.trust_dir)

    @part
    def http(self) -> HttpClient:
        """For what documents and certificates name."""
        from signsvc.net import HttpClient

        return HttpClient(self._rules())

    def _rules(self, *allowed: str) -> NetRules:
        from signsvc.net import NetRules

        net = self.settings.net
        return NetRules(
            allow=(*net.allow, *allowed),
            host_map={**self._profile_hosts(), **net.host_map},
            large_crl_hosts=net.large_crl_hosts,
            proxy=net.proxy,
            connect_timeout=net.connect_timeout_seconds,
            total_timeout=net.total_timeout_seconds,
            offline=net.offline,
            ca_file=str(net.ca_file) if net.ca_file else None,
        )

    @part
    def evidence(self) -> EvidenceClient:
        from signsvc.trust import EvidenceClient
        from signsvc.verification import indexing

        return EvidenceClient(self.http, self.settings.cache_dir, indexer=indexing.build)

    @part
    def cached_evidence(self) -> EvidenceClient:
        """What was obtained before, and never a connection."""
        from signsvc.net import HttpClient, NetRules
        from signsvc.trust import EvidenceClient

        return EvidenceClient(HttpClient(NetRules(offline=True)), self.settings.cache_dir)

    @part
    def tsa(self) -> TsaClient:
        return self.tsa_for()

    def tsa_for(self, url: str | None = None, anchors: tuple[Certificate, ...] = ()) -> TsaClient:
        """A client for the configured authorities, or for `url` alone; `anchors` are trusted in addition.

        Whoever names an authority allows its address, private or not, to this client and to no other.
        """
        from signsvc.net import HttpClient
        from signsvc.trust import TsaClient, TsaConfig

        if url is None:
            configs = [_tsa(found) for found in self.settings.tsa]
        else:
            configs = [TsaConfig(name="tsa", url=url)]
        http = HttpClient(self._rules(*(place for config in configs if (place := _place(config.url)))))
        from signsvc.trust.imported import ImportedLists
        from signsvc.trust.tsa_health import TsaHealth
        from signsvc.trust.tsa_status import TsaStatus

        def material() -> TrustMaterial:
            return self._material(anchors)

        rules = self.settings.timestamps
        fetch = self.cached_evidence.fetched if self._offline else self.evidence.fetched
        return TsaClient(
            configs,
            http,
            material,
            max_accuracy=rules.max_accuracy_seconds,
            status=TsaStatus(material, fetch, lambda: ImportedLists.below(self.settings.trust_dir)),
            refuse_unknown_status=rules.unknown_status == "refuse",
            health=TsaHealth(self.settings.cache_dir / "tsa-health" if url is None else None),
            seconds=rules.deadline_seconds,
        )

    def _http_for(self, *urls: str | None) -> HttpClient:
        """A client that may call what is named in the settings, private or not, and no other private address."""
        from signsvc.net import HttpClient

        return HttpClient(self._rules(*(place for url in urls if url and (place := _place(url)))))

    @part
    def keyring(self) -> Keyring:
        from signsvc.keys.configured import from_settings

        return from_settings(
            self.settings,
            shared=self._shared_tokens,
            pin_source=self._pin_source,
            prompt=self._prompt,
            http=self._http_for,
        )

    @part
    def verifier(self) -> Verifier:
        from signsvc.verification import Limits, Verifier

        limits = self.settings.limits
        return Verifier(
            self.trust_source,
            fetch=self.cached_evidence.fetched if self._offline else self.evidence.fetched,
            cached=self.cached_evidence.fetched,
            limits=Limits(limits.memory_bytes, limits.cpu_seconds, limits.wall_seconds),
            workers=self._workers or limits.workers,
            fork=self._fork,
            reach=self._reach(write=False),
        )

    @part
    def fonts(self) -> Fonts:
        """The fonts of visible signatures.  Raises `ConfigError` for what is no font that may be embedded."""
        from signsvc.formats.pades.fonts import Font
        from signsvc.signing.appearance import Fonts

        site = self.settings.appearance
        for path in (site.font, site.font_italic):
            if path is not None:
                Font.load(path)
        regular = site.font or Fonts().regular
        return Fonts(regular.absolute(), (site.font_italic or site.font or Fonts().italic).absolute())

    @part
    def images(self) -> Images:
        """The pictures of signatures and seals."""
        from signsvc.signing.appearance.images import Images

        known = {one.id: (one.image, one.image_mm) for one in self.settings.credentials}
        return Images(self.settings.appearance.image_dir, known)

    @property
    def signing_pool(self) -> SigningPool:
        """The signing workers.  Raises `ConfigError` on the command line, which has none."""
        from signsvc.errors import ConfigError
        from signsvc.signing.pool import SigningPool

        if not isinstance(self.signing, SigningPool):
            raise ConfigError("configuration_invalid", reason="signing sessions need the service")
        return self.signing

    @part
    def signing(self) -> SigningService | SigningPool:
        """In the service, where documents are anybody's, by worker processes; on the command line in this one."""
        if self._shared_tokens:
            from signsvc.signing.pool import SigningPool
            from signsvc.verification import Limits

            limits = self.settings.limits
            return SigningPool(
                self.trust_source,
                verifier=self.verifier,
                fetch=None if self._offline else self.evidence.fetched,
                tsa=self.tsa if self.settings.tsa else None,
                limits=Limits(limits.memory_bytes, limits.cpu_seconds, limits.wall_seconds),
                workers=limits.signing_workers,
                reach=self._reach(write=True),
                fonts=self.fonts,
                generation=self.evidence.generation,
                standing_seconds=limits.standing_seconds,
            )
        from signsvc.signing import SigningService

        return SigningService(
            self.trust_source,
            verifier=self.verifier,
            fetch=None if self._offline else self.evidence.fetched,
            tsa=self.tsa if self.settings.tsa else None,
            fonts=self.fonts,
            generation=self.evidence.generation,
            standing_seconds=self.settings.limits.standing_seconds,
        )

    @part
    def sealer(self) -> Sealer:
        """The seal on reports.  Raises what the credential named in ``[reports]`` raises."""
        from signsvc.issuing.seal import Sealer

        wanted = self.settings.reports
        if wanted.seal_credential is None:
            return Sealer()
        return Sealer(
            self.keyring.get(wanted.seal_credential),
            signing=lambda: self.signing,
            level=(wanted.seal_level or ("B-LTA" if self.settings.tsa else "B-B")).lower(),
            profiles=(self.settings.data_dir / "profiles",),
            spool=self.settings.spool_dir if self._shared_tokens else None,
        )

    def webhook_key(self) -> bytes:
        """What secrets of webhooks come from."""
        from signsvc.issuing import webhooks

        return webhooks.key(self.settings.webhook_key_file)

    @part
    def sessions(self) -> SigningSessions:
        from datetime import timedelta

        from signsvc.signing.sessions.service import SigningSessions
        from signsvc.signing.sessions.state import Times

        found = self.settings.sessions
        spans = (found.wait_seconds, found.fresh_seconds, found.complete_seconds)
        wait, fresh, complete = (timedelta(seconds=value) for value in spans)
        times = Times(wait, fresh, complete, remember=timedelta(seconds=found.remember_seconds))
        return SigningSessions(
            self.store, lambda: self.signing_pool, times=times, parallel=self.settings.limits.signing_workers
        )

    @part
    def store(self) -> Store:
        from signsvc.store import Store

        return Store(self.settings.database_url, self.settings.blob_dir)

    def _profile_ids(self) -> tuple[str, ...]:
        from signsvc.validation import policies

        policy = policies.load(self.settings.policy, (self.settings.data_dir / "policies",))
        return tuple(dict.fromkeys((*policy.trust_profiles, *self.settings.trust_profiles)))

    def _material(self, anchors: tuple[Certificate, ...] = ()) -> TrustMaterial:
        return self.trust.material(*self._profile_ids(), extra_anchors=anchors)

    def _profile_hosts(self) -> dict[str, str]:
        return dict(self.trust.material(*self._profile_ids()).host_map)


def _place(url: str) -> str | None:
    """``host:port`` of a URL; None where there is none, which the request itself then says."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{port}" if host and port else None


def _tsa(found: TsaSettings) -> TsaConfig:
    from signsvc.keys.pins import PinSource, resolve
    from signsvc.trust import TsaConfig

    password = resolve(PinSource.parse(found.password)).secret.reveal() if found.password else None
    return TsaConfig(
        name=found.name,
        url=found.url,
        timeout=found.timeout_seconds,
        concurrency=found.concurrency,
        username=found.username,
        password=password,
    )
