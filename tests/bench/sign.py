"""Signing a 50 kB document with a SoftHSM2 key, in process and over HTTP, and one of 100 MB, beside stock pyHanko, the
bare token and a copy of the file in the same run; at the end every goal and how much of it was reached.

Timestamps and revocation data come from responders on loopback in this process; a round trip to their TSA is printed
for comparison.  Stock pyHanko signs with the same RSA-2048 key in software, which is faster than any token.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import workbench as bench

LEVELS = ("B-B", "B-T", "B-LT", "B-LTA")
LARGE = 100 << 20
# Goals that are at least so much; in those of `MOST` less is better.
GOALS = {
    "B-B, times stock pyHanko": 30.0, "B-T, times stock pyHanko": 10.0, "B-LTA, times stock pyHanko": 6.0,
    "B-B docs/s, software key, 2 processes": 400.0, "B-B docs/s, SoftHSM, 1 process, % of bare C_Sign": 35.0,
    "HTTP docs/s, B-B": 150.0,
}  # fmt: skip
MOST = {"B-LTA ms": 42.0, "100 MB, times a file copy": 3.0, "100 MB, MB of RSS": 90.0}
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
# The most resident memory counts what is mapped from the file as well.
IN_ONE = """
import json, re, sys, time, tomllib
from pathlib import Path
from signsvc.services import Services
from signsvc.settings import Settings
from signsvc.signing import profiles
from signsvc.signing.service import SigningService
source, target, config = map(Path, sys.argv[1:])
def memory(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
with Services(Settings(**tomllib.loads(config.read_text())), workers=1) as services:
    pool = services.signing
    made = {"fetch": pool._fetch, "generation": services.evidence.generation}
    service = SigningService(pool._trust, verifier=pool._verifier, **made)
    key, profile = services.keyring.get("p12-person"), profiles.load("pades-b-b")
    before = memory("VmRSS")
    service.sign(source, target, profile=profile, signer=key)
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        service.sign(source, target, profile=profile, signer=key)
        taken.append(time.perf_counter() - began)
    print(json.dumps([sorted(taken)[1], before, memory("VmHWM")]))
"""

# One of several processes that sign at the same time, each in itself: begins at a line, tells when it is done.
ONE_OF_SEVERAL = """
import json, sys, time, tomllib
from pathlib import Path
from signsvc.services import Services
from signsvc.settings import Settings
from signsvc.signing import profiles
config, source, target, key, count = sys.argv[1:]
with Services(Settings(**tomllib.loads(Path(config).read_text())), workers=1) as services:
    signer, profile = services.keyring.get(key), profiles.load("pades-b-b")
    def sign():
        services.signing.sign(Path(source), Path(target), profile=profile, signer=signer)
    for _ in range(20):
        sign()
    print("ready", flush=True)
    sys.stdin.readline()
    used = time.process_time()
    for _ in range(int(count)):
        sign()
    print(json.dumps(1000 * (time.process_time() - used) / int(count)), flush=True)
"""


def stock(made: bench.Made, level: str, rounds: int) -> list[float]:
    """Stock pyHanko with a software key and the same TSA; validation data are at hand, not fetched."""
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers, timestamps

    from signsvc.formats.pades import write_hex

    signer = signers.SimpleSigner.load_pkcs12(str(made.pki.p12("person")), passphrase=bench.test_pki.PASSWORD)
    assert signer is not None
    tsa = timestamps.HTTPTimeStamper(f"http://{made.responders.address}/tsa/1") if level != "B-B" else None
    lists = [made.pki.crl(name) for name in ("root-g2", "sub-g2-state", "sub-g2-tsa")]
    answers = [made.pki.ocsp("person")]

    def one() -> None:
        writer = IncrementalPdfFileWriter(io.BytesIO(made.content))
        metadata = signers.PdfSignatureMetadata(field_name="S", subfilter=fields.SigSeedSubFilter.PADES)
        if level in ("B-LT", "B-LTA"):
            metadata = replace(
                metadata,
                embed_validation_info=True,
                use_pades_lta=level == "B-LTA",
                validation_context=_context(made, lists, answers),
            )
        signers.sign_pdf(writer, metadata, signer=signer, timestamper=tsa)

    ours, generic.read_hex_string_from_stream = generic.read_hex_string_from_stream, write_hex._stock
    try:
        with bench.quiet():
            return bench.measured(one, rounds, in_a_row=True)
    finally:
        generic.read_hex_string_from_stream = ours


def _context(made: bench.Made, lists: list[bytes], answers: list[bytes]) -> Any:
    from asn1crypto import crl, ocsp, x509
    from pyhanko_certvalidator import ValidationContext

    return ValidationContext(
        trust_roots=[x509.Certificate.load(made.pki.cert("root-g2"))],
        other_certs=[x509.Certificate.load(made.pki.cert(name)) for name in ("sub-g2-state", "sub-g2-tsa")],
        crls=[crl.CertificateList.load(one) for one in lists],
        ocsps=[ocsp.OCSPResponse.load(one) for one in answers],
        revocation_mode="soft-fail",
    )


def in_process(made: bench.Made, rounds: int, reached: dict[str, float]) -> None:
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
                    in_a_row=True,
                )
                for signer in (token, software)
            }
            theirs = stock(made, level, max(rounds // 3, 5))
            ratio = statistics.median(theirs) / statistics.median(taken[software])
            reached[f"{level}, times stock pyHanko"] = ratio
            reached[f"{level} ms"] = 1000 * statistics.median(taken[software])
            rows.append((level, bench.ms(taken[token]), bench.ms(taken[software]), bench.ms(theirs), f"{ratio:.1f}"))
        print(
            f"ms per document of {len(made.content) // 1024} kB, in process, one after the other (self-check included)"
        )
        bench.table(("level", "SoftHSM", "PKCS#12", "pyHanko PKCS#12", "times faster"), rows)
        digest = hashlib.sha256(b"").digest()
        algorithm = _algorithm()
        asked = bench.measured(lambda: token.sign(digest, algorithm), 100, in_a_row=True)
        now = datetime.now(UTC)
        stamped = bench.measured(lambda: services.tsa.timestamp(digest, "sha256", now=now), 20, in_a_row=True)
    environment = {**bench.os.environ, **made.token.environment}
    command = [sys.executable, "-c", BARE, str(made.token.module), made.token.label, made.token.pin, "300"]
    bare = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    rows = []
    for processes in (1, 2):
        for name, signer in (("SoftHSM", "person"), ("PKCS#12", "p12-person")):
            rate, each = several(made, signer, processes, 5 * rounds)
            rows.append((f"{processes} alone", name, f"{rate:.0f}", f"{each:.1f}"))
            if signer == "person" and processes == 1:
                reached["B-B docs/s, SoftHSM, 1 process, % of bare C_Sign"] = 100 * rate * statistics.median(bare)
            if signer == "p12-person" and processes == 2:
                reached["B-B docs/s, software key, 2 processes"] = rate
    for name, signer in (("SoftHSM", "person"), ("PKCS#12", "p12-person")):
        rate, each = together(made, signer, 8 * rounds)
        rows.append(("1 with 2 workers", name, f"{rate:.0f}", f"{each:.1f}"))
    print("\nB-B, documents at the same time; CPU is that of the process that signs, or that holds the key")
    bench.table(("processes", "key", "docs/s", "CPU ms"), rows)
    print(
        f"\nbare C_Sign {bench.ms(bare)} ms ({1 / statistics.median(bare):.0f}/s); through the token process with the "
        f"check of the value {bench.ms(asked)} ms; TSA round trip with checks {bench.ms(stamped)} ms"
    )


def several(made: bench.Made, signer: str, processes: int, count: int) -> tuple[float, float]:
    """Documents per second at B-B from so many processes that sign `count` each, and ms of CPU for each document."""
    environment = {**os.environ, **made.token.environment, "PYTHONPATH": str(bench.ROOT)}
    source = made.directory / "in.pdf"
    with ExitStack() as stack:
        running = []
        for number in range(processes):
            words = (made.installation.config, source, made.directory / f"out-{number}.pdf", signer, count)
            command = [sys.executable, "-c", ONE_OF_SEVERAL, *map(str, words)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            running.append(
                stack.enter_context(subprocess.Popen(command, env=environment, cwd=made.directory, **pipes))  # type: ignore[call-overload]
            )
            # One after the other: SoftHSM loses a token for a moment where two processes open it at once.
            assert running[-1].stdout.readline() == "ready\n"
        began = time.perf_counter()
        for process in running:
            process.stdin.write("\n")
            process.stdin.flush()
        used = [float(process.stdout.readline()) for process in running]
        return processes * count / (time.perf_counter() - began), statistics.mean(used)


def together(made: bench.Made, signer: str, count: int) -> tuple[float, float]:
    """Documents per second at B-B from 8 threads over 2 workers, and ms of CPU of this process for each."""
    from signsvc.services import Services
    from signsvc.signing import profiles

    profile = profiles.load("pades-b-b")
    spool = made.installation.settings.spool_dir
    spool.mkdir(parents=True, exist_ok=True)
    source = spool / "in.pdf"
    source.write_bytes(made.content)
    settings = made.installation.settings
    settings = settings.model_copy(update={"limits": settings.limits.model_copy(update={"signing_workers": 2})})
    with Services(settings, workers=1, shared_tokens=True) as services, ThreadPoolExecutor(8) as threads:
        key = services.keyring.get(signer)

        def one(number: int) -> None:
            target = spool / f"out-{number}.pdf"
            services.signing.sign(source, target, profile=profile, signer=key)
            target.unlink()

        list(threads.map(one, range(32)))
        began, used = time.perf_counter(), time.process_time()
        list(threads.map(one, range(count)))
        return count / (time.perf_counter() - began), 1000 * (time.process_time() - used) / count


def large(made: bench.Made, reached: dict[str, float]) -> None:
    """One file of 100 MB beside a copy of it, in a process of its own for its memory."""
    source, target = made.directory / "large.pdf", made.directory / "large-out.pdf"
    source.write_bytes(bench.document(1, LARGE))
    copied = bench.measured(lambda: _copy(source, target), 5)
    # a worker's own memory: the whole path in one fresh process, without the pool
    command = [sys.executable, "-c", IN_ONE, str(source), str(target), str(made.installation.config)]
    environment = {**os.environ, **made.token.environment, "PYTHONPATH": str(bench.ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, check=True, cwd=made.directory)
    taken, before, peak = json.loads(done.stdout)
    reached["100 MB, times a file copy"] = taken / statistics.median(copied)
    reached["100 MB, MB of RSS"] = peak
    print(
        f"\n100 MB at B-B: {bench.ms(taken)} ms, a copy of the file {bench.ms(copied)} ms; peak {peak:.0f} MB of RSS, "
        f"{before:.0f} MB before the document was opened"
    )


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as original, target.open("wb") as copy:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())


def _goals(reached: dict[str, float]) -> None:
    rows = [(name, f"{reached[name]:.1f}", f"{goal:g}", f"{100 * reached[name] / goal:.0f} %")
            for name, goal in GOALS.items() if name in reached]  # fmt: skip
    rows += [(name, f"{reached[name]:.1f}", f"<= {goal:g}", f"{100 * goal / reached[name]:.0f} %")
             for name, goal in MOST.items() if name in reached]  # fmt: skip
    print()
    bench.table(("goal", "reached", "wanted", "of the goal"), rows)


def _algorithm() -> object:
    from signsvc.algorithms import SignatureAlgorithm, SignatureScheme

    return SignatureAlgorithm(SignatureScheme.RSA_PKCS1, "sha256")


def over_http(made: bench.Made, count: int, reached: dict[str, float]) -> None:
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
            reached[f"HTTP docs/s, {level}"] = rate
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
        reached: dict[str, float] = {}
        in_process(made, 60 if options.full else 20, reached)
        large(made, reached)
        over_http(made, 400 if options.full else 120, reached)
        _goals(reached)


if __name__ == "__main__":
    main()
