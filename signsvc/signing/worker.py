"""A signing worker: one process that opens hostile documents for writing under limits.

It has no key, no network and no verifier: a digest to sign, a timestamp, a network value, the check of the written
file are asked of its parent.  pyHanko and asn1crypto run here, in one thread (their classes complete themselves on
first use and are not safe between threads).
"""

from __future__ import annotations

import functools
import gc
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signsvc.algorithms import SignatureAlgorithm
from signsvc.errors import InternalError
from signsvc.signing import fields, wire
from signsvc.signing.appearance.layout import Fonts
from signsvc.signing.profiles import Profile
from signsvc.signing.service import SigningService
from signsvc.types import Certificate
from signsvc.verification import Outcome, TrustSource, VerifyRequest, frames, worker
from signsvc.verification.model import OriginalFile
from signsvc.verification.processes import problem

if TYPE_CHECKING:
    from signsvc.trust import Fetch

# What it writes is a document with a few revisions more: no device is filled by one document.
_MOST_WRITTEN = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class _Token:
    der: bytes
    gen_time: datetime
    tsa: str
    certificate: Certificate
    certificates: tuple[Certificate, ...]


class _Parent:
    """The other end of the socket, in the parts that `SigningService` needs: key, authority, verifier."""

    def __init__(self, sock: socket.socket, chain: tuple[Certificate, ...] = ()) -> None:
        self._sock = sock
        self._chain = chain

    @property
    def certificate(self) -> Certificate:
        return self._chain[0]

    @property
    def certificate_chain(self) -> tuple[Certificate, ...]:
        return self._chain

    def sign(self, digest: bytes, algorithm: SignatureAlgorithm, *, deadline: float | None = None) -> bytes:  # noqa: ARG002
        """The parent knows the algorithm and the deadline."""
        return self._ask({"sign": digest.hex()})[1]

    def timestamp(self, digest: bytes, digest_name: str, *, now: datetime) -> _Token:  # noqa: ARG002
        found, der = self._ask({"timestamp": [digest.hex(), digest_name]})
        (own,) = wire.certificates_from_json([found["certificate"]])
        gen_time = wire.moment(found["gen_time"])
        if gen_time is None:
            raise InternalError
        return _Token(der, gen_time, found["tsa"], own, wire.certificates_from_json(found["certificates"]))

    def verify(self, path: Path, request: VerifyRequest | None = None) -> Outcome:
        """The parent knows what was asked with; it is told where the file is."""
        asked = request or VerifyRequest()
        beside: list[str | None] | None = None
        if asked.originals:
            original = asked.originals[0]
            near = original.path is not None and original.path.parent == path.parent
            beside = [original.name, original.path.name if near and original.path else None]
        return Outcome(self._ask({"verify": [path.name, asked.policy, beside]})[0]["report"])

    def _ask(self, wish: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        frames.send(self._sock, wish)
        answer, payload = frames.receive(self._sock)
        if "problem" in answer:
            raise problem(answer["problem"])
        return answer, payload


def serve(sock: socket.socket) -> None:
    """Answer jobs until the parent closes the socket."""
    worker.serve(sock, functools.partial(_run, {}))


_generation: list[object] = [None]  # what the job's parent says of the revocation data that it keeps


def _run(services: dict[bool, SigningService], sock: socket.socket, job: dict[str, Any]) -> dict[str, Any]:
    _generation[0] = job["generation"]
    source, target = Path(job["source"]), Path(job["target"])
    more = tuple(OriginalFile.from_json(one) for one in job.get("more", ()))
    octets = sum(path.stat().st_size for path in (source, *(one.path for one in more)) if path is not None)
    worker.limit(job["memory_bytes"] + octets, job["cpu_seconds"])
    parent = _Parent(sock, wire.certificates_from_json(job["chain"]))
    service = services.get(job["fetch"])
    if service is None:
        # Kept between jobs: it learns the size of tokens.
        fetch: Fetch | None = worker.fetcher(sock) if job["fetch"] else None
        service = SigningService(
            TrustSource.from_json(job),
            verifier=parent,
            fetch=fetch,
            fonts=Fonts(*map(Path, job["fonts"])),
            generation=lambda: _generation[0],
            standing_seconds=job["standing_seconds"],
            durable=False,  # it goes to the spool; who keeps it sees to that
        )
        services[job["fetch"]] = service
    trust = wire.trust_from_json(job["trust"])
    tsa = parent if job["tsa"] else None
    if job["op"] == "extend":
        original = Path(job["original"]) if job.get("original") else None
        result = service.extend(
            source, target, level=job["level"], policy=job["policy"], trust=trust, tsa=tsa,
            original=original, original_name=job.get("original_name", "document"),
        )  # fmt: skip
    elif job["op"] == "timestamp":
        result = service.timestamp(source, target, policy=job["policy"], trust=trust, tsa=tsa)
    elif job["op"] == "fields":
        return service.prepare_fields(source, target, fields=fields.parse(job["fields"])).to_json()
    elif job["op"] in ("prepare", "complete"):
        return _step(service, source, target, job, parent, tsa)
    else:
        result = service.sign(
            source,
            target,
            profile=Profile(**job["profile"]),
            signer=parent,
            params=wire.params_from_json(job["params"]),
            trust=trust,
            tsa=tsa,
            more=more,
        )
    return wire.result_to_json(result)


def _step(
    service: SigningService, source: Path, target: Path, job: dict[str, Any], parent: _Parent, tsa: _Parent | None
) -> dict[str, Any]:
    """One of the two steps of a signature whose key is elsewhere."""
    from signsvc.signing.sessions import formats

    options: dict[str, Any] = {
        "profile": Profile(**job["profile"]),
        "signer": parent,
    }
    if job["op"] == "prepare":
        params = wire.params_from_json(job["params"])
        return formats.prepare(service, source, target, params=params, room=job["room"], **options).to_json()
    prepared = formats.Prepared.from_json(job["prepared"])
    value = bytes.fromhex(job["value"])
    return wire.result_to_json(
        formats.complete(service, source, target, prepared=prepared, value=value, tsa=tsa, **options)
    )


def harden() -> None:
    """As for every worker, but it may write, though not without end."""
    worker.harden(_MOST_WRITTEN)


def main() -> None:
    with worker.begin(_MOST_WRITTEN) as sock:
        # Now, while nobody waits: the writing library takes most of a second.
        # now: where memory is limited, a library cannot be loaded any more
        import pypdfium2 as _pypdfium2  # noqa: F401

        from signsvc.formats.pades import write as _write  # noqa: F401
        from signsvc.signing.appearance import words

        words.here()

        # What is there now stays, and garbage is looked for after documents rather than in the midst of them.
        gc.freeze()
        gc.set_threshold(worker.COLLECT_EVERY)
        serve(sock)


__all__ = ["harden", "main", "serve"]
