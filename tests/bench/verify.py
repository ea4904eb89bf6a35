"""The whole verdict of a document, JSON report included, beside stock pyHanko and EU DSS on the same files.

Ours goes the road of the service: a pool of worker processes, evidence from the file alone, no verdict remembered.
Rates by the clock are of the machine as it is; CPU is what a document costs.
pyHanko: `ades_lta_validation`, in this process.  DSS: one JVM, every file several times, the last time counts.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import workbench as bench

LEVELS = ("B-LT", "B-LTA")
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Rate:
    """Documents a second of two workers that have seen one document, and once they know the signers; CPU for each
    document, in seconds, in a worker and in the process that asks."""

    new: float
    known: float
    worker: float
    parent: float


def pool(made: bench.Corpus, level: str, workers: int) -> Rate:
    """The road of the service; one more caller than workers, as a service has."""
    from signsvc.verification import TrustSource, Verifier, VerifyRequest

    trust = TrustSource(made.installation.data_dir / "trust", ("test",))
    files = made.files(level)
    with Verifier(trust, workers=workers) as verifier, ThreadPoolExecutor(workers + 1) as threads:

        def one(path: Path) -> int:
            outcome = verifier.verify(path, VerifyRequest(offline=True))
            assert outcome.indication == "TOTAL-PASSED", outcome.report
            return len(json.dumps(outcome.report, ensure_ascii=False))

        def rate() -> float:
            began = time.perf_counter()
            list(threads.map(one, files))
            return len(files) / (time.perf_counter() - began)

        verifier.warm()
        list(threads.map(one, files[:1] * workers))
        pids = [worker.pid for worker in verifier._pool._all]
        new = rate()
        before = sum(map(_cpu, pids)), time.process_time()
        known = [rate() for _ in range(ROUNDS)]
        count = ROUNDS * len(files)
        worker, parent = sum(map(_cpu, pids)) - before[0], time.process_time() - before[1]
        return Rate(new, max(known), worker / count, parent / count)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def in_process(made: bench.Corpus, level: str) -> list[float]:
    """Seconds of CPU of each document, read to JSON, signers known."""
    from signsvc.verification import TrustSource, VerifyRequest
    from signsvc.verification.engine import examine

    trust = TrustSource(made.installation.data_dir / "trust", ("test",))
    request, now = VerifyRequest(offline=True), datetime.now(UTC)
    found: list[float] = []
    for counted in (False, True):
        gc.collect()
        for path in made.files(level):
            began = time.process_time()
            report = examine(path, request, trust=trust, fetch=None, now=now, report_id="rep_0")
            json.dumps(report, ensure_ascii=False)
            if counted:
                found.append(time.process_time() - began)
    return found


def stock(made: bench.Corpus, paths: Sequence[Path]) -> list[float]:
    """Seconds of CPU of stock pyHanko's AdES validation of each file."""
    from asn1crypto import x509
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation.ades import ades_lta_validation
    from pyhanko.sign.validation.policy_decl import (
        LocalKnowledge,
        PdfSignatureValidationSpec,
        RevinfoOnlineFetchingRule,
        RevocationInfoGatheringSpec,
        SignatureValidationSpec,
    )
    from pyhanko_certvalidator.authority import CertTrustAnchor
    from pyhanko_certvalidator.context import CertValidationPolicySpec
    from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
    from pyhanko_certvalidator.registry import SimpleTrustManager

    root, _, _ = made.der_files()
    anchor = x509.Certificate.load(root.read_bytes())
    policy = CertValidationPolicySpec(
        SimpleTrustManager.build([CertTrustAnchor(anchor)]), CertRevTrustPolicy(REQUIRE_REVINFO)
    )
    known = LocalKnowledge(known_certs=[anchor])
    offline = RevocationInfoGatheringSpec(RevinfoOnlineFetchingRule.LOCAL_ONLY)
    spec = PdfSignatureValidationSpec(SignatureValidationSpec(policy, offline, local_knowledge=known))
    found = []
    for path in (paths[0], *paths):
        data = path.read_bytes()
        began = time.process_time()
        (signature,) = PdfFileReader(io.BytesIO(data)).embedded_regular_signatures
        result = asyncio.run(ades_lta_validation(signature, spec))
        found.append(time.process_time() - began)
        assert result.api_status.intact, path  # of proofs of existence it has an opinion of its own
    return found[1:]


