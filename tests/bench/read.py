"""Reading and comparing PDF files, beside stock pyHanko on the same files in the same run.

Reading means all that comes before a verdict: cross-references of all revisions, fields, exact coverage, digests, CMS,
timestamps, validation data, and what later revisions changed.  Stock pyHanko does its part of that
(`embedded_signatures`, `compute_integrity_info`).  Documents are distinct; nothing remembers a document.
"""

from __future__ import annotations

import cProfile
import hashlib
import io
import pstats
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import workbench as bench

# Memory of a fresh process that reads one mapped file, and of the same process before it does.
RESIDENT = """
import re, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from signsvc.formats import pades
from signsvc.verification.engine import opened
def resident():  # the largest it ever was, since this program began
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024
before = resident()
with opened(Path(sys.argv[2])) as data:
    pades.read(data)
print(before, resident())
"""


def ours(data: bytes) -> None:
    from signsvc.formats import pades

    view = pades.read(data)
    assert view.signatures
    assert all(s.signer is not None and s.signer.digest_matches for s in view.signatures)


def stock(data: bytes) -> None:
    from pyhanko.pdf_utils.reader import PdfFileReader

    for found in PdfFileReader(io.BytesIO(data)).embedded_signatures:
        found.compute_integrity_info()


def per_document(work: object, documents: Iterable[bytes]) -> list[float]:
    found = []
    for data in documents:
        began = time.process_time()
        work(data)  # type: ignore[operator]
        found.append(time.process_time() - began)
    return found


def distinct(full: bool) -> None:
    made = bench.corpus()
    rows = []
    for level in bench.LEVELS:
        documents = [path.read_bytes() for path in made.files(level)]
        ours(documents[0])
        our = per_document(ours, documents)
        with bench.quiet():
            stock(documents[0])
            their = per_document(stock, documents if full else documents[::15])
        ratio = statistics.median(their) / statistics.median(our)
        hashed = bench.measured(lambda d=documents[0]: hashlib.sha256(d).digest(), 20, time.process_time)  # type: ignore[misc]
        rows.append(
            (level, len(documents[0]) // 1024, bench.ms(hashed), bench.ms(our), bench.ms(their), f"{ratio:.1f}")
        )
    print(f"{made.count} distinct documents, CPU ms per document (median)")
    bench.table(("level", "kB", "bare hash", "signsvc", "pyHanko", "times faster"), rows)


def where(made: bench.Corpus) -> None:
    documents = [path.read_bytes() for path in made.files("B-LTA")[:100]]
    ours(documents[0])
    profile = cProfile.Profile()
    profile.enable()
    for data in documents:
        ours(data)
    profile.disable()
    shares: Counter[str] = Counter()
    for (path, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        shares[_room(path, name)] += own
    total = sum(shares.values())
    print("\nwhere the time of reading a B-LTA file goes (own time, under the profiler)")
    bench.table(("part", "share"), [(name, f"{own / total:.0%}") for name, own in shares.most_common(12)])


def _room(path: str, name: str) -> str:
    if "signsvc" in path:
        return path[path.index("signsvc") :].removesuffix(".py").replace("/", ".")
    return name if path == "~" else f"{Path(path).stem} (library)"


def growth(full: bool) -> None:
    made = bench.several((1, 5, 10, 20, 40))
    rows = []
    for count, path in made.items():
        data = path.read_bytes()
        taken = statistics.median(bench.measured(lambda d=data: ours(d), 5, time.process_time))  # type: ignore[misc]
        theirs = "-"
        if count <= (20 if full else 5):
            with bench.quiet():
                theirs = bench.ms(bench.cpu_of(lambda d=data: stock(d)))  # type: ignore[misc]
        rows.append((count, len(data) // 1024, bench.ms(taken), f"{taken * 1000 / count:.2f}", theirs))
    print("\nsignatures in one file, all B-LTA, CPU ms")
    bench.table(("signatures", "kB", "signsvc ms", "ms/signature", "pyHanko ms"), rows)


def shapes() -> None:
    """Ordinary big files; stock code dies on some."""
    rows = []
    for name, data in (
        ("400 bookmarks", _signed(bookmarks=400)),
        ("2,500 pages", _signed(pages=2_500)),
        ("57,000 objects", _signed(objects=57_000)),
        ("57,000 objects in streams", _signed(objects=57_000, style="stream")),
    ):
        taken = bench.measured(lambda d=data: ours(d), 3, time.process_time)  # type: ignore[misc]
        began = time.process_time()
        try:
            with bench.quiet():
                stock(data)
            theirs = bench.ms(time.process_time() - began)
        except RecursionError:
            theirs = "dies"
        rows.append((name, len(data) // 1024, bench.ms(taken), theirs))
    print("\nshapes, one signature with a later revision, CPU ms")
    bench.table(("file", "kB", "signsvc ms", "pyHanko ms"), rows)


def large() -> None:
    rows = []
    for size in (20, 100):
        path = bench.KEPT / "large.pdf"
        path.write_bytes(_signed(octets=size << 20))
        from signsvc.verification.engine import opened

        with opened(path) as data:
            hashed = statistics.median(bench.measured(lambda d=data: hashlib.sha256(d).digest(), 3, time.process_time))  # type: ignore[misc]
            taken = statistics.median(bench.measured(lambda d=data: ours(d), 3, time.process_time))  # type: ignore[misc]
            data = b""
        command = [sys.executable, "-c", RESIDENT, str(bench.ROOT), str(path)]
        before, after = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        rows.append((f"{size} MB", bench.ms(hashed), bench.ms(taken), f"{taken / hashed:.2f}", before, after))
        path.unlink()
    print("\nlarge files, mapped, CPU ms")
    bench.table(("file", "bare hash ms", "signsvc ms", "ratio", "MB before", "MB resident with mapped pages"), rows)


def _signed(*, pages: int = 1, bookmarks: int = 0, objects: int = 0, octets: int = 0, style: str = "table") -> bytes:
    extra: dict[int, bytes] = {}
    first = 10 + pages
    catalog = b""
    if bookmarks:
        root = first + bookmarks
        for n in range(first, root):
            extra[n] = b"<< /Title (x) /Parent %d 0 R /Prev %d 0 R /Next %d 0 R >>" % (root, max(n - 1, first), n + 1)
        extra[root] = b"<< /Type /Outlines /First %d 0 R /Last %d 0 R >>" % (first, root - 1)
        catalog = b" /Outlines %d 0 R" % root
        first = root + 1
    extra |= {n: b"<< /Kind /Box /Page 3 0 R /At [%d 0 1 1] >>" % n for n in range(first, first + objects)}
    if octets:
        extra[first] = b"<< /Length %d >>\nstream\n%s\nendstream" % (octets, bytes(range(256)) * (octets // 256))
    pki = bench.test_pki.load(bench.KEPT / "pki")
    pdf = bench.PdfWriter(pages=pages, extra=extra, catalog=catalog, style=style)
    pdf.sign(pki, timestamped=True)
    pdf.store(pki)
    return pdf.data


def main() -> None:
    options = bench.arguments("Reading and comparing")
    distinct(options.full)
    growth(options.full)
    shapes()
    large()
    where(bench.corpus())


if __name__ == "__main__":
    main()
