"""Installed trust material: certificates as DER files under a directory, one folder per profile.

    <directory>/profiles/*.toml          a site's own profiles, added to or in place of the built-in ones
    <directory>/<profile>/<sha256>.der   one installed certificate
    <directory>/<profile>/state.json     kind, profile entry and why each was accepted

Nothing enters without a fingerprint: one that the profile pins, or one that the operator confirmed.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from signsvc.asn1 import DerError
from signsvc.errors import ConfigError, RequestError, StorageError, TrustError
from signsvc.trust import profile as profiles_module
from signsvc.trust.bundle import read_certificates
from signsvc.trust.files import write_whole
from signsvc.trust.material import TrustAnchor, TrustMaterial
from signsvc.trust.profile import ANCHOR, INTERMEDIATE, Profile, ProfileEntry, normalize_fingerprint
from signsvc.types import Certificate


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed certificate; `sha256` in lower-case hex."""

    sha256: str
    kind: str  # anchor | intermediate
    entry: str | None  # id of the profile's entry
    basis: str  # pin | confirmed | trial
    installed_at: str | None
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Refused:
    """A certificate that was not installed.  `reason`: not_pinned, subject_differs, name_is_pinned, not_a_ca."""

    certificate: Certificate
    reason: str


@dataclass(frozen=True, slots=True)
class InstallResult:
    installed: tuple[Installed, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class ProfileState:
    """A profile with what of it is installed; `missing` are entries without an installed certificate."""

    profile: Profile
    installed: tuple[Installed, ...]
    missing: tuple[ProfileEntry, ...]


class TrustStore:
    """Trust profiles and the certificates installed for them under `directory` (which need not exist)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._kept: dict[str, tuple[object, tuple[Installed, ...]]] = {}

    # reading ---------------------------------------------------------------------------------------------------
    def profiles(self) -> tuple[Profile, ...]:
        """All profiles, built in and the site's own, by id.  Raises `ConfigError` for a site file that is wrong."""
        return tuple(profile for _, profile in sorted(self._profiles().items()))

    def profile(self, profile_id: str) -> Profile:
        """One profile.  Raises `TrustError` (``trust_profile_not_found``)."""
        return _named(self._profiles(), profile_id)

    def show(self, profile_id: str) -> ProfileState:
        """A profile and what is installed.  Raises `TrustError` (``trust_profile_not_found``)."""
        profile = self.profile(profile_id)
        installed = self._installed(profile)
        have = {item.entry for item in installed}
        return ProfileState(profile, installed, tuple(e for e in profile.entries if e.id not in have))

    def material(
        self,
        *profile_ids: str,
        extra_anchors: Iterable[Certificate] = (),
        extra_intermediates: Iterable[Certificate] = (),
    ) -> TrustMaterial:
        """What the named profiles trust together, and what the caller adds for this call.

        Raises `TrustError` (``trust_profile_not_found``).
        """
        anchors: dict[Certificate, TrustAnchor] = {}
        intermediates: dict[Certificate, None] = {}
        host_map: dict[str, str] = {}
        keeps: dict[bytes, datetime] = {}
        hosts: set[str] = set()
        known = self._profiles() if profile_ids else {}
        for profile_id in profile_ids:
            profile = _named(known, profile_id)
            entries = {entry.id: entry for entry in profile.entries}
            host_map.update(profile.host_map)
            hosts |= profile.hosts
            for item in self._installed(profile):
                entry = entries.get(item.entry or "")
                if item.kind == ANCHOR:
                    anchor = _anchor(profile, entry, item.certificate)
                    anchors[item.certificate] = _wider(anchors.get(item.certificate), anchor)
                else:
                    intermediates[item.certificate] = None
                if entry is not None and entry.keeps_expired_since is not None:
                    keeps[item.certificate.sha256] = entry.keeps_expired_since
        for certificate in extra_anchors:
            anchors.setdefault(certificate, TrustAnchor(certificate, certificate.common_name))
        intermediates.update(dict.fromkeys(extra_intermediates))
        return TrustMaterial(
            profile_ids, tuple(anchors.values()), tuple(intermediates), host_map, keeps, frozenset(hosts)
        )

    # changing --------------------------------------------------------------------------------------------------
    def install(
        self,
        profile_id: str,
        data: bytes,
        confirm: str | Collection[str] | None = None,
        *,
        unconfirmed: bool = False,
        now: datetime | None = None,
    ) -> InstallResult:
        """Install what of a DER, PEM or PKCS#7 file the profile pins or `confirm` names (SHA-256 fingerprints).

        `unconfirmed` takes every CA certificate, and works for a trial profile only.  Raises `RequestError` for a file
        or fingerprint that cannot be read, `TrustError` (``certificate_not_pinned``, ``certificate_not_installable``;
        with the first fingerprint and the reason) where nothing of the file may be installed, `StorageError` or
        `ConfigError` where it cannot be written.
        """
        profile = self.profile(profile_id)
        if unconfirmed and not profile.trial:
            raise RequestError(reason="only a trial profile takes certificates unconfirmed")
        try:
            given = [confirm] if isinstance(confirm, str) else list(confirm or ())
            confirmed = {normalize_fingerprint(text) for text in given}
        except ValueError:
            raise RequestError(reason="not a SHA-256 fingerprint") from None
        installed, refused = self._add(profile, read_certificates(data), confirmed, unconfirmed, now)
        if not installed:
            first = refused[0]
            code = "certificate_not_pinned" if first.reason == "not_pinned" else "certificate_not_installable"
            sha256 = first.certificate.sha256.hex()
            raise TrustError(code, sha256=sha256, reason=first.reason, profile=profile_id)
        return InstallResult(tuple(installed), tuple(refused))

    def replace_listed(self, text: str, certificates: Iterable[Certificate], now: datetime) -> tuple[Installed, ...]:
        """Put the profile in `text`, made from a trusted list, and its certificates in the place of what was there.

        Raises `ConfigError` where the directory cannot be written, `StorageError` where it is full.
        """
        profile = profiles_module.parse(text, "list")
        folder = self.directory / "profiles"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / f"{profile.id}.toml", text.encode(), mode=0o644, durable=True)
        except OSError as error:
            raise _unwritable(error) from None
        installed, _ = self._add(profile, certificates, (), False, now)
        listed = {item.sha256 for item in installed}
        with self._changing(profile.id) as (place, state):
            for sha256 in [s for s in state if s not in listed]:
                del state[sha256]
                (place / f"{sha256}.der").unlink(missing_ok=True)
        return tuple(installed)

    def remove_listed(self, profile_id: str) -> Profile:
        """Remove a profile made from a trusted list, with its certificates.  Raises `TrustError`
        (``trust_profile_not_found``) where there is no such profile."""
        import shutil

        profile = self.profile(profile_id)
        if not profile.source:
            raise TrustError("trust_profile_not_found", profile=profile_id[:64])
        try:
            (self.directory / "profiles" / f"{profile_id}.toml").unlink()
            shutil.rmtree(self.directory / profile_id, ignore_errors=True)
        except OSError as error:
            raise _unwritable(error) from None
        return profile

    def _add(
        self,
        profile: Profile,
        certificates: Iterable[Certificate],
        confirmed: Collection[str],
        unconfirmed: bool,
        now: datetime | None,
    ) -> tuple[list[Installed], list[Refused]]:
        installed: list[Installed] = []
        refused: list[Refused] = []
        for certificate in certificates:
            verdict = _judge(profile, certificate, confirmed, unconfirmed)
            if isinstance(verdict, str):
                refused.append(Refused(certificate, verdict))
            else:
                kind, entry, basis = verdict
                moment = now.isoformat(timespec="seconds") if now else None
                installed.append(Installed(certificate.sha256.hex(), kind, entry, basis, moment, certificate))
        if not installed:
            return installed, refused
        with self._changing(profile.id) as (folder, state):
            for item in installed:
                write_whole(folder / f"{item.sha256}.der", item.certificate.der, mode=0o644, durable=True)
                facts = asdict(item)
                del facts["certificate"], facts["sha256"]
                state[item.sha256] = facts
        return installed, refused

    def remove(self, profile_id: str, sha256: str) -> Installed:
        """Remove one installed certificate.  Raises `TrustError` (``certificate_not_installed``) where it is
        not there, `RequestError` where `sha256` is no fingerprint."""
        profile = self.profile(profile_id)
        try:
            wanted = normalize_fingerprint(sha256)
        except ValueError:
            raise RequestError(reason="not a SHA-256 fingerprint") from None
        found = next((item for item in self._installed(profile) if item.sha256 == wanted), None)
        if found is None:
            raise TrustError("certificate_not_installed", sha256=wanted, profile=profile_id)
        with self._changing(profile_id) as (folder, state):
            state.pop(wanted, None)
            (folder / f"{wanted}.der").unlink(missing_ok=True)
        return found

    # machinery -------------------------------------------------------------------------------------------------
    def _profiles(self) -> Mapping[str, Profile]:
        return profiles_module.load_all(self.directory / "profiles")

    def _installed(self, profile: Profile) -> tuple[Installed, ...]:
        path = self.directory / profile.id / "state.json"
        try:
            status = path.stat()
        except OSError:
            return ()
        mark = (status.st_mtime_ns, status.st_ino, profile)
        kept = self._kept.get(profile.id)
        if kept is not None and kept[0] == mark:
            return kept[1]
        found = tuple(_load(path, profile))
        self._kept[profile.id] = (mark, found)
        return found

    @contextmanager
    def _changing(self, profile_id: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The profile's folder and state under a lock; the state is written at the end."""
        import fcntl

        folder = self.directory / profile_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / ".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                path = folder / "state.json"
                state = json.loads(path.read_text("utf-8"))["certificates"] if path.is_file() else {}
                yield folder, state
                text = json.dumps({"version": 1, "certificates": state}, indent=1, sort_keys=True)
                write_whole(path, text.encode(), mode=0o644, durable=True)
        except OSError as error:
            raise _unwritable(error) from None


def _unwritable(error: OSError) -> StorageError | ConfigError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError()
    return ConfigError(reason=f"the trust directory cannot be written: {error.strerror}")


def _anchor(profile: Profile, entry: ProfileEntry | None, certificate: Certificate) -> TrustAnchor:
    if entry is None:
        return TrustAnchor(certificate, certificate.common_name, profile=profile.id)
    until = profile.source.get("next_update") if entry.service else None
    return TrustAnchor(certificate, certificate.common_name, entry.sunset, profile.id, entry.since, entry.use, until)


def _wider(one: TrustAnchor | None, other: TrustAnchor) -> TrustAnchor:
    """Of what two profiles say of one certificate, what trusts more: who names both profiles trusts both."""
    if one is None:
        return other
    return min(one, other, key=lambda a: (bool(a.use), a.sunset is not None, a.since is not None))


def _named(known: Mapping[str, Profile], profile_id: str) -> Profile:
    found = known.get(profile_id)
    if found is None:
        raise TrustError("trust_profile_not_found", profile=profile_id[:64])
    return found


def _load(path: Path, profile: Profile) -> Iterator[Installed]:
    try:
        state = json.loads(path.read_text("utf-8"))["certificates"]
        for sha256, facts in state.items():
            certificate = Certificate.from_der((path.parent / f"{sha256}.der").read_bytes())
            kind, entry, basis = facts["kind"], facts.get("entry"), facts["basis"]
            if certificate.sha256.hex() != sha256 or kind not in (ANCHOR, INTERMEDIATE):
                raise ValueError(sha256)
            if basis == "pin" and profile.pinned(sha256) is None:
                continue  # a newer profile no longer pins it
            yield Installed(sha256, kind, entry, basis, facts.get("installed_at"), certificate)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Trust material that is not what it was installed as is never used in part.
        raise ConfigError(reason=f"trust profile {profile.id}: the installed files are damaged") from None


def _judge(
    profile: Profile, certificate: Certificate, confirmed: Collection[str], unconfirmed: bool
) -> tuple[str, str | None, str] | str:
    """(kind, entry id, basis) for what may be installed, else the reason why not."""
    sha256 = certificate.sha256.hex()
    entry = profile.pinned(sha256)
    basis = "pin"
    if entry is not None and not entry.matches_subject(certificate):
        return "subject_differs"
    if entry is None:
        if sha256 in confirmed:
            basis = "confirmed"
        elif unconfirmed:
            basis = "trial"
        else:
            return "not_pinned"
        entry = profile.named(certificate)
    try:
        is_ca = certificate.is_ca or (entry is not None and basis == "pin")
    except DerError:
        is_ca = False
    if not is_ca:
        return "not_a_ca"
    kind = entry.kind if entry is not None else (ANCHOR if _self_signed(certificate) else INTERMEDIATE)
    if kind == ANCHOR and entry is not None and entry.sha256 not in (None, sha256):
        return "name_is_pinned"  # takes the name of an anchor whose fingerprint is known
    if kind == ANCHOR and not (entry is not None and entry.service) and not _self_signed(certificate):
        kind = INTERMEDIATE
    return kind, entry.id if entry is not None else None, basis


def _self_signed(certificate: Certificate) -> bool:
    from signsvc.trust.paths import issued

    return certificate.self_issued and issued(certificate, certificate)
