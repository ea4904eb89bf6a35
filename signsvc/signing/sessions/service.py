"""Signing sessions as a use case: what the doors call, over the store and the signing workers.

Documents are opened in workers alone.  Nothing is remembered here between two calls.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from signsvc.algorithms import SignatureCheck, verify_value
from signsvc.asn1 import DerError
from signsvc.errors import (
    ConfigError,
    CredentialError,
    DocumentError,
    InternalError,
    RequestError,
    SessionError,
    SignsvcError,
)
from signsvc.signing import wire
from signsvc.signing.algorithm import choose
from signsvc.signing.model import SignParams, SignResult
from signsvc.signing.profiles import Profile
from signsvc.signing.sessions import formats, state
from signsvc.signing.sessions.formats import Prepared
from signsvc.signing.sessions.state import Times
from signsvc.store.session_records import ItemState, Session, SessionItem
from signsvc.types import Certificate
from signsvc.verification.processes import describe

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from signsvc.store import Store

# A closed list that a person may be asked to sign with one PIN.
MAX_DOCUMENTS = 500
# Certificates beside the signer's own.
MAX_CHAIN = 10
# A session that somebody else changes again and again is somebody else's.
_ATTEMPTS = 3
_CHUNK = 1 << 20

T = TypeVar("T")
R = TypeVar("R")


class TwoStep(Protocol):
    """The signing workers: `signing.pool.SigningPool`."""

    def prepare(
        self,
        source: Path,
        target: Path,
        *,
        profile: Profile,
        chain: tuple[Certificate, ...],
        params: SignParams,
        room: int,
    ) -> Prepared: ...

    def complete(
        self,
        source: Path,
        target: Path,
        *,
        profile: Profile,
        chain: tuple[Certificate, ...],
        prepared: Prepared,
        value: bytes,
    ) -> SignResult: ...


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document for a new session: a file that the caller owns, and what to say in its signature."""

    path: Path
    sha256: str
    size: int
    name: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


