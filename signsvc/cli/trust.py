"""``signsvc trust``: which authorities are trusted, and the certificates installed for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_PROBLEM, show_error
from signsvc.cli.trust_import import import_list, remove_list
from signsvc.cli.trust_import import source as list_source
from signsvc.cli.trust_lists import import_crl, list_crls, refresh, remove_crl
from signsvc.errors import RequestError, SignsvcError, TrustError

if TYPE_CHECKING:
    from signsvc.settings import Settings
    from signsvc.trust import Installed, Profile, ProfileEntry, TrustStore
    from signsvc.trust.store import InstallResult, ProfileState, Refused

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
_REASONS = {
    "not_pinned": ("không khớp dấu vân tay nào", "matches no fingerprint"),
    "subject_differs": ("tên khác với danh mục", "its subject differs from the profile's"),
    "name_is_pinned": ("mang tên một gốc đã có dấu vân tay khác", "bears the name of a root with another fingerprint"),
    "not_a_ca": ("không phải chứng thư của tổ chức chứng thực", "is not a certification authority's"),
}


@click.group()
def trust() -> None:
    """Install, list and remove trusted certificates, trusted lists and revocation lists."""


@trust.command("list")
@_JSON
def list_profiles(as_json: bool) -> int:
    """Trust profiles, and how many of their certificates are installed."""
    store, _ = _store()
    states = [store.show(profile.id) for profile in store.profiles()]
    if as_json:
        _print({"profiles": [_summary(state) for state in states]})
        return 0
    for state in states:
        facts = _summary(state)
        counts = f"{facts['anchors']} gốc / root(s), {facts['intermediates']} trung gian / intermediate(s)"
        click.echo(f"{state.profile.id:<12} {counts}")
        click.echo(f"{'':<12} {state.profile.vi} / {state.profile.en}")
    return 0


@trust.command()
@click.argument("profile")
@_JSON
def show(profile: str, as_json: bool) -> int:
    """What PROFILE names, what of it is installed, and where the rest is published."""
    store, _ = _store()
    state = store.show(profile)
    if as_json:
        _print(_detail(state))
        return 0
    click.echo(f"{state.profile.id} {state.profile.version}: {state.profile.vi} / {state.profile.en}")
    if listed := list_source(state.profile.source):
        click.echo(f"  ← {listed['list']}   SHA-256 {listed['sha256']}")
        click.echo(f"      {listed['issued']} → {listed.get('next_update', '?')}   {listed['operator']}")
        click.echo("      ! chữ ký của danh sách chưa được kiểm tra / the list's signature was not checked")
    entries = {entry.id: entry for entry in state.profile.entries}
    for item in state.installed:
        click.echo(f"  ✓ {item.kind:<12} {item.certificate.subject}")
        if (entry := entries.get(item.entry or "")) is not None and entry.service:
            since, sunset = (f"{t:%Y-%m-%d}" if t else "∞" for t in (entry.since, entry.sunset))
            click.echo(f"      {entry.service}   {since} → {sunset}   {entry.note}")
        click.echo(f"      SHA-256 {item.sha256}   {item.basis}   → {item.certificate.not_after:%Y-%m-%d}")
    for entry in state.missing:
        name = ", ".join(f"{key}={value}" for key, value in entry.subject.items()) or entry.note or entry.id
        click.echo(f"  – {entry.kind:<12} {name}")
        pin = f"SHA-256 {entry.sha256}" if entry.sha256 else "chưa có dấu vân tay / no fingerprint (--confirm)"
        click.echo(f"      {pin}   {' '.join(entry.urls)}")
    return 0


@trust.command()
@click.argument("profile")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--confirm", multiple=True, metavar="SHA256", help="A fingerprint you compared with its authority.")
@click.option(
    "--all-from",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Every CA certificate under a directory, unconfirmed; trial mode and trial profiles only.",
)
@_JSON
def install(
    profile: str, files: tuple[Path, ...], confirm: tuple[str, ...], all_from: Path | None, as_json: bool
) -> int:
    """Install certificates (DER, PEM, PKCS#7) that PROFILE pins or that --confirm names."""
    from datetime import UTC, datetime

    if not files and all_from is None:
        raise click.UsageError("Name the certificate files to install.")
    store, settings = _store()
    if all_from is not None and settings.mode != "trial":
        raise RequestError(reason="--all-from needs mode = trial")
    if all_from is not None and not store.profile(profile).trial:
        raise RequestError(reason="--all-from needs a trial profile")
    now = datetime.now(UTC)
    results: list[tuple[Path, InstallResult | SignsvcError]] = []
    for path, unconfirmed in (*((file, False) for file in files), *((file, True) for file in _below(all_from))):
        try:
            results.append((path, store.install(profile, _read(path), confirm, unconfirmed=unconfirmed, now=now)))
        except SignsvcError as error:
            # A directory of a test hierarchy holds leaves and lists beside its authorities.
            if not unconfirmed:
                results.append((path, error))
    if as_json:
        _print({"profile": profile, "files": [_result(path, result) for path, result in results]})
    else:
        for path, result in results:
            _tell(path, result)
    if all_from is not None and not results:
        raise RequestError(reason="no CA certificate in the directory")
    return EXIT_PROBLEM if any(isinstance(result, SignsvcError) for _, result in results) else 0


@trust.command()
@click.argument("profile")
@click.argument("sha256")
@_JSON
def remove(profile: str, sha256: str, as_json: bool) -> int:
    """Remove the installed certificate with fingerprint SHA256 from PROFILE."""
    store, _ = _store()
    removed = store.remove(profile, sha256)
    if as_json:
        _print({"profile": profile, "removed": _installed(removed)})
    else:
        click.echo(f"✓ {removed.certificate.subject}: đã gỡ / removed")
    return 0


trust.add_command(import_list)
trust.add_command(remove_list)
trust.add_command(import_crl)
trust.add_command(list_crls)
trust.add_command(remove_crl)
trust.add_command(refresh)


def _store() -> tuple[TrustStore, Settings]:
    from signsvc.settings import Settings
    from signsvc.trust import TrustStore

    settings = Settings.load()
    return TrustStore(settings.trust_dir), settings


def _below(directory: Path | None) -> list[Path]:
    if directory is None:
        return []
    suffixes = (".crt", ".cer", ".der", ".pem", ".p7b", ".p7c")
    return sorted(path for path in directory.rglob("*") if path.suffix.lower() in suffixes and path.is_file())


def _read(path: Path) -> bytes:
    from signsvc.trust.bundle import MAX_FILE

    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise RequestError(reason=f"{path}: {error.strerror}") from None


def _tell(path: Path, result: InstallResult | SignsvcError) -> None:
    if isinstance(result, SignsvcError):
        show_error(result, str(path))
        reason = result.data.get("reason")
        if isinstance(result, TrustError) and isinstance(reason, str) and reason in _REASONS:
            click.echo("    " + " / ".join(_REASONS[reason]), err=True)
        return
    for item in result.installed:
        click.echo(f"✓ {path}: {item.certificate.subject} ({item.kind}, {item.basis})")
    for refused in result.refused:
        vi, en = _REASONS[refused.reason]
        click.echo(f"– {path}: {refused.certificate.subject}: {vi} / {en}", err=True)
        click.echo(f"    SHA-256 {refused.certificate.sha256.hex()}", err=True)


def _print(data: dict[str, Any]) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def _summary(state: ProfileState) -> dict[str, Any]:
    kinds = [item.kind for item in state.installed]
    return {
        **_profile(state.profile),
        "anchors": kinds.count("anchor"),
        "intermediates": kinds.count("intermediate"),
        "missing": len(state.missing),
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        "version": profile.version,
        "title_vi": profile.vi,
        "title": profile.en,
        "trial": profile.trial,
    }


def _detail(state: ProfileState) -> dict[str, Any]:
    missing = [
        {
            "id": entry.id,
            "kind": entry.kind,
            "subject": dict(entry.subject),
            "sha256": entry.sha256,
            "urls": list(entry.urls),
            "note": entry.note,
        }
        for entry in state.missing
    ]
    entries = {entry.id: entry for entry in state.profile.entries}
    return {
        **_profile(state.profile),
        "host_map": dict(state.profile.host_map),
        "source": list_source(state.profile.source),
        "installed": [{**_installed(item), **_listed(entries.get(item.entry or ""))} for item in state.installed],
        "missing": missing,
    }


def _installed(item: Installed) -> dict[str, Any]:
    certificate = item.certificate
    return {
        "id": item.entry,
        "kind": item.kind,
        "basis": item.basis,
        "sha256": item.sha256,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial_number": f"{certificate.serial_number:x}",
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "installed_at": item.installed_at,
    }


def _listed(entry: ProfileEntry | None) -> dict[str, Any]:
    """What limits the trust in an entry, where anything does."""
    if entry is None:
        return {}
    times = {"since": entry.since, "sunset": entry.sunset}
    found: dict[str, Any] = {name: moment.isoformat() for name, moment in times.items() if moment}
    return found | {k: v for k, v in (("use", entry.use), ("service", entry.service)) if v}


def _refused(refused: Refused) -> dict[str, Any]:
    return {
        "subject": refused.certificate.subject,
        "sha256": refused.certificate.sha256.hex(),
        "reason": refused.reason,
    }


def _result(path: Path, result: InstallResult | SignsvcError) -> dict[str, Any]:
    if isinstance(result, SignsvcError):
        problem = {"code": result.code, "detail_vi": result.text("vi"), "detail": result.text("en"), **result.data}
        return {"file": str(path), "installed": [], "refused": [], "problem": problem}
    return {
        "file": str(path),
        "installed": [_installed(item) for item in result.installed],
        "refused": [_refused(item) for item in result.refused],
    }
