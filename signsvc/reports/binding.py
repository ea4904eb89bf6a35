"""What a report is about, to the octet: the signature value and what it was made over, by digest.

Whoever holds a report and a file can tell with it whether they belong together (RFC 9321 §3.2.3).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from signsvc.algorithms import digest_name
from signsvc.asn1 import DerError, der
from signsvc.types import Covered, SignatureView

_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_MOST_DATA = 1000


def binding(view: SignatureView, digests: Mapping[str, str]) -> dict[str, Any] | None:
    """`signature_value` (base64), SHA-256 of it and of the octets it was computed on, and of the `data` it covers
    (null where only another digest is known).  `digests` are SHA-256 of what signatures of a PDF cover, by id.  None
    where the signature cannot be read.
    """
    if view.signer is None:
        return None
    value = view.signer.value
    return {
        "signature_value": base64.b64encode(value.value).decode("ascii"),
        "signature_sha256": hashlib.sha256(value.value).hexdigest(),
        "signed_bytes_sha256": None if value.message is None else hashlib.sha256(value.message).hexdigest(),
        "data": _data(view, digests),
    }


def _data(view: SignatureView, digests: Mapping[str, str]) -> list[dict[str, str | None]]:
    signer = view.signer
    if view.scope.byte_ranges and signer is not None:
        found = digests.get(view.id)
        if found is None and signer.digest_matches and digest_name(signer.digest_oid) == "sha256":
            digest = signer.value.digest if signer.value.message is None else _message_digest(signer.value.message)
            found = digest.hex() if digest else None
        return [{"ref": " ".join(f"{start} {length}" for start, length in view.scope.byte_ranges), "sha256": found}]
    listed = view.covered[:_MOST_DATA]
    alone = signer.value.message if signer is not None and len(listed) == 1 else None
    return [{"ref": one.uri if one.uri is not None else one.name, "sha256": _sha256(one, alone)} for one in listed]


def _sha256(one: Covered, attributes: bytes | None) -> str | None:
    if not one.matches or one.digest_oid is None or digest_name(one.digest_oid) != "sha256":
        return None
    found = one.digest or (_message_digest(attributes) if attributes else None)
    return found.hex() if found else None


def _message_digest(attributes: bytes) -> bytes | None:
    """The message-digest among signed attributes (DER SET OF; RFC 5652 §11.2)."""
    try:
        for attribute in der.children(attributes, der.read_all(attributes)):
            parts = der.children(attributes, attribute)
            if len(parts) == 2 and der.decode_oid(attributes, parts[0]) == _MESSAGE_DIGEST:
                (value,) = der.children(attributes, parts[1])
                return value.value(attributes)
    except (DerError, ValueError):
        pass
    return None
