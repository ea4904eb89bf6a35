"""PAdES in two steps: ByteRange and signed attributes first, the value, timestamps and validation data later."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from signsvc.errors import InternalError, UpstreamError
from signsvc.signing import precheck, statement, wire
from signsvc.signing.material import Stamping, Timestamper
from signsvc.signing.model import SignParams, SignResult, TrustInput
from signsvc.signing.profiles import LEVELS, Profile
from signsvc.signing.sessions.formats import Prepared
from signsvc.signing.workfile import WorkFile, work_file
from signsvc.types import Certificate

if TYPE_CHECKING:
    from signsvc.formats.cms.write import CmsPlan
    from signsvc.formats.pades import write
    from signsvc.keys.signer import Signer
    from signsvc.signing.service import SigningService

# Octets kept for a timestamp: more than for a key at hand, because another size means another signature.
TOKEN_ROOM = 24_000


def prepare(
    service: SigningService,
    source: Path,
    target: Path,
    *,
    profile: Profile,
    signer: Signer,
    params: SignParams,
    room: int = 0,
) -> Prepared:
    """The document at `source` with a signature field whose /Contents are zeros, in `target`; `signer` has no key.

    `room` is the least number of octets for a timestamp.  Raises what `SigningService.sign` raises before the key is
    used; then `target` is as it was.
    """
    from signsvc.formats.cms.write import room_for, signed_attributes
    from signsvc.formats.pades.write import prepare_revision

    with work_file(source, target) as work, precheck.document(work, params, profile) as seen:
        params = seen.params or params
        settled = service.settled(profile, signer, params, TrustInput())
        now = service.clock()
        plan = statement.dated(settled.plan, profile, now)
        stamped = profile.rank >= LEVELS.index("B-T")
        made = prepare_revision(
            work.stream,
            plan,
            service.spec(work, params, profile, signer.certificate, now),
            room=room_for(plan) + (max(TOKEN_ROOM, room) if stamped else 0),
            opened=seen.opened,
        )
        attributes = signed_attributes(plan, made.document_digest)
        base_size = work.base_size
        work.commit()
    return Prepared(
        attributes=attributes,
        signed_at=now,
        field=made.field,
        embedded=tuple(certificate.der for certificate in plan.chain),
        revisions=seen.revisions,
        base_size=base_size,
        place={
            "start": made.start,
            "end": made.end,
            "size": made.size,
            "digest": made.document_digest.hex(),
            "room": made.room,
            "mac": made.mac_needed,
        },
        params=wire.params_to_json(params),
        warnings=tuple(wire.finding_to_json(finding) for finding in seen.warnings),
    )


def complete(
    service: SigningService,
    source: Path,
    target: Path,
    *,
    profile: Profile,
    signer: Signer,
    prepared: Prepared,
    value: bytes,
    tsa: Timestamper | None = None,
) -> SignResult:
    """The prepared document at `source` with its signature `value`, raised to the profile's level and checked, in
    `target`.

    Whether the certificate may sign is looked at once more: it may have been revoked meanwhile.  Raises what
    `SigningService.sign` raises, and `UpstreamError` (``tsa_invalid_token``) with ``room`` for a timestamp that needs
    more of it; then `target` is as it was.
    """
    from signsvc.formats.cms.write import signed_attributes
    from signsvc.formats.pades import write

    place = prepared.place
    embedded = tuple(Certificate.from_der(der) for der in prepared.embedded)
    waiting = write.Prepared(
        field=prepared.field or "",
        start=int(place["start"]),
        end=int(place["end"]),
        size=int(place["size"]),
        document_digest=bytes.fromhex(place["digest"]),
        room=int(place["room"]),
        mac_needed=bool(place["mac"]),
    )
    stamped = profile.rank >= LEVELS.index("B-T")
    params = wire.params_from_json(prepared.params)
    with work_file(source, target) as work:
        settled = service.settled(profile, signer, params, TrustInput())
        plan = replace(statement.dated(settled.plan, profile, prepared.signed_at), chain=embedded)
        waiting = replace(waiting, digest_name=plan.digest_name)
        settled = replace(settled, plan=plan)
        if signed_attributes(plan, waiting.document_digest) != prepared.attributes:
            raise InternalError  # prepared by a program that says other things in a signature
        for attempt in (1, 2):
            stamping = Stamping(tsa or service.tsa, service.clock, service.room)
            try:
                _completed(work, plan, waiting, prepared, value, stamping if stamped else None)
                service.raised(work, settled, profile, signer, stamping)
                break
            except write.RoomTooSmallError as error:  # of an archive timestamp, for which room is kept anew
                service.room.learn(error.needed)
                if attempt == 2:
                    raise UpstreamError("tsa_invalid_token", reason="size") from None
                work.restart(source)
        return service.finished(
            work,
            settled,
            profile,
            signer,
            TrustInput(),
            stamping,
            waiting.field,
            prepared.signed_at,
            revisions=prepared.revisions,
            warnings=tuple(wire.finding_from_json(one) for one in prepared.warnings),
        )


def _completed(
    work: WorkFile, plan: CmsPlan, waiting: write.Prepared, prepared: Prepared, value: bytes, stamping: Stamping | None
) -> None:
    """Put the CMS with `value` into its place and check the file from its octets alone."""
    from signsvc.formats.cms.write import signed_data
    from signsvc.formats.pades import write
    from signsvc.formats.pades.selfcheck import check_written

    tokens = (stamping(hashlib.new(plan.digest_name, value).digest(), plan.digest_name),) if stamping else ()
    contents = signed_data(plan, prepared.attributes, value, tokens)
    if len(contents) > waiting.room:
        raise UpstreamError("tsa_invalid_token", reason="size", room=sum(map(len, tokens)) * 3 // 2)
    written = replace(write.complete_revision(work.stream, waiting, contents), value=value, timestamps=tokens)
    work.stream.flush()
    fault = check_written(work.stream, plan, written, before=prepared.base_size)
    if fault is not None:
        raise InternalError("self_check_failed", reason=fault)


__all__ = ["complete", "prepare"]
