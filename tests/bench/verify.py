"""The whole verdict of a document, JSON report included, beside stock pyHanko and EU DSS on the same files.

Ours goes the road of the service: a pool of worker processes, evidence from the file alone, no verdict remembered.
pyHanko: `ades_lta_validation`, in this process.  DSS: one JVM, every file several times, the last time counts.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import workbench as bench

LEVELS = ("B-LT", "B-LTA")


def pool(made: bench.Corpus, level: str, workers: int) -> tuple[float, float]:
    """Documents a second with fresh workers, that have seen one document, and again once they know the signers."""
    from signsvc.verification import TrustSource, Verifier, VerifyRequest

    trust = TrustSource(made.installation.data_dir / "trust", ("test",))
    files = made.files(level)
    with Verifier(trust, workers=workers) as verifier, ThreadPoolExecutor(workers) as threads:

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
        return rate(), max(rate(), rate())


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


def main() -> None:
    options = bench.arguments("Whole verdicts")
    made = bench.corpus()
    foreign = dss(made, 6, 60 if options.full else 30)
    rows = []
    for level in LEVELS:
        fresh, known = pool(made, level, 2)
        ours = statistics.median(in_process(made, level))
        with bench.quiet():
            theirs = statistics.median(stock(made, made.files(level)[:: 10 if options.full else 30]))
        warm = statistics.median(foreign[level])
        rows.append(
            (level, f"{fresh:.0f}", f"{known:.0f}", bench.ms(ours), bench.ms(theirs), f"{theirs / ours:.0f}",
             bench.ms(warm), f"{warm / ours:.0f}")
        )  # fmt: skip
    print(f"{made.count} distinct documents of 30 signers, {made.files('B-LT')[0].stat().st_size // 1024} kB (B-LT)")
    head = ("level", "docs/s, 2 workers, new", "known signers", "ms CPU", "pyHanko ms", "times", "DSS ms", "times")
    bench.table(head, rows)


if __name__ == "__main__":
    main()
