"""Signing with a network that takes 50 ms for every answer: 40 documents in flight beside stock pyHanko, which signs
one after the other as its documentation shows, in the same run.

Stock pyHanko obtains revocation values anew for each document; the row below has them at hand and waits for timestamps
alone.  The workers' processes compute, the threads of this one wait for timestamps and keys.
"""

from __future__ import annotations

import io
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import sign as signing
import workbench as bench

from signsvc.settings import LimitSettings, TsaSettings

DELAY = 0.05  # seconds, for every answer
IN_FLIGHT = 40
GOAL = 20.0
DEFAULTS = (LimitSettings().signing_workers, TsaSettings(name="", url="").concurrency)


def naive(made: bench.Made, level: str, rounds: int) -> list[float]:
    """Stock pyHanko that fetches what it embeds."""
    import aiohttp
    from asn1crypto import x509
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers, timestamps
    from pyhanko_certvalidator import ValidationContext

    # The names of the test hierarchy are those of loopback, as for us.
    plain = aiohttp.ClientSession._request

    def mapped(self: Any, method: str, url: Any, **options: Any) -> Any:
        for name, target in made.responders.host_map.items():
            url = str(url).replace(f"//{name}/", f"//{target}/")
        return plain(self, method, url, **options)

    signer = signers.SimpleSigner.load_pkcs12(str(made.pki.p12("person")), passphrase=bench.test_pki.PASSWORD)
    assert signer is not None
    tsa = timestamps.HTTPTimeStamper(f"http://{made.responders.address}/tsa/1")
    roots = [x509.Certificate.load(made.pki.cert("root-g2"))]
    others = [x509.Certificate.load(made.pki.cert(name)) for name in ("sub-g2-state", "sub-g2-tsa")]

    def one() -> None:
        context = ValidationContext(
            trust_roots=roots, other_certs=others, allow_fetching=True, revocation_mode="hard-fail"
        )
        writer = IncrementalPdfFileWriter(io.BytesIO(made.content))
        metadata = signers.PdfSignatureMetadata(
            field_name="S",
            subfilter=fields.SigSeedSubFilter.PADES,
            embed_validation_info=True,
            use_pades_lta=level == "B-LTA",
            validation_context=context,
        )
        signers.sign_pdf(writer, metadata, signer=signer, timestamper=tsa)

    aiohttp.ClientSession._request = mapped  # type: ignore[method-assign]
    try:
        with bench.quiet():
            return bench.measured(one, rounds)
    finally:
        aiohttp.ClientSession._request = plain  # type: ignore[method-assign]


def in_flight(made: bench.Made, level: str, count: int, workers: int, concurrency: int) -> tuple[float, int]:
    """Seconds per document with `IN_FLIGHT` at a time, and how many requests each took."""
    from signsvc.services import Services
    from signsvc.signing import profiles

    settings = made.installation.settings
    limits = settings.limits.model_copy(update={"signing_workers": workers})
    tsa = tuple(one.model_copy(update={"concurrency": concurrency}) for one in settings.tsa)
    settings = settings.model_copy(update={"limits": limits, "tsa": tsa})
    place = made.directory / "data" / "spool"
    place.mkdir(parents=True, exist_ok=True)
    source = place / "in.pdf"
    source.write_bytes(made.content)
    with Services(settings, shared_tokens=True) as services:
        signer, profile = services.keyring.get("p12-person"), profiles.load(f"pades-{level.lower()}")
        services.signing_pool.warm()

        def one(number: int) -> None:
            target = place / f"out-{number}.pdf"
            services.signing.sign(source, target, profile=profile, signer=signer)
            target.unlink()

        with ThreadPoolExecutor(IN_FLIGHT) as threads:
            list(threads.map(one, range(IN_FLIGHT)))
            before = sum(made.responders.requests.values())
            began = time.perf_counter()
            list(threads.map(one, range(count)))
            return (time.perf_counter() - began) / count, sum(made.responders.requests.values()) - before


def main() -> None:
    options = bench.arguments("Signing with a slow network")
    count = 400 if options.full else 120
    rows = []
    with bench.token() as made:
        made.responders.fault("/", "slow", delay=DELAY)
        for level in ("B-T", "B-LTA"):
            at_hand = statistics.median(signing.stock(made, level, 5))
            fetching = statistics.median(naive(made, level, 5)) if level == "B-LTA" else at_hand
            for workers, concurrency in (DEFAULTS, (12, 40)):
                taken, requests = in_flight(made, level, count, workers, concurrency)
                rows.append(
                    (
                        level,
                        workers,
                        concurrency,
                        bench.ms(taken),
                        f"{requests / count:.2f}",
                        bench.ms(fetching),
                        bench.ms(at_hand),
                        f"{fetching / taken:.1f}",
                        f"{at_hand / taken:.1f}",
                    )
                )
    print(
        f"{IN_FLIGHT} in flight, {1000 * DELAY:.0f} ms for every answer, {os.cpu_count()} processors; ms per document"
    )
    head = (
        "level",
        "workers",
        "to one TSA",
        "ms",
        "requests",
        "pyHanko, fetching",
        "at hand",
        "times",
        "times at hand",
    )
    bench.table(head, rows)
    print(f"goal at B-LTA: {GOAL:g} times stock pyHanko")


if __name__ == "__main__":
    sys.exit(main())
