"""PAdES (ETSI EN 319 142-1): signatures in PDF files.

`read` gives the `DocumentView` of a file through readers of our own and is light to import; the writing side stands in
modules named ``write*`` and is imported from there by those who sign.
"""

from signsvc.formats.pades.byterange import signed_revision
from signsvc.formats.pades.read import inspected, read

__all__ = ["inspected", "read", "signed_revision"]
