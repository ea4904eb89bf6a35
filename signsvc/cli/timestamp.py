"""``signsvc timestamp``: prove that files existed, by a document timestamp in a PDF or a token beside any file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from signsvc.cli import signing
from signsvc.cli.root import EXIT_PASSED

if TYPE_CHECKING:
    from signsvc.signing import SignResult
    from signsvc.trust import TsaClient


@click.command()
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--detached", is_flag=True, help="Leave the file, of any kind, as it is: a token beside it.")
@click.option(
    "--form",
    type=click.Choice(["tsr", "tst"]),
    default="tsr",
    show_default=True,
    help="What --detached writes: the authority's response, or the bare token.",
)
@click.option("--policy", help="Validation policy that the result must pass its own check under.")
@signing.wait
@signing.common
def timestamp(
    paths: tuple[Path, ...],
    detached: bool,
    form: str,
    policy: str | None,
    wait_seconds: float,
    out: Path | None,
    out_dir: Path | None,
    anchors: tuple[Path, ...],
    certificates: tuple[Path, ...],
    crls: tuple[Path, ...],
    tsa: str | None,
    offline: bool,
    as_json: bool,
) -> int:
    """Put a document timestamp into each PDF, signed or not; with --detached a checked RFC 3161 token beside it.

    Exit codes: 0 all stamped, 4 any could not be stamped, 64 usage.
    """
    todo = signing.targets(paths, out, out_dir, "-timestamp")
    if not todo:
        return EXIT_PASSED
    if detached and out is None:
        todo = {path: target.with_name(f"{path.name}.{form}") for path, target in todo.items()}
    from signsvc.services import Services
    from signsvc.settings import Settings
    from signsvc.types import Certificate

    settings = Settings.load()
    trust = signing.trust_input(anchors, certificates, crls, offline=offline)
    with Services(settings, workers=1, fork=True) as services:
        if not detached:
            services.verifier  # noqa: B018 - its worker is forked while this process has one thread
        extra = tuple(Certificate.from_der(a) for a in trust.trust_anchors)
        authority = services.tsa_for(tsa, extra) if tsa or settings.tsa else None

        def work(path: Path, target: Path) -> SignResult:
            if detached:
                return _detached(path, target, form, authority)
            return services.signing.timestamp(
                path, target, policy=policy or settings.policy, trust=trust, tsa=authority
            )

        step = signing.asking_again(work, wait_seconds)
        return signing.run(todo, step, jobs=1, label="Đang đóng dấu thời gian", as_json=as_json)


def _detached(path: Path, target: Path, form: str, authority: TsaClient | None) -> SignResult:
    """Write the token over the file's SHA-256.  Raises what `TsaClient.timestamp` raises."""
    import hashlib
    from datetime import UTC, datetime

    from signsvc.asn1 import der, encode, encode_integer
    from signsvc.errors import ConfigError
    from signsvc.signing import SignResult

    if authority is None:
        raise ConfigError("configuration_invalid", reason="no timestamp authority is configured ([[tsa]])")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    token = authority.timestamp(digest, "sha256", now=datetime.now(UTC))
    data = token.der
    if form == "tsr":  # TimeStampResp: granted (RFC 3161 §2.4.2)
        data = encode(der.SEQUENCE, encode(der.SEQUENCE, encode_integer(0)), data)
    target.write_bytes(data)
    return SignResult(
        level="timestamp",
        field=None,
        signed_at=None,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        best_signature_time=token.gen_time,
        tsa=token.tsa,
    )
