"""Child process of softhsm.create(): python -m test_pki.softhsm_load MODULE PKI_DIR EPOCH, with SOFTHSM2_CONF set."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pkcs11.util.ec import encode_named_curve_parameters

import test_pki
from test_pki import certificates, der, softhsm
from test_pki.pki import Pki
from test_pki.signatures import PrivateKey


def main(module: str, out_dir: str, epoch: str) -> None:
    """Initialise missing tokens and load what each should hold."""
    pki = test_pki.load(Path(out_dir), datetime.fromisoformat(epoch))
    library = pkcs11.lib(module)
    present = {slot.get_token().label for slot in library.get_slots(token_present=True) if _initialized(slot)}
    for label in softhsm.KEYS:
        if label not in present:
            _initialize(module, label)
    library.reinitialize()
    for label, keys in softhsm.KEYS.items():
        with library.get_token(token_label=label).open(rw=True, user_pin=softhsm.PIN) as session:
            for name, identifier in keys.items():
                if not _has_key(session, name, identifier):
                    _load_key(session, pki.key(name), name, identifier)
                _load_certificate(session, pki.cert(name), name, identifier)
                _load_authorities(session, pki, name)


def _initialized(slot: Any) -> bool:
    return bool(slot.get_token().flags & pkcs11.TokenFlag.TOKEN_INITIALIZED)


def _initialize(module: str, label: str) -> None:
    pins = ["--pin", softhsm.PIN, "--so-pin", softhsm.SO_PIN]
    command = ["softhsm2-util", "--module", module, "--init-token", "--free", "--label", label, *pins]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _has_key(session: Any, label: str, identifier: bytes) -> bool:
    wanted = {
        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
        pkcs11.Attribute.LABEL: label,
        pkcs11.Attribute.ID: identifier,
    }
    return any(True for _ in session.get_objects(wanted))


def _load_key(session: Any, key: PrivateKey, label: str, identifier: bytes) -> None:
    attribute = pkcs11.Attribute
    common = {attribute.LABEL: label, attribute.ID: identifier, attribute.TOKEN: True}
    private: dict[Any, Any] = {
        **common,
        attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY,
        attribute.PRIVATE: True,
        attribute.SENSITIVE: True,
        attribute.EXTRACTABLE: False,
        attribute.SIGN: True,
    }
    public: dict[Any, Any] = {
        **common,
        attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
        attribute.PRIVATE: False,
        attribute.VERIFY: True,
    }
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        parts = {
            attribute.MODULUS: numbers.public_numbers.n,
            attribute.PUBLIC_EXPONENT: numbers.public_numbers.e,
        }
        secret = {
            attribute.PRIVATE_EXPONENT: numbers.d,
            attribute.PRIME_1: numbers.p,
            attribute.PRIME_2: numbers.q,
            attribute.EXPONENT_1: numbers.dmp1,
            attribute.EXPONENT_2: numbers.dmq1,
            attribute.COEFFICIENT: numbers.iqmp,
        }
        kind = pkcs11.KeyType.RSA
        public |= {name: _octets(value) for name, value in parts.items()}
        private |= {name: _octets(value) for name, value in {**parts, **secret}.items()}
    else:
        kind = pkcs11.KeyType.EC
        curve = encode_named_curve_parameters({ec.SECP256R1: "secp256r1", ec.SECP384R1: "secp384r1"}[type(key.curve)])
        numbers_ec = key.private_numbers()
        size = (key.key_size + 7) // 8
        x, y = (value.to_bytes(size, "big") for value in (numbers_ec.public_numbers.x, numbers_ec.public_numbers.y))
        public |= {attribute.EC_PARAMS: curve, attribute.EC_POINT: der.octets(b"\x04" + x + y)}
        private |= {attribute.EC_PARAMS: curve, attribute.VALUE: numbers_ec.private_value.to_bytes(size, "big")}
    session.create_object({**public, attribute.KEY_TYPE: kind})
    session.create_object({**private, attribute.KEY_TYPE: kind})


def _octets(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _load_certificate(session: Any, certificate: bytes, label: str, identifier: bytes) -> None:
    attribute = pkcs11.Attribute
    wanted = {attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE, attribute.LABEL: label}
    for held in list(session.get_objects(wanted)):
        if held[attribute.VALUE] == certificate:
            return
        held.destroy()
    session.create_object(
        {
            attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE,
            attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
            attribute.TOKEN: True,
            attribute.PRIVATE: False,
            attribute.LABEL: label,
            attribute.ID: identifier,
            attribute.SUBJECT: certificates.field(certificate, "subject"),
            attribute.ISSUER: certificates.field(certificate, "issuer"),
            attribute.SERIAL_NUMBER: certificates.field(certificate, "serial"),
            attribute.VALUE: certificate,
        }
    )


def _load_authorities(session: Any, pki: Pki, leaf: str) -> None:
    label = leaf
    while (above := pki.issuer(label)) != label:
        # An id of its own: a CA certificate has no key here.
        _load_certificate(session, pki.cert(above), above, b"ca:" + above.encode())
        label = above


if __name__ == "__main__":
    main(*sys.argv[1:])
