"""A virtual PIV card for the reader of vpcd (Debian: vsmartcard-vpcd): starting it plugs the card, SIGKILL pulls it.

Usage: python virtual_piv.py PORT FOLDER.  Keys 9A (PIN once per login) and 9C (PIN before every signature), RSA-2048,
made in FOLDER on first start; PIN 123456, three tries, counted in FOLDER/tries.  FOLDER/delay: milliseconds that
a signature takes.  Answers the commands of NIST SP 800-73-4 part 2 that OpenSC sends.
"""

from __future__ import annotations

import datetime
import socket
import struct
import sys
from pathlib import Path
from time import sleep

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

PIN, TRIES = b"123456", 3
ATR = bytes.fromhex("3b80800101")
OK, NOT_FOUND, DENIED, BLOCKED = b"\x90\0", b"\x6a\x82", b"\x69\x82", b"\x69\x83"
CHUID = "3019d4e739da739ced39ce739d836858210842108421c84210c3eb3410" + bytes(range(16)).hex()
CHUID += "350832303330303130313e00fe00"
CAPABILITIES = "f015a000000116ff020000000000000000000000000000f10121f20121f300f40100f50110f600f700fa00fb00fc00fd00fe00"


def make_keys(folder: Path) -> None:
    for name in ("9a", "9c"):
        if (folder / f"{name}.der").exists():
            continue
        key = rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Virtual PIV {name}")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(9)
        builder = builder.public_key(key.public_key()).not_valid_before(now).not_valid_after(now.replace(year=2040))
        usage = x509.KeyUsage(True, True, False, False, False, False, False, False, False)
        certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.pem").write_bytes(pem)
        (folder / f"{name}.der").write_bytes(certificate.public_bytes(Encoding.DER))


def tlv(tag: str, value: bytes) -> bytes:
    size = len(value)
    length = bytes([size]) if size < 128 else b"\x81" + bytes([size]) if size < 256 else struct.pack(">BH", 0x82, size)
    return bytes.fromhex(tag) + length + value


class Card:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = {n: load_pem_private_key((folder / f"{n:x}.pem").read_bytes(), None) for n in (0x9A, 0x9C)}
        end = bytes.fromhex("710100fe00")
        self.objects = {
            "5fc105": tlv("70", (folder / "9a.der").read_bytes()) + end,
            "5fc10a": tlv("70", (folder / "9c.der").read_bytes()) + end,
            "5fc102": bytes.fromhex(CHUID),
            "5fc107": bytes.fromhex(CAPABILITIES),
        }
        self.reset()

    @property
    def tries(self) -> int:
        path = self.folder / "tries"
        return int(path.read_text()) if path.exists() else TRIES

    @tries.setter
    def tries(self, left: int) -> None:
        (self.folder / "tries").write_text(str(left))

    def reset(self) -> None:
        self.verified = self.fresh = False
        self.out = self.chain = b""

    def respond(self, data: bytes) -> bytes:
        self.out = data
        return self.more(256)

    def more(self, size: int) -> bytes:
        part, self.out = self.out[:size], self.out[size:]
        return part + (b"\x61" + bytes([min(len(self.out), 256) & 255]) if self.out else OK)

    def answer(self, command: bytes) -> bytes:
        kind, instruction, first, second = command[:4]
        body, data = command[4:], b""
        if len(body) > 3 and body[0] == 0:
            data = body[3 : 3 + struct.unpack(">H", body[1:3])[0]]
        elif len(body) > 1:
            data = body[1 : 1 + body[0]]
        if instruction == 0xC0:  # GET RESPONSE
            return self.more((body[0] if body else 0) or 256)
        if kind & 0x10:  # more of the command follows
            self.chain += data
            return OK
        data, self.chain = self.chain + data, b""
        if instruction == 0xA4:  # SELECT
            found = data.startswith(bytes.fromhex("a000000308"))
            application = bytes.fromhex("4f0600001000010079074f05a000000308")
            return self.respond(tlv("61", application)) if found else NOT_FOUND
        if instruction == 0xCB:  # GET DATA
            if data[:3] == b"\x5c\x01\x7e":
                return self.respond(bytes.fromhex("7e124f0ba0000003080000100001005f2f024000"))
            name = data[2 : 2 + data[1]].hex() if data[:1] == b"\x5c" else ""
            return self.respond(tlv("53", self.objects[name])) if name in self.objects else NOT_FOUND
        if instruction == 0x20 and second in (0x80, 0x00):
            return self.verify(first, data)
        if instruction == 0x87:  # GENERAL AUTHENTICATE
            return self.sign(second, data)
        return b"\x6d\x00"

    def verify(self, first: int, pin: bytes) -> bytes:
        if first == 0xFF:
            self.verified = False
            return OK
        if not pin and self.verified:
            return OK
        if pin and self.tries:
            if pin.rstrip(b"\xff") == PIN:
                self.tries, self.verified, self.fresh = TRIES, True, True
                return OK
            self.tries, self.verified = self.tries - 1, False
        return bytes([0x63, 0xC0 | self.tries]) if self.tries else BLOCKED

    def sign(self, reference: int, template: bytes) -> bytes:
        if reference not in self.keys:
            return b"\x6a\x88"
        if not self.verified or (reference == 0x9C and not self.fresh):
            return DENIED
        self.fresh = False
        at = template.index(b"\x81", 2 if template[1] < 128 else 4) + 1
        size, at = template[at], at + 1
        if size > 0x80:
            size, at = int.from_bytes(template[at : at + size - 0x80]), at + size - 0x80
        numbers = self.keys[reference].private_numbers()  # type: ignore[union-attr]
        value = pow(int.from_bytes(template[at : at + size]), numbers.d, numbers.public_numbers.n).to_bytes(256)  # type: ignore[union-attr]
        delay = self.folder / "delay"
        if delay.exists():
            sleep(int(delay.read_text()) / 1000)
        return self.respond(tlv("7c", tlv("82", value)))


def main(port: int, folder: Path) -> None:
    make_keys(folder)
    card = Card(folder)
    reader = socket.create_connection(("127.0.0.1", port))
    stream = reader.makefile("rb")
    while len(head := stream.read(2)) == 2:
        message = stream.read(struct.unpack(">H", head)[0])
        if len(message) == 1:
            if message[0] == 4:
                reader.sendall(struct.pack(">H", len(ATR)) + ATR)
            else:
                card.reset()
            continue
        answer = card.answer(message)
        reader.sendall(struct.pack(">H", len(answer)) + answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
