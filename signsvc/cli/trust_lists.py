"""``signsvc trust import-crl``, ``crls``, ``remove-crl`` and ``refresh``: revocation lists at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_PROBLEM, show_error
from signsvc.errors import RequestError, SignsvcError

if TYPE_CHECKING:
    from signsvc.settings import Settings
    from signsvc.trust.crl import Crl
    from signsvc.trust.imported import ImportedLists
    from signsvc.types import Certificate

_JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
_SUFFIXES = (".crl", ".pem", ".der")


@click.command("import-crl")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--replace", is_flag=True, help="Drop older imported lists of the same issuer and scope.")
@_JSON
def import_crl(paths: tuple[Path, ...], replace: bool, as_json: bool) -> int:
    """Bring in revocation lists (DER, PEM) from files and directories, for networks that reach no server."""
    from signsvc.verification import indexing

    lists, settings = _open()
    authorities = _authorities(settings)
    results: list[dict[str, Any]] = []
    failed = False
    for path, named in _files(paths):
        try:
            kept, crl = lists.add(_read(path), indexing.build, replace=replace)
        except SignsvcError as error:
            if not named and isinstance(error, RequestError):
                continue  # a directory may hold other files
            failed = True
            results.append({"file": str(path), "problem": {"code": error.code, "detail": error.text("en")}})
            if not as_json:
                show_error(error, str(path))
            continue
        facts = {"file": str(path), "sha256": kept.sha256, **_facts(crl, authorities)}
        results.append(facts)
        if not as_json:
            _tell("✓", facts)
    if as_json:
        click.echo(json.dumps({"lists": results}, ensure_ascii=False, indent=2))
    if not results:
        raise RequestError(reason="no revocation list in the directory")
    return EXIT_PROBLEM if failed else 0


@click.command("refresh")
@_JSON
def refresh(as_json: bool) -> int:
    """Ask again for revocation lists in use and those of installed authorities, before anybody waits for them."""
    from signsvc.asn1 import DerError
    from signsvc.services import Services

    with Services.load() as services:
        urls: dict[str, None] = {}
        for certificate in _authorities(services.settings):
            try:
                urls.update(dict.fromkeys(certificate.crl_urls))
            except (DerError, IndexError):
                continue
        found = list(services.evidence.refresh(urls=urls, margin=float("inf")))
    if as_json:
        lists = [{"url": one.url, "changed": one.changed, "problem": one.problem} for one in found]
        click.echo(json.dumps({"lists": lists}, ensure_ascii=False, indent=2))
        return EXIT_PROBLEM if any(one.problem for one in found) else 0
    for one in found:
        if one.problem is not None:
            click.echo(f"✗ {one.url}: {one.problem}", err=True)
        else:
            click.echo(f"✓ {one.url}: {'mới / new' if one.changed else 'không đổi / unchanged'}")
    return EXIT_PROBLEM if any(one.problem for one in found) else 0


@click.command("crls")
@_JSON
def list_crls(as_json: bool) -> int:
    """Imported revocation lists."""
    lists, settings = _open()
    authorities = _authorities(settings)
    found: list[dict[str, Any]] = []
    for one in lists.all():
        encoded = one.read()
        if encoded is None:
            continue
        from signsvc.trust.imported import read_list

        facts = {
            "sha256": one.sha256,
            "imported_at": one.imported_at.isoformat(),
            **_facts(read_list(encoded), authorities),
        }
        found.append(facts)
        if not as_json:
            _tell(" ", facts)
    if as_json:
        click.echo(json.dumps({"lists": found}, ensure_ascii=False, indent=2))
    return 0


@click.command("remove-crl")
@click.argument("sha256")
@_JSON
def remove_crl(sha256: str, as_json: bool) -> int:
    """Remove the imported revocation list with this SHA-256."""
    lists, _ = _open()
    if not lists.remove(sha256):
        raise RequestError("not_found")
    click.echo(json.dumps({"removed": sha256}) if as_json else "✓ đã gỡ / removed")
    return 0


def _open() -> tuple[ImportedLists, Settings]:
    from signsvc.settings import Settings
    from signsvc.trust.imported import ImportedLists

    settings = Settings.load()
    return ImportedLists.below(settings.trust_dir), settings


def _authorities(settings: Settings) -> tuple[Certificate, ...]:
    from signsvc.trust import TrustStore

    store = TrustStore(settings.trust_dir)
    return tuple({item.certificate: None for profile in store.profiles() for item in store.show(profile.id).installed})


def _files(paths: tuple[Path, ...]) -> list[tuple[Path, bool]]:
    """Files, and whether the caller named each."""
    found: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir():
            below = sorted(p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
            found += [(p, False) for p in below]
        else:
            found.append((path, True))
    return found


def _read(path: Path) -> bytes:
    from signsvc.trust.crl import MAX_OCTETS

    try:
        with path.open("rb") as file:
            return file.read(2 * MAX_OCTETS)
    except OSError as error:
        raise RequestError(reason=f"{path}: {error.strerror}") from None


def _facts(crl: Crl, authorities: tuple[Certificate, ...]) -> dict[str, Any]:
    from signsvc.algorithms import SignatureCheck
    from signsvc.types import names

    signer = next((c for c in authorities if crl.issued_by(c) and crl.verify(c) is SignatureCheck.VALID), None)
    return {
        "issuer": names.text(crl.issuer_der),
        "this_update": crl.this_update.isoformat(),
        "next_update": crl.next_update.isoformat() if crl.next_update else None,
        "number": crl.number,
        "delta": crl.is_delta,
        "usable": crl.problem is None,
        "signed_by": signer.subject if signer is not None else None,
    }


def _tell(mark: str, facts: dict[str, Any]) -> None:
    click.echo(f"{mark} {facts['issuer']}")
    click.echo(f"    {facts['this_update']} → {facts['next_update'] or '?'}   SHA-256 {facts['sha256']}")
    if facts["signed_by"] is None:
        click.echo("    chưa có CA đã cài ký danh sách này / signed by no installed authority", err=True)
    if not facts["usable"]:
        click.echo("    danh sách không dùng được / the list cannot be used", err=True)
