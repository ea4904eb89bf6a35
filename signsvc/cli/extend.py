"""``signsvc extend``: add timestamps and validation data to files that are signed already."""

from __future__ import annotations

from pathlib import Path

import click

from signsvc.cli import signing
from signsvc.cli.root import EXIT_PASSED


@click.command()
@click.argument("paths", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--level", type=click.Choice(["B-T", "B-LT", "B-LTA"]), required=True, help="The level to reach.")
@click.option("--policy", help="Validation policy that the result must pass its own check under.")
@click.option(
    "--original",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="What a detached signature is over; for one FILE.",
)
@signing.wait
@signing.base
@signing.common
def extend(
    paths: tuple[Path, ...],
    level: str,
    policy: str | None,
    original: Path | None,
    wait_seconds: float,
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
    """Raise signed files to a level, or renew their archive timestamp (B-LTA again).

    Exit codes: 0 all extended, 4 any could not be extended, 64 usage.
    """
    todo = signing.targets(paths, out, out_dir, f"-{level.lower()}")
    signing.check_base(list(todo), base_sha256)
    if original is not None and len(todo) != 1:
        raise click.UsageError("--original goes with one FILE")
    if not todo:
        return EXIT_PASSED
    from signsvc.services import Services
    from signsvc.settings import Settings
    from signsvc.signing import SignResult
    from signsvc.types import Certificate

    settings = Settings.load()
    trust = signing.trust_input(anchors, certificates, crls, offline=offline)
    with Services(settings, workers=1, fork=True) as services:
        services.verifier  # noqa: B018 - its worker is forked while this process has one thread
        extra = tuple(Certificate.from_der(a) for a in trust.trust_anchors)
        authority = services.tsa_for(tsa, extra) if tsa or settings.tsa else None

        def work(path: Path, target: Path) -> SignResult:
            return services.signing.extend(
                path,
                target,
                level=level,
                policy=policy or settings.policy,
                trust=trust,
                tsa=authority,
                base_sha256=base_sha256,
                original=original,
                original_name=original.name if original is not None else "document",
            )

        step = signing.asking_again(work, wait_seconds)
        return signing.run(todo, step, jobs=1, label="Đang gia hạn", as_json=as_json)
