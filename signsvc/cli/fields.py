"""``signsvc fields``: the form fields of a PDF, and new ones laid out before its first signature."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_PASSED
from signsvc.errors import DocumentError, RequestError

if TYPE_CHECKING:
    from signsvc.signing.fields import FieldsResult

_FILE = click.Path(path_type=Path)
_MOST_JSON = 4 << 20


@click.group()
def fields() -> None:
    """List the form fields of a PDF, or add some before its first signature."""


@fields.command("list")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")
def list_(path: Path, as_json: bool) -> int:
    """List the fields: name, kind, page, rectangle, lock, whether filled.

    Exit codes: 0 listed, 4 the file could not be read, 64 usage.
    """
    with tempfile.TemporaryDirectory(prefix="signsvc-") as directory:
        result = _prepared(path, Path(directory) / "copy", [])
    _show(result, as_json=as_json)
    return EXIT_PASSED


@fields.command("add")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@click.option("--signature", multiple=True, metavar="NAME=PAGE[,L,B,R,T]", help="An empty signature field.")
@click.option("--text", multiple=True, metavar="NAME=PAGE,L,B,R,T", help="A text field, e.g. so=1,80,740,200,758.")
@click.option("--lock", multiple=True, metavar="NAME=all|FIELD,…|!FIELD,…", help="What signing there locks.")
@click.option(
    "--fields", "listed", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A list of fields in JSON."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")
def add(
    path: Path,
    out: Path | None,
    signature: tuple[str, ...],
    text: tuple[str, ...],
    lock: tuple[str, ...],
    listed: Path | None,
    as_json: bool,
) -> int:
    """Add empty fields in one revision.  A document that is signed takes none.

    PAGE counts from 1 (-1: last); the rectangle is in points as the page is shown.  A lock names the fields that it
    covers, or with ! those that it leaves open.

    Exit codes: 0 written, 4 the file could not be read or takes no fields, 64 usage.
    """
    wanted = _from_file(listed) if listed else []
    wanted += [_field(one, "signature", "--signature") for one in signature]
    wanted += [_field(one, "text", "--text") for one in text]
    if not wanted:
        raise click.UsageError("no fields: --signature, --text or --fields")
    for one in lock:
        name, _, said = one.partition("=")
        field = next((field for field in wanted if field.get("name") == name), None)
        if field is None or not said:
            raise click.UsageError("--lock takes NAME=all, NAME=FIELD,… or NAME=!FIELD,… with a NAME of this call")
        action = "All" if said == "all" else "Exclude" if said.startswith("!") else "Include"
        names = [] if action == "All" else said.removeprefix("!").split(",")
        field["lock"] = {"action": action, "fields": names}
    target = out or path.with_name(f"{path.stem}-fields{path.suffix}")
    if not target.absolute().parent.is_dir():
        raise click.UsageError(f"--out: there is no directory {target.absolute().parent}")
    result = _prepared(path, target, wanted)
    if not as_json:
        click.echo(f"{target}: {', '.join(result.added)}")
    _show(result, as_json=as_json)
    return EXIT_PASSED


def _prepared(path: Path, target: Path, wanted: list[dict[str, Any]]) -> FieldsResult:
    from signsvc.services import Services
    from signsvc.settings import Settings
    from signsvc.signing.fields import parse

    asked = parse(wanted)
    if not path.is_file():
        raise DocumentError("not_found")
    with Services(Settings.load(), workers=1, fork=True) as services:
        return services.signing.prepare_fields(path.absolute(), target.absolute(), fields=asked)


def _field(said: str, kind: str, option: str) -> dict[str, Any]:
    name, _, place = said.rpartition("=")
    page, *sides = place.split(",")
    try:
        found: dict[str, Any] = {"name": name, "kind": kind, "page": int(page)}
        if sides:
            found["rect"] = [float(side) for side in sides]
    except ValueError:
        raise click.UsageError(f"{option} takes NAME=PAGE,LEFT,BOTTOM,RIGHT,TOP") from None
    return found


def _from_file(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        data = file.read(_MOST_JSON)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise RequestError("invalid_request", reason=f"{path}: no JSON") from None
    if not isinstance(found, list):
        raise RequestError("invalid_request", reason=f"{path}: a list of fields")
    return found


def _show(result: FieldsResult, *, as_json: bool) -> None:
    if as_json:
        answer = {
            "added": list(result.added),
            "fields": list(result.fields),
            "document": {"sha256": result.sha256, "size": result.size},
        }
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    for field in result.fields:
        place = f"{field['page'] or '-'}" + (f" {field['rect']}" if field["rect"] else "")
        lock = f"  /Lock {field['lock']['action']} {','.join(field['lock']['fields'])}" if field["lock"] else ""
        value = f"  = {field['value']}" if field["value"] else "  đã ký / signed" if _signed(field) else ""
        click.echo(f"{field['name']}  {field['kind']}  {place}{lock.rstrip()}{value}")


def _signed(field: dict[str, Any]) -> bool:
    return bool(field["kind"] == "signature" and field["filled"])
