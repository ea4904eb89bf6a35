"""The application on small stand-ins for the rooms below: a verifier that reads nothing, a signer that appends."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from signsvc.errors import CredentialError, DocumentError, SignsvcError
from signsvc.keys.signer import CredentialInfo
from signsvc.settings import AuthSettings, ServerSettings, Settings, StoreSettings
from signsvc.signing.appearance.images import Images
from signsvc.store import Scope, Store
from signsvc.web import create_app

PDF = b"%PDF-1.7\n" + b"x" * 200 + b"\n%%EOF\n"
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def sample_report(data: bytes, request: Any, identifier: str) -> dict[str, Any]:
    """A report in the shape of `signsvc.reports.build`, with hostile texts in it."""
    return {
        "id": identifier,
        "validation_time": "2026-11-23T08:00:00Z",
        "document": {
            "name": request.name,
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": len(data),
            "media_type": "application/pdf",
            "pdfa": None,
            "pages": 1,
            "revisions": 1,
        },
        "policy": {"id": request.policy, "version": "1.0", "sha256": "00" * 32, "href": "/v1/policies/hon-hop"},
        "indication": "TOTAL-FAILED",
        "sub_indication": "HASH_FAILURE",
        "conclusion": {"vi": "Chữ ký không hợp lệ", "en": "Invalid signature"},
        "signatures_count": 1,
        "valid_signatures_count": 0,
        "signatures": [
            {
                "id": "s1",
                "field": "<script>alert(1)</script>",
                "indication": "TOTAL-FAILED",
                "sub_indication": "HASH_FAILURE",
                "as_signed": {"indication": "TOTAL-PASSED", "sub_indication": None},
                "format": "PAdES",
                "level": "B-T",
                "scope": {
                    "type": "REVISION",
                    "revision": 1,
                    "of": 2,
                    "byte_ranges": [],
                    "changes_after": [
                        {"revision": 2, "grade": "form-or-signature", "permitted": False, "pages": [1], "fields": ["f"]}
                    ],
                },
                "signed_by": "Nguyễn Văn An",
                "organization": "Văn phòng, UBND tỉnh",
                "claimed_signing_time": "2026-11-22T01:00:00Z",
                "best_signature_time": "2026-11-22T01:00:05Z",
                "time_source": "timestamp",
                "reason": None,
                "location": "Hà Nội",
                "signature_algorithm": "rsa-pkcs1-sha256",
                "chain": [
                    {
                        "subject": "CN=Nguyễn Văn An",
                        "serial": "0a",
                        "not_after": "2028-01-01T00:00:00Z",
                        "status": "good",
                        "source": "ocsp",
                        "produced_at": "2026-11-22T01:00:00Z",
                        "trust_anchor": False,
                    },
                    {"subject": "CN=Root", "serial": "01", "status": "not_checked", "trust_anchor": True},
                ],
                "checks": [
                    {"id": "integrity", "result": "failed"},
                    {"id": "chain", "result": "passed"},
                    {"id": "timestamp", "result": "unknown"},
                    {"id": "changes", "result": "not_applicable"},
                ],
                "timestamps": [
                    {"indication": "TOTAL-PASSED", "time": "2026-11-22T01:00:05Z", "tsa": "TSA 1", "chain": []}
                ],
                "messages": [
                    {"level": "error", "code": "hash_wrong", "text": "Changed.", "text_vi": "Đã bị thay đổi."}
                ],
                "extend_before": "2029-03-01T00:00:00Z",
                "counter_signatures": [],
            }
        ],
        "timestamps": [],
        "messages": [],
        "warnings": [],
    }


class FakeVerifier:
    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.problem: Exception | None = None
        self.gate: threading.Event | None = None
        self.entered = threading.Semaphore(0)

    def verify(self, path: Path, request: Any) -> Any:
        self.entered.release()
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.problem is not None:
            raise self.problem
        data = path.read_bytes()
        if not data.startswith(b"%PDF-"):
            raise DocumentError("unsupported_format")
        self.requests.append(request)
        return SimpleNamespace(report=sample_report(data, request, f"rep_{len(self.requests):032x}"), snapshot=None)

    def pictures(self, path: Path, signature: str | None = None) -> Any:
        raise DocumentError("document_unreadable")


class FakeSigning:
    def __init__(self) -> None:
        self.count = 0
        self.calls: list[tuple[Any, ...]] = []
        self.problem: Exception | None = None
        self.entered = threading.Event()
        self.gate: threading.Event | None = None

    def sign(self, source: Path, target: Path, *, profile: Any, signer: Any, params: Any, more: Any = ()) -> Any:
        self.calls.append((profile.id, signer, params))
        return self._write(source, target, profile.level)

    def extend(
        self,
        source: Path,
        target: Path,
        *,
        level: str,
        policy: str,
        original: Path | None = None,
        original_name: str = "document",
    ) -> Any:
        assert (original, original_name) == (None, "document")
        self.calls.append((level, policy))
        return self._write(source, target, level)

    def _write(self, source: Path, target: Path, level: str) -> Any:
        self.entered.set()
        if self.gate is not None:
            assert self.gate.wait(20)
        self.count += 1
        shutil.copyfile(source, target)
        with target.open("ab") as file:
            file.write(b"signed %d" % self.count)
        if self.problem is not None:
            raise self.problem
        data = target.read_bytes()
        report = sample_report(data, SimpleNamespace(name=None, policy="hon-hop"), f"rep_sign{self.count:028x}")
        return SimpleNamespace(
            level=level, field="Signature1", signed_at=NOW, certificate=None, report=report, warnings=(), tsa=None
        )


class FakeKeyring:
    def list(self) -> tuple[CredentialInfo, ...]:
        return (
            CredentialInfo("office-seal", "pkcs11", "available", "signsvc-test", not_after=NOW + timedelta(days=9)),
        )

    def get(self, id: str) -> str:  # noqa: A002
        if id != "office-seal":
            raise CredentialError("credential_not_found")
        return f"signer:{id}"


class Client(FlaskClient):
    """Reads each answer whole and closes it, as an HTTP client does."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return super().open(*args, **{"buffered": True, **kwargs})


