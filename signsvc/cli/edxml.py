"""``signsvc edxml``: packets of the national document axis: verify, unpack, answer, make and sign them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signsvc.cli.root import EXIT_FAILED, EXIT_INDETERMINATE, EXIT_NO_SIGNATURE, EXIT_PASSED, EXIT_PROBLEM, show_error
from signsvc.errors import SignsvcError

if TYPE_CHECKING:
    from signsvc.formats.edxml import Packet

_CODES = {
    "TOTAL-PASSED": EXIT_PASSED,
    "TOTAL-FAILED": EXIT_FAILED,
    "INDETERMINATE": EXIT_INDETERMINATE,
    "NO-SIGNATURE": EXIT_NO_SIGNATURE,
}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(help="Verify, unpack, answer, make and sign edXML packets (QCVN 102).")
def edxml() -> None:
    pass


@edxml.command()
@click.argument("file", type=_FILE)
@click.option("--policy", help="Validation policy.  [default: that of the configuration]")
@click.option("--trust-anchor", "anchors", multiple=True, type=_FILE, help="Trust this certificate for this call.")
@click.option("--offline", is_flag=True, help="Use embedded and cached evidence only.")
@click.option("--accept", "rule_id", metavar="RULE", help="Also say accept, reject or review by this rule.")
@click.option("--status-out", type=click.Path(dir_okay=False, path_type=Path), help="Write the status message to send.")
@click.option("--from", "sender", metavar="ORGANID[=NAME]", help="Who sends the status message.")
@click.option("--json", "as_json", is_flag=True, help="Print all that was found as JSON.")
def verify(
    file: Path,
    policy: str | None,
    anchors: tuple[Path, ...],
    offline: bool,
    rule_id: str | None,
    status_out: Path | None,
    sender: str | None,
    as_json: bool,
) -> int:
    """Judge every attachment, and the packet's own signature apart.  Exit codes as of `signsvc verify`."""
    from signsvc.cli import files
    from signsvc.cli.verify import _fetch
    from signsvc.paths import basics
    from signsvc.reports import acceptance
    from signsvc.verification import TrustSource, Verifier, VerifyRequest

    if status_out is not None and (rule_id is None or sender is None):
        raise click.UsageError("--status-out goes with --accept and --from")
    settings = basics()
    rule = acceptance.rule(rule_id, (settings.policy_dir.parent / "acceptance",)) if rule_id else None
    trust = TrustSource(
        settings.trust_dir, settings.trust_profiles, (settings.policy_dir,), indexes=(settings.index_dir,)
    )
    request = VerifyRequest(
        policy=policy or settings.policy,
        trust_anchors=files.read_ders(anchors, "CERTIFICATE"),
        offline=offline,
        name=file.name,
    )
    try:
        with Verifier(trust, fetch=_fetch(), cached=_fetch(cached=True), workers=1, fork=True) as verifier:
            found = verifier.verify_edxml(file.absolute(), request)
    except SignsvcError as error:
        if as_json:
            problem = {"code": error.code, "detail": error.text("en"), "detail_vi": error.text("vi")}
            click.echo(json.dumps({"document": {"name": file.name}, "problem": problem}, ensure_ascii=False))
        else:
            show_error(error, str(file))
        return EXIT_PROBLEM
    if rule is not None:
        found["acceptance"] = acceptance.accept_packet(found, rule)
        if status_out is not None:
            said = found["acceptance"]["status"]
            status_out.write_bytes(_status(_packet(found["packet"]), said["code"], said["reason"], str(sender)))
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else _shown(found, file))
    return _CODES[found["indication"]]