class SigningSessions:
    """Sessions of an installation.  Thread-safe; any number of hosts may share one store."""

    def __init__(
        self,
        store: Store,
        signing: Callable[[], TwoStep],
        *,
        times: Times | None = None,
        parallel: int = 4,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`parallel`: documents of one session in work at a time; `signing` is asked for when it is needed."""
        self._store = store
        self._signing = signing
        self.times = times or Times()
        self._parallel = parallel
        self._clock = clock

    def create(self, owner: str | None, profile: Profile, documents: Sequence[NewDocument]) -> Session:
        """A session over a closed list of documents, each held until the session is done with it.

        Raises `RequestError` (invalid_request) for no, too many or repeated documents, parameters that are none, and
        formats that cannot be signed in two steps; `CredentialError` (credential_not_allowed) for a profile that is
        for named keys of the service; `SessionError` (base_in_signing); `StorageError`.
        """
        media_type = formats.media_type(profile)
        if profile.credential.ids:
            raise CredentialError("credential_not_allowed")
        if not 1 <= len(documents) <= MAX_DOCUMENTS:
            raise RequestError("invalid_request", reason=f"1 to {MAX_DOCUMENTS} documents are needed")
        if len({document.sha256 for document in documents}) != len(documents):
            raise RequestError("invalid_request", reason="a document is given twice")
        for document in documents:
            SignParams.from_json(document.params)
        self.sweep()
        now = self._clock()
        identifier = f"ses_{secrets.token_hex(16)}"
        items = tuple(
            SessionItem(number, d.sha256, d.size, media_type, d.name, dict(d.params))
            for number, d in enumerate(documents, 1)
        )
        session = Session(identifier, owner, now, now + self.times.wait, _plain(profile), items)
        files = self._store.sessions.files
        try:
            for number, document in enumerate(documents, 1):
                files.add(identifier, _base(number), document.path)
            self._store.sessions.add(session, now=now, expired=lambda found: state.expired(found, now))
        except BaseException:
            files.clear(identifier)
            raise
        return session

    def get(self, identifier: str) -> Session:
        """The session as it stands now; one whose time is over ends here.  Raises `RequestError` (not_found)."""
        found = self._store.sessions.get(identifier)
        now = self._clock()
        if state.overdue(found, now):
            found = self._store.sessions.change(identifier, lambda s: state.expired(s, now), now=now)
        return found

    def certificate(self, identifier: str, chain: Iterable[bytes], directory: Path) -> Session:
        """Prepare the documents for the signer with `chain` (DER, the signer's own first); files that workers need go
        into `directory`.

        The same certificate again gives the same answer while that is fresh.  A document that cannot be signed fails
        alone.  Raises `SessionError`; `CredentialError` where the certificate may not sign; `RequestError` where it is
        none; whatever keeps all of it from being done now.  In all these cases the session is as it was.
        """
        ders = tuple(dict.fromkeys(chain))
        certificates = _certificates(ders)
        for _ in range(_ATTEMPTS):
            session = self.get(identifier)
            begun = self._clock()
            todo = state.to_prepare(session, ders, self.times, begun)
            if not todo:
                return session
            profile = profile_of(session)
            choose(profile, certificates[0])
            made, problems = self._prepare(session, todo, profile, certificates, directory)
            try:
                after = self._store.sessions.change(
                    identifier,
                    lambda found: state.prepared(  # called at once
                        found,
                        ders,
                        made,  # noqa: B023
                        problems,  # noqa: B023
                        self.times,
                        version=session.version,  # noqa: B023
                        begun=begun,  # noqa: B023
                        now=self._clock(),
                    ),
                    now=self._clock(),
                )
            except BaseException as error:
                self._drop(identifier, made.values())
                if not (isinstance(error, SessionError) and error.data.get("reason") == "session-changed"):
                    raise
                continue
            self._drop(identifier, (i.prepared for i in session.items if i.number in todo))
            return after
        raise state.conflict("changed")

    def signatures(self, identifier: str, values: Mapping[int, bytes], directory: Path) -> Session:
        """Take signature values by document number and complete what has one; files go into `directory`.

        Every value is verified before anything is done: one that is wrong refuses all of them and leaves the session
        usable.  The same values again change nothing, but complete what could not be completed before.  What becomes
        of each document is said in the session.  Raises `SessionError`; `CredentialError` (signature_mismatch);
        `RequestError` (not_found); `StorageError`.
        """
        for _ in range(_ATTEMPTS):
            session = self.get(identifier)
            now = self._clock()
            fresh = state.awaited(session, values, self.times, now)
            _verify(session, fresh, values)
            if not fresh:
                break
            try:
                session = self._store.sessions.change(
                    identifier,
                    lambda found: state.signed(found, values, self.times, version=session.version, now=now),  # noqa: B023
                    now=now,
                )
                break
            except SessionError as error:
                if error.data.get("reason") != "session-changed":
                    raise
        else:
            raise state.conflict("changed")
        return self._complete(session, directory)

    def cancel(self, identifier: str) -> Session:
        """End a session; what was completed stays.  Raises `SessionError`, `RequestError` (not_found)."""
        self.get(identifier)
        now = self._clock()
        return self._store.sessions.change(identifier, lambda found: state.canceled(found, now), now=now)

    def revision(self, identifier: str, number: int) -> Path:
        """What was added to document `number`, with zeros where the signature will stand.  Raises `RequestError`
        (not_found)."""
        item = self.get(identifier).item(number)
        if item is None or not item.prepared or "tail" not in item.prepared:
            raise RequestError("not_found")
        path = self._store.sessions.files.path(identifier, item.prepared["tail"])
        if not path.is_file():
            raise RequestError("not_found")
        return path

    def sweep(self) -> None:
        """End what is overdue and forget what ended long ago."""
        now = self._clock()
        for identifier in self._store.sessions.overdue(now):
            self._store.sessions.change(identifier, lambda found: state.expired(found, now), now=now)
        self._store.sessions.purge(now - self.times.remember)

    # preparing -------------------------------------------------------------------------------------------------
    def _prepare(
        self,
        session: Session,
        todo: tuple[int, ...],
        profile: Profile,
        chain: tuple[Certificate, ...],
        directory: Path,
    ) -> tuple[dict[int, Mapping[str, Any]], dict[int, Mapping[str, Any]]]:
        """What was prepared, and the problems of documents that cannot be signed, by number."""
        made: dict[int, Mapping[str, Any]] = {}
        problems: dict[int, Mapping[str, Any]] = {}

        def one(number: int) -> None:
            item = session.items[number - 1]
            try:
                made[number] = self._prepare_one(session, item, profile, chain, directory)
            except (DocumentError, RequestError) as error:
                problems[number] = describe(error)

        try:
            # The first alone: it finds out about the certificate, and what it fetches serves the others.
            one(todo[0])
            self._all(one, todo[1:])
        except BaseException:
            self._drop(session.id, made.values())
            raise
        return made, problems

    def _prepare_one(
        self,
        session: Session,
        item: SessionItem,
        profile: Profile,
        chain: tuple[Certificate, ...],
        directory: Path,
    ) -> Mapping[str, Any]:
        files = self._store.sessions.files
        source, target = directory / f"{item.number}-base", directory / f"{item.number}-prepared"
        shutil.copyfile(files.path(session.id, _base(item.number)), source)
        room = int((item.prepared or {}).get("room", 0))
        params = replace(SignParams.from_json(item.params), file_name=item.name)
        try:
            found = self._signing().prepare(source, target, profile=profile, chain=chain, params=params, room=room)
            if _sha256(target, item.size) != item.sha256:
                raise InternalError  # the worker gave back another document
            tail = f"{item.number}-{secrets.token_hex(8)}"
            files.add(session.id, tail, target, start=item.size)
        finally:
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
        return {**found.to_json(), "tail": tail}

    def _drop(self, identifier: str, prepared: Iterable[Mapping[str, Any] | None]) -> None:
        for facts in prepared:
            if facts and "tail" in facts:
                self._store.sessions.files.remove(identifier, facts["tail"])

    # completing ------------------------------------------------------------------------------------------------
    def _complete(self, session: Session, directory: Path) -> Session:
        todo = state.claimable(session, self._clock())
        if not todo:
            return session
        self._all(lambda number: self._complete_one(session.id, number, directory), todo)
        return self._store.sessions.get(session.id)

    def _complete_one(self, identifier: str, number: int, directory: Path) -> None:
        holder = secrets.token_hex(16)
        now = self._clock()
        store = self._store.sessions
        session = store.change(identifier, lambda s: state.claimed(s, number, holder, self.times, now), now=now)
        item = session.item(number)
        if item is None or item.holder != holder:
            return
        if item.signed_elsewhere:  # no timestamp is spent on it
            store.change(identifier, lambda s: state.completed(s, number, holder, {}, now), now=now)
            return
        target = directory / f"{number}-signed"
        try:
            result = self._completed(session, item, target, directory)
            self._keep(identifier, number, holder, item.media_type, result, target)
        except SignsvcError as error:
            self._put_back(identifier, number, holder, error)
        except BaseException:
            self._put_back(identifier, number, holder, InternalError())
            raise
        finally:
            target.unlink(missing_ok=True)

    def _keep(
        self, identifier: str, number: int, holder: str, media_type: str, result: SignResult, target: Path
    ) -> None:
        """The signed file, its report and the document's state: all of them or, where it is the holder's no more or
        may not be, nothing."""
        store, now = self._store, self._clock()
        with store.documents.staged(target) as staged:
            facts = _result(result, staged.sha256, staged.size)

            def also(connection: Connection, after: Session) -> None:
                found = after.items[number - 1]
                if found.state is not ItemState.COMPLETED:
                    return
                if result.report is not None:
                    store.reports.insert(connection, result.report, now=now, owner=after.owner)
                store.documents.register(connection, staged, media_type=media_type, now=now, owner=after.owner)

            store.sessions.change(
                identifier, lambda s: state.completed(s, number, holder, facts, now), now=now, also=also
            )

    def _put_back(self, identifier: str, number: int, holder: str, error: SignsvcError) -> None:
        """Note what kept a document from being completed, for good or for now."""
        now = self._clock()
        room = error.data.pop("room", None)
        problem = describe(error)

        def change(found: Session) -> Session:
            if _lasting(error):
                return state.failed(found, number, holder, problem, now)
            needed = room if isinstance(room, int) else None
            return state.put_back(found, number, holder, problem, now, room=needed)

        self._store.sessions.change(identifier, change, now=now)

    def _completed(self, session: Session, item: SessionItem, target: Path, directory: Path) -> SignResult:
        files = self._store.sessions.files
        source = directory / f"{item.number}-whole"
        if item.prepared is None or item.value is None:
            raise InternalError
        try:
            shutil.copyfile(files.path(session.id, _base(item.number)), source)
            with source.open("ab") as whole, files.path(session.id, item.prepared["tail"]).open("rb") as tail:
                shutil.copyfileobj(tail, whole, _CHUNK)
            return self._signing().complete(
                source,
                target,
                profile=profile_of(session),
                chain=_certificates(session.chain),
                prepared=Prepared.from_json(item.prepared),
                value=item.value,
            )
        finally:
            source.unlink(missing_ok=True)

    def _all(self, work: Callable[[T], R], todo: Sequence[T]) -> list[R]:
        """`work` on everything, a few at a time; the first error stops what has not begun, and is raised."""
        if len(todo) < 2:
            return [work(one) for one in todo]
        threads = ThreadPoolExecutor(min(self._parallel, len(todo)), thread_name_prefix="session")
        try:
            return list(threads.map(work, todo))
        finally:
            threads.shutdown(cancel_futures=True)


def profile_of(session: Session) -> Profile:
    """The profile as it was when the session began."""
    return Profile(**session.profile)


def _plain(profile: Profile) -> dict[str, Any]:
    """As the store gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(profile)))
    return found


