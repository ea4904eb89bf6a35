"""``signsvc config``: is the configuration complete, and which command mends what is missing."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from signsvc.cli.root import EXIT_PASSED, EXIT_PROBLEM
from signsvc.errors import SignsvcError

if TYPE_CHECKING:
    from signsvc.settings import CscSettings, Settings


@dataclass(frozen=True, slots=True)
class Line:
    """One thing checked: `ok` None means a warning; `mend` is the command or setting that helps."""

    what: str
    ok: bool | None
    detail: str
    mend: str = ""
    detail_vi: str = ""  # where `detail` is no phrase of the catalogue


@click.group()
def config() -> None:
    """Check and show the configuration."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def check(as_json: bool) -> int:
    """Say what is missing and the command that mends it.  Exit code 4 where the service could not work."""
    from signsvc.settings import Settings

    lines = list(examine(Settings.load()))
    return show(lines, as_json=as_json)


@config.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, as without it.")
def show_settings(as_json: bool) -> None:  # noqa: ARG001 - one form only
    """Print the settings in force as JSON (they hold no secrets, only where secrets are)."""
    from signsvc.settings import Settings

    click.echo(Settings.load().model_dump_json(indent=2))


def show(lines: list[Line], *, as_json: bool) -> int:
    """Print the lines; exit code 4 where any failed."""
    from signsvc.messages import reason_text

    lines = [replace(line, detail_vi=line.detail_vi or reason_text(line.detail, "vi")) for line in lines]
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], ensure_ascii=False, indent=2))
    else:
        for line in lines:
            mark, colour = {True: ("✓", "green"), None: ("!", "yellow"), False: ("✗", "red")}[line.ok]
            click.echo(f"{click.style(mark, fg=colour)} {line.what}: {_both(line.detail_vi, line.detail)}")
            if line.mend and line.ok is not True:
                click.echo(f"    → {_both(reason_text(line.mend, 'vi'), line.mend)}")
    return EXIT_PROBLEM if any(line.ok is False for line in lines) else EXIT_PASSED


def _both(vi: str, en: str) -> str:
    return en if vi == en else f"{vi} / {en}"


def examine(settings: Settings) -> Iterator[Line]:
    """Check every part of the configuration, without touching the network or asking for a PIN."""
    from signsvc.paths import config_file

    found = config_file()
    yield Line(
        "config",
        True if found else None,
        str(found) if found else "no file; defaults and environment only",
        "write /etc/signsvc/signsvc.toml or set SIGNSVC_CONFIG",
    )
    yield _directory("data_dir", settings.data_dir)
    yield _private("run_dir", settings.run_dir)
    yield from _trust(settings)
    yield from _keys(settings)
    if settings.tsa:
        yield Line("tsa", True, ", ".join(f"{t.name} ({t.url})" for t in settings.tsa))
    else:
        mend = 'add [[tsa]] name = "vgca" url = "http://tsa.ca.gov.vn/" to the configuration'
        yield Line("tsa", None, "no timestamp authority: only B-B can be signed", mend)
    yield from _api_keys(settings)


def _directory(what: str, path: Path) -> Line:
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if os.access(place, os.W_OK) and place.is_dir():
        return Line(what, True, str(path))
    return Line(what, False, f"{path} is not writable", f"install -d -o signsvc -m 0750 {path}")


def _private(what: str, path: Path) -> Line:
    """Where the token processes listen: this user's alone, or made so when first needed."""
    if not path.exists():
        return _directory(what, path)
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        return Line(what, True, str(path))
    return Line(what, False, f"{path} must be a directory of this user alone", f"install -d -o signsvc -m 0700 {path}")


def _trust(settings: Settings) -> Iterator[Line]:
    from signsvc.trust import TrustStore
    from signsvc.validation import policies

    store = TrustStore(settings.trust_dir)
    try:
        policy = policies.load(settings.policy, (settings.data_dir / "policies",))
        wanted = (*policy.trust_profiles, *settings.trust_profiles)
    except SignsvcError as error:
        yield Line("policy", False, error.text("en"), "signsvc policy list", error.text("vi"))
        return
    anchored = 0
    for profile_id in dict.fromkeys(wanted):
        try:
            state = store.show(profile_id)
        except SignsvcError as error:
            yield Line(f"trust {profile_id}", False, error.text("en"), "signsvc trust list", error.text("vi"))
            continue
        anchors = [i for i in state.installed if i.kind == "anchor"]
        anchored += len(anchors)
        detail = f"{len(anchors)} root(s), {len(state.installed) - len(anchors)} intermediate(s) installed"
        yield Line(f"trust {profile_id}", bool(anchors) or None, detail, f"signsvc trust install {profile_id} FILE…")
    if not anchored:
        mend = "signsvc trust install cong-vu rootca.crt rootcag2.crt cpcag2.crt"
        yield Line("trust", False, "no root certificate is installed: nothing can be TOTAL-PASSED", mend)


