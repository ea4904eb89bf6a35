"""Signing in worker processes: documents are opened elsewhere, keys and network stay here.

A worker that a hostile document takes over can have its own job's digests signed, no more often than an honest one
asks, with the algorithm of the profile; it never holds a key, a PIN or a way to the network.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from signsvc.asn1 import DerError
from signsvc.errors import ConfigError, InternalError, StorageError
from signsvc.signing import wire
from signsvc.signing.algorithm import choose
from signsvc.signing.appearance.layout import Fonts
from signsvc.signing.fields import FieldsResult
from signsvc.signing.fields import to_json as fields_to_json
from signsvc.signing.model import SignParams, SignResult, TrustInput
from signsvc.signing.sessions.formats import Prepared
from signsvc.signing.standing import SECONDS
from signsvc.signing.workfile import FULL, check_unchanged, mark
from signsvc.verification import Limits, TrustSource, VerifyRequest
from signsvc.verification.model import OriginalFile
from signsvc.verification.pool import fetching
from signsvc.verification.processes import Pool, Reach

if TYPE_CHECKING:
    from signsvc.formats.pades.prepare_fields import NewField
    from signsvc.keys.signer import Signer
    from signsvc.signing.material import Timestamper
    from signsvc.signing.profiles import Profile
    from signsvc.signing.service import Verifies
    from signsvc.trust import Fetch
    from signsvc.types import Certificate

T = TypeVar("T")

# Seconds in which token, authorities and network may keep one document waiting: two timestamps of the slowest
# authority known (two minutes each), its revocation values, and the key.
ASKING_SECONDS = 900.0
# A second signature is asked for where the room kept for a timestamp was too small.
MAX_SIGNATURES = 2
MAX_TIMESTAMPS = 8
MAX_CHECKS = 3
_DIGESTS = ("sha256", "sha384", "sha512")


class SigningPool:
    """`SigningService` in a fixed number of worker processes.  Thread-safe; make one per process, after any fork."""

    def __init__(
        self,
        trust: TrustSource,
        *,
        verifier: Verifies,
        fetch: Fetch | None = None,
        tsa: Timestamper | None = None,
        limits: Limits | None = None,
        workers: int = 1,
        reach: Reach | None = None,
        busy_after: float = 30.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        fonts: Fonts | None = None,
        generation: Callable[[], object] | None = None,
        standing_seconds: float = SECONDS,
    ) -> None:
        """`fetch`, `tsa`, `verifier`, `generation` and `standing_seconds` as in `SigningService`; `limits` per
        document, `reach` and `busy_after` as in `Verifier`."""
        self._trust = trust
        self._verifier = verifier
        self._fetch = fetch
        self._tsa = tsa
        self._limits = limits or Limits()
        self._clock = clock
        self._fonts = fonts or Fonts()
        self._generation = generation
        self._standing_seconds = standing_seconds
        self._pool = Pool("signsvc.signing.worker", workers, reach=reach, busy_after=busy_after)

    def close(self) -> None:
        """Stop all workers; running signings fail."""
        self._pool.close()

    def warm(self, count: int | None = None) -> None:
        """Start workers until there are `count` (None: all), so that the first callers do not wait for them."""
        self._pool.warm(count)

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
        """See `SigningService.sign`; besides, `DocumentError` (``document_too_complex``) where a limit was hit and
        `BusyError` where no worker was free in time."""
        job = {
            "op": "sign",
            "profile": asdict(profile),
            "params": wire.params_to_json(params or SignParams()),
            "chain": wire.certificates_to_json(signer.certificate_chain),
            "more": [replace(one, path=one.path and one.path.absolute()).to_json() for one in more],
        }
        trust = trust or TrustInput()
        desk = _Desk(self._clock, tsa or self._tsa, self._verifier, trust, profile.policy, signer, profile, deadline)
        desk.original = source
        return self._run(
            job, source, target, desk, lambda answer: wire.result_from_json(answer, signer.certificate), base_sha256
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
        """See `SigningService.extend`; besides, what `sign` raises."""
        job: dict[str, Any] = {
            "op": "extend",
            "level": level,
            "policy": policy,
            "chain": [],
            "original": str(original) if original is not None else None,
            "original_name": original_name,
        }
        desk = _Desk(self._clock, tsa or self._tsa, self._verifier, trust or TrustInput(), policy, original=original)
        return self._run(job, source, target, desk, lambda answer: wire.result_from_json(answer, None), base_sha256)

    def timestamp(
        self,
        source: Path,
        target: Path,
        *,
        policy: str = "hon-hop",
        trust: TrustInput | None = None,
        tsa: Timestamper | None = None,
    ) -> SignResult:
        """See `SigningService.timestamp`; besides, what `sign` raises."""
        job = {"op": "timestamp", "policy": policy, "chain": []}
        desk = _Desk(self._clock, tsa or self._tsa, self._verifier, trust or TrustInput(), policy)
        return self._run(job, source, target, desk, lambda answer: wire.result_from_json(answer, None))

    def prepare_fields(self, source: Path, target: Path, *, fields: Sequence[NewField]) -> FieldsResult:
        """See `SigningService.prepare_fields`; besides, what `sign` raises."""
        job = {"op": "fields", "fields": fields_to_json(fields), "chain": []}
        desk = _Desk(self._clock, None, self._verifier, TrustInput(), "")
        return self._run(job, source, target, desk, FieldsResult.from_json)

    def prepare(
        self,
        source: Path,
        target: Path,
        *,
        profile: Profile,
        chain: tuple[Certificate, ...],
        params: SignParams,
        room: int = 0,
    ) -> Prepared:
        """The first of two steps: see `signing.sessions`; `chain` is the signer's, own certificate first."""
        job = {
            "op": "prepare",
            "profile": asdict(profile),
            "params": wire.params_to_json(params),
            "chain": wire.certificates_to_json(chain),
            "room": room,
        }
        desk = _Desk(self._clock, None, self._verifier, TrustInput(), profile.policy)
        return self._run(job, source, target, desk, Prepared.from_json)

    def complete(
        self,
        source: Path,
        target: Path,
        *,
        profile: Profile,
        chain: tuple[Certificate, ...],
        prepared: Prepared,
        value: bytes,
    ) -> SignResult:
        """The second of two steps: see `signing.sessions`."""
        job = {
            "op": "complete",
            "profile": asdict(profile),
            "chain": wire.certificates_to_json(chain),
            "prepared": prepared.to_json(),
            "value": value.hex(),
        }
        desk = _Desk(self._clock, self._tsa, self._verifier, TrustInput(), profile.policy)
        return self._run(job, source, target, desk, lambda answer: wire.result_from_json(answer, chain[0]))

    def _run(
        self,
        job: dict[str, Any],
        source: Path,
        target: Path,
        desk: _Desk,
        read: Callable[[Any], T],
        base_sha256: str | None = None,
    ) -> T:
        before = mark(source, base_sha256)
        try:
            # Whatever becomes of the worker, what it left goes with this directory.
            with tempfile.TemporaryDirectory(prefix=".signsvc-", dir=target.parent) as name:
                desk.directory = Path(name)
                made = desk.directory / "signed"
                job |= {
                    **self._trust.to_json(),
                    "source": str(source),
                    "target": str(made),
                    "trust": wire.trust_to_json(desk.trust),
                    "fetch": self._fetch is not None,
                    "tsa": desk.tsa is not None,
                    "generation": self._generation() if self._generation is not None else None,
                    "standing_seconds": self._standing_seconds,
                    "memory_bytes": self._limits.memory_bytes,
                    "cpu_seconds": self._limits.cpu_seconds,
                    "fonts": [str(self._fonts.regular), str(self._fonts.italic)],
                }
                answers = {
                    "fetch": fetching(self._fetch),
                    "sign": desk.sign,
                    "timestamp": desk.timestamp,
                    "verify": desk.verify,
                }
                answer = self._pool.run(job, answers, seconds=self._limits.wall_seconds, asking=ASKING_SECONDS)
                try:
                    result = read(answer)
                    if not stat.S_ISREG(made.lstat().st_mode):
                        raise ValueError
                except (KeyError, TypeError, ValueError, AttributeError, DerError, FileNotFoundError):
                    raise InternalError from None
                # Looked at here too: this process does not take a worker's word for it.
                check_unchanged(source, before)
                made.replace(target)
                return result
        except OSError as error:
            if error.errno in FULL:
                raise StorageError("storage_full") from None
            raise InternalError from error


