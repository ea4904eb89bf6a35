"""What a document may cost.  Each limit is far above what real files need and far below what hurts."""

from __future__ import annotations

from dataclasses import dataclass


class PdfError(ValueError):
    """A part of the file is not what ISO 32000 asks for.  The message names the rule, never content."""


class LimitError(PdfError):
    """A limit was reached; `limit` is its name."""

    def __init__(self, limit: str) -> None:
        super().__init__(f"limit reached: {limit}")
        self.limit = limit


class SpentError(PdfError):
    """Later revisions want more comparing than they are given."""


@dataclass(frozen=True, slots=True)
class PdfLimits:
    """Limits of one document."""

    depth: int = 256  # nesting of arrays and dictionaries; real files stay below 30
    tokens: int = 3_000_000  # parsed in all, containers counted four times: 1.5 s; 57,000 objects need 2 million
    object: int = 500_000  # of these in one object, else it is malformed: 60 MB; a list of 100,000 needs a fifth
    kept: int = 1_000_000  # of these in objects that are kept for the next time
    rows: int = 2_000_000  # cross-reference rows of all sections; compressed ones cost an attacker nothing
    later: int = 400_000  # of these in revisions after the first
    touched: int = 120_000  # of these that say something new: each takes a kilobyte while revisions are compared
    sections: int = 20_000  # cross-reference sections; 1,000 revisions need 2,000
    stream: int = 48 << 20  # octets of one decoded stream
    decoded: int = 160 << 20  # octets decoded in all; those of object streams are kept
    object_stream: int = 100_000  # objects in one object stream; writers put 100 to 200 there
    references: int = 64  # steps from one indirect object to the next
    fields: int = 200_000  # form fields and widgets visited over all revisions
    pages: int = 500_000  # nodes of a page tree
    signatures: int = 2_000  # signature dictionaries
    evidence: int = 20_000  # values in all DSS dictionaries
    changes: int = 150_000  # later revisions told of all signatures: 100 signatures under 1,000 revisions
    compared: int = 5_000_000  # values compared between revisions; beyond that a step counts as undefined
    hashed: int = 1 << 30  # octets hashed beside four times the file, for signatures that share no prefix


__all__ = ["LimitError", "PdfError", "PdfLimits", "SpentError"]
