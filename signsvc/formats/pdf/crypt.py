"""The standard security handler, reading only (ISO 32000-2 §7.6): RC4 and AES, 40 to 256 bits."""

from __future__ import annotations

import hashlib
from typing import Any

from signsvc.formats.pdf.limits import PdfError
from signsvc.formats.pdf.objects import Name, PdfBool, PdfDict, PdfObject, PdfString

_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_MAX_PASSWORD = 127  # octets, algorithm 2.A


class EncryptedError(PdfError):
    """The file is encrypted and cannot be opened with the password at hand."""


class Crypt:
    """Decrypts the strings and streams of one file.

    Raises EncryptedError where `password` is not the user password or another security handler is asked for.
    """

    __slots__ = ("_key", "_metadata", "_streams", "_strings", "exempt", "permissions")

    def __init__(
        self, dictionary: PdfDict, identifier: bytes, password: bytes = b"", exempt: int | None = None
    ) -> None:
        if dictionary.get("Filter") != "Standard":
            raise EncryptedError("unknown security handler")
        version, revision = _integer(dictionary, "V"), _integer(dictionary, "R")
        self.exempt = exempt  # number of the encryption dictionary, whose strings are plain
        self.permissions = _integer(dictionary, "P") & 0xFFFFFFFF
        self._metadata = dictionary.get("EncryptMetadata") is not PdfBool.FALSE
        if version in (1, 2):
            self._streams = self._strings = "V2"
            length = _integer(dictionary, "Length", 40) // 8 if version == 2 else 5
        elif version in (4, 5):
            filters = dictionary.get("CF")
            table = filters if isinstance(filters, dict) else {}
            self._streams = _method(table, dictionary.get("StmF"))
            self._strings = _method(table, dictionary.get("StrF"))
            length = 16
        else:
            raise EncryptedError("unknown version of the security handler")
        if not 5 <= length <= 32:
            raise EncryptedError("key length out of range")
        if revision in (5, 6):
            self._key = _key_256(dictionary, password[:_MAX_PASSWORD], revision)
        elif revision in (2, 3, 4):
            self._key = _key_128(dictionary, identifier, password, revision, length, self._metadata)
        else:
            raise EncryptedError("unknown revision of the security handler")

    def decrypt_object(self, number: int, gen: int, value: PdfObject) -> PdfObject:
        """`value` with its strings decrypted.  The value is fresh from the parser and changed in place.

        The /Contents of a signature dictionary are never encrypted (§7.6.2).
        """
        if number == self.exempt or self._strings == "Identity":
            return value
        if isinstance(value, PdfString):
            return PdfString(self._decrypt(self._strings, number, gen, value))
        stack: list[PdfObject] = [value]
        while stack:
            holder = stack.pop()
            pairs: list[tuple[Any, PdfObject]]
            if isinstance(holder, dict):
                plain = "Contents" in holder and (
                    "ByteRange" in holder or holder.get("Type") in ("Sig", "DocTimeStamp")
                )
                pairs = [pair for pair in holder.items() if not (plain and pair[0] == "Contents")]
            elif isinstance(holder, list):
                pairs = list(enumerate(holder))
            else:
                continue
            target: Any = holder
            for key, item in pairs:
                if isinstance(item, PdfString):
                    target[key] = PdfString(self._decrypt(self._strings, number, gen, item))
                elif isinstance(item, dict | list):
                    stack.append(item)
        return value

    def decrypt_stream(self, number: int, gen: int, dictionary: PdfDict, octets: bytes) -> bytes:
        """The octets of a stream, decrypted.  Raises PdfError."""
        kind = dictionary.get("Type")
        if kind == "XRef" or (kind == "Metadata" and not self._metadata):
            return octets
        filters = dictionary.get("Filter")
        if filters == "Crypt" or (isinstance(filters, list) and filters and filters[0] == "Crypt"):
            return octets  # the only crypt filter that `filters` lets through is Identity
        return self._decrypt(self._streams, number, gen, octets)

    def _decrypt(self, method: str, number: int, gen: int, octets: bytes) -> bytes:
        if method == "Identity":
            return octets
        if method == "AESV3":
            return _aes(self._key, octets)
        material = self._key + number.to_bytes(4, "little")[:3] + gen.to_bytes(4, "little")[:2]
        if method == "AESV2":
            material += b"sAlT"
        key = hashlib.md5(material, usedforsecurity=False).digest()[: min(len(self._key) + 5, 16)]
        return _aes(key, octets) if method == "AESV2" else _rc4(key, octets)


