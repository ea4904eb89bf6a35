"""What three readers say of one file, in the same words: signsvc, stock pyHanko with its validator, EU DSS.

An opinion is the code of what kept the reader from answering, or for each signature field what it holds of it:

integrity   ``intact`` (the digest of the covered octets and the value hold), ``broken``, ``open``, ``refused``
coverage    ``file``, ``revision``, ``less`` where the range is not one that covers a revision, ``refused``
grade       of what came after it: ``unchanged`` (extensions count so), ``form``, ``annotation``, ``undefined``; it is asked
            for only where the signature is intact and covers a revision
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import test_pki
from signsvc.errors import DocumentError
from signsvc.formats import pades
from signsvc.trust import TrustAnchor, TrustMaterial
from signsvc.types import Certificate, Grade, Level, Scope, SignatureVerdict, Sub, TimestampVerdict
from signsvc.validation import policies, validate

ROOTS = ("root-g1", "root-g2", "root-public")
INTERMEDIATES = ("sub-g1", "sub-g1-btc", "sub-g2-state", "sub-g2-state-rekeyed", "sub-g2-party", "sub-g2-software",
                 "sub-g2-tsa", "sub-g2-revoked", "ca-public1", "ca-public2")  # fmt: skip
GRADES = {
    Grade.EXTENSION: "unchanged", Grade.UNREACHED: "unchanged", Grade.FORM_OR_SIGNATURE: "form",
    Grade.ANNOTATION: "annotation", Grade.UNDEFINED: "undefined",
}  # fmt: skip
PYHANKO = {"NONE": "unchanged", "LTA_UPDATES": "unchanged", "FORM_FILLING": "form", "ANNOTATIONS": "annotation",
           "OTHER": "undefined"}  # fmt: skip
ORDER = ("unchanged", "form", "annotation", "undefined")
_BROKEN = (Sub.HASH_FAILURE, Sub.SIG_CRYPTO_FAILURE, Sub.FORMAT_FAILURE)
NOTHING, _NAMELESS = "-", "?"


@dataclass(frozen=True, slots=True)
class Held:
    """What one reader holds of one signature."""

    integrity: str
    coverage: str
    grade: str = NOTHING
    timestamp: bool = False
    behind: tuple[int, int] = (0, 0)  # what is covered behind the signature: offset and length

    @property
    def unchanged(self) -> bool:
        return self.integrity == "intact" and self.grade == "unchanged"


@dataclass(frozen=True, slots=True)
class Opinion:
    """`problem` is empty where the file was read; `verdict` is that of signsvc on the document, with what failed."""

    problem: str = ""
    fields: dict[str, Held] = field(default_factory=dict)
    verdict: str = ""

    @property
    def unchanged(self) -> bool:
        """Whether it accepts every signature of the file, and has at least one, as made over what the file now shows."""
        return any(not h.timestamp for h in self.fields.values()) and all(h.unchanged for h in self.fields.values())

    @property
    def broken(self) -> bool:
        """Whether it calls a signature, not only a timestamp, broken."""
        return any(h.integrity == "broken" and not h.timestamp for h in self.fields.values())


class Ours:
    """The engine without evidence about revocation: the question is what was signed, not who may sign."""

    def __init__(self, pki: test_pki.Pki, now: datetime) -> None:
        self._now = now
        self._policy = policies.load("hon-hop")
        self._material = TrustMaterial(
            ("test",),
            tuple(TrustAnchor(Certificate.from_der(pki.cert(label)), label) for label in ROOTS),
            tuple(Certificate.from_der(pki.cert(label)) for label in INTERMEDIATES),
        )

    def __call__(self, data: bytes) -> Opinion:
        try:
            view = pades.read(data)
        except DocumentError as error:
            return Opinion(error.code)
        verdict = validate(view, material=self._material, evidence=[], policy=self._policy, now=self._now)
        others = {entry.id: entry.other_fields for entry in view.signatures}
        found = {}
        for number, one in enumerate((*verdict.signatures, *verdict.timestamps)):
            held = self._held(one)
            for name in (one.field, *others.get(one.id, ())):
                found[name or f"{_NAMELESS}{number}"] = held
        sub = f"/{verdict.sub_indication}" if verdict.sub_indication else ""
        told = [*verdict.findings, *(finding for one in verdict.signatures for finding in one.findings)]
        failed = {finding.code for finding in told if finding.level is Level.FAIL}
        for one in verdict.signatures:
            failed.update(r for c in one.scope.changes_after if c.grade is Grade.UNDEFINED for r in c.reasons)
        return Opinion(fields=found, verdict=f"{verdict.indication}{sub} {', '.join(sorted(failed))}")

    @staticmethod
    def _held(one: SignatureVerdict | TimestampVerdict) -> Held:
        stamp = isinstance(one, TimestampVerdict)
        if isinstance(one, TimestampVerdict):
            integrity = "broken" if one.sub_indication in _BROKEN else "intact"
        else:
            checked = next(check.result for check in one.checks if check.id == "integrity")
            integrity = {"passed": "intact", "failed": "broken"}.get(checked, "open")
        scope = one.scope or Scope("PARTIAL", None, None)
        coverage = {"FULL": "file", "REVISION": "revision"}.get(scope.type, "less")
        grade = max((GRADES[change.grade] for change in scope.changes_after), key=ORDER.index, default="unchanged")
        return _graded(integrity, coverage, grade, stamp, scope.byte_ranges[-1] if scope.byte_ranges else (0, 0))


def of_pyhanko(answer: dict[str, Any]) -> Opinion:
    """From one line of ``pyhanko_reader.py``."""
    if "error" in answer:
        return Opinion(answer["error"])
    found = {}
    for one in answer["signatures"]:
        integrity = "refused" if "refused" in one else "intact" if one["intact"] and one["valid"] else "broken"
        coverage = {"": "refused", "ENTIRE_FILE": "file", "ENTIRE_REVISION": "revision"}.get(
            one.get("coverage", ""), "less"
        )
        grade = PYHANKO.get(one.get("changes", ""), NOTHING)
        found[one["field"]] = _graded(integrity, coverage, grade, one["timestamp"], _behind(one.get("range", ())))
    return Opinion(fields=found)


def of_dss(answer: dict[str, Any]) -> Opinion:
    """From one line of the Java harness."""
    if "error" in answer:
        return Opinion("late" if answer["error"] == "late" else "DSSException")
    found = {}
    for stamp, ones in ((False, answer["signatures"]), (True, answer["document_timestamps"])):
        for one in ones:
            integrity = "intact" if one["intact"] and one["data_intact"] else "broken" if one["data_found"] else "open"
            coverage = "less" if not one["byte_range_valid"] else "file" if "FULL" in one["scopes"] else "revision"
            grades = [grade for grade in ORDER if one.get(grade)]
            if one["pages"]:
                grades.append("undefined")
            for name in one["fields"]:
                grade = max(grades, key=ORDER.index, default="unchanged")
                found[name] = _graded(integrity, coverage, grade, stamp, _behind(one["byte_range"]))
    return Opinion(fields=found)


def _behind(numbers: Sequence[int]) -> tuple[int, int]:
    return (numbers[2], numbers[3]) if len(numbers) == 4 else (0, 0)


def _graded(integrity: str, coverage: str, grade: str, stamp: bool, behind: tuple[int, int]) -> Held:
    asked = integrity == "intact" and coverage in ("file", "revision")
    return Held(integrity, coverage, grade if asked else NOTHING, stamp, behind)


@dataclass(frozen=True, slots=True)
class Difference:
    """`said` has the words of signsvc, pyHanko and DSS, in this order; ``-`` where one has no opinion."""

    name: str
    field: str
    aspect: str
    said: tuple[str, str, str]


def named(ours: Opinion, *others: Opinion) -> Opinion:
    """`ours` with the names that others know of signatures found without a field: those over the same octets."""
    known = {held.behind: name for other in others for name, held in other.fields.items() if held.behind[1]}
    found = {n: h for n, h in ours.fields.items() if not n.startswith(_NAMELESS)}
    for name, held in ours.fields.items():
        if name.startswith(_NAMELESS):
            better = known.get(held.behind, name)
            found[name if better in found else better] = held
    return replace(ours, fields=found)


def differences(name: str, *opinions: Opinion) -> Iterator[Difference]:
    """Where two of the three do not say the same of the file `name`."""

    def told(place: str, aspect: str, words: list[str], same: Any = lambda word: word) -> Iterator[Difference]:
        if len({same(word) for word in words if word != NOTHING}) > 1:
            yield Difference(name, place, aspect, (words[0], words[1], words[2]))

    yield from told("", "file", [o.problem or "read" for o in opinions], lambda word: word == "read")
    for place in dict.fromkeys(key for opinion in opinions for key in opinion.fields):
        held = [opinion.fields.get(place) for opinion in opinions]
        readable = zip(opinions, held, strict=True)
        yield from told(
            place, "signature", ["found" if h else NOTHING if o.problem else "missing" for o, h in readable]
        )
        yield from told(
            place, "integrity", [h.integrity if h else NOTHING for h in held], lambda word: word == "intact"
        )
        # a signature that does not hold covers nothing, whatever its range says
        yield from told(place, "coverage", [h.coverage if h and h.integrity == "intact" else NOTHING for h in held])
        yield from told(place, "grade", [h.grade if h else NOTHING for h in held])


__all__ = ["INTERMEDIATES", "ROOTS", "Difference", "Opinion", "Ours", "differences", "named", "of_dss", "of_pyhanko"]
