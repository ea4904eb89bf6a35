"""Signing in two steps through the service's own workers: the key stays with its holder."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from signsvc.errors import CredentialError, RequestError, SessionError, SignsvcError, UpstreamError
from signsvc.keys.signer import Signer
from signsvc.samples import path as sample
from signsvc.services import Services
from signsvc.signing import profiles
from signsvc.signing.algorithm import choose
from signsvc.signing.sessions.formats import Prepared
from signsvc.signing.sessions.service import NewDocument, SigningSessions, profile_of
from signsvc.store import Store
from signsvc.store.session_records import ItemState, Session, SessionState
from test_pki.responders import Responders
from tests.support.installation import Installation

SAMPLE = sample("van-ban.pdf").read_bytes()


@pytest.fixture(scope="module")
def shared(installation: Installation) -> Iterator[Services]:
    """The parts as a worker of the service has them."""
    with Services(installation.settings, shared_tokens=True, workers=2) as found:
        yield found


@pytest.fixture
def place(installation: Installation) -> Iterator[Path]:
    """Where the service's workers may see documents."""
    installation.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=installation.settings.spool_dir) as name:
        yield Path(name)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.in_directory(tmp_path / "data")
    yield found
    found.close()


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(shared: Services, store: Store, clock: Clock) -> SigningSessions:
    return SigningSessions(store, lambda: shared.signing, clock=clock)  # type: ignore[arg-type, return-value]