@dataclass(slots=True)
class _Desk:
    """Answers one worker's wishes for one document."""

    clock: Callable[[], datetime]
    tsa: Timestamper | None
    verifier: Verifies
    trust: TrustInput
    policy: str
    signer: Signer | None = None
    profile: Profile | None = None
    deadline: float | None = None
    directory: Path = Path()
    original: Path | None = None  # what a detached signature is over
    signatures: int = 0
    timestamps: int = 0
    checks: int = 0

    def sign(self, wish: Any, _: bytes) -> tuple[dict[str, Any], bytes]:
        self.signatures += 1
        if self.signer is None or self.profile is None or self.signatures > MAX_SIGNATURES:
            raise ValueError("no signature is due")
        algorithm = choose(self.profile, self.signer.certificate)
        return {"ok": True}, self.signer.sign(bytes.fromhex(wish), algorithm, deadline=self.deadline)

    def timestamp(self, wish: Any, _: bytes) -> tuple[dict[str, Any], bytes]:
        digest, name = wish
        self.timestamps += 1
        if name not in _DIGESTS or self.timestamps > MAX_TIMESTAMPS:
            raise ValueError("no timestamp is due")
        if self.tsa is None:
            raise ConfigError("configuration_invalid", reason="no timestamp authority is configured ([[tsa]])")
        token = self.tsa.timestamp(bytes.fromhex(digest), name, now=self.clock())
        return wire.token_to_json(token), token.der

    def verify(self, wish: Any, _: bytes) -> tuple[dict[str, Any], bytes]:
        name, policy, beside = wish
        self.checks += 1
        path = self.directory / os.path.basename(name)  # noqa: PTH119 - a text of the worker's, not yet a path
        if policy != self.policy or self.checks > MAX_CHECKS or not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("no check is due")
        request = VerifyRequest(
            policy=policy,
            trust_anchors=self.trust.trust_anchors,
            certificates=self.trust.certificates,
            crls=self.trust.crls,
            offline=self.trust.offline,
            originals=() if beside is None else (self._original(beside),),
        )
        return {"report": self.verifier.verify(path, request).report}, b""

    def _original(self, wish: Any) -> OriginalFile:
        """What a detached signature is over: the document of the job, or in the second of two steps what the worker
        put beside the file that it wrote."""
        name, place = wish
        if self.original is not None and place is None:
            return OriginalFile(str(name), self.original)
        path = self.directory / os.path.basename(str(place))  # noqa: PTH119 - a text of the worker's
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("no check is due")
        return OriginalFile(str(name), path)
