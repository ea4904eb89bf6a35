"""``signsvc profile``: the signing profiles of this installation."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.group()
def profile() -> None:
    """List and show signing profiles."""


@profile.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def list_profiles(as_json: bool) -> None:
    """Every profile: id, level, and what it is for."""
    from signsvc.settings import Settings
    from signsvc.signing import profiles

    found = profiles.available((Settings.load().data_dir / "profiles",))
    if as_json:
        click.echo(json.dumps([asdict(p) for p in found.values()], ensure_ascii=False, indent=2))
        return
    for each in found.values():
        click.echo(f"{each.id:<18} {each.level:<6} {each.title_vi} / {each.title_en}")


@profile.command("show")
@click.argument("profile_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, as without it.")
def show_profile(profile_id: str, as_json: bool) -> None:  # noqa: ARG001 - one form only
    """One profile as JSON."""
    from signsvc.settings import Settings
    from signsvc.signing import profiles

    found = profiles.load(profile_id, (Settings.load().data_dir / "profiles",))
    click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
