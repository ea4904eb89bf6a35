"""What servers answer, before it is kept: no error pages, and lists as octets where they come as text."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from signsvc.errors import UpstreamError

if TYPE_CHECKING:
    from signsvc.net import Response

_PEM = tuple((b"-----BEGIN %s-----" % name, b"-----END %s-----" % name) for name in (b"X509 CRL", b"CRL"))


def octets(kind: str, body: bytes) -> bytes:
    """A list that a server gives as text (PEM, or base64 alone) as its octets; what it is not stays as it was."""
    if kind != "crl" or body[:1] == b"\x30":
        return body
    text = body
    for begin, end in _PEM:
        at = body.find(begin)
        if at >= 0:
            text = body[at + len(begin) : max(body.find(end, at), 0)]
            break
    try:
        found = base64.b64decode(b"".join(text.split()), validate=True)
    except ValueError:
        return body
    return found if found[:1] == b"\x30" else body


def plausible(kind: str, response: Response) -> None:
    """Keep error pages out of the cache.  Raises `UpstreamError`; no octet is interpreted beyond the first."""
    if response.status != 200:
        raise UpstreamError("outbound_failed", reason=f"http_{response.status}")
    body = response.body
    text_allowed = kind != "ocsp" and body.lstrip()[:16].startswith((b"-----BEGIN", b"MI"))
    # The shortest OCSP response that is not an error notice holds a signature.
    if not (body.startswith(b"\x30") or text_allowed) or len(body) < 64:
        raise UpstreamError("outbound_failed", reason="content")
