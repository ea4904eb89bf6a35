"""``signsvc demo``: the whole service on real parts: test PKI, SoftHSM2 token, responders, HTTP, verdicts."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from signsvc import samples
from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM
from signsvc.errors import ConfigError

_READY_SECONDS = 30
_MARK = ".signsvc-demo"  # stands in directories that a demonstration made and may remove

# What is signed, by whom, and where the stamp stands (points from the lower left corner).
_STEPS: dict[str, tuple[dict[str, Any], ...]] = {
    "van-ban.pdf": (
        {
            "profile": "pades-b-lta",
            "credential": "person",
            "reason": "Phê duyệt",
            "location": "Hà Nội",
            "visible": {"page": -1, "rect": [330, 120, 540, 190], "template": "simple"},
        },
        {
            "profile": "pades-b-lta",
            "credential": "agency",
            "reason": "Ban hành",
            "visible": {"page": -1, "rect": [330, 40, 540, 110], "template": "simple"},
        },
    ),
    "ban-quet.pdf": ({"profile": "pades-b-lta", "credential": "agency", "reason": "Sao y"},),
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the demonstration keeps its things."""

    source: Path  # the source checkout
    out: Path

    @property
    def config(self) -> Path:
        return self.out / "signsvc.toml"


@click.command()
@click.option("--once", is_flag=True, help="Do everything, then exit instead of staying up.")
@click.option("--dir", "directory", type=click.Path(file_okay=False, path_type=Path), help="[default: var/demo]")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free port.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document when all is done; the rest goes to stderr."
)
def demo(once: bool, directory: Path | None, port: int, as_json: bool) -> int:
    """Run the whole service on a test PKI and a SoftHSM2 token: sign two PDFs over HTTP at B-LTA, verify them over
    HTTP and on the command line, and stay up until Ctrl-C.  Needs a source checkout and softhsm2."""
    source = Path(__file__).resolve().parents[2]
    if not (source / "test_pki" / "__init__.py").is_file():
        raise ConfigError(reason="the demonstration needs the source checkout (folder test_pki)")
    sys.path.insert(0, str(source))
    place = _Place(source, (directory or source / "var" / "demo").resolve())
    with contextlib.ExitStack() as stack:
        stack.enter_context(_cleared(place, ours=directory is None))
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)  # whatever ends us, the service ends too
        spoken = contextlib.ExitStack()
        if as_json:
            spoken.enter_context(contextlib.redirect_stdout(sys.stderr))
        with spoken:
            bind = f"127.0.0.1:{_free_port(port)}"
            environment = _prepare(place, bind, stack)
            stack.enter_context(_service(place, bind, environment))
            status = _work(place, bind, environment)
            _addresses(place, bind)
        if as_json:
            click.echo(json.dumps(_summary(place, bind), ensure_ascii=False))
        if once or status != EXIT_PASSED:
            return status
        click.echo("Nhấn Ctrl-C để dừng. / Press Ctrl-C to stop.", err=as_json)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return EXIT_PASSED


@contextlib.contextmanager
def _cleared(place: _Place, *, ours: bool) -> Iterator[None]:
    """An empty directory; what is there is removed only where an earlier demonstration made it and has ended."""
    mark = place.out / _MARK
    if place.out.exists():
        if not ours and any(place.out.iterdir()) and not mark.is_file():
            raise click.UsageError(f"--dir: {place.out} holds other files; name a new directory")
        if mark.is_file():
            with _held(mark, place):
                pass
        shutil.rmtree(place.out)
    place.out.mkdir(parents=True)
    mark.touch()
    with _held(mark, place):
        yield


@contextlib.contextmanager
def _held(mark: Path, place: _Place) -> Iterator[None]:
    with mark.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.UsageError(f"a demonstration runs in {place.out}; end it, or name another --dir") from None
        yield


def _summary(place: _Place, bind: str) -> dict[str, Any]:
    reports = (json.loads(path.read_text("utf-8")) for path in sorted(place.out.glob("*.report.json")))
    return {
        "directory": str(place.out),
        "url": f"http://{bind}",
        "pages": {"verify": f"http://{bind}/verify", "docs": f"http://{bind}/docs"},
        "documents": [{"name": r["document"]["name"], "indication": r["indication"]} for r in reports],
    }


def _prepare(place: _Place, bind: str, stack: contextlib.ExitStack) -> dict[str, str]:
    """PKI, token, responders, trust, configuration, API key; the environment that the service needs."""
    import test_pki
    from test_pki import responders, softhsm

    _say("Tạo hạ tầng khóa công khai thử nghiệm", "Making the test PKI")
    pki = test_pki.load(place.out / "pki")
    try:
        token = softhsm.create(pki, place.out / "softhsm")
    except FileNotFoundError:
        raise ConfigError(reason="softhsm2 is not installed: apt-get install softhsm2") from None
    served = stack.enter_context(responders.Responders(pki))
    _say(f"Máy chủ OCSP, CRL, TSA thử nghiệm: http://{served.address}", "Test responders are up")
    pin = place.out / "token-pin"
    pin.touch(mode=0o600)
    pin.write_text(token.pin)
    tsas = "".join(f'[[tsa]]\nname = "tsa{n}"\nurl = "{url}"\n' for n, url in enumerate(test_pki.TSA_URLS, start=1))
    hosts = "".join(f'"{name}" = "{target}"\n' for name, target in served.host_map.items())
    keys = "".join(
        f'[[credentials]]\nid = "{name}"\nmodule = "{token.module}"\ntoken = "{token.label}"\nlabel = "{name}"\n'
        for name in ("person", "agency", "ec", "rsa3072")
    )
    place.config.write_text(
        f'mode = "trial"\ndata_dir = "{place.out / "data"}"\ntrust_profiles = ["test"]\n'
        f'[server]\nbind = "{bind}"\nworkers = 2\n'
        f'[[tokens]]\nmodule = "{token.module}"\ntoken = "{token.label}"\npin = "file:{pin}"\n'
        f'{keys}{tsas}[net]\nallow = ["{served.address}"]\n[net.host_map]\n{hosts}',
        "utf-8",
    )
    _install_roots(place, pki)
    return {**os.environ, **token.environment, "SIGNSVC_CONFIG": str(place.config)}


