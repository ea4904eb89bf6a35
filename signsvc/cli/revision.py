"""``signsvc revision``: the document as it was signed, byte-exact, out of what became of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import click

from signsvc.cli.root import EXIT_PASSED


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--signature", "wanted", metavar="NAME", help="Field name or id of the signature.  [default: the first]")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output.")
def revision(path: Path, wanted: str | None, out: Path, as_json: bool) -> int:
    """Write the revision of a PDF that a signature or document timestamp covers, without what was added later.

    The octets are those that were signed, so it verifies by itself; nothing is judged here.

    Exit codes: 0 written, 4 no such signature or it covers no whole revision, 64 usage.
    """
    from signsvc.errors import DocumentError
    from signsvc.paths import basics
    from signsvc.verification import TrustSource, Verifier, VerifyRequest

    if not path.is_file():
        raise DocumentError("not_found")
    settings = basics()
    # A worker reads the file; here only its octets up to the place that the worker names are copied.
    with Verifier(TrustSource(settings.trust_dir, settings.trust_profiles), workers=1, fork=True) as verifier:
        report = verifier.verify(path.absolute(), VerifyRequest(policy=settings.policy, offline=True)).report
    found = _find(report, wanted)
    if found is None:
        raise DocumentError("revision_not_found")
    end = sum(found["scope"]["byte_ranges"][-1])
    digest = hashlib.sha256()
    with path.open("rb") as source, out.open("xb") as target:
        for start in range(0, end, 1 << 20):
            chunk = source.read(min(1 << 20, end - start))
            digest.update(chunk)
            target.write(chunk)
    number, of = found["scope"]["revision"], found["scope"]["of"]
    if as_json:
        output = {"path": str(out), "size": end, "sha256": digest.hexdigest()}
        click.echo(json.dumps({"signature": found["id"], "revision": number, "of": of, "output": output}))
    else:
        click.echo(f"{out}: bản {number}/{of}, {end} byte / revision {number} of {of}, {end} octets")
    return EXIT_PASSED


def _find(report: dict[str, Any], wanted: str | None) -> dict[str, Any] | None:
    """The signature or document timestamp of that name which covers a whole revision."""
    for entry in (*report["signatures"], *report["timestamps"]):
        scope = entry["scope"]
        if scope and scope["revision"] and (wanted is None or wanted in (entry["field"], entry["id"])):
            return dict(entry)
    return None
