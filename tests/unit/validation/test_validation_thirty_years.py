"""One signature of January 2026 judged on the first of July of every year until 2056, under each built-in policy.

The expected table is written by hand from EN 319 102-1 and the dates below, not from what the engine says.  The judge is
online: who still exists answers with today's status; what a file must prove by itself is in the file.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import test_pki
from signsvc.trust import TrustAnchor
from signsvc.types import Certificate, DocumentVerdict, DocumentView, EvidenceItem, Scope, TimestampView
from signsvc.validation import policies, validate
from tests.unit.validation.validation_bench import DAY, Bench, crl, outcome

# What happens when:
#   2026-01-21  signed; timestamp; 01-22 revocation data; 01-26 the first archive timestamp
#   2028-03-06  the signer's certificate ends.  Later answers do not know it any more (no archive cutoff).
#   2029-01-01  RSA-2048 and RSA-4096 by PKCS#1 v1.5 end (TS 119 312): the signature, its timestamp, the certificates
#               and the revocation data hold only where an archive timestamp by ECDSA from before says how old they are.
#   2029-12-31  the OCSP responder's certificate ends
#   2031-01-26  the authority of the short ECDSA archive timestamps of 2026 ends (five years), as each renewal's does
#   2033-12-29  the RSA timestamp authority ends
#   2034-01-26  the authority of the single ECDSA archive timestamp ends (eight years)
#   2040-01-01  sunset of the roots over the signers
#   2045-12-27  the CAs over the signers end
SUNSET = datetime(2040, 1, 1, tzinfo=UTC)
FIRST = datetime(2026, 1, 26, tzinfo=UTC)

MEANINGS = {
    "+": ("TOTAL-PASSED", None),
    "e": ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE"),  # expired, and nothing proves that the signature is older
    "s": ("INDETERMINATE", "NO_CERTIFICATE_CHAIN_FOUND_NO_POE"),  # nothing proves that it is older than the sunset
    "d": ("INDETERMINATE", "SIG_CONSTRAINTS_FAILURE"),  # the policy demands a timestamp
}

# bare     B-B.  Ends with the certificate (2028).
# stamped  B-T.  Nobody keeps the status: after 2028 no answer knows the certificate.
# lt       B-LT.  Knows the status, but the RSA timestamp alone proves nothing from 2029 on.
# lta      B-LTA by the RSA authority: ends with RSA (2029), long before the authority does (2033).
# ec       B-LTA once, by ECDSA: carries the RSA signature until its own authority ends (2034).
# renewed  B-LTA by ECDSA, renewed every three years: neither RSA's end, the sunset nor the CAs' end matters.
# left     renewed until 2038, then no more: ends with the authority of that renewal (2043-01-26).
# late     the first renewal of 2033 came after its predecessor's authority had ended (2031): never again.  From then on
#          the signature is proven to be of 2033: older than the sunset, so that this is not what is missing, but
#          younger than the certificate's end.
# seal     B-B by an ECDSA seal until 2050: good until the sunset of its root.
# sealed   the same seal with renewals.
TABLE = """
year bare stamped lt  lta ec  renewed left late seal sealed
2026  +    +      +   +   +   +       +    +    +    +
2027  +    +      +   +   +   +       +    +    +    +
2028  e    e      +   +   +   +       +    +    +    +
2029  e    e      e   e   +   +       +    +    +    +
2030  e    e      e   e   +   +       +    +    +    +
2031  e    e      e   e   +   +       +    e    +    +
2032  e    e      e   e   +   +       +    e    +    +
2033  e    e      e   e   +   +       +    e    +    +
2034  e    e      e   e   e   +       +    e    +    +
2035  e    e      e   e   e   +       +    e    +    +
2036  e    e      e   e   e   +       +    e    +    +
2037  e    e      e   e   e   +       +    e    +    +
2038  e    e      e   e   e   +       +    e    +    +
2039  e    e      e   e   e   +       +    e    +    +
2040  s    s      s   s   s   +       +    e    s    +
2041  s    s      s   s   s   +       +    e    s    +
2042  s    s      s   s   s   +       +    e    s    +
2043  s    s      s   s   s   +       s    e    s    +
2044  s    s      s   s   s   +       s    e    s    +
2045  s    s      s   s   s   +       s    e    s    +
2046  s    s      s   s   s   +       s    e    s    +
2047  s    s      s   s   s   +       s    e    s    +
2048  s    s      s   s   s   +       s    e    s    +
2049  s    s      s   s   s   +       s    e    s    +
2050  s    s      s   s   s   +       s    e    s    +
2051  s    s      s   s   s   +       s    e    s    +
2052  s    s      s   s   s   +       s    e    s    +
2053  s    s      s   s   s   +       s    e    s    +
2054  s    s      s   s   s   +       s    e    s    +
2055  s    s      s   s   s   +       s    e    s    +
2056  s    s      s   s   s   +       s    e    s    +
"""
_HEAD, *_ROWS = (line.split() for line in TABLE.strip().splitlines())
COLUMNS = tuple(_HEAD[1:])
EXPECTED = {(column, int(row[0])): letter for row in _ROWS for column, letter in zip(COLUMNS, row[1:], strict=True)}
YEARS = tuple(range(2026, 2057))

# The archive's policy demands a timestamp: what has none is never accepted there, but is not called worse for it.
UNSTAMPED = ("bare", "seal")

# The archive timestamps of a file: the year of each, and for how long its authority exists (0: the RSA authority).
RENEWALS = {
    "lta": [(2026, 0)],
    "ec": [(2026, 8)],
    "renewed": [(start, 5) for start in range(2026, 2057, 3)],
    "left": [(start, 5) for start in range(2026, 2039, 3)],
    "late": [(2026, 5), *((start, 5) for start in range(2033, 2057, 3))],
    "sealed": [(start, 5) for start in range(2026, 2057, 3)],
}


class World:
    """The hierarchy with ECDSA authorities of every time, and the files as they stand in a year."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        pki = bench.pki
        for label, base in (("root-seal", "root-public"), ("ca-seal", "ca-public1")):
            pki.add(label, base, issuer="root-seal", key="ec", subject=(("C", "VN"), ("CN", label)))
        pki.add("seal", "agency", issuer="ca-seal", key="ec", not_after=datetime(2050, 1, 1, tzinfo=UTC))
        sunset = {label: Certificate.from_der(pki.cert(label)) for label in ("root-g2", "root-seal")}
        self.anchors = [TrustAnchor(root, label, SUNSET) for label, root in sunset.items()]
        self.signers = {label: bench.signer(label) for label in ("person", "seal")}
        self.stamps = {label: bench.token(bench.day(20), signer) for label, signer in self.signers.items()}
        self.values = {label: bench.full(label, at=bench.day(21), revision=1) for label in self.signers}
        self._archives: dict[tuple[str, int], TimestampView] = {}
        self._files: dict[tuple[str, int], tuple[DocumentView, list[EvidenceItem]]] = {}

    def judge(self, column: str, year: int, policy: str) -> DocumentVerdict:
        document, today = self.file(column, year)
        return validate(
            document,
            material=self.bench.material(anchors=tuple(self.anchors)),
            evidence=today,
            policy=policies.load(policy),
            now=datetime(year, 7, 1, tzinfo=UTC),
        )

    def file(self, column: str, year: int) -> tuple[DocumentView, list[EvidenceItem]]:
        """The file as it stands in July of that year, and what who still exists says of it then."""
        found = self._files.get((column, year))
        if found is None:
            found = self._files[column, year] = self._made(column, year)
        return found

    def _made(self, column: str, year: int) -> tuple[DocumentView, list[EvidenceItem]]:
        now = datetime(year, 7, 1, tzinfo=UTC)
        label = "seal" if column.startswith("seal") else "person"
        signer, stamp, values = self.signers[label], self.stamps[label], list(self.values[label])
        today = self.bench.status(label, now) if year < 2046 else []
        today += self.bench.status("tsa1", now) if year < 2034 else []
        if column in UNSTAMPED:
            return self.bench.document(signer), today
        if column == "stamped":
            return self.bench.document(signer, stamp, level="B-T"), today
        if column == "lt":
            return self.bench.document(signer, stamp, evidence=values, level="B-LT"), today
        archives: list[TimestampView] = []
        for start, years in RENEWALS[column]:
            at = FIRST.replace(year=start)
            if at > now:
                break
            revision = len(archives) + 2
            name = add_authority(self.bench.pki, self.anchors, at, years) if years else None
            archives.append(self._archive(f"tsa-{name}" if name else "tsa1", at, revision))
            if column == "late" and start > 2026:
                values += self.bench.status(label, at + DAY / 24, revision=revision + 1)
            if name:
                values += self._lists(name, at + DAY / 24, revision=revision + 1)
                today += self._lists(name, now) if now < at.replace(year=start + years) else []
        scope = Scope("REVISION", 1, len(archives) + 1)
        made = self.bench.document(signer, stamp, evidence=values, document_tokens=archives, scope=scope, level="B-LTA")
        return made, today

    def _lists(self, authority: str, at: datetime, **changes: int) -> list[EvidenceItem]:
        return [crl(self.bench.pki.crl(f"{ca}-{authority}", at, 30 * DAY), **changes) for ca in ("ca", "root")]

    def _archive(self, tsa: str, at: datetime, revision: int) -> TimestampView:
        found = self._archives.get((tsa, revision))
        if found is None:
            found = self._archives[tsa, revision] = self.bench.token(
                at, kind="document", name=f"d{revision}", over=b"file", revision=revision, tsa=tsa
            )
        return found


