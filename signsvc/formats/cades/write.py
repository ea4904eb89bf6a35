"""Making CAdES baseline signatures (EN 319 122-1 §5.2, §6.3): detached, with the content inside, beside others, over
others.

`prepare` gives what the key signs and `complete` the file afterwards; in between a `Prepared` may be kept as JSON.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from signsvc.algorithms import digest_by_name
from signsvc.asn1 import DerError, decode_oid, der, encode, encode_oid
from signsvc.errors import DocumentError, RequestError
from signsvc.formats import cms
from signsvc.formats.cades.container import MAX_OCTETS, decode
from signsvc.formats.cades.outline import DATA, Outline, Signer, content_of, joined, parse
from signsvc.formats.cades.read import message_digest, signature_id
from signsvc.formats.cms import attributes
from signsvc.formats.cms.claims import signing_time
from signsvc.formats.cms.write import CmsPlan, digest_identifier, signed_attributes, signer_fields
from signsvc.types import Original, SignerView


@dataclass(frozen=True, slots=True)
class CadesSpec:
    """How a CAdES signature is to be made.

    `detached`: the content stays outside.  `signing_time` (aware) is claimed under the signature, as the baseline
    demands.  `media_type` of the content, where it is known (§5.2.5).
    """

    signing_time: datetime
    detached: bool = True
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signature without its value: `octets` are signed (the DER ``SET OF`` signed attributes); `signature_id` is the
    name that `read` gives the signature, that of the one above it where it is a counter-signature."""

    octets: bytes
    signature_id: str
    file: bytes = field(repr=False)  # the CMS without the new SignerInfo
    fields: bytes = field(repr=False)  # of the new SignerInfo, version to signatureAlgorithm
    digest_algorithm: bytes = field(repr=False)
    above: int | None = None  # place (from 0) of the SignerInfo that is counter-signed

    def to_json(self) -> dict[str, object]:
        """Members of JSON types only."""
        return {
            "signature_id": self.signature_id,
            "above": self.above,
            **{name: base64.b64encode(getattr(self, name)).decode("ascii") for name in _OCTETS},
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, object]) -> Prepared:
        """What `to_json` gave."""
        above = kept["above"]
        octets = {name: base64.b64decode(str(kept[name]), validate=True) for name in _OCTETS}
        return cls(signature_id=str(kept["signature_id"]), above=above if isinstance(above, int) else None, **octets)


_OCTETS = ("octets", "file", "fields", "digest_algorithm")


def prepare(content: Original | None, plan: CmsPlan, spec: CadesSpec, *, existing: bytes | None = None) -> Prepared:
    """A signature over `content`, or one more beside those of the CMS file `existing`.

    Of a detached signature the digest of the content is enough.  In `existing` the content may stand inside; `content`
    is then not needed, and `spec.detached` says nothing.  Raises `DocumentError`: ``original_missing`` where the
    content, or its digest, is not there; ``original_differs`` where signatures of `existing` are over other content;
    ``document_too_large``; ``archive_timestamp_too_old``; as `read` for `existing`.
    """
    if existing is None:
        outline = Outline(1, (), encode_oid(DATA), None if spec.detached else _inside(content))
    else:
        outline = parse(decode(existing))
        refuse_old_archive(outline)
        content = _agreed(existing, outline, content)
    digest = content.digest(_digest_oid(plan)) if content is not None else None
    if digest is None:
        raise DocumentError("original_missing")
    oid = decode_oid(outline.content_type, der.read_all(outline.content_type))
    octets = signed_attributes(_claiming(plan, spec), digest, oid)
    return _prepared(outline, plan, octets, signature_id(len(outline.signers) + 1), None)


def prepare_counter(existing: bytes, number: int, plan: CmsPlan, spec: CadesSpec) -> Prepared:
    """A counter-signature over signature `number` (from 1, as `read` counts) of a CMS file (RFC 5652 §11.4).

    Raises `RequestError` ``invalid_request`` where there is no such signature; `DocumentError` as `prepare`.
    """
    outline = parse(decode(existing))
    refuse_old_archive(outline)
    if not 1 <= number <= len(outline.signers):
        raise RequestError("invalid_request", reason="there is no signature of this name")
    above = Original(signature_id(number), outline.signers[number - 1].value)
    digest = above.digest(_digest_oid(plan))
    if digest is None:
        raise DocumentError("original_missing")
    octets = signed_attributes(_claiming(plan, replace(spec, media_type=None)), digest, None)
    return _prepared(outline, plan, octets, signature_id(number), number - 1)