def _base(number: int) -> str:
    return f"{number}-base"


def _certificates(chain: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    if not 1 <= len(chain) <= 1 + MAX_CHAIN:
        raise RequestError("invalid_request", reason=f"1 to {1 + MAX_CHAIN} certificates are needed")
    try:
        return tuple(Certificate.from_der(der) for der in chain)
    except DerError:
        raise RequestError("invalid_request", reason="certificates: not a DER certificate") from None


def _verify(session: Session, fresh: Iterable[SessionItem], values: Mapping[int, bytes]) -> None:
    """Raises `CredentialError` (signature_mismatch) that names the documents whose value is wrong."""
    wrong = []
    for item in fresh:
        certificate = _certificates(session.chain)[0]
        prepared = Prepared.from_json(item.prepared or {})
        algorithm = choose(profile_of(session), certificate)
        found = verify_value(certificate, algorithm, values[item.number], message=prepared.attributes)
        if found is not SignatureCheck.VALID:
            wrong.append(str(item.number))
    if wrong:
        raise CredentialError("signature_mismatch", documents=", ".join(itertools.islice(wrong, 20)))


def _lasting(error: SignsvcError) -> bool:
    """Whether trying again cannot help.  What an operator can mend is worth another try."""
    return not (error.retryable or isinstance(error, ConfigError) or error.code == "internal_error")


def _result(result: SignResult, sha256: str, size: int) -> Mapping[str, Any]:
    facts = wire.result_to_json(result)
    report = result.report
    return {
        "id": f"sig_{secrets.token_hex(16)}",
        **{
            name: facts[name]
            for name in ("format", "level", "field", "signed_at", "best_signature_time", "tsa", "warnings")
        },
        "sha256": sha256,
        "size": size,
        "report": None if report is None else {"id": report["id"], "indication": report["indication"]},
    }


def _sha256(path: Path, size: int) -> str:
    """Of the first `size` octets."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while size and (chunk := stream.read(min(size, _CHUNK))):
            found.update(chunk)
            size -= len(chunk)
    return found.hexdigest() if not size else ""


__all__ = ["MAX_DOCUMENTS", "ItemState", "NewDocument", "Session", "SigningSessions", "TwoStep", "profile_of"]
