"""CMS SignedData (RFC 5652) and RFC 3161 timestamp tokens, read with a strict outline of our own.

`read` gives a `CmsView` with a `SignerView` for every SignerInfo; `read_timestamp` a `TimestampView`; neither raises
for bad input, both say in findings (`messages/cms.toml`) what is wrong.  `signing_certificate` picks the certificate of
a signer.  BER is read too, on this layer alone, with a finding; digests and signatures stay over the original octets.
"""

from signsvc.formats.cms.ess import signing_certificate
from signsvc.formats.cms.signed_data import read
from signsvc.formats.cms.timestamps import read_timestamp
from signsvc.formats.cms.view import AbsentDigestError, CmsView, Digest

__all__ = ["AbsentDigestError", "CmsView", "Digest", "read", "read_timestamp", "signing_certificate"]
