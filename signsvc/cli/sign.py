"""``signsvc sign``: sign files with a token, an HSM or (for trials) a PKCS#12 file."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from signsvc.cli import batch, signing
from signsvc.cli.root import EXIT_PASSED

if TYPE_CHECKING:
    from signsvc.verification.model import OriginalFile

WAIT_TOKEN_SECONDS = 60.0


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
@click.option("--visible", metavar="PAGE[,L,B,R,T]", help="Show a stamp: page (-1: last), rectangle in points.")
@click.option("--template", metavar="ID", help="What the stamp shows, e.g. ky-phe-duyet, dong-dau, sao-y.")
@click.option("--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Signature or seal, PNG.")
@click.option("--anchor", metavar="TEXT", help="Put the stamp below these words, e.g. 'GIÁM ĐỐC'.")
@click.option("--anchor-to", metavar="TEXT", help="… between them and these, e.g. the signer's name.")
@click.option("--beside", metavar="FIELD", help="Put the stamp by this signature; a seal over its left third.")
@click.option("--size", metavar="W,H", help="Size of the stamp in millimetres.")
@click.option("--number", help="The document's number, e.g. 12/QĐ-UBND: for its text field so, or for the stamp.")
@click.option("--date", help="The document's date (YYYY-MM-DD, or as it is to be read): for its text field ngay.")
@click.option("--resume", is_flag=True, help="Keep a record of the batch, and sign nothing that is on it.")
@click.option("--journal", type=click.Path(dir_okay=False, path_type=Path), help="Where the record of --resume is.")
@click.option("--wait-token", metavar="SECONDS", type=click.FloatRange(0), help="Wait for a token that was removed.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Files at a time.")
@click.option(
    "--container",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Put all files into this one ASiC-E container under one signature.",
)
@signing.base
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
    template: str | None,
    image: Path | None,
    anchor: str | None,
    anchor_to: str | None,
    beside: str | None,
    size: str | None,
    number: str | None,
    date: str | None,
    resume: bool,
    journal: Path | None,
    wait_token: float | None,
    jobs: int,
    container: Path | None,
    base_sha256: str | None,
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
    from signsvc.errors import SignsvcError
    from signsvc.keys import Keyring, Pkcs12Config
    from signsvc.services import Services
    from signsvc.settings import Settings
    from signsvc.signing import SignParams, SignResult, Visible, files, profiles
    from signsvc.signing.profiles import LEVELS
    from signsvc.signing.profiles.apply import check_credential
    from signsvc.types import Certificate, Finding

    settings = Settings.load()
    wanted = profiles.load(profile, (settings.data_dir / "profiles",))
    kind = files.kind_of(wanted)
    more: tuple[OriginalFile, ...] = ()
    if container is not None:
        if not kind.several or out or out_dir or resume or journal:
            raise click.UsageError("--container goes with asic-e profiles, without --out, --out-dir and --resume")
        paths, more = _together(paths)
    todo = signing.targets(paths, container or out, out_dir, "-signed", kind.ending)
    signing.check_base(list(todo), base_sha256)
    if not todo:
        return EXIT_PASSED
    trust = signing.trust_input(anchors, certificates, crls, offline=offline)
    params = SignParams.from_json(
        {
            "reason": reason,
            "location": location,
            "capacity": capacity,
            "role": role,
            "commitment": commitment,
            "field": field,
            "visible": _visible(visible, template, anchor, anchor_to, beside, size, image is not None),
            "number": number,
            "date": date,
        }
    )
    with Services(settings, pin_source=pin_source, workers=min(jobs, os.cpu_count() or 1), fork=True) as services:
        services.verifier  # noqa: B018 - its workers are forked while this process has one thread
        if pkcs12 is not None:
            keys = (Pkcs12Config(pkcs12, "pkcs12", pin_source or "prompt"),)
            services.keyring = Keyring((), (), keys, "trial")  # named for this call; the warning is ours
            if settings.mode != "trial":
                _warn_of_software_key()
        if pkcs12 is None:
            check_credential(wanted, str(credential))
        signer = services.keyring.get("pkcs12" if pkcs12 is not None else str(credential))
        if image is not None:
            from signsvc.signing.appearance import images

            params = replace(params, visible=replace(params.visible or Visible(), picture=images.read(image)))
        if kind.format == "pades":
            params = services.images.supplied(params, wanted.appearance, credential or "")
        authority = None
        if tsa is not None or anchors:
            extra = tuple(Certificate.from_der(a) for a in trust.trust_anchors)
            authority = services.tsa_for(tsa, extra) if tsa or settings.tsa else None

        def work(path: Path, target: Path) -> SignResult:
            result = services.signing.sign(
                path,
                target,
                profile=wanted,
                signer=signer,
                params=replace(params, file_name=path.name),
                trust=trust,
                tsa=authority,
                base_sha256=base_sha256,
                more=more,
            )
            if wanted.raise_to is None or LEVELS.index(wanted.raise_to) <= wanted.rank:
                return result
            # Here nobody waits for an answer, and there is no job that could raise the level later.
            try:
                raised = services.signing.extend(
                    target,
                    target,
                    level=wanted.raise_to,
                    policy=wanted.policy,
                    trust=trust,
                    tsa=authority,
                    original=path if kind.detached else None,
                    original_name=path.name,
                )
            except SignsvcError:  # the file is signed and good
                note = Finding.of("level_not_raised", reached=result.level, wanted=wanted.raise_to)
                return replace(result, warnings=(*result.warnings, note))
            return replace(
                raised,
                field=result.field,
                signed_at=result.signed_at,
                certificate=result.certificate,
                chain=result.chain,
                warnings=result.warnings,
            )

        asked = sys.stderr.isatty() and len(todo) > 1  # somebody looks on who can plug it in again
        seconds = wait_token if wait_token is not None else WAIT_TOKEN_SECONDS if asked else 0.0
        step = batch.patient(work, seconds) if seconds else work
        if not resume and journal is None:
            return signing.run(todo, batch.stopping(step), jobs=jobs, label="Đang ký", as_json=as_json)
        record = batch.Journal(journal or next(iter(todo.values())).absolute().parent / batch.NAME)
        steps = batch.stopping(batch.resumable(step, record))
        return signing.run(todo, steps, jobs=jobs, label="Đang ký", as_json=as_json)


def _together(paths: tuple[Path, ...]) -> tuple[tuple[Path, ...], tuple[OriginalFile, ...]]:
    """The first of the files that go into one container, and the others under their names."""
    from signsvc.cli.files import expand
    from signsvc.verification.model import OriginalFile

    first, *others = expand(paths)
    return (first,), tuple(OriginalFile(path.name, path) for path in others)


def _warn_of_software_key() -> None:
    from signsvc.messages import text

    for lang in ("vi", "en"):
        click.echo(click.style(text("software_key_outside_trial", lang), fg="red", bold=True), err=True)


def _visible(
    place: str | None,
    template: str | None,
    anchor: str | None,
    anchor_to: str | None,
    beside: str | None,
    size: str | None,
    pictured: bool,
) -> dict[str, object] | None:
    found: dict[str, object] = {"template": template} if template else {}
    try:
        if place is not None:
            page, *rect = place.split(",")
            found["page"] = int(page)
            if rect:
                found["rect"] = [float(part) for part in rect]
        if size is not None:
            found["size"] = [float(part) for part in size.split(",")]
    except ValueError:
        raise click.UsageError("--visible takes PAGE or PAGE,LEFT,BOTTOM,RIGHT,TOP; --size takes W,H") from None
    if anchor_to is not None and anchor is None:
        raise click.UsageError("--anchor-to goes with --anchor")
    if anchor is not None:
        found["anchor"] = {"text": anchor, "to": anchor_to}
    if beside is not None:
        found["beside"] = beside
    return found or ({} if pictured else None)
