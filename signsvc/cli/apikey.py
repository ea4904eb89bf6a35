"""``signsvc apikey``: create, list and revoke API keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from signsvc.store import ApiKey, Store

SCOPES = ("sign", "verify", "read", "admin")


@click.group(help="Create, list and revoke API keys.")
def apikey() -> None:
    pass


@apikey.command(help="Make a key and print its secret, once.")
@click.option("--name", required=True, help="Who or what will use it.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(name: str, scopes: tuple[str, ...], as_json: bool) -> int:
    from signsvc.store import Scope

    new = _store().api_keys.create(name, [Scope(scope) for scope in scopes], now=datetime.now(UTC))
    if as_json:
        click.echo(json.dumps({**_shown(new.key), "secret": new.secret}, ensure_ascii=False))
    else:
        click.echo(new.secret)
        click.echo(
            f"{new.key.id}: chỉ hiển thị một lần, hãy lưu vào nơi an toàn. / shown once; store it safely.", err=True
        )
    return 0


@apikey.command("list", help="Show all keys, without secrets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one key a line.")
def list_(as_json: bool) -> int:
    keys = _store().api_keys.list()
    if as_json:
        for key in keys:
            click.echo(json.dumps(_shown(key), ensure_ascii=False))
        return 0
    import sys

    from rich.console import Console
    from rich.table import Table

    table = Table(
        "Mã / Id", "Tên / Name", "Quyền / Scopes", "Tạo / Created", "Dùng / Used", "Thu hồi / Revoked", box=None
    )
    table.columns[0].no_wrap = True  # what `revoke` wants, whole
    for key in keys:
        shown = _shown(key)
        days = (shown[name] for name in ("created_at", "last_used_at", "disabled_at"))
        table.add_row(key.id, key.name, " ".join(shown["scopes"]), *(day[:10] if day else "–" for day in days))
    # A pipe has no width of its own: wide enough that nothing is cut.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)
    return 0


@apikey.command(help="Revoke the key with this id.")
@click.argument("identifier", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def revoke(identifier: str, as_json: bool) -> int:
    key = _store().api_keys.revoke(identifier, now=datetime.now(UTC))
    click.echo(json.dumps(_shown(key), ensure_ascii=False) if as_json else f"{key.id}: đã thu hồi / revoked")
    return 0


def _store() -> Store:
    from signsvc.settings import Settings
    from signsvc.store import Store

    settings = Settings.load()
    return Store(settings.database_url, settings.blob_dir)


def _shown(key: ApiKey) -> dict[str, Any]:
    def time(value: datetime | None) -> str | None:
        return value.isoformat(timespec="seconds").replace("+00:00", "Z") if value else None

    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "scopes": sorted(str(scope) for scope in key.scopes),
        "created_at": time(key.created_at),
        "last_used_at": time(key.last_used_at),
        "disabled_at": time(key.disabled_at),
    }
