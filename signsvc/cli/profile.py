"""``signsvc profile``: the signing profiles of this installation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_PROBLEM
from signsvc.errors import SignsvcError

if TYPE_CHECKING:
    from signsvc.signing.profiles import Profile

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


@click.group()
def profile() -> None:
    """List, show and check signing profiles."""


@profile.command("list")
@_JSON
def list_profiles(as_json: bool) -> int:
    """Every profile: id, level, and what it is for."""
    from signsvc.signing import profiles

    found = profiles.available(_directories())
    if as_json:
        _print({"profiles": [p.to_json() for p in found.values()]})
        return 0
    for each in found.values():
        own = "" if profiles.builtin().get(each.id) == each else "   (của đơn vị / of this site)"
        click.echo(f"{each.id:<18} {each.level:<6} {each.title_vi} / {each.title_en}{own}")
    return 0


@profile.command()
@click.argument("name", metavar="NAME")
@_JSON
def show(name: str, as_json: bool) -> int:
    """Everything that the profile NAME (an id or a TOML file) says."""
    found = _load(name).to_json()
    if as_json:
        _print(found)
        return 0
    click.echo(f"{found['id']} {found['version']}: {found['title']['vi']} / {found['title']['en']}")
    for text in found["description"].values():
        if text:
            click.echo(f"  {text}")
    click.echo(f"  SHA-256 {found['sha256']}")
    for base in found["extends"]:
        click.echo(f"  extends: {base['id']} {base['version']} {base['sha256']}")
    for key in ("format", "level", "digest", "scheme", "require_path", "experimental", "policy", "result"):
        click.echo(f"  {key}: {_shown(found[key])}")
    for table in ("appearance", "metadata", "credential", "certify", "field", "pdfa"):
        for key, value in found[table].items():
            if value not in (None, [], {}, False):
                click.echo(f"  {table}.{key}: {_shown(value)}")
    return 0


@profile.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_JSON
def check(files: tuple[Path, ...], as_json: bool) -> int:
    """Whether profile FILES may be used; exit code 4 where one may not."""
    from signsvc.signing import profiles
    from signsvc.validation import policies

    results: list[dict[str, Any]] = []
    for path in files:
        try:
            found = profiles.check(path, _directories())
            policies.load(found.policy, tuple(d.with_name("policies") for d in _directories()))
        except SignsvcError as error:
            results.append(
                {"file": str(path), "ok": False, "problem": error.text("en"), "problem_vi": error.text("vi")}
            )
        else:
            results.append({"file": str(path), "ok": True, "id": found.id, "sha256": found.sha256})
    if as_json:
        _print({"files": results})
    else:
        for result in results:
            words = f"{result['id']} {result['sha256']}" if result["ok"] else f"{result['problem_vi']}"
            click.echo(f"{'✓' if result['ok'] else '✗'} {result['file']}: {words}")
    return 0 if all(result["ok"] for result in results) else EXIT_PROBLEM


def _load(name: str) -> Profile:
    from signsvc.signing import profiles

    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return profiles.check(path, _directories())
    return profiles.load(name, _directories())


def _directories() -> tuple[Path, ...]:
    from signsvc.settings import Settings

    return (Settings.load().data_dir / "profiles",)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{k} = {_shown(v)}" for k, v in value.items() if v not in (None, [], {}, False))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))
