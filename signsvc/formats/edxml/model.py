"""What an edXML packet says."""

from __future__ import annotations

from dataclasses import dataclass, field

from signsvc.types import Finding


@dataclass(frozen=True, slots=True)
class Party:
    """An agency by its identifier (Decision 20/2020) and name."""

    id: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A document in the packet: `data` as it is without the ZIP that systems put around it (`zipped`); None where it
    cannot be read, and `problem` says why."""

    content_id: str | None
    name: str
    content_type: str | None
    data: bytes | None = field(repr=False, default=None)
    zipped: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class PacketSignature:
    """The packet's own signature, as far as its form goes: ``absent``, ``placeholder`` (an empty or shortened one),
    ``non-standard`` (in a namespace that no XML signature has) or ``present``; `whole`: it is over the whole packet,
    trace headers included, which every hub extends."""

    state: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Packet:
    """A document message.  Texts are shortened; dates stand as they were written."""

    sender: Party
    recipients: tuple[Party, ...]
    document_id: str | None
    number: str | None
    notation: str | None
    promulgation_date: str | None
    subject: str | None
    business: str | None  # 0 new, 1 recall, 2 update, 3 replace
    hops: tuple[str, ...]  # who passed it on, oldest first
    attachments: tuple[Attachment, ...]
    signature: PacketSignature
    status_code: str | None = None  # of a status message
    findings: tuple[Finding, ...] = ()


__all__ = ["Attachment", "Packet", "PacketSignature", "Party"]
