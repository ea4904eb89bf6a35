"""PKCS#11 modules of other makers, each set up in a folder and ended with everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from signsvc.keys import CredentialConfig
from test_pki import Pki
from test_pki.softhsm import find_module
from tests.support import virtual_piv

_PKCS11 = Path("/usr/lib/x86_64-linux-gnu/pkcs11")
_SOFTOKN = ("/usr/lib/x86_64-linux-gnu/libsoftokn3.so", "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so")


@dataclass
class TokenModule:
    """A module with a token: `environment` for whoever loads it, `credentials` ``rsa`` and perhaps ``ec``."""

    path: str
    label: str
    pin: str
    environment: Mapping[str, str] = field(default_factory=dict)
    credentials: tuple[CredentialConfig, ...] = ()
    pull: Callable[[], None] | None = None
    plug: Callable[[], None] | None = None
    folder: Path = Path()

    def run(self, *arguments: str) -> None:
        command = ["pkcs11-tool", "--module", self.path, "--token-label", self.label, "-l", "-p", self.pin]
        subprocess.run(
            [*command, *arguments], env={**os.environ, **self.environment}, check=True, capture_output=True, timeout=60
        )

    def make_keys(self, pki: Pki) -> None:
        """An RSA and an EC key on the token, whose certificates lie in files."""
        made = []
        for number, (name, kind) in enumerate((("rsa", "rsa:2048"), ("ec", "EC:prime256v1")), 1):
            self.run("--keypairgen", "--key-type", kind, "--label", "khóa ký", "--id", f"{number:02x}", "--usage-sign")
            public = self.folder / f"{name}.pub"
            self.run("--read-object", "--type", "pubkey", "--id", f"{number:02x}", "-o", str(public))
            certificate = self.folder / f"{name}.crt"
            certificate.write_bytes(_certificate(pki, name, public.read_bytes()))
            made.append(
                CredentialConfig(
                    name, self.path, self.label, key_id=f"{number:02x}", label="khóa ký", certificate=certificate
                )
            )
        self.credentials = tuple(made)


def _certificate(pki: Pki, name: str, public: bytes) -> bytes:
    issuer = x509.load_der_x509_certificate(pki.cert("person"))
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Matrix {name}")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject).serial_number(7)
    builder = builder.public_key(load_der_public_key(public))  # type: ignore[arg-type]
    builder = builder.not_valid_before(issuer.not_valid_before_utc).not_valid_after(issuer.not_valid_after_utc)
    return builder.sign(pki.key("person"), hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def _listens(port: int) -> bool:
    """Without connecting: a reader would see a card, a TPM its only client."""
    return any(f":{port:04X} 00000000:0000 0A" in line for line in Path("/proc/net/tcp").read_text().splitlines())


@contextlib.contextmanager
def running(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon with its children, ended at the end."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def _softhsm(folder: Path) -> TokenModule:
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    label = "Văn thư Sở Nội vụ tỉnh"  # 32 octets, all that the field has
    found = TokenModule(str(find_module()), label, "12345678", {"SOFTHSM2_CONF": str(conf)}, folder=folder)
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", found.pin, "--so-pin", "87654321"]
    subprocess.run(command, env={**os.environ, **found.environment}, check=True, capture_output=True)
    return found


@contextlib.contextmanager
def softhsm(folder: Path, pki: Pki, _shim: Path) -> Iterator[TokenModule]:
    """SoftHSM2."""
    found = _softhsm(folder)
    found.make_keys(pki)
    yield found


@contextlib.contextmanager
def nss(folder: Path, pki: Pki, shim: Path) -> Iterator[TokenModule]:
    """NSS softokn, which wants its parameters in C_Initialize: through the shim."""
    pin = folder / "pin"
    pin.write_text("nsspass1")
    subprocess.run(["certutil", "-N", "-d", f"sql:{folder}", "-f", str(pin)], check=True, capture_output=True)
    real = next(p for p in _SOFTOKN if Path(p).exists())
    environment = {"P11_REAL": real, "P11_INIT_RESERVED": f"configdir='sql:{folder}'"}
    found = TokenModule(str(shim), "NSS Certificate DB", "nsspass1", environment, folder=folder)
    found.make_keys(pki)
    yield found


@contextlib.contextmanager
def p11kit(folder: Path, pki: Pki, _shim: Path) -> Iterator[TokenModule]:
    """The p11-kit client with a server before SoftHSM2: what a network HSM looks like."""
    behind = _softhsm(folder)
    address = folder / "server"
    servers: list[contextlib.ExitStack] = []

    def plug() -> None:
        stack = contextlib.ExitStack()
        address.unlink(missing_ok=True)
        command = ("p11-kit", "server", "-f", "-n", str(address), "--provider", behind.path, "pkcs11:")
        stack.enter_context(running(*command, **behind.environment))
        servers.append(stack)
        wait_for(address.exists)

    def pull() -> None:
        servers.pop().close()

    plug()
    found = TokenModule(
        str(_PKCS11 / "p11-kit-client.so"),
        behind.label,
        behind.pin,
        {"P11_KIT_SERVER_ADDRESS": f"unix:path={address}"},
        pull=pull,
        plug=plug,
        folder=folder,
    )
    try:
        found.make_keys(pki)
        yield found
    finally:
        while servers:
            pull()


@contextlib.contextmanager
def opensc(folder: Path, _pki: Pki, _shim: Path) -> Iterator[TokenModule]:
    """OpenSC with a virtual PIV card in a reader of a pcscd of its own, in a mount namespace: it has a fixed place."""
    port = free_port()
    (folder / "readers").mkdir()
    (folder / "card").mkdir()
    (folder / "readers" / "vpcd").write_text(
        f'FRIENDLYNAME "Virtual PCD"\nDEVICENAME   /dev/null:{port:#x}\n'
        f"LIBPATH      /usr/lib/pcsc/drivers/serial/libifdvpcd.so\nCHANNELID    {port:#x}\n"
    )
    daemon_command = f"mkdir -p /run/pcscd && exec /usr/sbin/pcscd -f -c {folder / 'readers'}"
    apart = ("unshare", "--user", "--map-root-user", "--mount")
    private = subprocess.run([*apart, "true"], check=False, capture_output=True).returncode == 0
    if private:
        daemon_command = f"mount -t tmpfs none /run && {daemon_command}"
    cards: list[contextlib.ExitStack] = []

    def plug() -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(running(sys.executable, virtual_piv.__file__, str(port), str(folder / "card")))
        cards.append(stack)

    def pull() -> None:
        if cards:
            cards.pop().close()

    virtual_piv.make_keys(folder / "card")
    with running(*(apart if private else ()), "sh", "-c", daemon_command) as daemon:
        place = Path(f"/proc/{daemon.pid}/root/run/pcscd/pcscd.comm" if private else "/run/pcscd/pcscd.comm")
        wait_for(place.exists)
        wait_for(lambda: _listens(port))
        plug()
        path = str(_PKCS11 / "opensc-pkcs11.so")
        credentials = (
            CredentialConfig("rsa", path, key_id="01"),
            CredentialConfig("each-time", path, key_id="02"),
        )
        label, pin = "Virtual PIV 9a", virtual_piv.PIN.decode()
        environment = {"PCSCLITE_CSOCK_NAME": str(place)}
        try:
            yield TokenModule(path, label, pin, environment, credentials, pull, plug, folder / "card")
        finally:
            while cards:
                pull()


@contextlib.contextmanager
def tpm2(folder: Path, pki: Pki, _shim: Path) -> Iterator[TokenModule]:
    """tpm2-pkcs11 on a software TPM, with a resource manager on a bus of its own."""
    port, bus = free_port(), folder / "bus"
    (folder / "state").mkdir()
    (folder / "store").mkdir()
    address = f"unix:path={bus}"
    tcti = "tabrmd:bus_type=session"
    environment = {
        "DBUS_SESSION_BUS_ADDRESS": address,
        "TPM2TOOLS_TCTI": tcti,
        "TPM2_PKCS11_TCTI": tcti,
        "TPM2_PKCS11_STORE": str(folder / "store"),
    }
    chip = ("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder / 'state'}", "--flags")
    ports = ("--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}")
    manager = ("/usr/sbin/tpm2-abrmd", "--session", "--allow-root", f"--tcti=swtpm:host=127.0.0.1,port={port}")
    with contextlib.ExitStack() as stack:
        stack.enter_context(running("dbus-daemon", "--session", "--nofork", f"--address={address}"))
        wait_for(bus.exists)
        stack.enter_context(running(*chip, "not-need-init,startup-clear", *ports))
        wait_for(lambda: _listens(port) and _listens(port + 1))
        stack.enter_context(running(*manager, **environment))
        found = TokenModule(str(_PKCS11 / "libtpm2_pkcs11.so"), "tpmtok", "12345678", environment, folder=folder)

        def tool(*arguments: str) -> bool:
            command = ["tpm2_ptool", *arguments, f"--path={folder / 'store'}"]
            done = subprocess.run(command, env={**os.environ, **environment}, check=False, capture_output=True)
            return done.returncode == 0

        wait_for(lambda: tool("init"))  # the manager takes its name on the bus when it is ready
        assert tool("addtoken", "--pid=1", f"--label={found.label}", "--sopin=87654321", f"--userpin={found.pin}")
        found.make_keys(pki)
        yield found


ALL = {"softhsm": softhsm, "nss": nss, "p11-kit": p11kit, "opensc-piv": opensc, "tpm2": tpm2}
