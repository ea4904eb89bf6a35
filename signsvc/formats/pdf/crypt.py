"""The standard security handler, reading only (ISO 32000-2 §7.6, ISO/TS 32003): RC4, AES and AES-GCM."""

from __future__ import annotations

import hashlib
from typing import Any

from signsvc.formats.pdf.limits import PdfError
from signsvc.formats.pdf.objects import Name, PdfBool, PdfDict, PdfObject, PdfString

_PAD = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
_MAX_PASSWORD = 127  # octets, algorithm 2.A

# The methods that go with each /V: a filter of another generation would read the same octets in another way.
_METHODS = {4: ("V2", "AESV2"), 5: ("AESV3",), 6: ("AESV3", "AESV4")}
_REVISIONS = {1: (2, 3), 2: (2, 3), 4: (4,), 5: (5, 6), 6: (7,)}


class EncryptedError(PdfError):
    """The file is encrypted and cannot be opened: `password` says whether the right password would do."""

    def __init__(self, message: str, *, password: bool = False) -> None:
        super().__init__(message)
        self.password = password


class Crypt:
    """Decrypts the strings and streams of one file.

    `password` is tried as user and as owner password.  `key` is the file encryption key, `permissions` are the bits
    of /P, `salt` is /KDFSalt (ISO/TS 32004).

    Raises EncryptedError where `password` is neither or another security handler is asked for.
    """

    __slots__ = ("_files", "_filters", "_metadata", "_streams", "_strings", "exempt", "key", "permissions", "salt")

    def __init__(
        self, dictionary: PdfDict, identifier: bytes, password: bytes = b"", exempt: int | None = None
    ) -> None:
        if dictionary.get("Filter") != "Standard":
            raise EncryptedError("unknown security handler")
        version, revision = _integer(dictionary, "V"), _integer(dictionary, "R")
        if revision not in _REVISIONS.get(version, ()):
            raise EncryptedError("unknown version of the security handler")
        self.exempt = exempt  # number of the encryption dictionary, whose strings are plain
        self.permissions = _integer(dictionary, "P") & 0xFFFFFFFF
        salt = dictionary.get("KDFSalt")
        self.salt = bytes(salt) if isinstance(salt, PdfString) else None
        self._metadata = version < 4 or dictionary.get("EncryptMetadata") is not PdfBool.FALSE
        self._filters: dict[str, str] = {}
        if version < 4:
            self._streams = self._strings = self._files = "V2"
            length = _integer(dictionary, "Length", 40) // 8 if version == 2 else 5
        else:
            filters = dictionary.get("CF")
            self._filters = _methods(filters if isinstance(filters, dict) else {}, _METHODS[version])
            self._streams = self._method(dictionary.get("StmF"))
            self._strings = self._method(dictionary.get("StrF"))
            self._files = self._method(dictionary.get("EFF", dictionary.get("StmF")))
            length = 16
        if not 5 <= length <= 16:
            raise EncryptedError("key length out of range")
        if revision >= 5:
            self.key = _key_256(dictionary, password[:_MAX_PASSWORD], revision)
        else:
            self.key = _key_128(dictionary, identifier, password, revision, length, self._metadata)

    def _method(self, name: PdfObject) -> str:
        if name is None or name == "Identity":
            return "Identity"
        found = self._filters.get(str(name)) if isinstance(name, Name) else None
        if found is None:
            raise EncryptedError("unknown crypt filter")
        return found

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

    def decrypt_stream(
        self, number: int, gen: int, dictionary: PdfDict, octets: bytes, asked: PdfObject = None
    ) -> bytes:
        """The octets of a stream, decrypted.  Raises PdfError.

        `asked` are the parameters of its crypt filter, where it has one (§7.4.10).
        """
        kind = dictionary.get("Type")
        if kind == "XRef":
            return octets
        if isinstance(asked, dict):
            method = self._method(asked.get("Name"))
        elif kind == "Metadata" and not self._metadata:
            return octets
        else:
            method = self._files if kind == "EmbeddedFile" else self._streams
        return self._decrypt(method, number, gen, octets)

    def _decrypt(self, method: str, number: int, gen: int, octets: bytes) -> bytes:
        if method == "Identity":
            return octets
        if method == "AESV4":
            return _gcm(self.key, octets)
        if method == "AESV3":
            return _aes(self.key, octets)
        material = self.key + number.to_bytes(4, "little")[:3] + gen.to_bytes(4, "little")[:2]
        if method == "AESV2":
            material += b"sAlT"
        key = hashlib.md5(material, usedforsecurity=False).digest()[: min(len(self.key) + 5, 16)]
        return _aes(key, octets) if method == "AESV2" else _rc4(key, octets)


