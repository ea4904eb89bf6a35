"""Objects and facts of a PKCS#11 token.  Used inside a token process only."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pkcs11
from pkcs11.attributes import AttributeMapper

from signsvc.errors import CredentialError
from signsvc.keys import pkcs11_errors as p11
from signsvc.keys.framing import unb64
from signsvc.keys.pins import Secret
from signsvc.keys.refusals import Identity

_MAX_OBJECTS = 1000  # certificates read from one token


@dataclass(frozen=True, slots=True)
class SignRequest:
    """What to sign and with which key: by CKA_ID (hex) or label, and by the certificate's modulus or, for keys on
    curves, its SubjectPublicKeyInfo (`public`, DER)."""

    label: str | None
    serial: str | None
    key_id: str
    key_label: str
    modulus: bytes
    key_type: str
    scheme: str
    digest: str
    mgf: str
    salt: int
    data: bytes
    public: bytes = b""

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> SignRequest:
        """Raises `KeyError`, `ValueError` or `FramingError` for what is no such request."""
        return cls(
            label=message.get("label"),
            serial=message.get("serial"),
            key_id=str(message["key_id"]),
            key_label=str(message["key_label"]),
            modulus=unb64(message["modulus"]),
            key_type=str(message["key_type"]),
            scheme=str(message["scheme"]),
            digest=str(message["digest"]),
            mgf=str(message["mgf"]),
            salt=int(message["salt"]),
            data=unb64(message["data"]),
            public=unb64(message.get("public", "")),
        )


@dataclass(slots=True)
class OpenToken:
    """A session with what was learned in it."""

    session: Any
    logged_in: bool
    pin: Secret | None = None
    keys: dict[tuple[str, str, bytes, bytes], tuple[Any, bool]] = field(
        default_factory=dict
    )  # (key, needs its PIN each time)


def identity_of(token: Any) -> Identity:
    return str(token.label).strip(), bytes(token.serial).decode("utf-8", "replace").strip("\0 ")


def token_info(token: Any) -> dict[str, Any]:
    label, serial = identity_of(token)
    flags = token.flags
    return {
        "label": label,
        "serial": serial,
        "manufacturer": str(token.manufacturer_id).strip(),
        "model": str(
            bytes(token.model).decode("utf-8", "replace") if isinstance(token.model, bytes) else token.model
        ).strip("\0 "),
        "initialized": bool(flags & pkcs11.TokenFlag.TOKEN_INITIALIZED),
        "login_required": bool(flags & pkcs11.TokenFlag.LOGIN_REQUIRED),
        "pin_pad": bool(flags & pkcs11.TokenFlag.PROTECTED_AUTHENTICATION_PATH),
        "pin_locked": bool(flags & p11.LOCKED),
        "tries_left": p11.tries_left(flags),
    }


def attribute(item: Any, name: Any) -> Any:
    try:
        return item[name]
    except pkcs11.PKCS11Error as error:
        if p11.name(error) in ("AttributeTypeInvalid", "AttributeSensitive", "FunctionFailed"):
            return None
        raise
    except KeyError:
        return None


def text_attributes() -> AttributeMapper:
    """How attributes are read: labels that are no UTF-8 (a Windows code page) must not hide the objects."""
    mapper = AttributeMapper()
    mapper.register_handler(pkcs11.Attribute.LABEL, str.encode, lambda v: bytes(v).decode("utf-8", "replace"))
    return mapper


def certificate_objects(session: Any) -> list[dict[str, Any]]:
    """Certificate objects that show without or with the login the session has: ``{id, label, der}``."""
    found: list[dict[str, Any]] = []
    for item in session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}):
        value = attribute(item, pkcs11.Attribute.VALUE)
        if value and len(found) < _MAX_OBJECTS:
            key_id = attribute(item, pkcs11.Attribute.ID) or b""
            label = attribute(item, pkcs11.Attribute.LABEL) or ""
            found.append({"id": key_id.hex(), "label": str(label), "der": bytes(value)})
    return found


def find_key(session: Any, request: SignRequest) -> tuple[Any, bool]:
    """The private key and whether it wants its PIN for each signature (CKA_ALWAYS_AUTHENTICATE)."""
    names = pkcs11.Attribute
    wanted: dict[Any, Any] = {names.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
    searches: list[dict[Any, Any]] = []
    if request.key_id:
        searches.append({**wanted, names.ID: bytes.fromhex(request.key_id)})
    if request.key_label:
        searches.append({**wanted, names.LABEL: request.key_label})
    if request.modulus:
        searches.append(wanted)
    for search in searches:
        fits = [k for k in session.get_objects(search) if _belongs(k, request)]
        # With a modulus they are one key stored twice, or the check of the value tells.
        if len(fits) > 1 and not request.modulus:
            fits = _of_point(fits, request.public)
        if fits:
            return fits[0], bool(attribute(fits[0], names.ALWAYS_AUTHENTICATE))
    raise CredentialError("credential_not_found")


def _of_point(keys: Sequence[Any], public: bytes) -> list[Any]:
    """The one of several keys on curves whose public point is that of `public`.

    By CKA_EC_POINT where the private objects have it, else by what they sign: keys that want their PIN for each
    signature are not tried.  Raises `CredentialError` ``credential_ambiguous``.
    """
    if public:
        points = [bytes(attribute(key, pkcs11.Attribute.EC_POINT) or b"") for key in keys]
        # The last 64 octets tell points of one curve apart, wrapped as DER or not.
        fits = [
            key for key, point in zip(keys, points, strict=True) if len(point) > 64 and public.endswith(point[-64:])
        ]
        if not fits and not any(points):
            plain = [key for key in keys if not attribute(key, pkcs11.Attribute.ALWAYS_AUTHENTICATE)]
            fits = [key for key in plain if _signs_for(key, public)]
        if fits:  # of several the key stands on the token twice
            return fits[:1]
    raise CredentialError("credential_ambiguous")


def _signs_for(key: Any, public: bytes) -> bool:
    """Whether a signature of `key` over a digest of nothing verifies with the public key."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    digest = secrets.token_bytes(32)
    value = bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)) if hasattr(key, "sign") else b""
    half = len(value) // 2
    pair = encode_dss_signature(int.from_bytes(value[:half]), int.from_bytes(value[half:]))
    try:
        found = load_der_public_key(public)
        if isinstance(found, ec.EllipticCurvePublicKey):
            found.verify(pair, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
            return True
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        pass
    return False


def _belongs(key: Any, request: SignRequest) -> bool:
    kind = attribute(key, pkcs11.Attribute.KEY_TYPE)
    if kind is not None and kind != (pkcs11.KeyType.EC if request.key_type == "ec" else pkcs11.KeyType.RSA):
        return False
    if request.key_type == "ec" or not request.modulus:
        return True
    modulus = attribute(key, pkcs11.Attribute.MODULUS)
    if modulus is None:
        return bool(request.key_id or request.key_label)
    return bytes(modulus).lstrip(b"\0") == request.modulus
