"""Files made from the hierarchy: certificates, lists, PKCS#12, bundles; each written atomically."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from test_pki import hierarchy

if TYPE_CHECKING:
    from test_pki.pki import Pki


def write(path: Path, data: bytes) -> None:
    """Write *data* whole or not at all; two writers of the same path do not disturb each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    Path(name).replace(path)


def write_p12(pki: Pki, label: str, path: Path) -> None:
    """PKCS#12 with key, certificate and chain without the root; password b"secret"."""
    leaf, *above = (x509.load_der_x509_certificate(cert) for cert in pki.chain(label))
    data = pkcs12.serialize_key_and_certificates(
        label.encode(), pki.key(label), leaf, above[:-1], BestAvailableEncryption(b"secret")
    )
    write(path, data)


def files(pki: Pki) -> dict[str, bytes]:
    """Everything that is a function of the epoch alone: relative path -> contents."""
    out = {f"certs/{label}.crt": pki.cert(label) for label in hierarchy.ALL}
    for ca in hierarchy.CAS:
        if ca != "cross-root-g2":
            # Current for a year: whoever serves them longer than that builds anew.
            out[f"crl/{ca}.crl"] = pki.crl(ca, pki.epoch + timedelta(days=30), timedelta(days=365))
    for label in hierarchy.ROOTS:
        out[f"roots/{label}.pem"] = pem(pki.cert(label))
    out["roots.pem"] = b"".join(pem(cert) for cert in pki.roots.values())
    return out


def pem(cert: bytes) -> bytes:
    """PEM of a DER certificate."""
    return x509.load_der_x509_certificate(cert).public_bytes(Encoding.PEM)


def build(pki: Pki) -> int:
    """Write everything under pki.out_dir; how many files that is."""
    made = files(pki)
    for name, data in made.items():
        write(pki.out_dir / name, data)
    labels = [*hierarchy.LEAVES, *hierarchy.TSAS]
    for label in labels:
        write_p12(pki, label, pki.out_dir / "p12" / f"{label}.p12")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(made.items())}
    manifest = {"epoch": f"{pki.epoch:%Y-%m-%dT%H:%M:%SZ}", "files": digests}
    write(pki.out_dir / "manifest.json", json.dumps(manifest, indent=1).encode())
    return len(made) + len(labels)


def check(pki: Pki) -> list[str]:
    """Names under pki.out_dir that are missing or differ from what the epoch calls for.

    PKCS#12 files are salted: their decrypted contents are compared.
    """
    wrong = []
    for name, data in files(pki).items():
        path = pki.out_dir / name
        if not path.is_file() or path.read_bytes() != data:
            wrong.append(name)
    for label in (*hierarchy.LEAVES, *hierarchy.TSAS):
        path = pki.out_dir / "p12" / f"{label}.p12"
        if not path.is_file() or not _same_p12(pki, label, path):
            wrong.append(f"p12/{label}.p12")
    return wrong


def _same_p12(pki: Pki, label: str, path: Path) -> bool:
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(path.read_bytes(), b"secret")
    except ValueError:
        return False
    # OpenSSL does not pair an RSA key with an id-RSASSA-PSS certificate: that leaf comes among the others.
    certs = {cert.public_bytes(Encoding.DER) for cert in (leaf, *others) if cert is not None}
    same_key = key is not None and key.public_key() == pki.key(label).public_key()
    return same_key and certs == set(pki.chain(label)[:-1])