Make = Callable[..., tuple[NewDocument, ...]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(3)`: so many documents, each another file."""

    def documents(count: int = 1, **params: Any) -> tuple[NewDocument, ...]:
        found = []
        for number in range(count):
            path = tmp_path / f"van-ban-{number}.pdf"
            path.write_bytes(SAMPLE + b"%% %d\n" % number if number else SAMPLE)
            data = path.read_bytes()
            found.append(NewDocument(path, hashlib.sha256(data).hexdigest(), len(data), path.name, params))
        return tuple(found)

    return documents


def ders(signer: Signer) -> tuple[bytes, ...]:
    return tuple(c.der for c in signer.certificate_chain)


def values(session: Session, signer: Signer) -> dict[int, bytes]:
    """What the holder of the key answers."""
    found = {}
    for item in session.items:
        if item.state is ItemState.PREPARED and item.prepared is not None:
            algorithm = choose(profile_of(session), signer.certificate)
            attributes = Prepared.from_json(item.prepared).attributes
            found[item.number] = signer.sign(hashlib.new(algorithm.digest or "", attributes).digest(), algorithm)
    return found


def verdict(services: Services, store: Store, session: Session, number: int = 1) -> tuple[str, str]:
    result = session.items[number - 1].result
    assert result is not None
    (found,) = services.verifier.verify(store.documents.get(result["sha256"]).path).signatures
    return found["indication"], found["level"]


@pytest.mark.parametrize(
    ("level", "credential", "scheme"),
    [
        ("b-b", "person", "pkcs1v15"),
        ("b-b", "ec", "pkcs1v15"),
        ("b-t", "person", "pss"),
        ("b-lta", "rsa3072", "pkcs1v15"),
        ("b-lta", "ec", "pkcs1v15"),
    ],
)
def test_every_level_and_kind_of_key(
    level: str,
    credential: str,
    scheme: str,
    sessions: SigningSessions,
    services: Services,
    shared: Services,
    store: Store,
    make: Make,
    place: Path,
) -> None:
    profile = replace(profiles.load(f"pades-{level}"), scheme=scheme)
    signer = shared.keyring.get(credential)
    session = sessions.create("key_1", profile, make(reason="Phê duyệt"))
    session = sessions.certificate(session.id, ders(signer), place)
    assert session.state is SessionState.PREPARED
    session = sessions.signatures(session.id, values(session, signer), place)
    assert session.state is SessionState.COMPLETED, session.items
    assert verdict(services, store, session) == ("TOTAL-PASSED", level.upper())
    assert list(place.iterdir()) == []
    assert not (store.blobs.root / "sessions" / session.id).exists()


def test_each_step_by_another_host(
    services: Services, shared: Services, store: Store, make: Make, place: Path, tmp_path: Path
) -> None:
    """Nothing is remembered between two steps but what is in the store."""

    def fresh() -> SigningSessions:
        other = Store.in_directory(tmp_path / "data")
        return SigningSessions(other, lambda: shared.signing)  # type: ignore[arg-type, return-value]

    signer = shared.keyring.get("person")
    identifier = fresh().create(None, profiles.load("pades-b-t"), make(3)).id
    first = fresh().certificate(identifier, ders(signer), place)
    assert fresh().certificate(identifier, ders(signer), place) == first
    answers = values(fresh().get(identifier), signer)
    part = fresh().signatures(identifier, {2: answers[2]}, place)
    assert [i.state.value for i in part.items] == ["prepared", "completed", "prepared"]
    done = fresh().signatures(identifier, answers, place)
    assert done.state is SessionState.COMPLETED
    assert done.items[1] == part.items[1]  # completed once
    assert fresh().signatures(identifier, answers, place) == done
    assert [verdict(services, store, done, n)[0] for n in (1, 2, 3)] == ["TOTAL-PASSED"] * 3


def test_a_wrong_value_is_refused_and_the_session_goes_on(
    sessions: SigningSessions, shared: Services, make: Make, place: Path
) -> None:
    signer = shared.keyring.get("person")
    session = sessions.certificate(sessions.create(None, profiles.load("pades-b-b"), make(2)).id, ders(signer), place)
    good = values(session, signer)
    swapped = {1: good[2], 2: good[1]}
    for wrong in (swapped, {**good, 2: good[2][:-1] + b"\0"}, {1: b""}):
        with pytest.raises(CredentialError) as caught:
            sessions.signatures(session.id, wrong, place)
        assert caught.value.code == "signature_mismatch"
        assert sessions.get(session.id) == session
    assert sessions.signatures(session.id, good, place).state is SessionState.COMPLETED


def test_profiles_for_named_keys_are_not_for_keys_of_others(
    sessions: SigningSessions, store: Store, make: Make, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('extends = "pades-b-b"\nid = "own"\nversion = "1"\n[credential]\nids = ["person"]')
    with pytest.raises(CredentialError) as caught:
        sessions.create(None, profiles.check(own), make())
    assert caught.value.code == "credential_not_allowed"
    assert not list((store.blobs.root / "sessions").glob("*"))


def test_certificates_that_may_not_sign(sessions: SigningSessions, shared: Services, make: Make, place: Path) -> None:
    session = sessions.create(None, profiles.load("pades-b-b"), make())
    for credential, code in (
        ("p12-expired", "certificate_expired"),
        ("p12-revoked", "certificate_revoked"),
        ("p12-wrong-usage", "certificate_not_for_signing"),
    ):
        with pytest.raises(SignsvcError) as caught:
            sessions.certificate(session.id, ders(shared.keyring.get(credential)), place)
        assert caught.value.code == code
    with pytest.raises(RequestError):
        sessions.certificate(session.id, (b"0\0",), place)
    assert sessions.get(session.id) == session
    for credential in ("ec", "person"):  # another choice before anything is signed
        found = sessions.certificate(session.id, ders(shared.keyring.get(credential)), place)
    assert sessions.signatures(session.id, values(found, shared.keyring.get("person")), place).state == "completed"


def test_a_document_that_cannot_be_signed_fails_alone(
    sessions: SigningSessions, shared: Services, make: Make, place: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nnothing more")
    bad = NewDocument(broken, hashlib.sha256(broken.read_bytes()).hexdigest(), broken.stat().st_size, "broken.pdf")
    signer = shared.keyring.get("person")
    session = sessions.create(None, profiles.load("pades-b-b"), (*make(2), bad))
    session = sessions.certificate(session.id, ders(signer), place)
    assert [i.state.value for i in session.items] == ["prepared", "prepared", "failed"]
    assert (session.items[2].problem or {})["code"] == "document_unreadable"
    assert sessions.signatures(session.id, values(session, signer), place).state is SessionState.COMPLETED


def test_one_signer_at_a_time(
    sessions: SigningSessions, shared: Services, store: Store, clock: Clock, make: Make, place: Path
) -> None:
    profile = profiles.load("pades-b-b")
    first = sessions.create(None, profile, make(2))
    with pytest.raises(SessionError) as caught:
        sessions.create("key_2", profile, make())
    assert caught.value.code == "base_in_signing"
    assert len(list((store.blobs.root / "sessions").iterdir())) == 1
    sessions.cancel(first.id)
    second = sessions.create("key_2", profile, make())
    clock.ahead = sessions.times.wait
    third = sessions.create(None, profile, make())  # the second's time is over
    assert sessions.get(second.id).state is SessionState.EXPIRED
    signer = shared.keyring.get("person")
    third = sessions.certificate(third.id, ders(signer), place)
    store.sessions.signed_elsewhere(third.items[0].sha256, now=clock())
    third = sessions.signatures(third.id, values(third, signer), place)
    assert (third.state, third.items[0].problem) == (SessionState.FAILED, {"code": "base_changed"})


def test_time_goes_by(sessions: SigningSessions, shared: Services, clock: Clock, make: Make, place: Path) -> None:
    signer = shared.keyring.get("person")
    session = sessions.create(None, profiles.load("pades-b-b"), make())
    old = sessions.certificate(session.id, ders(signer), place)
    clock.ahead = sessions.times.fresh
    with pytest.raises(SessionError) as caught:
        sessions.signatures(session.id, values(old, signer), place)
    assert caught.value.code == "signing_time_stale"
    new = sessions.certificate(session.id, ders(signer), place)
    assert new.items[0].prepared != old.items[0].prepared
    clock.ahead += sessions.times.wait
    with pytest.raises(SessionError) as caught:
        sessions.signatures(session.id, values(new, signer), place)
    assert caught.value.code == "session_expired"
    clock.ahead += sessions.times.remember + timedelta(seconds=1)
    sessions.sweep()
    with pytest.raises(RequestError):
        sessions.get(session.id)


def test_without_an_authority_values_are_kept(
    sessions: SigningSessions,
    services: Services,
    shared: Services,
    store: Store,
    responders: Responders,
    make: Make,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signer = shared.keyring.get("person")
    session = sessions.create(None, profiles.load("pades-b-t"), make(2))
    session = sessions.certificate(session.id, ders(signer), place)

    def down(*_: Any, **__: Any) -> Any:
        raise UpstreamError("tsa_unavailable", reason="timeout")

    with monkeypatch.context() as patch:
        patch.setattr(shared.tsa, "timestamp", down)
        waiting = sessions.signatures(session.id, values(session, signer), place)
    assert waiting.state is SessionState.COMPLETING
    assert [(i.state.value, (i.problem or {})["code"]) for i in waiting.items] == [("signed", "tsa_unavailable")] * 2
    done = sessions.signatures(session.id, {}, place)
    assert done.state is SessionState.COMPLETED
    assert verdict(services, store, done) == ("TOTAL-PASSED", "B-T")


def test_a_token_larger_than_its_room_is_prepared_anew(
    sessions: SigningSessions, shared: Services, store: Store, make: Make, place: Path
) -> None:
    signer = shared.keyring.get("person")
    session = sessions.create(None, profiles.load("pades-b-t"), make())
    session = sessions.certificate(session.id, ders(signer), place)
    small = session.items[0]
    assert small.prepared is not None
    facts = {**small.prepared, "place": {**small.prepared["place"], "room": 3000}}

    def shrink(found: Session) -> Session:
        return replace(found, items=(replace(found.items[0], prepared=facts),))

    store.sessions.change(session.id, shrink, now=datetime.now(UTC))
    again = sessions.signatures(session.id, values(session, signer), place)
    assert (again.state, again.items[0].state.value) == (SessionState.CREATED, "waiting")
    assert (again.items[0].prepared or {})["room"] > 3000
    again = sessions.certificate(session.id, ders(signer), place)
    assert sessions.signatures(session.id, values(again, signer), place).state is SessionState.COMPLETED


def test_closed_lists(sessions: SigningSessions, make: Make) -> None:
    profile = profiles.load("pades-b-b")
    for documents in ((), make() * 2, make(color="red")):
        with pytest.raises(RequestError):
            sessions.create(None, profile, documents)