def _integer(dictionary: PdfDict, key: str, default: int | None = None) -> int:
    value = dictionary.get(key, default)
    if type(value) is not int:
        raise EncryptedError("malformed encryption dictionary")
    return value


def _octets(dictionary: PdfDict, key: str, length: int) -> bytes:
    value = dictionary.get(key)
    if not isinstance(value, PdfString) or len(value) < length:
        raise EncryptedError("malformed encryption dictionary")
    return bytes(value[:length])


def _method(filters: PdfDict, name: PdfObject) -> str:
    if name is None or name == "Identity":
        return "Identity"
    chosen = filters.get(str(name)) if isinstance(name, Name) else None
    method = chosen.get("CFM", "None") if isinstance(chosen, dict) else None
    if method not in ("V2", "AESV2", "AESV3"):
        raise EncryptedError("unknown crypt filter")
    return str(method)


def _key_128(
    dictionary: PdfDict, identifier: bytes, password: bytes, revision: int, length: int, metadata: bool
) -> bytes:
    """Algorithms 2, 4, 5 and 6."""
    owner, user = _octets(dictionary, "O", 32), _octets(dictionary, "U", 16)
    permissions = (_integer(dictionary, "P") & 0xFFFFFFFF).to_bytes(4, "little")
    material = (password + _PAD)[:32] + owner + permissions + identifier
    if revision >= 4 and not metadata:
        material += b"\xff\xff\xff\xff"
    key = hashlib.md5(material, usedforsecurity=False).digest()
    if revision == 2:
        key = key[:5]
        if _rc4(key, _PAD) != _octets(dictionary, "U", 32):
            raise EncryptedError("unknown password")
        return key
    for _ in range(50):
        key = hashlib.md5(key[:length], usedforsecurity=False).digest()
    key = key[:length]
    check = hashlib.md5(_PAD + identifier, usedforsecurity=False).digest()
    for index in range(20):
        check = _rc4(bytes(octet ^ index for octet in key), check)
    if check != user:
        raise EncryptedError("unknown password")
    return key


def _key_256(dictionary: PdfDict, password: bytes, revision: int) -> bytes:
    """Algorithms 2.A, 2.B and 11."""
    user, wrapped = _octets(dictionary, "U", 48), _octets(dictionary, "UE", 32)
    if _hash(password, user[32:40], revision) != user[:32]:
        raise EncryptedError("unknown password")
    return _cbc(_hash(password, user[40:48], revision), bytes(16)).decryptor().update(wrapped)  # type: ignore[no-any-return]


def _hash(password: bytes, salt: bytes, revision: int) -> bytes:
    key = hashlib.sha256(password + salt).digest()
    if revision == 5:
        return key
    rounds = 0
    while True:
        encrypted = _cbc(key[:16], key[16:32]).encryptor().update((password + key) * 64)
        key = hashlib.new(("sha256", "sha384", "sha512")[sum(encrypted[:16]) % 3], encrypted).digest()
        rounds += 1
        if rounds >= 64 and encrypted[-1] <= rounds - 32:
            return key[:32]


def _cbc(key: bytes, vector: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(key), modes.CBC(vector))


def _aes(key: bytes, octets: bytes) -> bytes:
    if len(octets) < 32 or len(octets) % 16:
        if len(octets) <= 16:
            return b""
        raise PdfError("malformed AES data")
    plain: bytes = _cbc(key, octets[:16]).decryptor().update(octets[16:])
    if not 1 <= plain[-1] <= 16:
        raise PdfError("malformed AES padding")
    return plain[: -plain[-1]]


def _rc4(key: bytes, octets: bytes) -> bytes:
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
    from cryptography.hazmat.primitives.ciphers import Cipher

    if len(key) == 5 or len(key) in (7, 8, 10, 16, 20, 24, 32):
        return Cipher(ARC4(key), mode=None).encryptor().update(octets)
    raise PdfError("key length that no writer uses")


__all__ = ["Crypt", "EncryptedError"]
