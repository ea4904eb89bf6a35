"""Signing and extending what is no PDF: XML (XAdES), CMS (CAdES), containers (ASiC).

The order is that of `signing.service`: look at the document and the certificate, have the key sign, add what the level
asks for, verify the whole file, hand it out.  Formats are named in `formats`; each writes bytes from bytes.
"""

from signsvc.signing.files.formats import Kind, kind_of, kind_of_file, media_type_of
from signsvc.signing.files.make import extend, sign

__all__ = ["Kind", "extend", "kind_of", "kind_of_file", "media_type_of", "sign"]
