"""Signature fields where /FT and /V come from above, where trees turn back on themselves, and where parents lie."""

from __future__ import annotations

import pytest

import test_pki
from signsvc.formats import pades
from signsvc.types import SignatureView
from signsvc.types.views import DocumentView
from tests.pdf_writer import PdfWriter, Written


def built(pki: test_pki.Pki, tree: dict[str, bytes], roots: tuple[str, ...]) -> DocumentView:
    """A signed file whose signature is held by `tree` alone: bodies by name, `roots` those that the form lists.

    ``{value}`` in a body is the signature dictionary, ``{name}`` any other node of the tree.
    """
    pdf = PdfWriter()
    first = pdf.new(len(tree))
    numbers = {name: first + place for place, name in enumerate(tree)}
    value = pdf.size  # what `sign` takes next
    pdf.fields += [numbers[name] for name in roots]

    def body(written: bytes) -> bytes:
        for name, number in {**numbers, "value": value}.items():
            written = written.replace(b"{%s}" % name.encode(), b"%d 0 R" % number)
        return written

    objects = {numbers[name]: body(written) for name, written in tree.items()}
    objects[value + 1] = b"<< /T (Plain) /FT /Tx >>"  # in the place of the field that would hold it
    made: Written = pdf.sign(pki, objects=objects)
    assert made.dictionary == value
    return pades.read(pdf.data)


def only(view: DocumentView) -> SignatureView:
    (signature,) = view.signatures
    return signature


INHERITED: dict[str, tuple[dict[str, bytes], str]] = {
    "type": ({"top": b"<< /T (A) /FT /Sig /Kids [{kid}] >>", "kid": b"<< /T (B) /Parent {top} /V {value} >>"}, "A.B"),
    "value": (
        {
            "top": b"<< /T (A) /FT /Sig /V {value} /Kids [{kid}] >>",
            "kid": b"<< /Parent {top} /Subtype /Widget /Rect [1 2 3 4] >>",
        },
        "A",
    ),
    "both": (
        {
            "top": b"<< /T (A) /FT /Sig /V {value} /Kids [{mid}] >>",
            "mid": b"<< /T (B) /Parent {top} /Kids [{kid}] >>",
            "kid": b"<< /T (C) /Parent {mid} >>",
        },
        "A.B.C",
    ),
    "two kids": (
        {
            "top": b"<< /T (A) /FT /Sig /Kids [{kid} {other}] >>",
            "kid": b"<< /T (B) /Parent {top} /V {value} >>",
            "other": b"<< /T (C) /Parent {top} >>",
        },
        "A.B",
    ),
    "no parent named": (
        {"top": b"<< /T (A) /FT /Sig /Kids [{kid}] >>", "kid": b"<< /T (B) /V {value} >>"},
        "A.B",
    ),
}


@pytest.mark.parametrize("name", INHERITED)
def test_found_once_with_its_names(name: str, pki: test_pki.Pki) -> None:
    tree, field = INHERITED[name]
    signature = only(built(pki, tree, ("top",)))
    assert (signature.field, signature.other_fields) == (field, ())
    assert signature.signer is not None
    assert signature.signer.digest_matches
    assert signature.scope.type == "FULL"
    assert not {found.code for found in signature.findings if found.level == "fail"}


@pytest.mark.parametrize(
    "tree",
    [
        {"top": b"<< /T (A) /FT /Sig /Kids [{top}] /V {value} >>"},
        {"top": b"<< /T (A) /Kids [{kid}] >>", "kid": b"<< /T (B) /FT /Sig /V {value} /Kids [{top}] >>"},
        {
            "top": b"<< /T (A) /FT /Sig /Kids [{kid}] >>",
            "kid": b"<< /T (B) /Parent {top} /V {value} /Kids [{kid} {top}] >>",
        },
        {"top": b"<< /T (A) /FT /Sig /V {value} /Parent {top} >>"},
        {"top": b"<< /T (A) /FT /Sig /V {value} /Parent {kid} >>", "kid": b"<< /T (B) /Parent {top} >>"},
    ],
)
def test_trees_that_turn_back(tree: dict[str, bytes], pki: test_pki.Pki) -> None:
    """Neither a hang nor a second signature; the one that is there is judged."""
    signature = only(built(pki, tree, ("top",)))
    assert signature.signer is not None
    assert signature.signer.digest_matches


def test_listed_twice_is_one_signature(pki: test_pki.Pki) -> None:
    view = built(pki, {"top": b"<< /T (A) /FT /Sig /V {value} >>"}, ("top", "top"))
    assert (only(view).field, only(view).other_fields) == ("A", ())
    assert "field_listed_twice" in {found.code for found in view.findings}