@dataclass
class Stage:
    """The application with its stand-ins and a key for each scope."""

    app: Flask
    settings: Settings
    services: Any
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def spool(self) -> Path:
        return self.settings.data_dir / "spool"

    def auth(self, scope: str = "admin") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets[scope]}"}

    def fail_with(self, error: SignsvcError) -> None:
        self.services.verifier.problem = self.services.signing.problem = error


Staged = Callable[..., Stage]


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[Staged]:
    """Make an application; keyword arguments go to the server section, `auth` and `store` to theirs."""
    stores: list[Store] = []

    def make(
        *, mode: str = "trial", auth: dict[str, Any] | None = None, store: dict[str, Any] | None = None, **server: Any
    ) -> Stage:
        settings = Settings(
            mode=mode,
            data_dir=tmp_path,
            server=ServerSettings(**{"workers": 1, **server}),
            auth=AuthSettings(**(auth or {})),
            store=StoreSettings(**(store or {})),
        )
        kept = Store(settings.database_url, settings.blob_dir)
        stores.append(kept)
        services = SimpleNamespace(
            store=kept,
            verifier=FakeVerifier(),
            signing=FakeSigning(),
            keyring=FakeKeyring(),
            images=Images(tmp_path / "images"),
        )
        app = create_app(settings, services)
        app.test_client_class = Client
        secrets = {str(s): kept.api_keys.create(f"key {s}", [s], now=datetime.now(UTC)).secret for s in Scope}
        return Stage(app, settings, services, secrets)

    yield make
    for kept in stores:
        kept.close()


@pytest.fixture
def stage(staged: Staged) -> Stage:
    return staged()
