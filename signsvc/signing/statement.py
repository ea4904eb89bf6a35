"""What one signature says of itself: attributes of the CMS, entries of the signature dictionary and its field."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from signsvc.signing import appearance
from signsvc.signing.appearance import issued

if TYPE_CHECKING:
    from signsvc.formats.cms.write import CmsPlan
    from signsvc.formats.pades.write import SignatureSpec
    from signsvc.signing.appearance import Fonts
    from signsvc.signing.model import SignParams
    from signsvc.signing.profiles import Profile
    from signsvc.types import Certificate

# The time zone of every signing time that people read: Vietnam keeps one, without summer time.
VIETNAM = timezone(timedelta(hours=7))


def claims(params: SignParams) -> tuple[bytes, ...]:
    """The signed attributes for what the signer claims, DER."""
    from signsvc.formats.cms import claims as attributes

    found = []
    if params.claimed_roles:
        found.append(attributes.claimed_roles(params.claimed_roles))
    if params.commitment is not None:
        found.append(attributes.commitment_type(params.commitment))
    return tuple(found)


def dated(plan: CmsPlan, profile: Profile, now: datetime) -> CmsPlan:
    """`plan` with the time of signing among its attributes where the profile's format has it there."""
    from signsvc.formats.cms.claims import signing_time

    return replace(plan, attributes=(*plan.attributes, signing_time(now))) if profile.signature.timed else plan


def spec(
    path: Path, params: SignParams, profile: Profile, certificate: Certificate, now: datetime, fonts: Fonts
) -> SignatureSpec:
    """What the signature dictionary and its field say."""
    from signsvc.formats.pades.write import SignatureSpec

    local = now.astimezone(VIETNAM)
    made, spot = None, None
    template = appearance.template_for(profile.appearance, params)
    if not issued.takes_fields(path, template, params):
        made = appearance.stamp(profile.appearance, params, certificate, local, fonts=fonts)
        spot = appearance.spot(path, params, made)
    return SignatureSpec(
        time=local,
        field=params.field,
        reason=params.reason,
        location=params.location,
        name=params.name,
        contact=params.contact,
        certify=params.certify,
        page=spot.page if spot else 1,
        rect=spot.rect if spot else None,
        appearance=spot.stamp if spot else made,
        texts=issued.texts(params, fonts, shown=spot is not None),
        subfilter=profile.signature.subfilter,
        stamped=profile.rank > 0,
    )


__all__ = ["claims", "dated", "spec"]