def add_authority(pki: test_pki.Pki, anchors: list[TrustAnchor], at: datetime, years: int) -> str:
    """A root, a CA and a timestamp authority, all by ECDSA, that exist from `at` for so many years."""
    name = f"{at.year}-{years}"
    if f"tsa-{name}" not in pki.labels():
        dates = {"not_before": at - DAY, "not_after": at.replace(year=at.year + years)}
        for label, base in ((f"root-{name}", "root-public"), (f"ca-{name}", "ca-public1")):
            subject = (("C", "VN"), ("CN", label))
            pki.add(label, base, issuer=f"root-{name}", key="ec", subject=subject, **dates)
        pki.add(f"tsa-{name}", "tsa1", issuer=f"ca-{name}", key="ec", **dates)
    if all(anchor.name != name for anchor in anchors):
        anchors.append(TrustAnchor(Certificate.from_der(pki.cert(f"root-{name}")), name))
    return name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    pki = test_pki.load(tmp_path_factory.mktemp("years"), datetime(2026, 1, 1, tzinfo=UTC))
    return World(Bench(pki, policies.load("hon-hop"), pki.epoch, ()))


@pytest.mark.parametrize("policy", ["cong-vu", "cong-cong", "hon-hop", "luu-tru"])
@pytest.mark.parametrize("column", COLUMNS)
def test_thirty_years(world: World, column: str, policy: str) -> None:
    found = {}
    for year in YEARS:
        verdict = world.judge(column, year, policy)
        found[year] = outcome(verdict)
        due = verdict.signatures[0].extend_before
        # What still holds says until when: not past already, and not later than it is found not to hold.
        assert (due is not None) == (found[year] == MEANINGS["+"]), year
        following = EXPECTED.get((column, year + 1))
        if due is not None and policy != "luu-tru":
            assert due > datetime(year, 7, 1, tzinfo=UTC)
            assert following in ("+", None) or due <= datetime(year + 1, 7, 1, tzinfo=UTC)
    demanded = policy == "luu-tru" and column in UNSTAMPED
    letters = {year: EXPECTED[column, year] for year in YEARS}
    expected = {year: MEANINGS["d" if demanded and letter == "+" else letter] for year, letter in letters.items()}
    assert found == expected


