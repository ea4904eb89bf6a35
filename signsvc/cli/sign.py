"""``signsvc sign``: sign files with a token, an HSM or (for trials) a PKCS#12 file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from signsvc.cli import signing
from signsvc.cli.root import EXIT_PASSED


@click.command()
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--credential", metavar="ID", help="The signing key (signsvc token list).")
@click.option("--pkcs12", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Trials: a software key.")
@click.option("--profile", metavar="ID", required=True, help="What to produce, e.g. pades-b-lta.")
@click.option("--pin-source", metavar="prompt|env:NAME|file:PATH|fd:N", help="Where the PIN comes from.")
@click.option("--reason", help="Why it is signed, e.g. Phê duyệt.")
@click.option("--location", help="Where it is signed.")
@click.option("--capacity", multiple=True, metavar="LINE", help="Signs as, e.g. 'KT. CHỦ TỊCH'; may be repeated.")
@click.option("--role", help="The signer's position, e.g. 'PHÓ CHỦ TỊCH'.")
@click.option("--commitment", metavar="approval|origin|creation|…", help="What it means; goes without --reason.")
@click.option("--field", help="An existing empty signature field, or the name of a new one.")
@click.option("--visible", metavar="PAGE,L,B,R,T", help="Show a stamp: page (-1: last) and rectangle in points.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Files at a time.")
@signing.common
def sign(
    paths: tuple[Path, ...],
    credential: str | None,
    pkcs12: Path | None,
    profile: str,
    pin_source: str | None,
    reason: str | None,
    location: str | None,
    capacity: tuple[str, ...],
    role: str | None,
    commitment: str | None,
    field: str | None,
    visible: str | None,
    jobs: int,
    out: Path | None,
    out_dir: Path | None,
    anchors: tuple[Path, ...],
    certificates: tuple[Path, ...],
    crls: tuple[Path, ...],
    tsa: str | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Sign files.  One PIN serves all of them; a wrong PIN stops at the first try.

    Exit codes: 0 all signed, 4 any could not be signed, 64 usage.
    """
    if (credential is None) == (pkcs12 is None):
        raise click.UsageError("one of --credential and --pkcs12 is needed")
    todo = signing.targets(paths, out, out_dir, "-signed")
    if not todo:
        return EXIT_PASSED
    from signsvc.keys import Keyring, Pkcs12Config
    from signsvc.services import Services
    from signsvc.settings import Settings
    from signsvc.signing import SignParams, SignResult, profiles
    from signsvc.types import Certificate

    settings = Settings.load()
    wanted = profiles.load(profile, (settings.data_dir / "profiles",))
    trust = signing.trust_input(anchors, certificates, crls, offline=offline)
    params = SignParams.from_json(
        {
            "reason": reason,
            "location": location,
            "capacity": capacity,
            "role": role,
            "commitment": commitment,
            "field": field,
            "visible": _visible(visible),
        }
    )
    with Services(settings, pin_source=pin_source, workers=min(jobs, os.cpu_count() or 1), fork=True) as services:
        services.verifier  # noqa: B018 - its workers are forked while this process has one thread
        if pkcs12 is not None:
            files = (Pkcs12Config(pkcs12, "pkcs12", pin_source or "prompt"),)
            services.keyring = Keyring((), (), files, "trial")  # named for this call; the warning is ours
            if settings.mode != "trial":
                _warn_of_software_key()
        signer = services.keyring.get("pkcs12" if pkcs12 is not None else str(credential))
        authority = None
        if tsa is not None or anchors:
            extra = tuple(Certificate.from_der(a) for a in trust.trust_anchors)
            authority = services.tsa_for(tsa, extra) if tsa or settings.tsa else None

        def work(path: Path, target: Path) -> SignResult:
            return services.signing.sign(
                path, target, profile=wanted, signer=signer, params=params, trust=trust, tsa=authority
            )

        return signing.run(todo, work, jobs=jobs, label="Đang ký", as_json=as_json)


def _warn_of_software_key() -> None:
    from signsvc.messages import text

    for lang in ("vi", "en"):
        click.echo(click.style(text("software_key_outside_trial", lang), fg="red", bold=True), err=True)


def _visible(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        page, *rect = text.split(",")
        numbers = [float(part) for part in rect]
        number = int(page)
    except ValueError:
        raise click.UsageError("--visible takes PAGE,LEFT,BOTTOM,RIGHT,TOP") from None
    return {"page": number, "rect": numbers}