def complete(prepared: Prepared, value: bytes) -> bytes:
    """The file with the signature; `value` as the key gives it (ECDSA: DER ``r, s``)."""
    outline = parse(prepared.file)
    fields = prepared.fields + encode(der.OCTET_STRING, value)
    signer = Signer(fields, value, prepared.digest_algorithm)
    signers = list(outline.signers)
    if prepared.above is None:
        # A set has no order: a new signer stands last, so that the others keep their names.
        signers.append(signer)
    else:
        signers[prepared.above] = signers[prepared.above].adding(attributes.COUNTER_SIGNATURE, signer.encoded())
    return replace(outline, signers=tuple(signers)).encoded()


def refuse_old_archive(outline: Outline) -> None:
    """Raise `DocumentError` ``archive_timestamp_too_old`` where an archive timestamp of version 1 or 2 is there: it is
    over all certificates and revocation values, and nothing can be added without breaking it (EN 319 122-1 §A.2.4)."""
    try:
        types = frozenset(kind for signer in outline.signers for kind in signer.types())
    except (DerError, IndexError):
        raise DocumentError("document_unreadable") from None
    if types & {attributes.ARCHIVE_TIMESTAMP_V1, attributes.ARCHIVE_TIMESTAMP_V2}:
        raise DocumentError("archive_timestamp_too_old")


def _prepared(outline: Outline, plan: CmsPlan, octets: bytes, name: str, above: int | None) -> Prepared:
    algorithm = digest_identifier(plan.digest_name)
    listed = {_bare_algorithm(one) for one in outline.digests}
    if above is None and algorithm not in listed:
        outline = replace(outline, digests=joined(outline.digests, (algorithm,)))
    outline = outline.adding(one.der for one in (plan.certificate, *plan.chain))
    return Prepared(octets, name, outline.encoded(), signer_fields(plan, octets), algorithm, above)


def _bare_algorithm(identifier: bytes) -> bytes:
    """An AlgorithmIdentifier of a digest without its parameters, which say nothing (RFC 5754 §2)."""
    kind = der.children(identifier, der.read(identifier, 0))[0]
    return encode(der.SEQUENCE, kind.full(identifier))


def _claiming(plan: CmsPlan, spec: CadesSpec) -> CmsPlan:
    """The plan with the attributes that CAdES adds to it."""
    more = [signing_time(spec.signing_time)]
    if spec.media_type:
        value = encode(der.UTF8_STRING, spec.media_type.encode())
        more.append(encode(der.SEQUENCE, encode_oid(attributes.MIME_TYPE), encode(der.SET, value)))
    return replace(plan, attributes=(*plan.attributes, *more))


def _digest_oid(plan: CmsPlan) -> str:
    found = digest_by_name(plan.digest_name)
    if found is None:
        raise ValueError("unknown digest algorithm")
    return found.oid


def _inside(content: Original | None) -> bytes:
    if content is None or content.data is None:
        raise DocumentError("original_missing")
    if len(content.data) > MAX_OCTETS // 2:
        raise DocumentError("document_too_large", limit=MAX_OCTETS // 2)
    return content_of(content.data)


def _agreed(existing: bytes, outline: Outline, content: Original | None) -> Original | None:
    """The content that the signatures of `existing` are over, which must be the one given where one is."""
    inside = outline.content_octets()
    if inside is not None:
        found = Original("content", inside)
        if content is not None and not _equal(found, content):
            raise DocumentError("original_differs")
        return found
    if content is not None:
        view = cms.read(
            decode(existing),
            subject=signature_id(1),
            digest=None,
            nested=False,
            limit=MAX_OCTETS,
            subjects=signature_id,
        )
        if any(_contradicts(signer, content) for signer in view.signers):
            raise DocumentError("original_differs")
    return content


def _equal(inside: Original, given: Original) -> bool:
    if given.data is not None:
        return inside.data == bytes(given.data)
    return all(inside.digest(oid) in (None, digest) for oid, digest in given.digests.items())


def _contradicts(signer: SignerView, content: Original) -> bool:
    said, found = message_digest(signer), content.digest(signer.digest_oid)
    return said is not None and found is not None and said != found


__all__ = ["CadesSpec", "Prepared", "complete", "prepare", "prepare_counter", "refuse_old_archive"]
