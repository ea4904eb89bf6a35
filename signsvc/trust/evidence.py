"""Fetching with memory: CRLs, OCSP answers and CA certificates, kept on disk and fetched once at a time.

Nothing is parsed here: this runs in the process that may use the network.  Only a list that comes as text is turned
into its octets.  How long a value is kept is a matter of its
kind; whether it is still good is the consumer's to judge, who asks again with `newer_than` where it is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from signsvc.errors import UpstreamError
from signsvc.trust import answers, crl_index, fetching
from signsvc.trust.fetching import KINDS, MAX_AHEAD, MAX_OTHERS, Fetched, FetchRequest, Refreshed
from signsvc.trust.files import write_whole

if TYPE_CHECKING:
    from signsvc.net import HttpClient, Response

MINUTE = 60.0
HOUR = 3600.0
DAY = 86400.0

KEEP_SECONDS: Mapping[str, float] = MappingProxyType({"ocsp": 5 * MINUTE, "crl": HOUR, "certificate": 7 * DAY})
FAILURE_SECONDS = 60.0
# `newer_than` cannot make a server be asked more often than this for the same value.
AGAIN_SECONDS = 10.0
# While a server fails, a kept value serves for so long; its own dates still decide what it proves.
STALE_SECONDS = 30 * DAY
# An address is given so many seconds before the next one for the same value is called as well.
HEAD_START = 0.5
_INDEX_SECONDS = 120.0
INDEX_DIRECTORY = "crl-index"
MAX_THREADS = 32
_MAX_HEAD = 16 * 1024
_REFRESH_SECONDS = 60.0  # for one list, while nobody waits
_MAX_VALIDATOR = 200
_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
# What was not used for so long is not looked after any more.
USED_SECONDS = 7 * DAY
_PRUNE_EVERY = 200
_PRUNE_PARTS = 8
_MAX_UNINDEXED = 10_000
_MAX_FILES = 200_000  # besides the octets: a document can cause many small ones
_GENERATION = "values.generation"
_MEDIA = {"ocsp": "application/ocsp-response", "crl": "application/pkix-crl", "certificate": "application/pkix-cert"}


class EvidenceClient:
    """Answers `FetchRequest`s.  Thread-safe, and processes may share `cache_dir`; without a directory that can be
    written it works uncached.  `clock` gives seconds since 1970.
    """

    def __init__(
        self,
        http: HttpClient,
        cache_dir: Path,
        *,
        clock: Callable[[], float] = time.time,
        max_bytes: int = 1 << 30,
        indexer: Callable[[bytes], bytes | None] | None = None,
    ) -> None:
        """`indexer` makes the index of a large list (`signsvc.trust.crl_index`), in a process that sees only that
        list; the file is put beside the cache, for all processes."""
        self._http = http
        self._dir = cache_dir / "evidence"
        self._clock = clock
        self._max_bytes = max_bytes
        self._stored = self._octets = 0
        self._threads = threading.BoundedSemaphore(MAX_THREADS)
        self._indexer = indexer
        self._indexes = cache_dir / INDEX_DIRECTORY
        self._indexing = threading.Lock()  # one at a time: each takes a processor for seconds
        self._unindexed: set[str] = set()  # digests of lists that cannot have an index

    def fetch(self, request: FetchRequest, *, deadline: float | None = None) -> bytes:
        """The octets for `request`.  Raises `UpstreamError`, also for a failure remembered from the last minute.
        A value is never fetched twice at the same time."""
        return self.fetched(replace(request, known=None), deadline=deadline).body

    __call__ = fetch

    def fetched(self, request: FetchRequest, *, deadline: float | None = None) -> Fetched:
        """As `fetch`, with the value's age and source (a `Fetch`).

        What is to be fetched `ahead` is begun first.  Of several addresses the next is called where one fails, or
        where it has not answered within `HEAD_START` seconds; a value from now goes before one that is stale.
        """
        if request.kind not in KINDS or any(one.kind not in KINDS for one in request.ahead):
            raise UpstreamError("outbound_refused", reason="kind")
        times = [time.monotonic() + self._http.rules.total_timeout * 2, deadline, request.deadline]
        until = min(moment for moment in times if moment is not None)
        if request.before or request.keep is not None:
            return self._replaced(request, until)
        for one in request.ahead[:MAX_AHEAD]:
            if not self._at_hand(one):
                self._begin(partial(self._settled, replace(one, ahead=()), until))
        urls = request.urls[: MAX_OTHERS + 1]
        if len(urls) == 1:
            found = self._one(request, until)
        else:
            found = self._first([replace(request, url=url, others=(), ahead=()) for url in urls], until)
        self._mark_used(self._path(replace(request, url=found.url)))
        if request.kind == "crl" and len(found.body) >= crl_index.WORTHWHILE and not self._has_index(found.sha256):
            self._begin(partial(self.index, found.body))
        return found

    def generation(self) -> tuple[int, ...] | None:
        """What is another one as soon as any value is kept that is not the one before, by whichever process; None
        where nothing can be kept.  Values that grow old do not change it."""
        path = self._dir / _GENERATION
        for _ in range(2):
            try:
                found = path.stat()
                return found.st_ino, found.st_size, found.st_mtime_ns
            except OSError:
                self._changed()
        return None

    def _changed(self) -> None:
        """Begin another generation.  Times of files move in steps, so that it is told by a size as well."""
        with contextlib.suppress(OSError):
            self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self._dir / _GENERATION).open("ab") as file:
                file.write(b".")

    def _at_hand(self, request: FetchRequest) -> bool:
        """Whether a kept value answers `request`: then no thread need look for it."""
        if request.before or request.keep is not None:
            return False
        wishes = (replace(request, url=url, others=(), ahead=()) for url in request.urls[: MAX_OTHERS + 1])
        return any(
            (kept := self._kept(self._path(wish), wish.known)) is not None and self._fresh(wish, kept)
            for wish in wishes
        )

    def _has_index(self, sha256: str) -> bool:
        """Whether a list has its index, and cannot have one counts as well; an index in use is not old."""
        path = crl_index.path_in(self._indexes, bytes.fromhex(sha256))
        try:
            age = self._clock() - path.stat().st_mtime
        except OSError:
            return sha256 in self._unindexed
        if age > HOUR:
            with contextlib.suppress(OSError):
                os.utime(path, (self._clock(),) * 2)
        return True

    def index(self, encoded: bytes) -> bool:
        """See that a list has its index, in the caller's time; whether it has one.  Never raises."""
        sha256 = hashlib.sha256(encoded).digest()
        path = crl_index.path_in(self._indexes, sha256)
        if self._indexer is None:
            self._note_unindexed(sha256)
            return False
        with contextlib.suppress(OSError, UpstreamError), self._alone(path, time.monotonic() + _INDEX_SECONDS):
            if path.is_file():
                return True
            with self._indexing:
                made = self._indexer(encoded)
            if made is not None and crl_index.whole(made, sha256):
                write_whole(path, made, moment=self._clock())
                return True
        self._note_unindexed(sha256)
        return False

    def _note_unindexed(self, sha256: bytes) -> None:
        if len(self._unindexed) >= _MAX_UNINDEXED:
            self._unindexed.clear()
        self._unindexed.add(sha256.hex())

    # several at a time ------------------------------------------------------------------------------------------
    def _begin(self, work: Callable[[], object]) -> bool:
        """Do `work` in another thread, where there is room for one."""
        if not self._threads.acquire(blocking=False):
            return False

        def run() -> None:
            try:
                work()
            finally:
                self._threads.release()

        threading.Thread(target=run, daemon=True, name="signsvc-evidence").start()
        return True

    def _settled(self, request: FetchRequest, until: float) -> Fetched | UpstreamError:
        try:
            return self.fetched(request, deadline=until) if request.others else self._one(request, until)
        except UpstreamError as error:
            return error

    def _answer(self, request: FetchRequest, until: float, results: queue.SimpleQueue[Fetched | UpstreamError]) -> None:
        found: Fetched | UpstreamError = UpstreamError("outbound_failed", reason="internal")
        try:
            found = self._settled(request, until)
        finally:  # whatever happens in this thread, another waits for its word
            results.put(found)

    def _first(self, requests: list[FetchRequest], until: float) -> Fetched:
        for request in requests:
            kept = self._kept(self._path(request), request.known)
            if kept is not None and self._fresh(request, kept):
                return kept
        results: queue.SimpleQueue[Fetched | UpstreamError] = queue.SimpleQueue()
        stale: Fetched | None = None
        failure: UpstreamError | None = None
        begun = ended = 0
        while ended < len(requests):
            if begun < len(requests):
                request = requests[begun]
                begun += 1
                work = partial(self._answer, request, until, results)
                if not self._begin(work):
                    work()
            left = until - time.monotonic()
            try:
                found = results.get(timeout=max(0.0, min(left, HEAD_START) if begun < len(requests) else left))
            except queue.Empty:
                if left <= 0:
                    break
                continue
            ended += 1
            if isinstance(found, UpstreamError):
                failure = failure or found
            elif found.stale:
                stale = stale or found
            else:
                return found
        if stale is not None:
            return stale
        raise failure or UpstreamError("outbound_failed", reason="timeout")

    def _one(self, request: FetchRequest, until: float) -> Fetched:
        path = self._path(request)
        kept = self._kept(path, request.known)
        if kept is not None and self._fresh(request, kept):
            return kept
        with self._alone(path, until):
            kept = self._kept(path, request.known)
            if kept is not None and self._fresh(request, kept):
                return kept
            try:
                self._raise_remembered(path)
                response = self._call(request, self._validators(path), until)
            except UpstreamError as error:
                self._remember_failure(path, error)
                if kept is not None and self._age(kept) < STALE_SECONDS:
                    return replace(kept, stale=True)
                raise
            if response.status == 304 and kept is not None:
                return self._confirm(path, kept)
            return self._keep(path, request, response)

    # the call ---------------------------------------------------------------------------------------------------
    def _call(self, request: FetchRequest, validators: Mapping[str, str], until: float) -> Response:
        headers = {"Accept": f"{_MEDIA[request.kind]}, */*;q=0.1"}
        deadline = min(until, time.monotonic() + self._http.rules.total_timeout)
        if request.body is not None:
            response = self._http.post(
                request.url,
                request.body,
                content_type="application/ocsp-request",
                kind=request.kind,
                headers=headers,
                deadline=deadline,
            )
        else:
            headers |= validators
            response = self._http.get(request.url, kind=request.kind, headers=headers, deadline=deadline)
        if response.status != 304 or not validators:
            answers.plausible(request.kind, response)
        return response

    def _validators(self, path: Path) -> dict[str, str]:
        """Headers that spare the server what is kept already (RFC 9110 §13.1)."""
        facts = self._facts(path)
        return {header: str(facts[name]) for name, header in _VALIDATORS.items() if facts.get(name)}

    def _confirm(self, path: Path, kept: Fetched) -> Fetched:
        now = self._clock()
        with contextlib.suppress(OSError):
            os.utime(path, (now, now))
            fetching.failure_of(path).unlink(missing_ok=True)
        return replace(kept, fetched_at=datetime.fromtimestamp(now, UTC))

    # which is the newer -----------------------------------------------------------------------------------------
    def _replaced(self, request: FetchRequest, until: float) -> Fetched:
        """What the kept value replaced; or, with `keep`, the one that stays.  A server may answer with an older value
        that is still fresh, by mistake or malice: who reads both, and checks who made them, says which is the newer.
        """
        path = self._path(request)
        with self._alone(path, until):
            now, before = self._kept(path), self._kept(fetching.before_of(path))
            if now is None or before is None:
                raise UpstreamError("outbound_failed", reason="not_kept")
            if request.keep is None:
                return before
            with contextlib.suppress(OSError):
                if request.keep == before.sha256:
                    os.utime(fetching.before_of(path), (self._clock(),) * 2)  # the server was asked for it just now
                    fetching.before_of(path).replace(path)
                    self._changed()
                elif request.keep == now.sha256:
                    fetching.before_of(path).unlink(missing_ok=True)
            return replace(now, body=b"", replaced=False)

    # before they end --------------------------------------------------------------------------------------------
    def refresh(self, *, urls: Iterable[str] = (), margin: float = 10 * MINUTE) -> Iterator[Refreshed]:
        """Ask again for the lists that were used in the last week and end their time within `margin` seconds, and for
        the lists at `urls`; their indexes are made before anybody needs them.  Never raises.

        OCSP answers are left alone.  One speaks of one signer and is kept for minutes: kept fresh, each signer seen
        in a week would be asked about two thousand times, on the chance that one document more comes, and the
        responder would learn who is watched.  An answer costs the document that needs it one round trip, at the same
        time as its other values; a list costs a download and an index, and serves every signer of its authority.
        """
        wanted = dict.fromkeys(urls)
        for path in self._dir.glob("*/*"):
            facts = self._facts(path)
            used = self._clock() - self._used_at(path) < USED_SECONDS
            if used and facts.get("kind") == "crl" and isinstance(facts.get("url"), str):
                wanted.setdefault(str(facts["url"]))
        for url in wanted:
            request = FetchRequest("crl", url)
            path = self._path(request)
            with contextlib.suppress(OSError):
                if self._clock() - path.stat().st_mtime < KEEP_SECONDS["crl"] - margin:
                    continue
            before = self._facts(path).get("sha256")
            try:
                newer = datetime.fromtimestamp(self._clock(), UTC)
                found = self._one(replace(request, newer_than=newer), time.monotonic() + _REFRESH_SECONDS)
            except UpstreamError as error:
                yield Refreshed(url, problem=str(error.data.get("reason", error.code)))
                continue
            if found.stale:
                yield Refreshed(url, problem="stale")
                continue
            if len(found.body) >= crl_index.WORTHWHILE:
                self.index(found.body)
            yield Refreshed(url, changed=found.sha256 != before)

    def keep_fresh(self, stop: threading.Event, every: float = 5 * MINUTE) -> None:
        """Refresh until `stop` is set; of the processes that share the directory, one at a time does it."""
        while not stop.wait(every):
            with contextlib.suppress(OSError), (self._dir / "refresh.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for _ in self.refresh():
                    if stop.is_set():
                        return

    # the disk ---------------------------------------------------------------------------------------------------
    def _path(self, request: FetchRequest) -> Path:
        body = hashlib.sha256(request.body).hexdigest() if request.body is not None else ""
        name = hashlib.sha256(f"{request.kind}\0{request.url}\0{body}".encode("utf-8", "replace")).hexdigest()
        return self._dir / name[:2] / name

    def _facts(self, path: Path) -> dict[str, Any]:
        """What is noted about a kept value."""
        try:
            with path.open("rb") as file:
                found = json.loads(file.readline(_MAX_HEAD))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _mark_used(self, path: Path) -> None:
        """Note, to the hour, that a value is in use; access times are not kept everywhere, and by every reader."""
        if self._clock() - self._used_at(path) > HOUR:
            with contextlib.suppress(OSError):
                fetching.used_of(path).touch()
                os.utime(fetching.used_of(path), (self._clock(),) * 2)

    def _used_at(self, path: Path) -> float:
        try:
            return fetching.used_of(path).stat().st_mtime
        except OSError:
            return 0.0

    def _kept(self, path: Path, known: str | None = None) -> Fetched | None:
        """What is kept at `path`, without its octets where they are the `known` ones."""
        try:
            with path.open("rb") as file:
                moment = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
                facts = json.loads(file.readline(_MAX_HEAD))
                url, sha256 = str(facts["url"]), str(facts["sha256"])
                replaced = fetching.before_of(path).exists()
                if sha256 == known:
                    return Fetched(b"", url, moment, True, unchanged=True, sha256=sha256, replaced=replaced)
                body = file.read()
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None
        # Others take the digest for the value's name: a file that a crash left behind must not borrow one.
        if hashlib.sha256(body).hexdigest() != sha256:
            return None
        return Fetched(body, url, moment, from_cache=True, sha256=sha256, replaced=replaced)

    def _age(self, kept: Fetched) -> float:
        assert kept.fetched_at is not None
        return self._clock() - kept.fetched_at.timestamp()

    def _fresh(self, request: FetchRequest, kept: Fetched) -> bool:
        age = self._age(kept)
        if kept.fetched_at is None or not -MINUTE <= age < KEEP_SECONDS[request.kind]:
            return False
        return request.newer_than is None or kept.fetched_at > request.newer_than or age < AGAIN_SECONDS

    def _keep(self, path: Path, request: FetchRequest, response: Response) -> Fetched:
        now, body = self._clock(), answers.octets(request.kind, response.body)
        sha256 = hashlib.sha256(body).hexdigest()
        facts = {"kind": request.kind, "url": request.url, "sha256": sha256}
        for name in _VALIDATORS:
            value = response.headers.get(name, "")
            if 0 < len(value) <= _MAX_VALIDATOR and value.isascii() and value.isprintable():
                facts[name] = value
        head = json.dumps(facts).encode() + b"\n"
        with contextlib.suppress(OSError):
            # The first that nobody compared stays: more answers do not push it out.
            before = self._facts(path).get("sha256")
            other = request.kind != "certificate" and before not in (None, sha256)
            if other and not fetching.before_of(path).exists():
                path.replace(fetching.before_of(path))
            write_whole(path, head, body, moment=now)
            if before != sha256:
                self._changed()
            fetching.failure_of(path).unlink(missing_ok=True)
            self._count(len(body))
        unchanged = sha256 == request.known
        moment = datetime.fromtimestamp(now, UTC)
        replaced = fetching.before_of(path).exists()
        body = b"" if unchanged else body
        return Fetched(body, request.url, moment, unchanged=unchanged, sha256=sha256, replaced=replaced)

    def _count(self, octets: int) -> None:
        """Prune by what was stored: a few documents can name many large lists, many documents dead names."""
        self._stored += 1
        self._octets += octets
        if self._stored >= _PRUNE_EVERY or self._octets >= self._max_bytes // _PRUNE_PARTS:
            self._stored = self._octets = 0
            self.prune()

    def _remember_failure(self, path: Path, error: UpstreamError) -> None:
        # A refusal costs nothing to repeat, and another configuration may lift it.
        if error.code != "outbound_failed" or "remembered" in error.data:
            return
        with contextlib.suppress(OSError):
            reason = json.dumps({"reason": str(error.data.get("reason", ""))[:80]})
            write_whole(fetching.failure_of(path), reason.encode() + b"\n", moment=self._clock())
            self._count(0)

    def _raise_remembered(self, path: Path) -> None:
        try:
            age = self._clock() - fetching.failure_of(path).stat().st_mtime
            if not -MINUTE <= age < FAILURE_SECONDS:
                return
            found = str(json.loads(fetching.failure_of(path).read_bytes()[:_MAX_HEAD])["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        reason = "".join(c for c in found if c.isascii() and (c.isalnum() or c == "_"))
        raise UpstreamError("outbound_failed", reason=reason[:40], remembered=True)

    @contextlib.contextmanager
    def _alone(self, path: Path, until: float) -> Iterator[None]:
        """One at a time for one value, among threads and processes; without a directory, unguarded."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = path.with_name(f"{path.name[:4]}.lock").open("a")
        except OSError:
            yield
            return
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= until:
                        raise UpstreamError("outbound_failed", reason="timeout") from None
                    time.sleep(0.01)
            yield

    def prune(self) -> None:
        """Drop what is older than it may serve, then the oldest until octets and number of files fit."""
        now = self._clock()
        entries: list[tuple[float, int, Path]] = []
        for path in (*self._dir.glob("*/*"), *self._indexes.glob("*")):
            with contextlib.suppress(OSError):
                status = path.stat()
                if path.suffix == ".lock":
                    continue
                if path.suffix == ".failed" and now - status.st_mtime > FAILURE_SECONDS:
                    path.unlink(missing_ok=True)
                    continue
                entries.append((status.st_mtime, status.st_size, path))
        total, count = sum(size for _, size, _ in entries), len(entries)
        for moment, size, path in sorted(entries):
            if moment >= now - STALE_SECONDS and total <= self._max_bytes and count <= _MAX_FILES:
                break
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            total -= size
            count -= 1
