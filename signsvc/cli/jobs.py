"""``signsvc jobs``: what was put off, how far it is, and another try for what failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from signsvc.store import Item, Job, Store

STATES = ("waiting", "running", "succeeded", "failed", "canceled", "stopped")


@click.group(help="List, show and retry jobs.")
def jobs() -> None:
    pass


@jobs.command("list", help="The newest jobs first.")
@click.option("--kind", help="Only jobs of this kind.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one job a line.")
def list_(kind: str | None, limit: int, as_json: bool) -> int:
    for job in _store().jobs.list(kind=kind, limit=limit):
        _print(job, as_json=as_json)
    return 0


@jobs.command(help="One job with its items.")
@click.argument("job")
@click.option("--state", type=click.Choice(STATES), help="Only items in this state.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the job, then one item a line.")
def show(job: str, state: str | None, as_json: bool) -> int:
    from signsvc.store import ItemState

    ledger = _store().jobs
    _print(ledger.get(job), as_json=as_json)
    after, wanted = -1, ItemState(state) if state else None
    while items := ledger.items(job, state=wanted, after=after):
        for item in items:
            _print_item(item, as_json=as_json)
        after = items[-1].position
    return 0


@jobs.command(help="Try at once what failed, waits or was cancelled.")
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def retry(job: str, as_json: bool) -> int:
    from signsvc.settings import Settings

    now = datetime.now(UTC)
    until = now + timedelta(days=Settings.load().jobs.give_up_days)
    count = _store().jobs.retry(job, now=now, give_up_at=until)
    click.echo(json.dumps({"id": job, "retried": count}) if as_json else f"{job}: {count}")
    return 0


def _store() -> Store:
    from signsvc.services import Services

    return Services.load().store


def _print(job: Job, *, as_json: bool) -> None:
    counts = {str(name): count for name, count in job.counts.items() if count}
    if as_json:
        shown = {"id": job.id, "kind": job.kind, "state": job.state, "created_at": _time(job.created_at)}
        click.echo(json.dumps({**shown, "updated_at": _time(job.updated_at), "counts": counts}))
        return
    words = " ".join(f"{name}={count}" for name, count in counts.items())
    click.echo(f"{job.id}  {job.kind}  {job.state}  {_time(job.created_at)}  {words}")


def _print_item(item: Item, *, as_json: bool) -> None:
    from signsvc.errors import PROBLEMS, SignsvcError

    error: dict[str, Any] | None = None
    if item.error is not None and item.error.code in PROBLEMS:
        problem = SignsvcError(item.error.code, **item.error.data)
        error = {"code": problem.code, "text": problem.text("en"), "text_vi": problem.text("vi")}
    waits = item.state == "waiting"
    if as_json:
        shown = {"position": item.position, "state": item.state, "attempts": item.attempts}
        shown |= {"next_try": _time(item.due_at) if waits else None, "last_error": error, "result": item.result}
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    click.echo(f"  {item.position}  {item.state}  {item.attempts}" + (f"  → {_time(item.due_at)}" if waits else ""))
    if error is not None:
        click.echo(f"    {error['text_vi']} [{error['code']}]")


def _time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
