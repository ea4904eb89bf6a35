"""Signing and extending: check, write, check again, hand out (Decree 68/2024 art. 29-32; EN 319 142-1).

Nothing leaves that our own verifier would not accept: at B-B the exact gap, the digest over the written file and the
value are checked; from B-T on, and for some at B-B, the whole verifier runs on the file before it takes the target's
place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from signsvc.asn1 import DerError
from signsvc.errors import InternalError, RequestError, UpstreamError
from signsvc.signing import precheck, selfcheck, standing, statement
from signsvc.signing.algorithm import choose
from signsvc.signing.appearance import Fonts
from signsvc.signing.material import Gatherer, Stamping, Timestamper, TokenRoom, as_evidence
from signsvc.signing.model import SignParams, SignResult, TrustInput
from signsvc.signing.profiles import LEVELS, Profile
from signsvc.signing.workfile import WorkFile, work_file
from signsvc.types import Certificate, EvidenceItem, EvidenceKind, Finding, Origin
from signsvc.verification import Outcome, TrustSource, VerifyRequest
from signsvc.verification.model import OriginalFile

if TYPE_CHECKING:
    from signsvc.formats.cms.write import CmsPlan
    from signsvc.formats.pades.prepare_fields import NewField
    from signsvc.formats.pades.write import SignatureSpec, Written
    from signsvc.formats.pades.write_open import Opened
    from signsvc.keys.signer import Signer
    from signsvc.signing.fields import FieldsResult
    from signsvc.trust import Fetch

# Of the signatures at B-B, which have their own exact check, one in so many goes through the whole verifier as well.
WHOLE_CHECK_EVERY = 100


class Verifies(Protocol):
    """`verification.Verifier`, or what stands for it."""

    def verify(self, path: Path, request: VerifyRequest | None = None) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What is settled before the key is touched."""

    plan: CmsPlan
    precheck: precheck.Checked
    gatherer: Gatherer


