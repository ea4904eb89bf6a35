"""Settings: typed, from a TOML file, the environment and a secrets directory.

Order of precedence: arguments, environment (``SIGNSVC_`` prefix, ``__`` between levels, e.g.
``SIGNSVC_SERVER__BIND``), secrets directory (``SIGNSVC_SECRETS_DIR``, default ``/run/secrets`` where it exists), the
TOML file (``SIGNSVC_CONFIG``, else ``./signsvc.toml``, else ``/etc/signsvc/signsvc.toml``), defaults.

No PIN and no password is ever a setting: settings name where one is found (``file:``, ``env:``).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from signsvc.errors import ConfigError
from signsvc.paths import config_file, data_dir

GIB = 1024**3
MIB = 1024**2
# sockaddr_un holds 108 octets; the sockets' own names take 20.
_MAX_RUN_DIR = 80


def _pin_source(value: str) -> str:
    kind, _, rest = value.partition(":")
    if value != "prompt" and (kind not in ("env", "file", "fd") or not rest):
        msg = "expected prompt, env:NAME, file:PATH or fd:N"
        raise ValueError(msg)
    return value


PinSource = Annotated[str, AfterValidator(_pin_source)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerSettings(_Section):
    """How the HTTP service listens."""

    bind: str = "127.0.0.1:8080"
    workers: int = Field(default_factory=lambda: int(os.environ.get("WEB_CONCURRENCY", os.cpu_count() or 2)), ge=1)
    threads: int = Field(8, ge=1, le=256)  # documents in work, in each process
    max_body_bytes: int = Field(GIB + 16 * MIB, ge=1024)
    max_json_bytes: int = Field(64 * MIB, ge=1024)
    body_timeout_seconds: float = Field(600, gt=0)
    max_in_flight: int = Field(64, ge=1, le=1024)  # documents in work or waiting, in all processes
    public_url: str | None = None
    forwarded_allow_ips: str = "127.0.0.1"
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def slots(self) -> int:
        """Documents in work at a time in one process."""
        return min(self.threads, self._share)

    @property
    def waiting(self) -> int:
        """Requests that may wait for a slot in one process."""
        return max(1, self._share - self.slots)

    @property
    def _share(self) -> int:
        return -(-self.max_in_flight // self.workers)


class AuthSettings(_Section):
    """Who may call."""

    open_verify: bool | None = None  # the verify page without an API key; None: in trial mode only
    open_metrics: bool | None = None  # /metrics without an API key; None: in trial mode only
    required: bool = True  # API keys on /v1


class StoreSettings(_Section):
    """Where reports, signed files and keys' digests are kept."""

    database_url: str | None = None  # default: SQLite in the data directory
    blob_dir: Path | None = None  # default: blobs/ in the data directory
    keep_documents: bool = True


class ReportSettings(_Section):
    """The service's own seal on reports."""

    seal_credential: str | None = None  # id of a [[credentials]] entry; None: reports leave unsealed, and say so
    keep_evidence: bool = True  # with every stored report what it rests on, so that it can be judged again
    keep_days: int | None = Field(None, ge=1)  # then reports are deleted; None: never of themselves
    seal_level: Literal["B-B", "B-T", "B-LT", "B-LTA"] | None = None  # default: B-LTA with a [[tsa]], else B-B


class WebhookSettings(_Section):
    """Who is told of finished work."""

    key_file: Path | None = None  # default: webhook.key in the data directory; many machines need the same
    allow_http: bool = False  # plain http, for receivers inside the house


class NetSettings(_Section):
    """What may be called from here."""

    allow: tuple[str, ...] = ()  # private hosts, host:port or networks that may be called
    host_map: dict[str, str] = Field(default_factory=dict)  # internal name -> host or host:port
    # hosts whose revocation lists may have 64 MiB instead of 10
    large_crl_hosts: tuple[str, ...] = ()
    proxy: str | None = None
    ca_file: Path | None = None  # further TLS roots, PEM, for servers inside the house
    connect_timeout_seconds: float = Field(5, gt=0)
    total_timeout_seconds: float = Field(20, gt=0)
    offline: bool = False