def crypt_filter(filters: PdfDict) -> PdfObject:
    """The parameters of the crypt filter that stands first in resolved `filters`; None where none does."""
    named, given = filters.get("Filter"), filters.get("DecodeParms")
    if (named[0] if isinstance(named, list) and named else named) != "Crypt":
        return None
    found = given[0] if isinstance(given, list) and given else given
    return found if isinstance(found, dict) else {}


def without_crypt_filter(filters: PdfDict) -> PdfDict:
    """Resolved `filters` that are left once the octets are decrypted."""
    if crypt_filter(filters) is None:
        return filters
    named, given = filters.get("Filter"), filters.get("DecodeParms")
    rest: PdfDict = {"Filter": named[1:] if isinstance(named, list) else []}
    if isinstance(given, list):
        rest["DecodeParms"] = given[1:]
    return rest


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


def _methods(filters: PdfDict, known: tuple[str, ...]) -> dict[str, str]:
    """The methods of the crypt filters that can be used."""
    found: dict[str, str] = {}
    for name, entry in filters.items():
        method = entry.get("CFM") if isinstance(entry, dict) else None
        if isinstance(method, Name) and method in known:
            found[str(name)] = str(method)
    return found


def _key_128(
    dictionary: PdfDict, identifier: bytes, password: bytes, revision: int, length: int, metadata: bool
) -> bytes:
    """Algorithms 2 and 4 to 7."""
    owner, user = _octets(dictionary, "O", 32), _octets(dictionary, "U", 32 if revision == 2 else 16)
    rounds = 50 if revision >= 3 else 0
    if revision == 2:
        length = 5
    permissions = (_integer(dictionary, "P") & 0xFFFFFFFF).to_bytes(4, "little")

    def digest(material: bytes) -> bytes:
        key = hashlib.md5(material, usedforsecurity=False).digest()
        for _ in range(rounds):
            key = hashlib.md5(key[:length], usedforsecurity=False).digest()
        return key[:length]

    def opened(padded: bytes) -> bytes | None:
        material = padded + owner + permissions + identifier
        if revision >= 4 and not metadata:
            material += b"\xff\xff\xff\xff"
        key = digest(material)
        if revision == 2:
            return key if _rc4(key, _PAD) == user else None
        check = hashlib.md5(_PAD + identifier, usedforsecurity=False).digest()
        for index in range(20):
            check = _rc4(bytes(octet ^ index for octet in key), check)
        return key if check == user else None

    padded = (password + _PAD)[:32]
    found = opened(padded)
    if found is None:
        # the user password stands encrypted under the owner's (algorithm 7)
        wrapping = hashlib.md5(padded, usedforsecurity=False).digest()
        for _ in range(rounds):
            wrapping = hashlib.md5(wrapping, usedforsecurity=False).digest()
        padded = owner
        for index in reversed(range(20 if revision >= 3 else 1)):
            padded = _rc4(bytes(octet ^ index for octet in wrapping[:length]), padded)
        found = opened(padded)
    if found is None:
        raise EncryptedError("unknown password", password=True)
    return found


def _key_256(dictionary: PdfDict, password: bytes, revision: int) -> bytes:
    """Algorithms 2.A, 2.B, 11 and 12."""
    owner, user = _octets(dictionary, "O", 48), _octets(dictionary, "U", 48)
    for entry, wrapped, bound in ((user, "UE", b""), (owner, "OE", user)):
        if _hash(password, entry[32:40], revision, bound) == entry[:32]:
            between = _hash(password, entry[40:48], revision, bound)
            return _cbc(between, bytes(16)).decryptor().update(_octets(dictionary, wrapped, 32))  # type: ignore[no-any-return]
    raise EncryptedError("unknown password", password=True)


def _hash(password: bytes, salt: bytes, revision: int, bound: bytes) -> bytes:
    key = hashlib.sha256(password + salt + bound).digest()
    if revision == 5:
        return key
    rounds = 0
    while True:
        encrypted = _cbc(key[:16], key[16:32]).encryptor().update((password + key + bound) * 64)
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


def _gcm(key: bytes, octets: bytes) -> bytes:
    """ISO/TS 32003: a nonce of 12 octets, the data, a tag of 16."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(octets) < 28:
        raise PdfError("malformed AES-GCM data")
    try:
        return AESGCM(key).decrypt(octets[:12], octets[12:], None)
    except InvalidTag:
        raise PdfError("AES-GCM data that were changed") from None


def _rc4(key: bytes, octets: bytes) -> bytes:
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
    from cryptography.hazmat.primitives.ciphers import Cipher

    if len(key) == 5 or len(key) in (7, 8, 10, 16, 20, 24, 32):
        return Cipher(ARC4(key), mode=None).encryptor().update(octets)
    raise PdfError("key length that no writer uses")


__all__ = ["Crypt", "EncryptedError", "crypt_filter", "without_crypt_filter"]