# A signature of 2019 by the first generation: its certificates and lists rest on SHA-1, which the built-in policies for
# the state and for archives accept until 2021, the others until 2012 (before these certificates).  Archived in time by
# an authority that lasts, only the generation's own rules decide.
FIRST_GENERATION = {"cong-vu": "+", "luu-tru": "+", "cong-cong": "w", "hon-hop": "w"}
LETTERS = MEANINGS | {
    "w": ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE"),  # made when the algorithm counted no more
    "n": ("INDETERMINATE", "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"),
}


@pytest.mark.parametrize(("policy", "letter"), FIRST_GENERATION.items())
def test_thirty_years_of_the_first_generation(
    policy: str, letter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pki = test_pki.load(tmp_path_factory.getbasetemp() / "generation", datetime(2019, 1, 1, tzinfo=UTC))
    anchors = [TrustAnchor(Certificate.from_der(pki.cert(label)), label) for label in ("root-g1", "root-g2")]
    bench = Bench(pki, policies.load(policy), pki.epoch, ())
    name = add_authority(pki, anchors, FIRST.replace(year=2019), 40)
    bench.anchors = tuple(anchors)
    signer = bench.signer("g1-state")
    stamped = bench.token(bench.day(20), signer)
    archive = bench.token(bench.day(25), kind="document", name="d2", over=b"file", revision=2, tsa=f"tsa-{name}")
    values = bench.full("g1-state", at=bench.day(21), revision=1)
    whole = bench.document(
        signer, stamped, evidence=values, document_tokens=[archive], scope=Scope("REVISION", 1, 2), level="B-LTA"
    )
    # As the state's own tools write it: the leaf alone, the intermediate comes with the trust profile.
    bare = bench.signer("g1-state", include=[pki.cert("g1-state")])
    leaf_only = bench.document(
        bare,
        bench.token(bench.day(20), bare, name="t2"),
        evidence=values,
        document_tokens=[archive],
        scope=Scope("REVISION", 1, 2),
        level="B-LTA",
    )
    intermediate = Certificate.from_der(pki.cert("sub-g1"))
    material = bench.material(intermediates=(intermediate,))
    pinned = {"known_since": {intermediate.sha256: datetime(2020, 1, 1, tzinfo=UTC)}}
    for year in range(2019, 2057):
        now = datetime(year, 7, 1, tzinfo=UTC)
        today = [crl(pki.crl(f"{ca}-{name}", now, 30 * DAY)) for ca in ("ca", "root")]
        assert outcome(bench.judge(whole, today, now=now)) == LETTERS[letter], year
        assert outcome(bench.judge(leaf_only, today, now=now, material=material, **pinned)) == LETTERS[letter], year
        # Without the policy's word nothing proves the intermediate's age, and SHA-1 certificates end in 2021.
        unpinned = "n" if letter == "+" and year > 2020 else letter
        assert outcome(bench.judge(leaf_only, today, now=now, material=material)) == LETTERS[unpinned], year