class TokenSettings(_Section):
    """One PKCS#11 token (or every token of a module)."""

    module: Path
    token: str | None = None  # token label; None: every token of the module
    pin: PinSource | None = None


class CscSettings(_Section):
    """A key that a remote service keeps (Cloud Signature Consortium API 1.0.4 or 2), and how to sign in there: with an
    access token, a name and password, or an OAuth 2.0 client."""

    url: str  # ends with /csc/v1 or /csc/v2
    credential: str  # its credentialID
    access_token: PinSource | None = None
    username: str | None = None
    password: PinSource | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret: PinSource | None = None
    timeout_seconds: float = Field(30, gt=0)


class CredentialSettings(_Section):
    """One signing key, found by any of its names."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    module: Path | None = None
    token: str | None = None
    key_id: str | None = None  # CKA_ID, hex
    label: str | None = None
    serial: str | None = None  # certificate serial, hex or decimal
    subject: str | None = None
    csc: CscSettings | None = None
    pkcs12: Path | None = None
    key: Path | None = None  # a private key file (PKCS#8, PEM or DER) beside `certificate`
    password: PinSource | None = None
    pin: PinSource | None = None
    certificate: Path | None = None  # of a key file, or where the token holds a key alone
    chain: tuple[Path, ...] = ()  # further certificates, where the token holds only the leaf
    image: str | None = None  # of its signature or seal: a file name in [appearance] image_dir
    image_mm: float | None = Field(None, gt=3, le=300)  # the real width of a seal
    disabled: bool = False


class AppearanceSettings(_Section):
    """What visible signatures are made of."""

    image_dir: Path | None = None  # pictures of signatures and seals, by file name
    font: Path | None = None  # TrueType or OpenType with Vietnamese; default: Tinos (Times metrics)
    font_italic: Path | None = None


class TsaSettings(_Section):
    """One timestamp authority; they are asked in the order given."""

    name: str
    url: str
    timeout_seconds: float = Field(30, gt=0)
    concurrency: int = Field(8, ge=1, le=256)  # calls at most that run at once, in each process
    username: str | None = None
    password: PinSource | None = None


class LimitSettings(_Section):
    """Limits of one worker process, and how many of them a process of the service has."""

    memory_bytes: int = Field(2 * GIB, ge=256 * MIB)
    cpu_seconds: int = Field(60, ge=1)
    wall_seconds: float = Field(120, gt=0)
    workers: int = Field(default_factory=lambda: os.cpu_count() or 2, ge=1)  # that verify
    # that write; mostly they wait for timestamps, of which an authority is asked for eight at a time
    signing_workers: int = Field(6, ge=1, le=256)
    # how long what was established of a signer's certificate serves for further signatures; 0: not at all
    standing_seconds: float = Field(60, ge=0, le=300)


class TimestampSettings(_Section):
    """What holds for all timestamp authorities."""

    deadline_seconds: float = Field(300, gt=0)  # over all of them, for one timestamp
    max_accuracy_seconds: float = Field(60, gt=0)  # a token that claims to be less exact is refused
    unknown_status: Literal["accept", "refuse"] = "accept"  # of the authority's certificate; revoked is refused


class JobSettings(_Section):
    """Work that is done later, by `signsvc worker`."""

    worker: bool = True  # `signsvc serve` runs a worker beside it
    threads: int = Field(2, ge=1, le=64)  # items in work at a time, in each worker
    queue_url: str | None = None  # default: SQLite in the data directory, or PostgreSQL where the database is there
    lease_seconds: float = Field(60, ge=1)  # after which the work of a worker that died is given to another
    poll_seconds: float = Field(1, gt=0, le=60)
    retry_seconds: float = Field(5, gt=0)  # before the second try; each further one doubles it, up to
    retry_max_seconds: float = Field(600, gt=0)
    give_up_days: float = Field(7, gt=0)


class SessionSettings(_Section):
    """Signing sessions, whose keys are elsewhere; all in seconds."""

    wait_seconds: float = Field(900, gt=0)  # for the signer
    fresh_seconds: float = Field(600, gt=0)  # after which a prepared time of signing is too old
    complete_seconds: float = Field(86_400, gt=0)  # in which a document with its value has to be completed
    remember_seconds: float = Field(86_400, gt=0)  # after their end


class Settings(BaseSettings):
    """Everything an installation decides."""

    model_config = SettingsConfigDict(
        env_prefix="SIGNSVC_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        secrets_dir=None,
    )

    mode: Literal["trial", "production"] = "production"
    data_dir: Path = Field(default_factory=data_dir)
    secrets_dir: Path | None = None
    runtime_dir: Path | None = None  # private directory for the token sockets; default: run/ in the data directory
    policy: str = "hon-hop"  # default policy of POST /v1/verify and the page
    trust_profiles: tuple[str, ...] = ()  # further trust profiles beside those of the policy, e.g. "test"
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    store: StoreSettings = StoreSettings()
    reports: ReportSettings = ReportSettings()
    webhooks: WebhookSettings = WebhookSettings()
    net: NetSettings = NetSettings()
    tokens: tuple[TokenSettings, ...] = ()
    credentials: tuple[CredentialSettings, ...] = ()
    tsa: tuple[TsaSettings, ...] = ()
    limits: LimitSettings = LimitSettings()
    appearance: AppearanceSettings = AppearanceSettings()
    timestamps: TimestampSettings = TimestampSettings()
    jobs: JobSettings = JobSettings()
    sessions: SessionSettings = SessionSettings()
    allow_software_keys: bool = False  # keys of files (pkcs12, key) in production mode

    @property
    def database_url(self) -> str:
        return self.store.database_url or f"sqlite:///{self.data_dir / 'signsvc.db'}"

    @property
    def blob_dir(self) -> Path:
        return self.store.blob_dir or self.data_dir / "blobs"

    @property
    def run_dir(self) -> Path:
        """Where the token processes' sockets are: a private directory of this user.

        A socket's path may take about 100 octets, so that a deep data directory gets a short one elsewhere.
        """
        if self.runtime_dir is not None:
            return self.runtime_dir
        beside = self.data_dir.absolute() / "run"
        if len(os.fsencode(beside)) <= _MAX_RUN_DIR:
            return beside
        name = hashlib.sha256(os.fsencode(beside)).hexdigest()[:12]
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(base) / f"signsvc-{os.getuid()}-{name}"

    @property
    def trust_dir(self) -> Path:
        return self.data_dir / "trust"

    @property
    def webhook_key_file(self) -> Path:
        return self.webhooks.key_file or self.data_dir / "webhook.key"

    @property
    def spool_dir(self) -> Path:
        """Where bodies are spooled: on the data directory's disk, so that a signed file need not cross disks."""
        return self.data_dir / "spool"

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    @property
    def index_dir(self) -> Path:
        """Where indexes of revocation lists are."""
        return self.cache_dir / "crl-index"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings]
        secrets = Path(os.environ.get("SIGNSVC_SECRETS_DIR", "/run/secrets"))
        if secrets.is_dir():
            sources.append(SecretsSettingsSource(settings_cls, secrets_dir=secrets))
        if (file := config_file()) is not None:
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=file))
        return tuple(sources)

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """Read the settings.  Raises `ConfigError` (``configuration_invalid``) that names the wrong member, never
        its value."""
        import tomllib

        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors(include_input=False, include_context=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(reason=f"{where}: {first['msg']}") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(reason=f"{config_file()}: {error}") from None
        except OSError as error:
            raise ConfigError(reason=f"{error.filename}: {error.strerror}") from None
