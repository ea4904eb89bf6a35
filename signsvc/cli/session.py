"""``signsvc session``: sign with a key of this machine through a service elsewhere."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli import files, signing
from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM, show_error
from signsvc.errors import InternalError, SignsvcError, UpstreamError

if TYPE_CHECKING:
    from signsvc.keys.signer import Signer
    from signsvc.net import HttpClient

# What a service may answer, and how long it may take for it: it waits for timestamps.
_MOST = 1 << 30
_SECONDS = 900.0


@click.group(help="Sign with a key of this machine through a service elsewhere.")
def session() -> None:
    pass


@session.command("sign")
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--service", metavar="URL", required=True, help="The service, e.g. https://kyso.example.vn.")
@click.option("--api-key-source", metavar="prompt|env:NAME|file:PATH|fd:N", required=True, help="Where its key is.")
@click.option("--credential", metavar="ID", help="The signing key here (signsvc token list).")
@click.option("--pkcs12", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Trials: a software key.")
@click.option("--profile", metavar="ID", required=True, help="What to produce: a profile of the service.")
@click.option("--pin-source", metavar="prompt|env:NAME|file:PATH|fd:N", help="Where the PIN comes from.")
@click.option("--reason", help="Why it is signed, e.g. Phê duyệt.")
@click.option("--location", help="Where it is signed.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The signed file.")
@click.option("--out-dir", type=click.Path(file_okay=False, path_type=Path), help="Where signed files go.")
@click.option("--json", "as_json", is_flag=True, help="One JSON result a line on standard output.")
def sign(
    paths: tuple[Path, ...],
    service: str,
    api_key_source: str,
    credential: str | None,
    pkcs12: Path | None,
    profile: str,
    pin_source: str | None,
    reason: str | None,
    location: str | None,
    out: Path | None,
    out_dir: Path | None,
    as_json: bool,
) -> int:
    """Sign files: the service prepares and completes them, the key signs here.

    Before the key signs, what is to be signed is compared with the file.  Exit codes: 0 all signed, 4 any could not
    be signed, 64 usage.
    """
    if (credential is None) == (pkcs12 is None):
        raise click.UsageError("one of --credential and --pkcs12 is needed")
    todo = signing.targets(paths, out, out_dir, "-signed")
    if not todo:
        return EXIT_PASSED
    from signsvc.keys import Keyring, Pkcs12Config
    from signsvc.keys.pins import PinSource, resolve
    from signsvc.services import Services
    from signsvc.settings import Settings

    settings = Settings.load()
    key = resolve(PinSource.parse(api_key_source)).secret.reveal()
    with Services(settings, pin_source=pin_source) as services:
        if pkcs12 is not None:
            services.keyring = Keyring((), (), (Pkcs12Config(pkcs12, "pkcs12", pin_source or "prompt"),), "trial")
        signer = services.keyring.get("pkcs12" if pkcs12 is not None else str(credential))
        remote = Remote(service, key, settings.net.ca_file)
        wishes = {k: v for k, v in (("reason", reason), ("location", location)) if v is not None}
        return _signed(remote, signer, todo, profile, wishes, as_json=as_json)


class Remote:
    """A service, called with an API key."""

    def __init__(self, url: str, key: str, ca_file: Path | None = None) -> None:
        """Raises `click.UsageError` for addresses that would show the key to the network."""
        from urllib.parse import urlsplit

        from signsvc.net import HttpClient, NetRules

        parts = urlsplit(url)
        local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme not in ("https", "http") or not parts.hostname or (parts.scheme == "http" and not local):
            raise click.UsageError("--service takes an https:// address")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        place = f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        rules = NetRules(
            allow=(place,),
            total_timeout=_SECONDS,
            max_bytes={"other": _MOST},
            max_redirects=0,
            ca_file=str(ca_file) if ca_file else None,
        )
        self._http: HttpClient = HttpClient(rules)
        self._base = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, */*;q=0.5"}

    def get(self, path: str) -> bytes:
        """Raises the service's problem, `UpstreamError`."""
        return self._read(self._http.get(self._base + path, headers=self._headers))

    def send(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> dict[str, Any]:
        """Like `get`."""
        answer = self._http.send(method, self._base + path, body, content_type=content_type, headers=self._headers)
        found = json.loads(self._read(answer))
        if not isinstance(found, dict):
            raise UpstreamError("outbound_failed", reason="protocol")
        return found

    @staticmethod
    def _read(answer: Any) -> bytes:
        from signsvc.verification.processes import problem

        if answer.status < 300:
            return bytes(answer.body)
        with suppress(ValueError):
            found = json.loads(answer.body)
            error = problem(found if isinstance(found, dict) else None)
            if not isinstance(error, InternalError):
                raise error
        raise UpstreamError("outbound_failed", reason=f"http_{answer.status}")


def _signed(
    remote: Remote,
    signer: Signer,
    todo: Mapping[Path, Path],
    profile: str,
    wishes: Mapping[str, str],
    *,
    as_json: bool,
) -> int:
    sources = list(todo)
    body, kind = _form(sources, {"profile": profile, "params": dict(wishes)})
    found = remote.send("POST", "/v1/signing-sessions", body, kind)
    place = f"/v1/signing-sessions/{found['id']}"
    finished = False
    try:
        chain = [_b64(c.der) for c in signer.certificate_chain]
        found = remote.send("PUT", f"{place}/certificate", _json({"certificates": chain}))
        values = _values(remote, signer, found, sources)
        found = remote.send("PUT", f"{place}/signatures", _json({"signatures": values}))
        finished = True
    finally:
        if not finished:
            with suppress(SignsvcError):
                remote.send("DELETE", place, b"")
    status = EXIT_PASSED
    with files.progress(len(sources), "Đang tải về") as step:
        for source, document in zip(sources, found["documents"], strict=True):
            status = max(status, _take(remote, source, todo[source], document, as_json=as_json))
            step()
    return status


# Of files that are not the document with a signature in it.
_ENDINGS = {
    "application/pkcs7-signature": ".p7s",
    "application/pkcs7-mime": ".p7m",
    "application/vnd.etsi.asic-s+zip": ".asics",
    "application/vnd.etsi.asic-e+zip": ".asice",
}


def _values(
    remote: Remote, signer: Signer, found: Mapping[str, Any], sources: Sequence[Path]
) -> list[dict[str, object]]:
    """The signature values, each made after what is signed was compared with the file."""
    import base64
    import hashlib

    from signsvc.formats.cms.write import digest_of
    from signsvc.signing.sessions import signer_side

    algorithm = signer_side.algorithm(found["algorithm"]["scheme"], found["algorithm"]["digest"])
    name = digest_of(algorithm)
    asked: list[tuple[int, bytes]] = []
    for source, document in zip(sources, found["documents"], strict=True):
        if document["state"] != "prepared":
            continue
        attributes = base64.b64decode(document["to_be_signed"]["attributes"])
        revision = document["revision"]
        if revision is None:
            signer_side.check_file(source, attributes, signer.certificate, name)
            signed = hashlib.new(name, attributes).digest() if algorithm.digest else attributes
            asked.append((document["id"], signed))
            continue
        added = remote.get(revision["href"])
        gap = (int(revision["gap"]["start"]), int(revision["gap"]["end"]))
        signer_side.check(source, added, gap, attributes, signer.certificate, name)
        signed = hashlib.new(name, attributes).digest() if algorithm.digest else attributes
        asked.append((document["id"], signed))
    # All of them are compared before the first is signed.
    return [{"id": number, "value": _b64(signer.sign(signed, algorithm))} for number, signed in asked]


def _take(remote: Remote, source: Path, target: Path, document: Mapping[str, Any], *, as_json: bool) -> int:
    """Write one signed file, or say why there is none."""
    import hashlib

    from signsvc.verification.processes import problem

    if document["document"] is None:
        error = problem(document["problem"])
        if as_json:
            click.echo(_json({"document": {"name": source.name}, "problem": document["problem"]}))
        else:
            show_error(error, str(source))
        return EXIT_PROBLEM
    content = remote.get(document["document"]["href"])
    media_type = document["document"].get("media_type", "application/pdf")
    whole = media_type != "application/pdf" or _begins(content, source)
    target = target.with_name(source.name + _ENDINGS[media_type]) if media_type in _ENDINGS else target
    if hashlib.sha256(content).hexdigest() != document["document"]["sha256"] or not whole:
        show_error(UpstreamError("outbound_failed", reason="protocol"), str(source))
        return EXIT_PROBLEM
    handle, name = tempfile.mkstemp(prefix=".signsvc-", dir=target.absolute().parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), source.stat().st_mode & 0o666)
            stream.write(content)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)
    level = document["signature"]["level"].partition("-")[2]
    if as_json:
        output = {"path": str(target), "sha256": document["document"]["sha256"], "size": len(content)}
        answer = {"document": {"name": source.name}, "output": output, "signature": document["signature"]}
        click.echo(_json({**answer, "warnings": document["warnings"]}))
    else:
        click.echo(f"{target}: {level}")
    return EXIT_PASSED


def _begins(content: bytes, source: Path) -> bool:
    """Whether the signed file is the file that was sent, with something behind it."""
    data = source.read_bytes()
    return len(content) > len(data) and content.startswith(data)


def _form(sources: Sequence[Path], params: Mapping[str, Any]) -> tuple[bytes, str]:
    import secrets

    cut = secrets.token_hex(16)
    head = f'--{cut}\r\nContent-Disposition: form-data; name="params"\r\n\r\n'.encode()
    documents = [{"file_name": path.name[:255]} for path in sources]
    parts = [head, _json({**params, "documents": documents}), b"\r\n"]
    for number, path in enumerate(sources):
        name = f'--{cut}\r\nContent-Disposition: form-data; name="document"; filename="{number}"\r\n\r\n'
        parts += [name.encode(), path.read_bytes(), b"\r\n"]
    return b"".join((*parts, f"--{cut}--\r\n".encode())), f"multipart/form-data; boundary={cut}"


def _b64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode("ascii")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
