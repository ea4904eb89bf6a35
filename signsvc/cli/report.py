"""``signsvc report``: stored reports: show them in any form, judge them again from what they rest on."""

from __future__ import annotations

import json
from pathlib import Path

import click

from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM


@click.group(help="Show stored reports; judge them again from stored evidence.")
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