def dss(made: bench.Corpus, rounds: int, count: int) -> dict[str, list[float]]:
    """Seconds by the clock for each file in a warm JVM."""
    root, _, _ = made.der_files()
    found: dict[str, list[float]] = {}
    for level in LEVELS:
        lines = [f"{path}\t{root}\t\t\t" for path in made.files(level)[:count]]
        answers = bench.ask_dss(lines * rounds)
        assert all(a["signatures"][0]["indication"] == "TOTAL_PASSED" for a in answers), answers[0]
        found[level] = [a["micros"] / 1e6 for a in answers[-count:]]
    return found


def parts(made: bench.Corpus, level: str) -> dict[str, float]:
    """Microseconds of each part of one document's road, signers known: the median of each."""
    from signsvc import reports, trust, validation
    from signsvc.formats import pades
    from signsvc.trust import TrustStore
    from signsvc.validation import policies
    from signsvc.verification import TrustSource, VerifyRequest, frames
    from signsvc.verification.engine import examine

    found: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                found.setdefault(name, []).append(time.perf_counter() - began)

        return run

    places: tuple[tuple[str, Any, str], ...] = (
        ("policy", policies, "load"),
        ("trust", TrustStore, "material"),
        ("read and compare", pades, "read"),
        ("gather evidence", trust, "collect"),
        ("judge", validation, "validate"),
        ("report", reports, "build"),
    )
    source = TrustSource(made.installation.data_dir / "trust", ("test",))
    request, now = VerifyRequest(offline=True), datetime.now(UTC)
    ours, theirs = socket.socketpair()
    with ours, theirs, ExitStack() as stack:
        for name, owner, attribute in places:
            kept = getattr(owner, attribute)
            stack.callback(setattr, owner, attribute, kept)
            setattr(owner, attribute, timed(name, kept))

        def send(report: dict[str, Any]) -> None:
            frames.send(ours, {"result": report})
            frames.receive(theirs)

        whole = timed("all", examine)
        sent = timed("JSON to the parent and read there", send)
        for counted in (False, True):
            gc.collect()
            if counted:
                found.clear()
            for path in made.files(level):
                sent(whole(path, request, trust=source, fetch=None, now=now, report_id="rep_0"))
    medians = {name: statistics.median(times) * 1e6 for name, times in found.items()}
    rest = medians.pop("all") - sum(medians[name] for name, _, _ in places)
    return {**{name: medians.pop(name) for name, _, _ in places}, "the rest": rest, **medians}


def evidence(made: bench.Corpus) -> list[tuple[str, str, str]]:
    """B-B documents: 30 signers of whom nothing is known yet, then the others, whose evidence is kept."""
    from signsvc.net import HttpClient, NetRules
    from signsvc.trust import EvidenceClient
    from signsvc.verification import TrustSource, Verifier

    pki = made.pki
    signers = bench.add_signers(pki)
    files = made.files("B-B")
    rows = []
    with bench.Responders(pki) as responders, tempfile.TemporaryDirectory(prefix="signsvc-bench-") as cache:
        client = EvidenceClient(HttpClient(NetRules(host_map=responders.host_map)), Path(cache))
        trust = TrustSource(made.installation.data_dir / "trust", ("test",))
        with Verifier(trust, fetch=client.fetched, workers=2) as verifier, ThreadPoolExecutor(3) as threads:
            verifier.warm()
            for name, some in (("network", files[: len(signers)]), ("kept", files[len(signers) :])):
                began = time.perf_counter()
                outcomes = list(threads.map(verifier.verify, some))
                taken = time.perf_counter() - began
                assert all(outcome.indication == "TOTAL-PASSED" for outcome in outcomes), outcomes[0].report
                rows.append((name, str(len(some)), f"{len(some) / taken:.0f}"))
    return rows