def _install_roots(place: _Place, pki: Any) -> None:
    import hashlib

    from signsvc.trust import TrustStore

    store = TrustStore(place.out / "data" / "trust")
    for label in ("root-g2", "sub-g2-state", "sub-g2-software", "sub-g2-tsa"):
        encoded = pki.cert(label)
        store.install("test", encoded, confirm=(hashlib.sha256(encoded).hexdigest(),))
    (place.out / "root-g2.crt").write_bytes(pki.cert("root-g2"))


@contextlib.contextmanager
def _service(place: _Place, bind: str, environment: dict[str, str]) -> Iterator[None]:
    """``signsvc serve`` in a process of its own, ready to answer."""
    log = (place.out / "service.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "signsvc", "serve"], env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            if process.poll() is not None:
                raise ConfigError(reason=f"the service did not start: see {log.name}")
            try:
                if _call(bind, "GET", "/readyz")[0] == 200:
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise ConfigError(reason=f"the service is not ready after {_READY_SECONDS} s: see {log.name}")
            time.sleep(0.1)
        _say(f"Dịch vụ đang chạy: http://{bind}", "The service is up")
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def _work(place: _Place, bind: str, environment: dict[str, str]) -> int:
    """Sign both samples over HTTP, verify them over HTTP and with the command line."""
    from signsvc.settings import Settings
    from signsvc.store import Scope, Store

    settings = Settings.load(data_dir=place.out / "data")
    store = Store(settings.database_url, settings.blob_dir)
    key = store.api_keys.create("demo", [Scope.SIGN, Scope.VERIFY, Scope.READ], now=datetime.now(UTC)).secret
    store.close()
    (place.out / "api-key").touch(mode=0o600)
    (place.out / "api-key").write_text(key)
    signed = [_sign(place, bind, key, name, steps) for name, steps in _STEPS.items()]
    verdicts = [_verify(bind, key, path) for path in signed]
    passed = all(verdicts)
    click.echo("$ signsvc verify " + " ".join(path.name for path in signed))
    sys.stdout.flush()
    command = [sys.executable, "-m", "signsvc", "verify", *(path.name for path in signed)]
    done = subprocess.run(command, env=environment, cwd=place.out, check=False, stdout=sys.stdout)
    passed &= done.returncode == EXIT_PASSED
    return EXIT_PASSED if passed else EXIT_PROBLEM


def _sign(place: _Place, bind: str, key: str, name: str, steps: tuple[dict[str, Any], ...]) -> Path:
    content = samples.path(name).read_bytes()
    for step in steps:
        request = {**step, "document": {"content": base64.b64encode(content).decode(), "name": name}}
        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "Accept": "application/pdf",
            "Idempotency-Key": f'"{uuid.uuid4()}"',
        }
        status, _, body = _call(bind, "POST", "/v1/sign", json.dumps(request).encode(), headers)
        if status != 200:
            raise ConfigError(reason=f"signing {name} answered {status}: {body.decode('utf-8', 'replace')}")
        content = body
        click.echo(f"POST /v1/sign  {name}  {step['credential']}  {step['profile']}: {len(body)} byte")
    target = place.out / name.replace(".pdf", "-signed.pdf")
    target.write_bytes(content)
    return target


def _verify(bind: str, key: str, path: Path) -> bool:
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/pdf",
        "Content-Disposition": f'attachment; filename="{path.name}"',
        "Accept": "application/json",
    }
    status, _, body = _call(bind, "POST", "/v1/verify", path.read_bytes(), headers)
    report = json.loads(body)
    if status != 200:
        raise ConfigError(reason=f"verifying {path.name} answered {status}: {body.decode('utf-8', 'replace')}")
    path.with_suffix(".report.json").write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    page = _call(bind, "GET", f"/v1/reports/{report['id']}.html", headers={"Authorization": f"Bearer {key}"})
    path.with_suffix(".report.html").write_bytes(page[2])
    click.echo(f"POST /v1/verify  {path.name}: {report['conclusion']['vi']} ({report['indication']})")
    return bool(report["indication"] == "TOTAL-PASSED")


def _addresses(place: _Place, bind: str) -> None:
    click.echo(
        f"""
Kết quả / Results: {place.out}
  *-signed.pdf, *.report.json, *.report.html, root-g2.crt, api-key
Trang kiểm tra chữ ký / Verify page:  http://{bind}/verify
Tài liệu API / API documentation:     http://{bind}/docs
OpenAPI:                              http://{bind}/openapi.json
"""
    )


def _call(
    bind: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """One request to the service on this machine."""
    host, _, port = bind.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=120)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _say(vi: str, en: str) -> None:
    click.echo(f"• {vi} / {en}")
