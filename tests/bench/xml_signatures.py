"""Reading XML signatures of 5 kB to 20 MB, beside the least that anybody can do, and beside xmlsec1's whole process.

The least is: parse with lxml, canonicalise the document and SignedInfo, digest, and check one value.  Times are of CPU;
memory is what a process of its own had at its peak beyond what it had before it read the file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable

import workbench as bench

_SNIPPET = """
import sys
from pathlib import Path
from signsvc.verification.views import view_of
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
view_of(b"<a/>", (), name=None, must_cover=())
before = peak()
data = Path(sys.argv[1]).read_bytes()
view = view_of(data, (), name=None, must_cover=())
assert view.signatures[0].signer.digest_matches is True, view
print(peak() - before)
"""


def rows(octets: int) -> str:
    """A document rich in elements, of about so many octets, with an Id in every row."""
    one = '<row Id="r%07d"><name>Nguyễn Văn A</name><amount cur="VND">1234567</amount></row>'
    return "<list>" + "".join(one % n for n in range(octets // 90)) + "{}</list>"


def text(octets: int) -> str:
    """One base64 text of about so many octets."""
    return f"<file><content>{base64.b64encode(bytes(octets * 3 // 4)).decode()}</content>{{}}</file>"


def references(count: int) -> str:
    """A document of 450 octets for each of so many references."""
    return "<list>" + "".join(f'<part Id="p{n}">{"x" * 420}</part>' for n in range(count)) + "{}</list>"


def signed(pki: bench.test_pki.Pki, around: str, parts: int = 0) -> bytes:
    """`around` with an enveloped signature, or with one over so many of its parts."""
    from signsvc.formats import xmlsig
    from tests.support.xmlsec import DS, ENVELOPED, EXCLUSIVE, reference, template

    listed = [reference(f"#p{n}", EXCLUSIVE) for n in range(parts)] or [reference("", ENVELOPED, EXCLUSIVE)]
    whole = [f'<part Id="p{n}">{"x" * 420}</part>'.encode() for n in range(parts)]
    made = template(*listed)
    for octets in whole or [
        xmlsig.canonicalize(d := xmlsig.parse(around.replace("{}", "").encode()), d.root, EXCLUSIVE)
    ]:
        value = base64.b64encode(hashlib.sha256(octets).digest()).decode()
        made = made.replace("<ds:DigestValue/>", f"<ds:DigestValue>{value}</ds:DigestValue>", 1)
    held = base64.b64encode(pki.cert("person")).decode()
    made = made.replace("<ds:X509Data/>", f"<ds:X509Data><ds:X509Certificate>{held}</ds:X509Certificate></ds:X509Data>")
    small = xmlsig.parse(made.encode())
    info = next(small.root.iter(f"{{{DS}}}SignedInfo"))
    value = base64.b64encode(pki.sign_data("person", xmlsig.canonicalize(small, info, EXCLUSIVE), "sha256", False))
    made = made.replace("<ds:SignatureValue/>", f"<ds:SignatureValue>{value.decode()}</ds:SignatureValue>")
    return around.replace("{}", made).encode()


def least(pki: bench.test_pki.Pki, data: bytes, parts: int) -> Callable[[], object]:
    """The least work that finds the same: no Ids looked up, no limits, nothing taken out."""
    from lxml import etree

    from signsvc.algorithms import resolve, verify_value
    from signsvc.types import Certificate

    certificate = Certificate.from_der(pki.cert("person"))
    algorithm = resolve("1.2.840.113549.1.1.11")
    space = "{http://www.w3.org/2000/09/xmldsig#}"

    def work() -> object:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, huge_tree=True))
        signature = root[-1]
        for element in root[:-1] if parts else (root,):
            hashlib.sha256(etree.tostring(element, method="c14n", exclusive=True, with_comments=False)).digest()
        info = etree.tostring(signature[0], method="c14n", exclusive=True)
        value = base64.b64decode(signature.findtext(f"{space}SignatureValue"))
        return verify_value(certificate, algorithm, value, message=info)

    return work


def main() -> None:
    options = bench.arguments("XML signatures: read, against parse + C14N + digest")
    from signsvc.verification.views import view_of

    made = []
    with tempfile.TemporaryDirectory(prefix="signsvc-bench-") as name:
        directory = bench.Path(name)
        pki = bench.test_pki.load(directory / "pki")
        for title, around, parts in (
            ("5 kB of elements", rows(5_000), 0),
            ("500 kB of elements", rows(500_000), 0),
            ("20 MB of elements", rows(20_000_000), 0),
            ("20 MB in one text", text(20_000_000), 0),
            ("1,000 references in 450 kB", references(1_000), 1_000),
        ):
            data = signed(pki, around, parts)
            path = directory / "file.xml"
            path.write_bytes(data)
            rounds = (30 if options.full else 10) if len(data) < 1_000_000 else (7 if options.full else 3)
            raw = _best(least(pki, data, parts), rounds)
            view = view_of(data, (), name=None, must_cover=())
            assert view.signatures[0].signer is not None
            assert view.signatures[0].signer.digest_matches is True
            ours = _best(lambda data=data: view_of(data, (), name=None, must_cover=()), rounds)
            command = [sys.executable, "-c", _SNIPPET, str(path)]
            done = subprocess.run(command, capture_output=True, check=True, cwd=bench.ROOT)
            used = json.loads(done.stdout) * 1024
            made.append(
                (title, f"{ours * 1000:.1f}", f"{raw * 1000:.1f}", f"{ours / raw:.2f}", _xmlsec1(pki, path, parts),
                 f"{used / 1e6:.0f}", f"{used / len(data):.1f}")
            )  # fmt: skip
    bench.table(("", "read ms", "least ms", "ratio", "xmlsec1 ms", "peak MB", "times the file"), made)


def _best(work: Callable[[], object], rounds: int) -> float:
    work()
    return min(bench.cpu_of(work) for _ in range(rounds))


def _xmlsec1(pki: bench.test_pki.Pki, path: bench.Path, parts: int) -> str:
    """CPU of its whole process, start included."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    held = path.with_name("person.pem")
    held.write_bytes(x509.load_der_x509_certificate(pki.cert("person")).public_bytes(Encoding.PEM))
    names = ["--id-attr:Id", "part"] if parts else []
    command = ["xmlsec1", "--verify", "--enabled-reference-uris", "empty,same-doc", *names]
    command += ["--pubkey-cert-pem", str(held), str(path)]
    before = bench.resource.getrusage(bench.resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True)
    after = bench.resource.getrusage(bench.resource.RUSAGE_CHILDREN)
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{taken * 1000:.0f}" if done.returncode == 0 else "refuses"


if __name__ == "__main__":
    main()
