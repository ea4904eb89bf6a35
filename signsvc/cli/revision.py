"""``signsvc revision``: the document as it was signed, byte-exact, out of what became of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click

from signsvc.cli.root import EXIT_PASSED


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--signature", "wanted", metavar="NAME", help="Field name, id or number of the signature.  [default: the first]"
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line on standard output.")
def revision(path: Path, wanted: str | None, out: Path, as_json: bool) -> int:
    """Write the revision of a PDF that a signature or document timestamp covers, without what was added later.

    The octets are those that were signed, so it verifies by itself; nothing is judged here.

    Exit codes: 0 written, 4 no such signature or it covers no whole revision, 64 usage.
    """
    from signsvc.errors import DocumentError
    from signsvc.paths import basics
    from signsvc.verification import TrustSource, Verifier

    if not path.is_file():
        raise DocumentError("not_found")
    settings = basics()
    # A worker reads the file; here only its octets up to the place that the worker names are copied.
    with Verifier(TrustSource(settings.trust_dir, settings.trust_profiles), workers=1, fork=True) as verifier:
        found = verifier.revision(path.absolute(), wanted)
    digest = hashlib.sha256()
    with path.open("rb") as source, out.open("xb") as target:
        for start in range(0, found.size, 1 << 20):
            chunk = source.read(min(1 << 20, found.size - start))
            digest.update(chunk)
            target.write(chunk)
    if as_json:
        output = {"path": str(out), "size": found.size, "sha256": digest.hexdigest()}
        answer = {"signature": found.signature, "revision": found.number, "of": found.of, "output": output}
        click.echo(json.dumps(answer))
    else:
        place = f"{found.number}/{found.of}"
        click.echo(f"{out}: bản {place}, {found.size} byte / revision {place}, {found.size} octets")
    return EXIT_PASSED
