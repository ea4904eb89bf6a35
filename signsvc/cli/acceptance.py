"""``signsvc acceptance``: what receiving systems demand of documents."""

from __future__ import annotations

import json
from pathlib import Path

import click

from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM, show_error
from signsvc.errors import SignsvcError

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


@click.group(help="List, show and check acceptance rules.")
def acceptance() -> None:
    pass


@acceptance.command("list")
@_JSON
def list_(as_json: bool) -> int:
    """The rules that --accept may name."""
    from signsvc.reports import acceptance as rules

    found = rules.rules(_directories())
    if as_json:
        click.echo(json.dumps({"rules": [rules.described(one) for one in found.values()]}, ensure_ascii=False))
        return EXIT_PASSED
    for one in found.values():
        own = "" if rules.builtin().get(one.id) == one else "   (của đơn vị / of this site)"
        click.echo(f"{one.id:<26} {one.version:<6} {one.title_vi} / {one.title_en}{own}")
    return EXIT_PASSED


@acceptance.command()
@click.argument("name")
@_JSON
def show(name: str, as_json: bool) -> int:
    """Everything that a rule demands."""
    from signsvc.reports import acceptance as rules

    found = rules.described(rules.rule(name, _directories()))
    click.echo(json.dumps(found, ensure_ascii=False, indent=None if as_json else 2))
    return EXIT_PASSED


@acceptance.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_JSON
def check(file: Path, as_json: bool) -> int:
    """Say whether a rule file is right, and where it is not."""
    from signsvc.reports import acceptance as rules

    try:
        found = rules.check(file, _directories())
    except SignsvcError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "detail": error.text("en")}, ensure_ascii=False))
        else:
            show_error(error, str(file))
        return EXIT_PROBLEM
    click.echo(json.dumps({"ok": True, "id": found.id}) if as_json else f"{found.id} {found.version}: đúng / right")
    return EXIT_PASSED


def _directories() -> tuple[Path, ...]:
    from signsvc.paths import basics

    return (basics().policy_dir.parent / "acceptance",)
