"""The xmlsec1 program as another signer and verifier of XML signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

DS = "http://www.w3.org/2000/09/xmldsig#"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
C14N11 = "http://www.w3.org/2006/12/xml-c14n11"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DS}enveloped-signature"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def reference(uri: str | None, *transforms: str, digest: str = SHA256, kind: str = "", p: str = "ds:") -> str:
    """A ds:Reference of a template."""
    where = "" if uri is None else f' URI="{uri}"'
    typed = f' Type="{kind}"' if kind else ""
    inside = "".join(f'<{p}Transform Algorithm="{one}"/>' for one in transforms)
    listed = f"<{p}Transforms>{inside}</{p}Transforms>" if inside else ""
    method = f'<{p}DigestMethod Algorithm="{digest}"/><{p}DigestValue/>'
    return f"<{p}Reference{where}{typed}>{listed}{method}</{p}Reference>"


def template(
    *references: str,
    c14n: str = EXCLUSIVE,
    method: str = RSA_SHA256,
    objects: str = "",
    p: str = "ds:",
    name: str = "sig",
) -> str:
    """A ds:Signature without values; `p` is the prefix of its namespace."""
    space = f'xmlns:{p[:-1]}="{DS}"' if p else f'xmlns="{DS}"'
    return (
        f'<{p}Signature {space} Id="{name}"><{p}SignedInfo><{p}CanonicalizationMethod Algorithm="{c14n}"/>'
        f'<{p}SignatureMethod Algorithm="{method}"/>{"".join(references)}</{p}SignedInfo><{p}SignatureValue/>'
        f"<{p}KeyInfo><{p}X509Data/></{p}KeyInfo>{objects}</{p}Signature>"
    )


def ids_of(*names: str) -> list[str]:
    """Options that tell the program which attributes of which elements are Ids."""
    return [option for name in (*names, f"{DS}:Object") for option in ("--id-attr:Id", name)]


def sign(text: str, key: Path, certificate: Path, directory: Path, *options: str) -> bytes:
    """The template in `text` signed; raises `CalledProcessError` where the program refuses."""
    source, target = directory / "template.xml", directory / "signed.xml"
    source.write_text(text, "utf-8")
    command = ["xmlsec1", "--sign", "--privkey-pem", f"{key},{certificate}", *options]
    subprocess.run([*command, "--output", str(target), str(source)], check=True, capture_output=True)
    return target.read_bytes()


def verifies(data: bytes, certificate: Path, directory: Path, *options: str) -> bool:
    """Whether the program finds the (first) signature in `data` valid with the key of `certificate`."""
    source = directory / "to-verify.xml"
    source.write_bytes(data)
    command = ["xmlsec1", "--verify", "--pubkey-cert-pem", str(certificate), *options, str(source)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
