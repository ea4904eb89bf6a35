"""``signsvc token``: what is plugged in, and whether a key works."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_PROBLEM, show_error

if TYPE_CHECKING:
    from signsvc.keys import CredentialInfo, Keyring

_MODULE = click.option(
    "--module", "modules", multiple=True, metavar="PATH", help="PKCS#11 module; may be repeated.  [default: configured]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
_KINDS = {
    "csc": "Dịch vụ ký từ xa / Remote signing services",
    "pkcs12": "Tệp PKCS#12 / PKCS#12 files",
    "file": "Tệp khóa / Key files",
}


@click.group()
def token() -> None:
    """Show PKCS#11 modules, tokens and certificates; test keys."""


@token.command("list")
@_MODULE
@_JSON
def list_tokens(modules: tuple[str, ...], as_json: bool) -> int:
    """Modules, slots, tokens and their certificates: expiry and key usage.  Needs no PIN.

    Without --module: the configured modules, else those in the usual places; and the configured keys that are on no
    token: at remote services, which are asked, and in files.
    """
    with _keyring(modules, None) as keyring:
        found = keyring.tokens()
        elsewhere = keyring.elsewhere()
    if as_json:
        answer = {"modules": [_module_json(m) for m in found], "credentials": [_elsewhere_json(c) for c in elsewhere]}
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    elif not found and not elsewhere:
        click.echo("Không tìm thấy mô-đun PKCS#11 nào; hãy dùng --module. / No PKCS#11 module found; use --module.")
    else:
        _tables(found, elsewhere)
    if not as_json:
        for module in found:
            if "problem" in module:
                show_error(module["problem"], module["module"])
    return EXIT_PROBLEM if found and all("problem" in m for m in found) else 0


@token.command("test")
@click.argument("credential")
@_MODULE
@click.option("--pin-source", metavar="SOURCE", help="prompt, env:NAME, file:PATH or fd:N.")
@_JSON
def test_key(credential: str, modules: tuple[str, ...], pin_source: str | None, as_json: bool) -> int:
    """Sign a random digest with CREDENTIAL and verify the value with its certificate."""
    import hashlib
    import secrets
    import time

    from signsvc.keys import default_algorithm

    with _keyring(modules, pin_source) as keyring:
        signer = keyring.get(credential)
        algorithm = default_algorithm(signer.certificate)
        digest = hashlib.new(algorithm.digest or "sha256", secrets.token_bytes(32)).digest()
        started = time.monotonic()
        value = signer.sign(digest, algorithm)  # verified in there, or an error
        elapsed = time.monotonic() - started
    certificate = signer.certificate
    if as_json:
        answer = {
            "credential": credential,
            "subject": certificate.subject,
            "serial_number": f"{certificate.serial_number:x}",
            "algorithm": algorithm.name,
            "signature_bytes": len(value),
            "milliseconds": round(elapsed * 1000, 1),
            "verified": True,
        }
        click.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        name = _printable(certificate.common_name)
        click.echo(f"Khóa hoạt động tốt / The key works: {name} ({algorithm.name}, {elapsed * 1000:.0f} ms)")
    return 0


def _keyring(modules: tuple[str, ...], pin_source: str | None) -> Keyring:
    """Modules named on the command line, else the configured ones, else those found in the usual places."""
    from signsvc.keys import Keyring, ModuleConfig, present_modules, prompt

    if not modules:
        from signsvc.services import Services
        from signsvc.settings import Settings

        settings = Settings.load()
        if settings.tokens or settings.credentials:
            return Services(settings, pin_source=pin_source, prompt=prompt).keyring
    configs = tuple(ModuleConfig(m) for m in modules) or present_modules()
    source = pin_source or "prompt"
    return Keyring([ModuleConfig(c.path, pin_source=source) for c in configs], prompt=prompt)


def _module_json(module: dict[str, Any]) -> dict[str, Any]:
    found = {k: v for k, v in module.items() if k not in ("slots", "problem")}
    error = module.get("problem")
    found["problem"] = (
        {"code": error.code, "message": error.text("en"), "message_vi": error.text("vi")} if error else None
    )
    found["slots"] = [
        {**slot, "certificates": [_certificate_json(c) for c in slot["certificates"]]} for slot in module["slots"]
    ]
    return found