@edxml.command()
@click.argument("file", type=_FILE)
@click.option("--out-dir", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where files go.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: name, path or problem.")
def unpack(file: Path, out_dir: Path, as_json: bool) -> int:
    """Write the attachments under safe names; one that is there already is not written over."""
    found, parts = _unpacked(file)
    out_dir.mkdir(parents=True, exist_ok=True)
    status = EXIT_PASSED
    for one, data in zip(found["attachments"], parts, strict=True):
        path = None
        if data is None:
            status = EXIT_PROBLEM
        else:
            path = _free(out_dir, one["name"])
            with path.open("xb") as stream:
                stream.write(data)
        if as_json:
            said = {"name": one["name"], "path": str(path) if path else None, "problem": one["problem"]}
            click.echo(json.dumps(said, ensure_ascii=False))
        elif path is None:
            click.echo(f"{one['name']}: không đọc được / cannot be read [{one['problem']}]", err=True)
        else:
            click.echo(str(path))
    return status


@edxml.command()
@click.argument("file", type=_FILE)
@click.option("--code", required=True, help="Status code: 01 arrived, 02 refused, 03 received, …")
@click.option("--reason", default="", help="What is said with it; 02 needs one.")
@click.option("--from", "sender", required=True, metavar="ORGANID[=NAME]", help="Who sends the message.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where it goes.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def status(file: Path, code: str, reason: str, sender: str, out: Path, as_json: bool) -> int:
    """Write the status message that answers a packet."""
    from signsvc.formats.edxml import CODES

    if code not in CODES or (code == "02" and not reason.strip()):
        raise click.UsageError(f"--code: one of {', '.join(CODES)}; 02 with --reason")
    found, _ = _unpacked(file)
    out.write_bytes(_status(_packet(found["packet"]), code, reason, sender))
    said = json.dumps({"path": str(out), "code": code, "reason": reason or None}, ensure_ascii=False)
    click.echo(said if as_json else str(out))
    return EXIT_PASSED


@edxml.command()
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=_FILE)
@click.option("--from", "sender", required=True, metavar="ORGANID[=NAME]", help="The agency that sends it.")
@click.option("--to", "recipients", required=True, multiple=True, metavar="ORGANID[=NAME]", help="Who receives it.")
@click.option("--number", required=True, metavar="12/QĐ-UBND", help="Number and notation of the document.")
@click.option("--date", "promulgated", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Of promulgation.")
@click.option("--subject", required=True, help="What it is about.")
@click.option("--place", default="", help="Where it was promulgated.")
@click.option("--type", "document_type", default="18", show_default=True, help="Document type of QCVN 102.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the packet goes.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def pack(
    files: tuple[Path, ...],
    sender: str,
    recipients: tuple[str, ...],
    number: str,
    promulgated: datetime,
    subject: str,
    place: str,
    document_type: str,
    out: Path,
    as_json: bool,
) -> int:
    """Make a packet of a document and its annexes; `signsvc edxml sign` signs it."""
    from signsvc.formats.edxml import Party, write
    from signsvc.signing.files import media_type_of

    code, _, notation = number.partition("/")
    if not code or not notation:
        raise click.UsageError("--number: number and notation, such as 12/QĐ-UBND")
    held = tuple((path.name, media_type_of(path.name), path.read_bytes()) for path in files)
    parties = [Party(one.partition("=")[0], one.partition("=")[2] or None) for one in (sender, *recipients)]
    made = write.document(
        write.NewDocument(
            parties[0], tuple(parties[1:]), code, notation, promulgated.date(), subject, held, document_type, place
        )
    )
    with out.open("xb") as stream:
        stream.write(made)
    said = {"path": str(out), "attachments": [name for name, _, _ in held]}
    click.echo(json.dumps(said, ensure_ascii=False) if as_json else str(out))
    return EXIT_PASSED


def _signing() -> click.Command:
    """`signsvc sign` with what packets have."""
    from copy import copy

    from signsvc.cli.sign import sign as whole

    kept: list[click.Parameter] = []
    left: dict[str, object] = {}
    for param in map(copy, whole.params):
        if param.name not in _SIGNED_WITH:
            left[str(param.name)] = () if param.multiple else False if getattr(param, "is_flag", False) else None
            continue
        if isinstance(param, click.Option) and param.name == "profile":
            param.required, param.default, param.show_default = False, "edxml-b-t", True
            param.help = "edxml-b-b, edxml-b-t, or one of the site's."
        kept.append(param)

    def run(**given: Any) -> int:
        status: int = whole.callback(**{**left, **given})  # type: ignore[misc]
        return status

    return click.Command(
        "sign",
        callback=run,
        params=kept,
        help="Sign packets over message header, body and attachments, so that trace headers added on the way leave the "
        "signature whole.",
        short_help="Sign packets so that hubs on the way do not break the signature.",
    )


_SIGNED_WITH = {
    "paths", "credential", "pkcs12", "profile", "pin_source", "location", "capacity", "role", "jobs", "out", "out_dir",
    "anchors", "certificates", "crls", "tsa", "offline", "as_json",
}  # fmt: skip
edxml.add_command(_signing())


def _unpacked(file: Path) -> tuple[dict[str, Any], list[bytes | None]]:
    """Read in a worker with limits."""
    from signsvc.paths import basics
    from signsvc.verification import TrustSource, Verifier

    with Verifier(TrustSource(basics().trust_dir), workers=1, fork=True) as verifier:
        return verifier.unpack_edxml(file.absolute())


def _status(packet: Packet, code: str, reason: str, sender: str) -> bytes:
    from signsvc.formats.edxml import Party, status_message

    identifier, _, name = sender.partition("=")
    return status_message(packet, code, reason, sender=Party(identifier, name or None), now=datetime.now(UTC))


def _packet(found: dict[str, Any]) -> Packet:
    """As far as an answer needs it."""
    from signsvc.formats.edxml import Packet, PacketSignature, Party

    names = ("document_id", "number", "notation", "promulgation_date", "subject", "business")
    return Packet(
        sender=Party(found["from"]["id"], found["from"]["name"]),
        recipients=(),
        hops=(),
        attachments=(),
        signature=PacketSignature("absent"),
        **{name: found[name] for name in names},
    )


def _free(directory: Path, name: str) -> Path:
    target = directory / name
    number = 1
    while target.exists():
        number += 1
        target = directory / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return target


def _shown(found: dict[str, Any], file: Path) -> str:
    from signsvc.messages import text

    def words(indication: str) -> str:
        return f"{text('conclusion_' + indication.lower().replace('-', '_'), 'vi')} ({indication})"

    packet = found["packet"]
    lines = [f"{file}: {words(found['indication'])}", f"  {packet['from']['name'] or '?'}: {packet['subject'] or ''}"]
    for one in found["attachments"]:
        said = words(one["report"]["indication"]) if one["report"] else one["problem"]["detail_vi"]
        lines.append(f"  {one['name']}: {said}")
    lines += [f"  {'!' if m['level'] != 'info' else '·'} {m['text_vi']} [{m['code']}]" for m in found["messages"]]
    if "acceptance" in found:
        made = found["acceptance"]
        lines.append(f"  {made['decision']} → {made['status']['code']} {made['status']['reason']}".rstrip())
    return "\n".join(lines)
