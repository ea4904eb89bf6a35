"""``signsvc webhook``: who is told of finished verifications."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM

if TYPE_CHECKING:
    from signsvc.settings import Settings
    from signsvc.store import Store
    from signsvc.store.webhooks import Webhook

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(help="Have addresses told of finished verifications (Standard Webhooks).")
def webhook() -> None:
    pass


@webhook.command()
@click.argument("url")
@click.option("--owner", metavar="KEY", help="Id of an API key: told of its work alone; else of everyone's.")
@_json
def add(url: str, owner: str | None, as_json: bool) -> int:
    """Have URL told; its secret is shown once."""
    from signsvc.issuing import webhooks

    settings, store = _loaded()
    checked = webhooks.acceptable(url, http=settings.webhooks.allow_http)
    made = store.webhooks.add(checked, owner=owner, now=datetime.now(UTC))
    return _with_secret(settings, made, as_json)


@webhook.command("list")
@_json
def list_(as_json: bool) -> int:
    """All of them, without secrets."""
    for one in _loaded()[1].webhooks.list(everyone=True):
        shown = _shown(one)
        said = "tắt / off" if one.disabled_at else "lỗi / failing" if one.failing_since else "chạy / on"
        click.echo(json.dumps(shown) if as_json else f"{one.id}  {said}  {one.owner or '*'}  {one.url}")
    return EXIT_PASSED


@webhook.command()
@click.argument("identifier", metavar="ID")
@_json
def show(identifier: str, as_json: bool) -> int:
    """One of them, and what it was told last."""
    store = _loaded()[1]
    found, told = store.webhooks.get(identifier), store.webhooks.deliveries(identifier, limit=20)
    if as_json:
        sent = [{"id": one.id, "type": one.type, "state": one.state, "status": one.status, "error": one.error,
                 "attempts": one.attempts} for one in told]  # fmt: skip
        click.echo(json.dumps({**_shown(found), "deliveries": sent}))
        return EXIT_PASSED
    click.echo(f"{found.id}  {found.url}")
    for one in told:
        last = one.status or one.error or "–"
        click.echo(f"  {one.created_at:%Y-%m-%d %H:%M:%SZ}  {one.id}  {one.type}  {one.state}  {one.attempts}  {last}")
    return EXIT_PASSED


@webhook.command()
@click.argument("identifier", metavar="ID")
@_json
def test(identifier: str, as_json: bool) -> int:
    """Send a ping now, and say what came of it.  Exit codes: 0 taken, 4 not."""
    from signsvc.issuing import webhooks
    from signsvc.services import Services

    with Services.load() as services:
        now = datetime.now(UTC)
        sent = services.store.webhooks.tell(identifier, "ping", {}, now=now)
        webhooks.deliver(services.store, services.http, services.webhook_key, now=now)
        found = services.store.webhooks.delivery(identifier, sent.id)
    said = {"id": found.id, "state": found.state, "status": found.status, "error": found.error}
    click.echo(json.dumps(said) if as_json else f"{found.id}: {found.state} {found.status or found.error}")
    return EXIT_PASSED if found.state == "done" else EXIT_PROBLEM


@webhook.command()
@click.argument("identifier", metavar="ID")
@click.argument("delivery", metavar="MESSAGE")
@_json
def resend(identifier: str, delivery: str, as_json: bool) -> int:
    """Send a message again, under its id."""
    found = _loaded()[1].webhooks.again(identifier, delivery, now=datetime.now(UTC))
    click.echo(json.dumps({"id": found.id, "state": found.state}) if as_json else f"{found.id}: {found.state}")
    return EXIT_PASSED


@webhook.command()
@click.argument("identifier", metavar="ID")
@_json
def rotate(identifier: str, as_json: bool) -> int:
    """A new secret; for a day messages are signed with the one before too."""
    settings, store = _loaded()
    return _with_secret(settings, store.webhooks.rotate(identifier, now=datetime.now(UTC)), as_json)


@webhook.command()
@click.argument("identifier", metavar="ID")
@_json
def enable(identifier: str, as_json: bool) -> int:
    """Deliver again to one that is switched off or fails."""
    found = _loaded()[1].webhooks.enable(identifier)
    click.echo(json.dumps(_shown(found)) if as_json else f"{found.id}: chạy / on")
    return EXIT_PASSED


@webhook.command()
@click.argument("identifier", metavar="ID")
@_json
def delete(identifier: str, as_json: bool) -> int:
    """Tell this address no more."""
    _loaded()[1].webhooks.delete(identifier)
    click.echo(json.dumps({"id": identifier}) if as_json else f"{identifier}: đã xóa / deleted")
    return EXIT_PASSED


def _loaded() -> tuple[Settings, Store]:
    from signsvc.settings import Settings
    from signsvc.store import Store

    settings = Settings.load()
    return settings, Store(settings.database_url, settings.blob_dir)


def _with_secret(settings: Settings, made: Webhook, as_json: bool) -> int:
    from signsvc.issuing import webhooks

    secret = webhooks.secret(webhooks.key(settings.webhook_key_file), made)
    if as_json:
        click.echo(json.dumps({**_shown(made), "secret": secret}))
    else:
        click.echo(secret)
        click.echo(f"{made.id}: chỉ hiển thị một lần / shown once", err=True)
    return EXIT_PASSED


def _shown(one: Webhook) -> dict[str, Any]:
    def time(value: datetime | None) -> str | None:
        return value.isoformat(timespec="seconds").replace("+00:00", "Z") if value else None

    times = {name: time(getattr(one, name)) for name in ("created_at", "rotated_at", "disabled_at", "failing_since")}
    return {"id": one.id, "url": one.url, "owner": one.owner, **times}
