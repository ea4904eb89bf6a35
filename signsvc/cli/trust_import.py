"""``signsvc trust import-list`` and ``remove-list``: trusted lists (ETSI TS 119 612) as trust profiles."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.errors import RequestError

if TYPE_CHECKING:
    from signsvc.trust.list_import import Entry, Imported

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
_FURTHER = ("CA/PKC", "TSA", "TSA/TSS-QC")


@click.command("import-list")
@click.argument("source", metavar="FILE|URL")
@click.option("--confirm", metavar="SHA256", help="The file's fingerprint, which you compared with its publisher.")
@click.option("--profile", metavar="ID", help="Name of the trust profile.  [default: tl-<territory>]")
@click.option("--also", multiple=True, type=click.Choice(_FURTHER), help="Take services of this type too.")
@_JSON
def import_list(source: str, confirm: str | None, profile: str | None, also: tuple[str, ...], as_json: bool) -> int:
    """Make a trusted list (ETSI TS 119 612) a trust profile that policies can name.

    The signature of the list is NOT checked: nothing is taken without --confirm, the SHA-256 of the file.
    """
    from signsvc.settings import Settings
    from signsvc.trust import TrustStore
    from signsvc.trust.list_import import install

    now = datetime.now(UTC)
    data, name = _read(source)
    found = install(
        TrustStore(Settings.load().trust_dir),
        data,
        confirm=confirm,
        source=name,
        now=now,
        profile=profile,
        also=also,
    )
    if as_json:
        click.echo(json.dumps(_facts(found, now), ensure_ascii=False, indent=2))
        return 0
    listed = found.found
    click.echo(f"✓ {found.profile}: {listed.scheme or listed.operator} ({listed.territory} {listed.sequence})")
    for entry in found.entries:
        click.echo(f"  {entry.kind:<12} {entry.service.type:<18} {entry.certificate.subject}")
        click.echo(f"      {_span(entry)}   SHA-256 {entry.certificate.sha256.hex()}")
    for kind, count in found.skipped.items():
        click.echo(f"  – {kind}: {count} dịch vụ không lấy / service(s) not taken")
    click.echo(
        "! Chữ ký của danh sách CHƯA được kiểm tra; tin cậy dựa trên dấu vân tay đã xác nhận. / "
        "The list's signature was NOT checked; trust rests on the fingerprint you confirmed.",
        err=True,
    )
    if listed.unreadable:
        click.echo(f"! {listed.unreadable} chứng thư không đọc được / certificate(s) could not be read", err=True)
    if found.outdated(now):
        click.echo(
            f"! Danh sách lẽ ra đã được thay từ {listed.next_update} / the list should have been replaced", err=True
        )
    return 0


@click.command("remove-list")
@click.argument("profile")
@_JSON
def remove_list(profile: str, as_json: bool) -> int:
    """Remove a trust profile that was made from a trusted list, with its certificates."""
    from signsvc.settings import Settings
    from signsvc.trust import TrustStore

    removed = TrustStore(Settings.load().trust_dir).remove_listed(profile)
    if as_json:
        click.echo(json.dumps({"removed": removed.id, "source": source(removed.source)}, ensure_ascii=False, indent=2))
    else:
        click.echo(f"✓ {removed.id}: đã gỡ / removed")
    return 0


def source(values: Any) -> dict[str, Any] | None:
    """What a profile says of the list that it was made from, JSON-ready; None where it was not."""
    found = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in values.items()}
    return found or None


def _read(place: str) -> tuple[bytes, str]:
    from signsvc.trust.trusted_list import MAX_FILE

    if place.startswith(("http://", "https://")):
        from signsvc.services import Services

        with Services.load() as services:
            answer = services.http.get(place)
        if answer.status != 200:
            raise RequestError(reason=f"the server answered {answer.status}")
        return answer.body, place
    try:
        with Path(place).open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise click.UsageError(f"{place}: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise RequestError(reason="the list is too large")
    return data, Path(place).name


def _span(entry: Entry) -> str:
    if entry.since is None:
        return "–"
    return f"{entry.since:%Y-%m-%d} → {f'{entry.sunset:%Y-%m-%d}' if entry.sunset else '∞'}"


def _facts(found: Imported, now: datetime) -> dict[str, Any]:
    listed = found.found
    return {
        "profile": found.profile,
        "sha256": found.sha256,
        "signature": "not checked",
        "format": listed.format,
        "sequence": listed.sequence,
        "territory": listed.territory,
        "operator": listed.operator,
        "issued": listed.issued.isoformat(),
        "next_update": listed.next_update.isoformat() if listed.next_update else None,
        "outdated": found.outdated(now),
        "unreadable": listed.unreadable,
        "skipped": found.skipped,
        "entries": [
            {
                "kind": entry.kind,
                "use": entry.use or None,
                "service": entry.service.type,
                "provider": entry.service.provider,
                "name": entry.service.name,
                "status": entry.service.status,
                "since": entry.since.isoformat() if entry.since else None,
                "sunset": entry.sunset.isoformat() if entry.sunset else None,
                "earlier_periods": entry.earlier,
                "subject": entry.certificate.subject,
                "sha256": entry.certificate.sha256.hex(),
            }
            for entry in found.entries
        ],
    }
