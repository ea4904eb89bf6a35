"""``signsvc doctor``: what works on this machine, what is missing and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

import click

from signsvc.cli.config import Line, examine, show
from signsvc.errors import SignsvcError

if TYPE_CHECKING:
    from signsvc.settings import Settings

_PACKAGES = ("pyhanko", "asn1crypto", "cryptography", "python-pkcs11", "flask", "gunicorn")
_FREE = 1024**3  # a service that spools bodies of 1 GB wants at least as much room


@click.command()
@click.option("--online", is_flag=True, help="Also ask each timestamp authority for one timestamp.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def doctor(online: bool, as_json: bool) -> int:
    """Say what works on this machine and what is missing.  Exit code 4 where something is broken."""
    from signsvc.settings import Settings

    settings = Settings.load()
    lines = [
        *_machine(settings),
        *examine(settings),
        *_authorities(settings),
        *_reports(settings),
        *_jobs(settings),
        *_tokens(),
    ]
    return show([*lines, *(_tsa() if online else ())], as_json=as_json)


def _machine(settings: Settings) -> Iterator[Line]:
    from cryptography.hazmat.backends.openssl import backend

    yield Line("python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or later")
    yield Line("openssl", True, backend.openssl_version_text())
    for name in _PACKAGES:
        try:
            yield Line(name, True, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Line(name, False, "not installed", "pip install signsvc")
    place = settings.data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    yield Line("disk", free >= _FREE or None, f"{free // 1024**2} MB free at {place}", "make room, or move data_dir")
    heartbeat = "/dev/shm"  # noqa: S108 - where gunicorn keeps its workers' heartbeat files
    usable = os.access(heartbeat, os.W_OK)
    yield Line(heartbeat, usable or None, "writable" if usable else "not writable", "docker run --shm-size 64m")


def _authorities(settings: Settings) -> Iterator[Line]:
    """How timestamp authorities did lately, as the processes of this machine noted it."""
    from signsvc.trust.tsa_health import TsaHealth

    health = TsaHealth(settings.cache_dir / "tsa-health")
    for one in settings.tsa:
        found = health.of(one.name)
        if found.failures:
            said = f"failed {found.failures} times in a row, last: {found.reason}"
            vi = f"lỗi {found.failures} lần liên tiếp, lần cuối: {found.reason}"
            yield Line(f"tsa {one.name}", None, said, "signsvc doctor --online", vi)


def _reports(settings: Settings) -> Iterator[Line]:
    """Whether reports carry a seal."""
    wanted = settings.reports
    if wanted.seal_credential is None:
        said, vi = "reports leave unsealed", "báo cáo không được đóng dấu số"
        yield Line("report seal", None, said, 'set [reports] seal_credential = "…"', vi)
    elif wanted.seal_credential not in {one.id for one in settings.credentials}:
        said = f"no credential {wanted.seal_credential}"
        yield Line("report seal", False, said, "signsvc token list", f"không có khóa {wanted.seal_credential}")
    else:
        yield Line("report seal", True, wanted.seal_credential)


def _jobs(settings: Settings) -> Iterator[Line]:
    """What was put off and is not done."""
    from signsvc.store import Store

    local = settings.database_url.removeprefix("sqlite:///")
    if local != settings.database_url and not os.path.exists(local):  # noqa: PTH110 - no store yet, none is made
        return
    store = Store(settings.database_url, settings.blob_dir)
    try:
        counts: dict[str, int] = {}
        for (_, state), count in store.jobs.unfinished().items():
            counts[state.value] = counts.get(state.value, 0) + count
        failing = [one for one in store.webhooks.list(everyone=True) if one.failing_since or one.disabled_at]
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, that is the line
        yield Line("jobs", False, f"the database does not answer: {type(error).__name__}", "check store.database_url")
        return
    finally:
        store.close()
    for one in failing:
        since = f"{one.failing_since:%Y-%m-%dT%H:%M:%SZ}" if one.failing_since else "410"
        yield Line(
            f"webhook {one.id}", None, f"{one.url}: not delivered since {since}", f"signsvc webhook show {one.id}"
        )
    if counts:
        said = ", ".join(f"{name}={count}" for name, count in sorted(counts.items()))
        yield Line("jobs", None if counts.get("failed") else True, said, "signsvc jobs list")


def _tokens() -> Iterator[Line]:
    from signsvc.services import Services

    services = Services.load()
    try:
        for credential in services.keyring.list():
            usable = credential.status == "ready"
            detail = f"{credential.subject or '?'}; {credential.status}"
            yield Line(f"key {credential.id}", usable or None, detail, f"signsvc token test {credential.id}")
    except SignsvcError as error:
        yield Line("tokens", False, error.text("en"), "signsvc token list", error.text("vi"))
    finally:
        services.close()


def _tsa() -> Iterator[Line]:
    import hashlib
    from datetime import UTC, datetime

    from signsvc.services import Services

    services = Services.load()
    try:
        if services.settings.tsa:
            token = services.tsa.timestamp(hashlib.sha256(b"signsvc doctor").digest(), "sha256", now=datetime.now(UTC))
            yield Line("timestamp", True, f"{token.tsa} at {token.gen_time:%Y-%m-%dT%H:%M:%SZ}")
    except SignsvcError as error:
        mend = "check [[tsa]] url and [net] in the configuration"
        yield Line("timestamp", False, error.text("en"), mend, error.text("vi"))
    finally:
        services.close()
