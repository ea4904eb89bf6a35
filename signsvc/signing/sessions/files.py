"""XAdES, CAdES and ASiC in two steps: what is signed first, the value, timestamps and validation data later.

Between the steps the document is followed by the prepared signature as JSON.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from signsvc.errors import InternalError
from signsvc.signing import wire
from signsvc.signing.files import formats, make
from signsvc.signing.material import Stamping, Timestamper
from signsvc.signing.model import SignParams, SignResult, TrustInput
from signsvc.signing.profiles import Profile, apply
from signsvc.signing.sessions.formats import Prepared
from signsvc.signing.workfile import work_file
from signsvc.types import Certificate

if TYPE_CHECKING:
    from signsvc.keys.signer import Signer
    from signsvc.signing.service import SigningService


def prepare(
    service: SigningService,
    source: Path,
    target: Path,
    *,
    profile: Profile,
    signer: Signer,
    params: SignParams,
    room: int = 0,  # noqa: ARG001 - nothing is kept free in these formats
) -> Prepared:
    """The document at `source`, and behind it the prepared signature, in `target`; `signer` has no key.

    Raises what `SigningService.sign` raises before the key is used; then `target` is as it was.
    """
    kind = formats.kind_of(profile)
    params = apply.settle(profile, params)
    formats.check(profile, params)
    with work_file(source, target) as work:
        data = work.octets()
        formats.refuse_kind(kind, data[:1024], len(data))
        settled = service.settled(profile, signer, params, TrustInput())
        now = service.clock()
        made = formats.prepare(data, kind, settled.plan, profile, params, now)
        work.stream.write(json.dumps(made.to_json()).encode())
        work.commit()
    return Prepared(
        attributes=made.octets,
        signed_at=now,
        field=made.signature_id,
        embedded=tuple(certificate.der for certificate in settled.plan.chain),
        revisions=0,
        base_size=len(data),
        place={},
        params=wire.params_to_json(params),
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
    `target`.  Whether the certificate may sign is looked at once more.  Raises what `SigningService.sign` raises."""
    kind = formats.kind_of(profile)
    params = wire.params_from_json(prepared.params)
    with work_file(source, target) as work:
        whole = work.octets()
        data, kept = whole[: prepared.base_size], whole[prepared.base_size :]
        try:
            waiting = formats.restored(kind, json.loads(kept))
        except (KeyError, TypeError, ValueError):
            raise InternalError from None
        if waiting.octets != prepared.attributes:
            raise InternalError
        settled = service.settled(profile, signer, params, TrustInput())
        embedded = tuple(Certificate.from_der(der) for der in prepared.embedded)
        settled = replace(settled, plan=replace(settled.plan, chain=embedded))
        stamping = Stamping(tsa or service.tsa, service.clock, service.room)
        content = work.path.with_name(f"{work.path.name}.original")
        try:
            if kind.detached:
                content.write_bytes(data)
            return make.finished(
                service, work, content, data, formats.complete(kind, waiting, value), kind, settled, profile, signer,
                params, TrustInput(), stamping, waiting.signature_id, prepared.signed_at,
            )  # fmt: skip
        finally:
            content.unlink(missing_ok=True)


__all__ = ["complete", "prepare"]
