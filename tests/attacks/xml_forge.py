"""XML signatures put together octet by octet, so that anything can be signed: what a malicious signer may write."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

import test_pki
from tests.support.xmlsec import DS, EXCLUSIVE, RSA_SHA256, SHA256


def transform(uri: str, inside: str = "") -> str:
    return f'<ds:Transform Algorithm="{uri}">{inside}</ds:Transform>'


def reference(uri: str | None, octets: bytes, *transforms: str, kind: str = "") -> str:
    """A ds:Reference in canonical form with the digest of `octets`."""
    where = "" if uri is None else f' URI="{uri}"'
    typed = f' Type="{kind}"' if kind else ""
    listed = f"<ds:Transforms>{''.join(transforms)}</ds:Transforms>" if transforms else ""
    value = base64.b64encode(hashlib.sha256(octets).digest()).decode()
    method = f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue>'
    return f"<ds:Reference{typed}{where}>{listed}{method}</ds:Reference>"


@dataclass(frozen=True, slots=True)
class Forge:
    """Signs with the key of `label`."""

    pki: test_pki.Pki
    label: str = "person"

    def __call__(
        self,
        *references: str,
        objects: str = "",
        c14n: str = EXCLUSIVE,
        method: str = RSA_SHA256,
        inside_method: str = "",
        key_info: str | None = None,
        cut: int = 0,
    ) -> str:
        """A ds:Signature over `references`; `cut` octets of its value are left out."""
        info = (
            f'<ds:CanonicalizationMethod Algorithm="{c14n}"></ds:CanonicalizationMethod>'
            f'<ds:SignatureMethod Algorithm="{method}">{inside_method}</ds:SignatureMethod>{"".join(references)}'
        )
        octets = f'<ds:SignedInfo xmlns:ds="{DS}">{info}</ds:SignedInfo>'.encode()
        made = self.pki.sign_data(self.label, octets)
        value = base64.b64encode(made[: len(made) - cut]).decode()
        certificate = base64.b64encode(self.pki.cert(self.label)).decode()
        held = f"<ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data>"
        return (
            f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo>{info}</ds:SignedInfo>'
            f"<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>{held if key_info is None else key_info}"
            f"</ds:KeyInfo>{objects}</ds:Signature>"
        )
