"""``signsvc policy``: the rules by which signatures are judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_PROBLEM
from signsvc.errors import SignsvcError, TrustError

if TYPE_CHECKING:
    from signsvc.validation import Policy

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


@click.group()
def policy() -> None:
    """List, show, compare and check validation policies."""


@policy.command("list")
@_JSON
def list_policies(as_json: bool) -> int:
    """The policies that verification may use."""
    from signsvc.validation.policies import DEFAULT, builtin, load_all

    found = load_all(_directories())
    if as_json:
        items = [
            {
                "id": p.id,
                "version": p.version,
                "sha256": p.sha256,
                "title": {"vi": p.title_vi, "en": p.title_en},
                "trust_profiles": list(p.trust_profiles),
                "extends": [base for base, _, _ in p.extends],
                "default": p.id == DEFAULT,
                "built_in": builtin().get(p.id) == p,
            }
            for p in found.values()
        ]
        _print({"policies": items})
        return 0
    for item in found.values():
        mark = "*" if item.id == DEFAULT else " "
        own = "" if builtin().get(item.id) == item else "   (của đơn vị / of this site)"
        click.echo(f"{mark} {item.id:<12} {item.version:<6} {item.title_vi} / {item.title_en}{own}")
    return 0


@policy.command()
@click.argument("name")
@_JSON
def show(name: str, as_json: bool) -> int:
    """Everything that the policy NAME (an id or a TOML file) says."""
    from signsvc.validation.policies.describe import describe

    found = describe(_load(name))
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
    for key in ("trust_profiles", "timestamp", "required_level", "clock_tolerance", "key_usage", "extended_key_usage"):
        value = found[key]
        click.echo(f"  {key}: {', '.join(value) if isinstance(value, list) else '–' if value is None else value}")
    fresh = ", ".join(f"{key}={value}" for key, value in found["freshness"].items() if value is not None)
    click.echo(f"  freshness: {fresh}")
    for key, value in found["certificate_policies"].items():
        if value:
            click.echo(f"  certificate_policies.{key}: {', '.join(value) if isinstance(value, list) else 'true'}")
    for table in ("levels", "known_since", "keeps_expired_since", "sunsets", "signature_policies"):
        for key, value in found[table].items():
            click.echo(f"  {table}.{key}: {value}")
    for role, rows in found["algorithms"].items():
        click.echo(f"  {role}:")
        for row in rows:
            bits = f" ≥ {row['bits']} bit" if row["bits"] else ""
            click.echo(f"    {row['algorithm']}{bits}: {'→ ' + row['until'][:10] if row['until'] else '∞'}")
    return 0


@policy.command()
@click.argument("left")
@click.argument("right")
@_JSON
def diff(left: str, right: str, as_json: bool) -> int:
    """What two policies (ids or TOML files) say differently."""
    from signsvc.validation.policies.describe import differences

    one, other = _load(left), _load(right)
    found = differences(one, other)
    if as_json:
        _print(
            {
                "left": {"id": one.id, "version": one.version, "sha256": one.sha256},
                "right": {"id": other.id, "version": other.version, "sha256": other.sha256},
                "differences": [{"key": d.key, "left": d.left, "right": d.right} for d in found],
            }
        )
        return 0
    for item in found:
        click.echo(f"{item.key}: {item.left or '–'} | {item.right or '–'}")
    if not found:
        click.echo("Không khác nhau. / No difference.")
    return 0


@policy.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_JSON
def check(files: tuple[Path, ...], as_json: bool) -> int:
    """Whether policy FILES may be used; exit code 4 where one may not."""
    from signsvc.trust.profile import load_all
    from signsvc.validation.policies import check as checked

    directory, trust_dir = _directories()[0], _trust_dir()
    results: list[dict[str, Any]] = []
    for path in files:
        try:
            found = checked(path, (directory,))
            known = load_all(trust_dir / "profiles")
            if missing := next((name for name in found.trust_profiles if name not in known), None):
                raise TrustError("trust_profile_not_found", profile=missing)
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


def _load(name: str) -> Policy:
    from signsvc.validation.policies import check, load

    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return check(path, _directories())
    return load(name, _directories())


def _directories() -> tuple[Path, ...]:
    from signsvc.settings import Settings

    return (Settings.load().data_dir / "policies",)


def _trust_dir() -> Path:
    from signsvc.settings import Settings

    return Settings.load().trust_dir


def _print(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))
