"""``signsvc report``: stored reports: show them in any form, judge them again, check copies, share and delete them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from signsvc.cli.root import EXIT_FAILED, EXIT_PASSED, EXIT_PROBLEM


@click.group(help="Show stored reports, judge them again from stored evidence, check copies, share and delete them.")
def report() -> None:
    pass


@report.command()
@click.argument("identifier", metavar="ID")
@click.option("--form", type=click.Choice(["json", "html", "xml", "pdf", "jwt"]), default="json", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where it goes; else standard output.")
@click.option("--lang", type=click.Choice(["vi", "en"]), default="vi", show_default=True, help="Language of the text.")
@click.option("--json", "as_json", is_flag=True, help="The same as --form json.")
def show(identifier: str, form: str, out: Path | None, lang: str, as_json: bool) -> int:
    """Give out a stored report."""
    from signsvc.issuing import registry
    from signsvc.issuing.render import render
    from signsvc.services import Services

    with Services.load() as services:
        stored = services.store.reports.get(identifier)
        made = render(
            stored.body,
            "json" if as_json else form,
            sealer=services.sealer,
            lang=lang,
            objects=lambda: registry.objects(services.store, identifier),
        )
        if made.media_type != "application/json":
            services.store.reports.given_out(identifier, form, made.octets, sealed=made.sealed, now=datetime.now(UTC))
    if out is None:
        click.echo(made.octets, nl=False)
    else:
        out.write_bytes(made.octets)
    return EXIT_PASSED


@report.command()
@click.argument("identifiers", metavar="ID…", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one report a line.")
def replay(identifiers: tuple[str, ...], as_json: bool) -> int:
    """Judge stored reports again from stored evidence alone: no document, no network, the clock of their day.

    Exit codes: 0 all come out the same, 4 any does not.
    """
    from signsvc.issuing import registry
    from signsvc.services import Services

    status = EXIT_PASSED
    with Services.load() as services:
        for identifier in identifiers:
            found = registry.replay(services.store, identifier)
            if not found.identical:
                status = EXIT_PROBLEM
            if as_json:
                said = {
                    "id": identifier,
                    "identical": found.identical,
                    "indication": found.report["indication"],
                    "differs": list(found.differs),
                }
                click.echo(json.dumps(said, ensure_ascii=False))
            elif found.identical:
                click.echo(f"{identifier}: kết luận như cũ / the same verdict: {found.report['indication']}")
            else:
                click.echo(f"{identifier}: khác trước / differs: {', '.join(found.differs)}")
    return status


@report.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--id", "identifier", metavar="ID", help="The report by its id, or which one FILE has to be.")
@click.option(
    "--document",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file that the report has to be about.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path | None, identifier: str | None, document: Path | None, as_json: bool) -> int:
    """Is FILE (a report in any form) ours, unchanged, and about the document?

    Exit codes: 0 yes, 1 no.
    """
    from signsvc.issuing.check import check as checked
    from signsvc.services import Services
    from signsvc.verification import VerifyRequest

    with Services.load() as services:

        def judge(path: Path, anchors: tuple[bytes, ...]) -> Any:
            asked = VerifyRequest(policy=services.settings.policy, offline=True, trust_anchors=anchors)
            return services.verifier.verify(path, asked).report

        found = checked(
            services.store,
            file,
            sealer=services.sealer,
            judge=judge,
            report_id=identifier,
            sha256=None if document is None else _sha256(document),
        )
    said = found.json()
    if as_json:
        click.echo(json.dumps(said, ensure_ascii=False))
    else:
        click.echo("ĐƯỢC / accepted" if found.accepted else "KHÔNG / refused")
        for reason in said["reasons"]:
            click.echo(f"  {reason['text_vi']}\n  {reason['text']}")
    return EXIT_PASSED if found.accepted else EXIT_FAILED


@report.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def find(file: Path, as_json: bool) -> int:
    """Was exactly this FILE signed or verified here?

    Exit codes: 0 yes, 1 no.
    """
    from signsvc.services import Services

    digest = _sha256(file)
    with Services.load() as services:
        signed, reports = services.store.reports.signed(digest), services.store.reports.of_file(digest)
    if as_json:
        said = {
            "sha256": digest,
            "signatures": [
                {"id": one.signature_id, "level": one.level, "created_at": one.created_at.isoformat()} for one in signed
            ],
            "reports": [
                {"id": one.id, "indication": one.indication, "created_at": one.created_at.isoformat()}
                for one in reports
            ],
        }
        click.echo(json.dumps(said, ensure_ascii=False))
    else:
        for one in signed:
            click.echo(f"{one.created_at:%Y-%m-%d %H:%M:%SZ} ký / signed {one.level} {one.signature_id}")
        for about in reports:
            click.echo(f"{about.created_at:%Y-%m-%d %H:%M:%SZ} xác thực / verified {about.indication} {about.id}")
        if not signed and not reports:
            click.echo("chưa từng ký hay xác thực tại đây / neither signed nor verified here")
    return EXIT_PASSED if signed or reports else EXIT_FAILED


@report.command()
@click.argument("identifier", metavar="ID")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How long the link works.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def share(identifier: str, days: int, as_json: bool) -> int:
    """Make a link to a report for people without a key; it is shown once."""
    from signsvc.services import Services

    with Services.load() as services:
        now = datetime.now(UTC)
        made = services.store.reports.share(identifier, now=now, until=now + timedelta(days=days), owner="cli")
        url = f"{(services.settings.server.public_url or '').rstrip('/')}/r/{made.secret}"
    if as_json:
        click.echo(json.dumps({"id": made.id, "url": url, "expires_at": made.expires_at.isoformat()}))
    else:
        click.echo(f"{url}\n  đến / until {made.expires_at:%Y-%m-%d %H:%MZ}")
    return EXIT_PASSED


@report.command()
@click.argument("identifiers", metavar="ID…", nargs=-1, required=True)
@click.option("--reason", default="asked", show_default=True, help="Kept with the deletion; at most 200 characters.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one report a line; never asks.")
def delete(identifiers: tuple[str, ...], reason: str, yes: bool, as_json: bool) -> int:
    """Delete reports, what they rest on and the links to them; that they were there remains known."""
    from signsvc.services import Services

    if not yes and not as_json:
        click.confirm(f"Hủy / delete {len(identifiers)}?", abort=True, err=True)
    with Services.load() as services:
        for identifier in identifiers:
            gone = services.store.reports.delete(identifier, now=datetime.now(UTC), by="cli", reason=reason[:200])
            if as_json:
                click.echo(json.dumps({"id": identifier, "deleted_at": gone.deleted_at.isoformat()}))
            else:
                click.echo(f"{identifier}: đã hủy / deleted")
    return EXIT_PASSED


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
