"""Signing a 50 kB document with a SoftHSM2 key, in process and over HTTP, beside stock pyHanko and the bare token.

Timestamps and revocation data come from responders on loopback in this process; a round trip to their TSA is printed
for comparison.  Stock pyHanko signs with the same RSA-2048 key in software, which is faster than any token.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import workbench as bench

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
BARE = """
import json, statistics, sys, time
import pkcs11
module, label, pin, rounds = sys.argv[1:]
prefix = bytes.fromhex("3031300d060960864801650304020105000420")
with pkcs11.lib(module).get_token(token_label=label).open(user_pin=pin) as session:
    key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="person")
    taken = []
    for _ in range(int(rounds)):
        began = time.perf_counter()
        key.sign(prefix + bytes(32), mechanism=pkcs11.Mechanism.RSA_PKCS)
        taken.append(time.perf_counter() - began)
print(json.dumps(taken))
"""


def stock(made: bench.Made, level: str, rounds: int) -> list[float]:
    """Stock pyHanko with a software key; B-T with the same TSA."""
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers, timestamps

    from signsvc.formats.pades import write_hex

    signer = signers.SimpleSigner.load_pkcs12(str(made.pki.p12("person")), passphrase=bench.test_pki.PASSWORD)
    assert signer is not None
    tsa = timestamps.HTTPTimeStamper(f"http://{made.responders.address}/tsa/1") if level == "B-T" else None

    def one() -> None:
        writer = IncrementalPdfFileWriter(io.BytesIO(made.content))
        metadata = signers.PdfSignatureMetadata(field_name="S", subfilter=fields.SigSeedSubFilter.PADES)
        signers.sign_pdf(writer, metadata, signer=signer, timestamper=tsa)

    ours, generic.read_hex_string_from_stream = generic.read_hex_string_from_stream, write_hex._stock
    try:
        with bench.quiet():
            return bench.measured(one, rounds)
    finally:
        generic.read_hex_string_from_stream = ours


def in_process(made: bench.Made, rounds: int) -> None:
    from signsvc.services import Services
    from signsvc.signing import profiles

    source, target = made.directory / "in.pdf", made.directory / "out.pdf"
    source.write_bytes(made.content)
    with Services(made.installation.settings, workers=1) as services:
        token, software = services.keyring.get("person"), services.keyring.get("p12-person")
        rows = []
        for level in LEVELS:
            profile = profiles.load(f"pades-{level.lower()}")
            taken = {
                signer: bench.measured(
                    lambda s=signer, p=profile: services.signing.sign(source, target, profile=p, signer=s),  # type: ignore[misc]
                    rounds,
                )
                for signer in (token, software)
            }
            theirs = stock(made, level, max(rounds // 3, 5)) if level in ("B-B", "B-T") else []
            ratio = statistics.median(theirs) / statistics.median(taken[software]) if theirs else 0
            rows.append(
                (level, bench.ms(taken[token]), bench.ms(taken[software]), bench.ms(theirs) if theirs else "-",
                 f"{ratio:.1f}" if ratio else "-")
            )  # fmt: skip
        print(f"ms per document of {len(made.content) // 1024} kB, in process (self-check included)")
        bench.table(("level", "SoftHSM", "PKCS#12", "pyHanko PKCS#12", "times faster"), rows)
        digest = hashlib.sha256(b"").digest()
        algorithm = _algorithm()
        asked = bench.measured(lambda: token.sign(digest, algorithm), 100)
        now = datetime.now(UTC)
        stamped = bench.measured(lambda: services.tsa.timestamp(digest, "sha256", now=now), 20)
    environment = {**bench.os.environ, **made.token.environment}
    command = [sys.executable, "-c", BARE, str(made.token.module), made.token.label, made.token.pin, "300"]
    bare = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    print(
        f"\nbare C_Sign {bench.ms(bare)} ms ({1 / statistics.median(bare):.0f}/s); through the token process with the "
        f"check of the value {bench.ms(asked)} ms; TSA round trip with checks {bench.ms(stamped)} ms"
    )


def _algorithm() -> object:
    from signsvc.algorithms import SignatureAlgorithm, SignatureScheme

    return SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256")


def over_http(made: bench.Made, count: int) -> None:
    from tests.support.service import running

    rows = []
    with running(made.installation, workers=2, threads=8) as service:
        for level in ("B-B", "B-T", "B-LTA"):

            def one(_: int, level: str = level) -> float:
                began = time.perf_counter()
                answer = service.sign(made.content, f"pades-{level.lower()}", "person")
                assert answer.status == 200, answer.body
                return time.perf_counter() - began

            with ThreadPoolExecutor(8) as threads:  # every process has signed before anything counts
                list(threads.map(one, range(48)))
            alone = [one(0) for _ in range(max(count // 8, 10))]
            began, used = time.perf_counter(), _used(service)
            with ThreadPoolExecutor(8) as threads:
                together = list(threads.map(one, range(count)))
            rate = count / (time.perf_counter() - began)
            each = (_used(service) - used) / count
            rows.append((level, bench.ms(alone), f"{rate:.0f}", bench.ms(together), bench.ms(each)))
    print("\nover HTTP, 2 service processes; CPU is that of the service without its token processes")
    bench.table(("level", "ms alone", "docs/s from 8 threads", "ms from 8 threads", "CPU ms"), rows)


def _used(service: object) -> float:
    """Seconds of CPU of the service and its workers, those that ended included."""
    ticks = 0
    for process in (service.process.pid, *service.children()):  # type: ignore[attr-defined]
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = bench.arguments("Signing")
    with bench.token() as made:
        in_process(made, 60 if options.full else 20)
        over_http(made, 400 if options.full else 120)


if __name__ == "__main__":
    main()