class SigningService:
    """Signs and extends documents.  Thread-safe; holds no state but learned token sizes."""

    def __init__(
        self,
        trust: TrustSource,
        *,
        verifier: Verifies,
        fetch: Fetch | None = None,
        tsa: Timestamper | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        fonts: Fonts | None = None,
        generation: Callable[[], object] | None = None,
        standing_seconds: float = standing.SECONDS,
        durable: bool = True,
    ) -> None:
        """`fetch` obtains revocation values and issuers (None: nothing is obtained), `tsa` timestamps; `fonts` are
        those of visible signatures.  What is established of a certificate serves for `standing_seconds`, while
        `generation` says that what `fetch` keeps is the same (None, or an answer of None: it is established for each
        signature).  What is written is on the disk at the end where it is `durable`."""
        self._durable = durable
        self._generation = generation
        self._standings = standing.Standings(standing_seconds)
        self._fonts = fonts or Fonts()
        self._trust = trust
        self._verifier = verifier
        self._fetch = fetch
        self._tsa = tsa
        self._clock = clock
        self._room = TokenRoom()
        self._signed = itertools.count(1)

    def sign(
        self,
        source: Path,
        target: Path,
        *,
        profile: Profile,
        signer: Signer,
        params: SignParams | None = None,
        trust: TrustInput | None = None,
        tsa: Timestamper | None = None,
        deadline: float | None = None,
        base_sha256: str | None = None,
        more: Sequence[OriginalFile] = (),
    ) -> SignResult:
        """Sign the document at `source` under `profile` into `target` (which may be the same path).

        Refused before the key is used: documents that do not permit it, certificates that may not sign.  `tsa` takes
        the place of the configured authorities for this call; `deadline` (`time.monotonic`) is for the key.
        The document has to be the one with the SHA-256 `base_sha256` (hex), if given, and to stay what it is until
        `target` is written: `DocumentError` (``base_changed``).  `more` are further files for the same container,
        under one signature: `RequestError` (``invalid_request``) where the profile makes none for several.

        Raises `DocumentError`, `RequestError`, `CredentialError`, `TokenError`, `UpstreamError`, `ConfigError`,
        `StorageError`, and `InternalError` (``self_check_failed``).  On any error `target` is as it was.
        """
        from signsvc.formats.pades.write import RoomTooSmallError

        params = params or SignParams()
        trust = trust or TrustInput()
        if profile.format != "pades":
            from signsvc.signing import files

            return files.sign(
                self, source, target, profile=profile, signer=signer, params=params, trust=trust, tsa=tsa,
                deadline=deadline, base_sha256=base_sha256, more=more,
            )  # fmt: skip
        if more:
            raise RequestError("invalid_request", reason=f"several documents: not with {profile.format}")
        with (
            work_file(source, target, base_sha256, durable=self._durable) as work,
            precheck.document(work, params, profile) as seen,
        ):
            params = seen.params or params
            prepared = self._prepare(profile, signer, trust, statement.claims(params))
            for attempt in (1, 2):
                stamping = Stamping(tsa or self._tsa, self._clock, self._room)
                now = self._clock()
                try:
                    opened = seen.opened if attempt == 1 else None
                    written = self._write(work, prepared, profile, signer, params, stamping, now, opened, deadline)
                    self.raised(work, prepared, profile, signer, stamping)
                    break
                except RoomTooSmallError as error:  # a token larger than any seen before
                    self._room.learn(error.needed)
                    if attempt == 2:
                        raise UpstreamError("tsa_invalid_token", reason="size") from None
                    work.restart(source)
            return self.finished(
                work,
                prepared,
                profile,
                signer,
                trust,
                stamping,
                written.field,
                now,
                revisions=seen.revisions,
                warnings=seen.warnings,
            )

    def extend(
        self,
        source: Path,
        target: Path,
        *,
        level: str,
        policy: str = "hon-hop",
        trust: TrustInput | None = None,
        tsa: Timestamper | None = None,
        base_sha256: str | None = None,
        original: Path | None = None,
        original_name: str = "document",
    ) -> SignResult:
        """Raise the signatures of the document at `source` to `level`, or renew their archive timestamp, into
        `target`.

        ``B-T`` adds a document timestamp (a finished PDF signature cannot take one inside: EN 319 142-1 §5.4.3 note),
        ``B-LT`` validation data, ``B-LTA`` validation data and a document timestamp over it; both after a timestamp
        where a signature has none.  Answers the lowest level that the file's signatures have afterwards.  In other
        formats the signatures themselves are raised; `original` is what detached ones are over.

        Raises like `sign`; `RequestError` (``invalid_request``) for a document without signatures.
        """
        if level not in LEVELS[1:]:
            raise RequestError("invalid_request", reason="level is one of B-T, B-LT, B-LTA")
        trust = trust or TrustInput()
        if not _is_pdf(source):
            from signsvc.signing import files

            return files.extend(
                self, source, target, level=level, policy=policy, trust=trust, tsa=tsa, base_sha256=base_sha256,
                original=original, original_name=original_name,
            )  # fmt: skip
        gatherer = self._gatherer(policy, trust)

        def add(work: WorkFile, stamping: Stamping, seen: precheck.Document) -> None:
            if not seen.signers:
                raise RequestError("invalid_request", reason="the document has no signature")
            self._extend(work, gatherer, level, stamping, seen)

        def check(report: dict[str, Any], revisions: int) -> str:
            return selfcheck.extension(report, level=level, revisions_before=revisions)

        return self._added(source, target, policy, trust, tsa, add, check, base_sha256)

    def timestamp(
        self,
        source: Path,
        target: Path,
        *,
        policy: str = "hon-hop",
        trust: TrustInput | None = None,
        tsa: Timestamper | None = None,
    ) -> SignResult:
        """Add a document timestamp (EN 319 142-1 §5.4.3) to the document at `source`, signed or not, into `target`.

        Answers the lowest level of its signatures, ``timestamp`` where it has none.  Raises like `sign`.
        """
        from signsvc.formats.pades.write import extend_revision

        def add(work: WorkFile, stamping: Stamping, _: precheck.Document) -> None:
            extend_revision(work.stream, timestamp=stamping, timestamp_room=stamping.room.octets)

        return self._added(source, target, policy, trust or TrustInput(), tsa, add, selfcheck.timestamped)

    def prepare_fields(self, source: Path, target: Path, *, fields: Sequence[NewField]) -> FieldsResult:
        """Lay out `fields` in the document at `source`, before its first signature, into `target`; see
        `signing.fields.prepare`."""
        from signsvc.signing.fields import prepare

        return prepare(source, target, fields, fonts=self._fonts)

    def _added(
        self,
        source: Path,
        target: Path,
        policy: str,
        trust: TrustInput,
        tsa: Timestamper | None,
        add: Callable[[WorkFile, Stamping, precheck.Document], None],
        check: Callable[[dict[str, Any], int], str],
        base_sha256: str | None = None,
    ) -> SignResult:
        """`add` to a copy of the document, have it verified, `check` the report and how many revisions there were."""
        from signsvc.formats.pades.write import RoomTooSmallError

        with (
            work_file(source, target, base_sha256, durable=self._durable) as work,
            precheck.document(work, None) as seen,
        ):
            for attempt in (1, 2):
                stamping = Stamping(tsa or self._tsa, self._clock, self._room)
                try:
                    add(work, stamping, seen)
                    break
                except RoomTooSmallError as error:
                    self._room.learn(error.needed)
                    if attempt == 2:
                        raise UpstreamError("tsa_invalid_token", reason="size") from None
                    work.restart(source)
            work.stream.flush()
            report = self._verified(work.path, policy, trust)
            reached = check(report, seen.revisions)
            sha256, size = work.commit()
        return SignResult(
            level=reached,
            field=None,
            signed_at=None,
            sha256=sha256,
            size=size,
            best_signature_time=stamping.tokens[-1].gen_time if stamping.tokens else None,
            tsa=stamping.authority,
            report=report,
        )

    # parts that signing in two steps takes one by one (`signing.sessions`) -------------------------------------
    @property
    def clock(self) -> Callable[[], datetime]:
        return self._clock

    @property
    def tsa(self) -> Timestamper | None:
        return self._tsa

    @property
    def room(self) -> TokenRoom:
        return self._room

    @property
    def durable(self) -> bool:
        return self._durable

    def gatherer(self, policy: str, trust: TrustInput) -> Gatherer:
        """What collects evidence under `policy` with what the caller trusts besides."""
        return self._gatherer(policy, trust)

    def validation_data(
        self,
        gatherer: Gatherer,
        leaves: tuple[Certificate, ...],
        pool: tuple[Certificate, ...],
        have: tuple[EvidenceItem, ...] = (),
    ) -> tuple[EvidenceItem, ...]:
        """Paths and revocation values of `leaves`, as they are to be kept in a file."""
        return self._data(gatherer, leaves, pool, have)

    def verified(self, path: Path, policy: str, trust: TrustInput, original: tuple[str, Path] | None) -> dict[str, Any]:
        """The report of our own verifier about the file at `path`; `original` is name and place of what it is over."""
        return self._verified(path, policy, trust, original)

    def settled(self, profile: Profile, signer: Signer, params: SignParams, trust: TrustInput) -> Settled:
        """What is settled before the key is touched; raises what `precheck.certificate` raises."""
        return self._prepare(profile, signer, trust, statement.claims(params))

    def spec(
        self, work: WorkFile, params: SignParams, profile: Profile, certificate: Certificate, now: datetime
    ) -> SignatureSpec:
        """What the signature dictionary and its field say."""
        return statement.spec(work.path, params, profile, certificate, now, self._fonts)

    def raised(self, work: WorkFile, settled: Settled, profile: Profile, signer: Signer, stamping: Stamping) -> None:
        """Add to a written signature what the levels from B-LT on need; raises `RoomTooSmallError` like the writer."""
        if profile.rank >= LEVELS.index("B-LT"):
            self._complete(work, settled, profile.level, stamping, signer.certificate_chain)

    def finished(
        self,
        work: WorkFile,
        settled: Settled,
        profile: Profile,
        signer: Signer,
        trust: TrustInput,
        stamping: Stamping,
        field: str,
        now: datetime,
        *,
        revisions: int,
        warnings: tuple[Finding, ...] = (),
    ) -> SignResult:
        """Check the written file, whose base has so many `revisions`, and put it in its place.  Raises `InternalError`
        (``self_check_failed``)."""
        report = None
        if profile.rank > 0 or profile.result == "passed" or next(self._signed) % WHOLE_CHECK_EVERY == 0:
            work.stream.flush()
            report = self._verified(work.path, profile.policy, trust)
            selfcheck.signature(
                report,
                field=field,
                level=profile.level,
                passed=profile.result == "passed",
                revisions_before=revisions,
            )
        sha256, size = work.commit()
        return SignResult(
            level=selfcheck.level_of(report, field) if report else "PKCS7-B" if profile.signature.timed else "B-B",
            field=field,
            signed_at=now,
            sha256=sha256,
            size=size,
            certificate=signer.certificate,
            chain=settled.precheck.chain,
            best_signature_time=stamping.tokens[0].gen_time if stamping.tokens else None,
            tsa=stamping.authority,
            warnings=(*settled.precheck.warnings, *warnings),
            report=report,
        )

    # signing ---------------------------------------------------------------------------------------------------
    def _prepare(self, profile: Profile, signer: Signer, trust: TrustInput, claims: tuple[bytes, ...] = ()) -> Settled:
        from signsvc.formats.cms.write import CmsPlan

        known = self._known()  # before anything is read that it speaks of
        gatherer = self._gatherer(profile.policy, trust)
        algorithm = choose(profile, signer.certificate)
        checked = precheck.certificate(
            signer,
            profile,
            gatherer,
            directories=self._trust.policy_directories,
            now=self._clock(),
            standings=self._standings,
            known=known,
        )
        embedded = dict.fromkeys((*checked.chain, *signer.certificate_chain))
        full = profile.signature.chain == "full"
        chain = tuple(c for c in embedded if c != signer.certificate and (full or not c.self_issued))
        return Settled(CmsPlan(signer.certificate, algorithm, chain, claims), checked, gatherer)

    def _write(
        self,
        work: WorkFile,
        prepared: Settled,
        profile: Profile,
        signer: Signer,
        params: SignParams,
        stamping: Stamping,
        now: datetime,
        opened: Opened | None,
        deadline: float | None,
    ) -> Written:
        from signsvc.formats.pades.selfcheck import check_written
        from signsvc.formats.pades.write import sign_revision

        plan = statement.dated(prepared.plan, profile, now)
        written = sign_revision(
            work.stream,
            plan,
            statement.spec(work.path, params, profile, signer.certificate, now, self._fonts),
            lambda digest: signer.sign(digest, plan.algorithm, deadline=deadline),
            timestamp=stamping if profile.rank >= LEVELS.index("B-T") else None,
            timestamp_room=stamping.room.octets,
            opened=opened,
        )
        work.stream.flush()
        fault = check_written(work.stream, plan, written, before=work.base_size)
        if fault is not None:
            raise InternalError("self_check_failed", reason=fault)
        return written

    def _complete(
        self, work: WorkFile, prepared: Settled, level: str, stamping: Stamping, held: Iterable[Certificate]
    ) -> None:
        """Validation data for the signer and the TSAs, and the archive timestamp at B-LTA."""
        leaves = (prepared.plan.certificate,)
        have = prepared.precheck.evidence
        self._add_data(
            work, prepared.gatherer, leaves, tuple(held), stamping, have=have, archive=level == "B-LTA", signed=True
        )

    def _add_data(
        self,
        work: WorkFile,
        gatherer: Gatherer,
        leaves: tuple[Certificate, ...],
        held: tuple[Certificate, ...],
        stamping: Stamping,
        *,
        have: tuple[EvidenceItem, ...] = (),
        archive: bool,
        signed: bool = False,
    ) -> None:
        from signsvc.formats.pades.write import extend_revision

        before = stamping.leaves
        data = self._data(gatherer, (*leaves, *before), (*held, *stamping.certificates), have)
        extend_revision(
            work.stream,
            data,
            timestamp=stamping if archive else None,
            timestamp_room=stamping.room.octets,
            again=archive or signed,
        )
        fresh = tuple(c for c in stamping.leaves if c not in before)
        if fresh:
            # The archive timestamp came from another authority than the first: its chain has to be there as well.
            extend_revision(work.stream, self._data(gatherer, fresh, stamping.certificates))

    def _data(
        self,
        gatherer: Gatherer,
        leaves: tuple[Certificate, ...],
        pool: tuple[Certificate, ...],
        have: tuple[EvidenceItem, ...] = (),
    ) -> tuple[EvidenceItem, ...]:
        now = self._clock()
        found = gatherer.evidence(leaves, pool=pool, now=now, have=have)
        pool = (*pool, *_certificates(found))
        chains = gatherer.chains(leaves, pool=pool)
        found = gatherer.worth_keeping(found, leaves, pool=pool, now=now)
        return tuple(dict.fromkeys((*as_evidence(chains), *found)))

    def _known(self) -> tuple[object, ...] | None:
        """What tells this state of kept and imported revocation data from others; None: nothing does."""
        from signsvc.trust.imported import DIRECTORY

        generation = self._generation() if self._generation is not None else None
        if generation is None and self._fetch is not None:
            return None
        return (generation, standing.listing(self._trust.directory / DIRECTORY))

    def _gatherer(self, policy_id: str, trust: TrustInput) -> Gatherer:
        from signsvc.trust import crl_index
        from signsvc.trust.imported import DIRECTORY, ImportedLists
        from signsvc.validation import policies
        from signsvc.verification.engine import store_of

        crl_index.look_in(*self._trust.indexes, self._trust.directory / DIRECTORY)
        policy = policies.load(policy_id, self._trust.policy_directories)
        material = store_of(self._trust.directory).material(
            *policy.trust_profiles,
            *self._trust.extra_profiles,
            extra_anchors=_parse(trust.trust_anchors, "trust_anchors"),
            extra_intermediates=_parse(trust.certificates, "certificates"),
        )
        supplied = tuple(EvidenceItem(EvidenceKind.CRL, crl, Origin.SUPPLIED) for crl in trust.crls)
        imported = ImportedLists.below(self._trust.directory)
        return Gatherer(material, None if trust.offline else self._fetch, supplied, imported)

    # extending -------------------------------------------------------------------------------------------------
    def _extend(
        self, work: WorkFile, gatherer: Gatherer, level: str, stamping: Stamping, seen: precheck.Document
    ) -> None:
        from signsvc.formats.pades.write import extend_revision

        room = stamping.room.octets
        if level == "B-T" or not seen.all_timestamped:
            extend_revision(work.stream, timestamp=stamping, timestamp_room=room)
        if level in ("B-LT", "B-LTA"):
            leaves = seen.signers
            self._add_data(work, gatherer, leaves, seen.certificates, stamping, archive=level == "B-LTA")

    # checking --------------------------------------------------------------------------------------------------
    def _verified(
        self, path: Path, policy: str, trust: TrustInput, original: tuple[str, Path] | None = None
    ) -> dict[str, Any]:
        request = VerifyRequest(
            policy=policy,
            trust_anchors=trust.trust_anchors,
            certificates=trust.certificates,
            crls=trust.crls,
            offline=trust.offline,
            originals=(OriginalFile(*original),) if original is not None else (),
        )
        return self._verifier.verify(path, request).report


def _is_pdf(source: Path) -> bool:
    """Whether a file begins like a PDF; what cannot be read is left to those who read it."""
    try:
        with source.open("rb") as file:
            return b"%PDF-" in (head := file.read(1024)) or not head
    except OSError:
        return True


def _parse(values: Iterable[bytes], member: str) -> tuple[Certificate, ...]:
    try:
        return tuple(Certificate.from_der(value) for value in values)
    except DerError:
        raise RequestError("invalid_request", reason=f"{member}: not a DER certificate") from None


def _certificates(items: Iterable[EvidenceItem]) -> tuple[Certificate, ...]:
    found = []
    for item in items:
        if item.kind is EvidenceKind.CERTIFICATE:
            try:
                found.append(Certificate.from_der(item.der))
            except DerError:
                continue
    return tuple(found)