def _keys(settings: Settings) -> Iterator[Line]:
    for token in settings.tokens:
        name = f"token {token.token or token.module.name}"
        if not token.module.is_file():
            yield Line(name, False, f"{token.module} does not exist", "signsvc token list (shows modules found here)")
        elif token.pin is None:
            yield Line(name, None, "no PIN source", 'pin = "file:/run/secrets/token-pin" in [[tokens]]')
        else:
            yield _pin(name, token.pin)
    for credential in settings.credentials:
        name = f"credential {credential.id}"
        file = credential.pkcs12 or credential.key
        if credential.csc is not None:
            yield from _remote_key(name, credential.csc, credential.pin)
        elif file is not None:
            if not file.is_file():
                member = "pkcs12" if credential.pkcs12 else "key"
                yield Line(name, False, f"{file} does not exist", f"correct {member} in [[credentials]]")
            elif credential.pkcs12 is None and credential.certificate is None:
                yield Line(name, False, "key needs its certificate", 'certificate = "FILE" in [[credentials]]')
            elif settings.mode == "production" and not settings.allow_software_keys:
                mend = 'use a token, or mode = "trial" for trials'
                yield Line(name, False, "the key of a file in production mode", mend)
            else:
                yield Line(name, None, "a software key: for trials only", "move the key to a token or HSM")
        else:
            selected = credential.key_id or credential.label or credential.serial or credential.subject
            mend = "name it by key_id, label, serial or subject (signsvc token list)"
            yield Line(name, bool(selected), f"key {selected}" if selected else "no key is named", mend)
    if not settings.credentials:
        yield Line("credentials", None, "no signing key: this service verifies only", "signsvc token list")


def _remote_key(name: str, found: CscSettings, pin: str | None) -> Iterator[Line]:
    """What can be told of a remote key without calling its service, which `signsvc doctor` does."""
    from signsvc.keys.configured import remote_mistake

    mistake = remote_mistake(found)
    yield Line(name, mistake is None, mistake or f"at {found.url}", "correct [credentials.csc]")
    secrets = (("PIN", pin), ("password", found.password), ("client_secret", found.client_secret))
    for what, source in (*secrets, ("access_token", found.access_token)):
        if source is not None:
            yield _pin(name, source, what)


def _pin(name: str, source: str, what: str = "PIN") -> Line:
    kind, _, rest = source.partition(":")
    if kind == "file" and not Path(rest).is_file():
        return Line(name, False, f"{what} file {rest} does not exist", f"install -m 0400 /dev/stdin {rest}")
    if kind == "file" and not os.access(rest, os.R_OK):
        return Line(name, False, f"{what} file {rest} cannot be read by this user", f"chown {os.geteuid()} {rest}")
    if kind == "file" and Path(rest).stat().st_mode & 0o077:
        return Line(name, None, f"{what} file {rest} can be read by others", f"chmod 0400 {rest}")
    if kind == "env" and rest not in os.environ:
        return Line(name, False, f"environment variable {rest} is not set", f"export {rest}=…")
    return Line(name, True, f"{what} from {kind}")


def _api_keys(settings: Settings) -> Iterator[Line]:
    if not settings.auth.required:
        yield Line("api keys", None, "auth.required is off: anybody may call /v1", "auth.required = true")
        return
    from sqlalchemy.exc import SQLAlchemyError

    from signsvc.store import Store

    store = Store(settings.database_url, settings.blob_dir)
    try:
        active = [k for k in store.api_keys.list() if k.disabled_at is None]
    except SignsvcError as error:
        yield Line("api keys", False, error.text("en"), "correct store.database_url", error.text("vi"))
        return
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        yield Line("database", False, f"cannot be opened: {reason}", "correct data_dir or store.database_url")
        return
    finally:
        store.close()
    mend = "signsvc apikey create --name NAME --scope sign --scope verify"
    yield Line("api keys", bool(active) or None, f"{len(active)} active", mend)
