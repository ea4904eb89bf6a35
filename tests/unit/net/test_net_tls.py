"""TLS: the server's certificate is checked for the name that was asked."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signsvc.errors import UpstreamError
from signsvc.net import HttpClient, NetRules


class _Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/down" else 200)
        if self.path == "/down":
            self.send_header("Location", f"http://{self.headers['Host']}/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses our certificate is what these tests want."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "crl.noi-bo.vn")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("crl.noi-bo.vn")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    (folder / "server.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + pem
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    with _Server(("127.0.0.1", 0), _Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1], folder / "ca.pem"
        server.shutdown()
        thread.join()


def _client(port: int, host: str, ca: Path | None) -> HttpClient:
    rules = NetRules(allow=(f"{host}:{port}",), total_timeout=3, ca_file=str(ca) if ca else None)
    return HttpClient(rules, resolver=lambda host, port: ["127.0.0.1"])


def test_a_known_certificate_for_the_name_is_accepted(tls: tuple[int, Path]) -> None:
    port, ca = tls
    http = _client(port, "crl.noi-bo.vn", ca)
    for _ in range(2):
        assert http.get(f"https://crl.noi-bo.vn:{port}/").body == b"ok"
    http.close()


@pytest.mark.parametrize("known", [True, False])
def test_an_unknown_certificate_or_another_name_is_refused(tls: tuple[int, Path], known: bool) -> None:
    port, ca = tls
    host = "khac.noi-bo.vn" if known else "crl.noi-bo.vn"
    with pytest.raises(UpstreamError) as caught:
        _client(port, host, ca if known else None).get(f"https://{host}:{port}/")
    assert caught.value.data["reason"] == "tls"


def test_no_redirect_leaves_tls(tls: tuple[int, Path]) -> None:
    port, ca = tls
    with pytest.raises(UpstreamError) as caught:
        _client(port, "crl.noi-bo.vn", ca).get(f"https://crl.noi-bo.vn:{port}/down")
    assert caught.value.data["reason"] == "redirect"
