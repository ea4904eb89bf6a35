"""Known forms of signed XML: e-invoices, tax notices, school records, and elements that a caller wants covered.

A signature over `#Id` says nothing about where its element stands.  A form does: which element of the document has to
be covered by whom, at its own place, so that a signed element moved aside proves nothing for the one that is read.
"""

from signsvc.formats.xmlforms.apply import apply
from signsvc.formats.xmlforms.definitions import Definition, SignerPlace, builtin, parse
from signsvc.formats.xmlforms.judge import Judgement, Signed, demanded, judge

__all__ = ["Definition", "Judgement", "Signed", "SignerPlace", "apply", "builtin", "demanded", "judge", "parse"]