def _elsewhere_json(info: CredentialInfo) -> dict[str, Any]:
    known = _certificate_json(info) if info.certificate is not None else {"id": info.id}
    return {**known, "kind": info.kind, "status": info.status}


def _certificate_json(info: CredentialInfo) -> dict[str, Any]:
    certificate = info.certificate
    assert certificate is not None
    return {
        "id": info.id or None,  # none: a CA certificate, nothing to sign with
        "key_id": info.key_id or None,
        "label": info.key_label or None,
        "subject": info.subject,
        "issuer": certificate.issuer,
        "serial_number": info.serial_number,
        "not_before": _rfc3339(certificate.not_before),
        "not_after": _rfc3339(certificate.not_after),
        "expired": certificate.not_after < datetime.now(UTC),
        "key_type": info.key_type,
        "key_bits": info.key_bits,
        "key_usage": list(info.key_usage),
        "algorithms": list(info.algorithms) if info.id else [],
        "sha256": certificate.sha256.hex(),
    }


def _tables(modules: Any, elsewhere: tuple[CredentialInfo, ...]) -> None:
    import sys

    from rich.console import Console
    from rich.text import Text

    # A pipe has no width of its own: wide enough that nothing is cut.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for module in modules:
        about = " ".join(x for x in (module.get("description"), module.get("version")) if x)
        console.print(Text(_printable(f"{module['module']}  {about}"), style="bold"))
        for slot in module["slots"]:
            console.print(Text("  " + _slot_line(slot)))
            if not slot["certificates"]:
                continue
            console.print(_table(slot["certificates"]))
    for kind, about in _KINDS.items():
        mine = [c for c in elsewhere if c.kind == kind]
        if mine:
            console.print(Text(about, style="bold"))
        for credential in mine:
            if credential.certificate is None:
                console.print(Text(_printable(f"  {credential.id}: {credential.status}"), style="red"))
        if ready := [c for c in mine if c.certificate is not None]:
            console.print(_table(ready))


def _table(infos: Iterable[CredentialInfo]) -> Any:
    """Certificates by their ids."""
    from rich.table import Table
    from rich.text import Text

    now = datetime.now(UTC)
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for head in ("Mã / Id", "Chứng thư / Certificate", "Số hiệu / Serial", "Hết hạn / Expires", "Khóa / Key"):
        table.add_column(head, overflow="fold")
    table.add_column("Mục đích / Usage", overflow="fold")
    for info in sorted(infos, key=lambda i: (not i.id, i.id)):
        certificate = info.certificate
        assert certificate is not None
        expired = certificate.not_after < now
        ending = certificate.not_after.date().isoformat() + (" (đã hết hạn / expired)" if expired else "")
        size = f" {info.key_bits or '?'}" if not (info.key_type or "").startswith("ml-dsa") else ""
        table.add_row(
            Text(info.id or "(CA)"),
            Text(_printable(certificate.common_name)),
            Text(info.serial_number or ""),
            Text(ending, style="red" if expired else ""),
            Text(f"{info.key_type}{size}"),
            Text(", ".join(info.key_usage) or "–"),
            style="" if info.id else "dim",
        )
    return table


def _slot_line(slot: dict[str, Any]) -> str:
    token = slot.get("token")
    if token is None:
        return _printable(f"khe / slot {slot['slot']}: {slot.get('problem') or '–'}")
    notes = [f"{token['manufacturer']} {token['model']}".strip(), f"S/N {token['serial'] or '–'}"]
    if not token["initialized"]:
        notes.append("chưa khởi tạo / not initialised")
    if token["pin_locked"]:
        notes.append("PIN bị khóa / PIN locked")
    elif token["tries_left"] != "many":
        notes.append(f"PIN: {token['tries_left']}")
    label = token["label"] or "–"
    return _printable(f"khe / slot {slot['slot']}: {label} ({', '.join(notes)})")


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _printable(text: str) -> str:
    """Names on tokens and in certificates are foreign: nothing in them may steer a terminal."""
    return "".join(c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)
