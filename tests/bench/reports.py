"""What each form of a report costs beside the verification, for a file with three signatures at B-LTA.

Milliseconds, the median of many; sealing is measured apart.  The baseline is the verification itself.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import workbench as bench

ROUNDS = 15


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    work()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found)


def main() -> None:
    from signsvc.issuing.render import FORMS, render
    from signsvc.issuing.seal import Sealer
    from signsvc.samples import path as sample
    from signsvc.services import Services
    from signsvc.signing import profiles
    from signsvc.verification import VerifyRequest, snapshot

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = stack.enter_context(bench.token())
        services = stack.enter_context(Services(made.installation.settings, workers=1))
        source = sample("van-ban.pdf")
        for number, label in enumerate(("p12-person", "p12-agency", "p12-ec"), 1):
            target = folder / f"{number}.pdf"
            profile = profiles.load("pades-b-lta" if number == 3 else "pades-b-t")
            services.signing.sign(source, target, profile=profile, signer=services.keyring.get(label))
            source = target
        asked = VerifyRequest(offline=True, record=True)
        outcome = services.verifier.verify(source, asked)
        assert len(outcome.report["signatures"]) == 3, outcome.report
        assert outcome.snapshot is not None
        held = snapshot.objects(outcome.snapshot)
        base = milliseconds(lambda: services.verifier.verify(source, asked))
        print(f"verification, {outcome.indication}, {source.stat().st_size:,} octets: {base:.1f} ms")
        sealer = Sealer()
        total = 0.0
        for form in FORMS:
            spent = milliseconds(
                lambda form=form: render(outcome.report, form, sealer=sealer, objects=lambda: held)  # type: ignore[misc]
            )
            total += spent
            print(f"  {form:5} {spent:6.1f} ms  {spent / base:5.2f} x the verification")
        print(f"  all   {total:6.1f} ms  (goal 150; the PDF 60)")
        for level in ("b-b", "b-lta"):
            sealing = Sealer(services.keyring.get("p12-person"), signing=lambda: services.signing, level=level)
            for form in ("xml", "pdf", "jwt"):
                spent = milliseconds(
                    lambda form=form, sealing=sealing: render(  # type: ignore[misc]
                        outcome.report, form, sealer=sealing, objects=lambda: held
                    ),
                    7,
                )
                print(f"  {form:5} sealed at {level.upper()}: {spent:6.1f} ms")
        print(f"  pages drawn: {milliseconds(lambda: services.verifier.pictures(source), 7):.1f} ms")


if __name__ == "__main__":
    sys.exit(main())
