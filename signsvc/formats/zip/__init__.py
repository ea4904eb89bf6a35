"""A bounded reader and writer of ZIP files (APPNOTE 6.3.10, ISO/IEC 21320-1), for signed containers.

    container = open_container(data)            # DocumentError: no container that all programs read alike
    container.entries                           # in the order of their octets
    container.find("META-INF/manifest.xml")     # Entry or None
    container.read(entry), container.digest(entry, oid), container.pieces(entry)
    container.findings                          # what is odd and still of one meaning
    build(files), rewritten(container, replaced, added)

Central directory and local headers must agree, names may not lead anywhere and nothing overlaps; nothing is ever
written to a disk.
"""

from signsvc.formats.zip.container import Container, open_container
from signsvc.formats.zip.limits import Entry, ZipLimits
from signsvc.formats.zip.write import File, build, rewritten

__all__ = ["Container", "Entry", "File", "ZipLimits", "build", "open_container", "rewritten"]