def many_signatures(count: int) -> tuple[int, float]:
    """Octets of a file with `count` signatures, all B-LTA, and seconds of CPU for its whole verdict, known signer."""
    from signsvc.verification import TrustSource, VerifyRequest
    from signsvc.verification.engine import examine

    path = bench.several((1, 5, 10, 20, 40))[count]
    trust = TrustSource(path.parent / "data" / "trust", ("test",))

    def one() -> None:
        report = examine(
            path, VerifyRequest(offline=True), trust=trust, fetch=None, now=datetime.now(UTC), report_id="rep_0"
        )
        assert report["valid_signatures_count"] == count, report["indication"]
        json.dumps(report, ensure_ascii=False)

    return path.stat().st_size, statistics.median(bench.measured(one, 5, time.process_time))


def large_list(entries: int) -> float:
    """Seconds of CPU of a worker for one B-B document whose signer's list, indexed already, has so many entries."""
    from signsvc.net import HttpClient, NetRules
    from signsvc.trust import EvidenceClient, FetchRequest, crl_index
    from signsvc.trust.crl import Crl
    from signsvc.verification import TrustSource, Verifier
    from tests.support.signed_pdf import signed

    with tempfile.TemporaryDirectory(prefix="signsvc-bench-") as name:
        folder = Path(name)
        pki = bench.test_pki.load(folder / "pki")
        with bench.Responders(pki) as responders:
            trust = bench.install(folder, pki, responders).data_dir / "trust"
            url = f"http://crl.test-ca.gov.vn.test/crl/sub-g2-state{'-100k' if entries else ''}.crl"
            pki.add("by-list", "person", crl_urls=(url,), ocsp_urls=(), aia_urls=())
            document, indexes = folder / "document.pdf", folder / "crl-index"
            document.write_bytes(signed(pki, "by-list", claimed=datetime.now(UTC)).data)
            client = EvidenceClient(HttpClient(NetRules(host_map=responders.host_map)), folder / "cache")
            crl = Crl(client.fetch(FetchRequest("crl", url)))
            indexes.mkdir()
            if made := crl.make_index():
                crl_index.path_in(indexes, crl.sha256).write_bytes(made)
            source = TrustSource(trust, ("test",), indexes=(indexes,))
            with Verifier(source, fetch=client.fetched) as verifier:
                for _ in range(3):
                    assert verifier.verify(document).indication == "TOTAL-PASSED"
                (worker,) = verifier._pool._all
                before = _cpu(worker.pid)
                for _ in range(200):
                    verifier.verify(document)
                return (_cpu(worker.pid) - before) / 200


def main() -> None:
    options = bench.arguments("Whole verdicts")
    made = bench.corpus()
    foreign = dss(made, 6, 60 if options.full else 30)
    rows = []
    for level in LEVELS:
        rate = pool(made, level, 2)
        ours = statistics.median(in_process(made, level))
        with bench.quiet():
            theirs = statistics.median(stock(made, made.files(level)[:: 10 if options.full else 30]))
        warm = statistics.median(foreign[level])
        rows.append(
            (level, made.files(level)[1].stat().st_size // 1024, f"{rate.new:.0f}", f"{rate.known:.0f}",
             bench.ms(rate.worker), bench.ms(rate.parent), bench.ms(ours), bench.ms(theirs), f"{theirs / ours:.0f}",
             bench.ms(warm), f"{warm / ours:.0f}")
        )  # fmt: skip
    print(f"{made.count} distinct documents of 30 signers; evidence in the file; load of the machine {_load()}")
    head = ("level", "kB", "docs/s, 2 workers, new", "known signers", "worker ms CPU", "parent ms CPU",
            "in process ms CPU", "pyHanko ms", "times", "DSS ms", "times")  # fmt: skip
    bench.table(head, rows)
    print("\nB-B documents, evidence from servers on loopback (whole verdict, 2 workers)")
    bench.table(("evidence from", "documents", "docs/s"), evidence(made))
    size, taken = many_signatures(20)
    print(f"\n20 signatures, all B-LTA, {size // 1024} kB: {bench.ms(taken)} ms CPU")
    without, with_entries = large_list(0), large_list(100_000)
    print(f"list of 100,000 entries, indexed: {bench.ms(with_entries)} ms CPU a document, of none {bench.ms(without)}")
    print("\nwhere the time goes, microseconds by the clock (median)")
    found = {level: parts(made, level) for level in LEVELS}
    bench.table(
        ("part", *LEVELS), [(name, *(f"{found[level][name]:.0f}" for level in LEVELS)) for name in found["B-LT"]]
    )


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
