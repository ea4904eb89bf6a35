"""The committed test keys. They protect nothing and must never sign anything real."""

from __future__ import annotations

import threading
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from test_pki.signatures import PrivateKey

DIRECTORY = Path(__file__).parent

_loaded: dict[str, PrivateKey] = {}
_lock = threading.Lock()


def load(label: str) -> PrivateKey:
    """The key DIRECTORY/<label>.pem, parsed once per process; KeyError if there is none."""
    with _lock:
        if label not in _loaded:
            path = DIRECTORY / f"{label}.pem"
            if not path.is_file():
                raise KeyError(label)
            # The consistency check costs up to 250 ms a key; these files come from this repository.
            key = serialization.load_pem_private_key(path.read_bytes(), None, unsafe_skip_rsa_key_validation=True)
            if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
                raise TypeError(f"{label}: neither RSA nor EC")
            _loaded[label] = key
        return _loaded[label]


def generate(label: str, kind: str) -> None:
    """Write a fresh key of *kind* ("rsa2048", "ec256", "ec384") over DIRECTORY/<label>.pem."""
    key: PrivateKey
    if kind.startswith("rsa"):
        key = rsa.generate_private_key(65537, int(kind[3:]))
    else:
        key = ec.generate_private_key({"ec256": ec.SECP256R1(), "ec384": ec.SECP384R1()}[kind])
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (DIRECTORY / f"{label}.pem").write_bytes(pem)
    with _lock:
        _loaded.pop(label, None)
